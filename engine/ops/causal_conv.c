/* CausalConvWithState: each channel convolved with its own kernel of k elements over what came
 * before and up to its place, the k - 1 elements before the first being the state of the step
 * before, or zeros. The state handed on is the last k - 1 elements. Computed in float. */
#include "engine/ops/op.h"

#include <math.h>

enum { X, WEIGHT, BIAS, PAST };
enum { Y, PRESENT };

static enum status check_activation(struct op_ctx *c, bool *silu) {
    const struct str name = op_attr_str(c, "activation", "none");
    *silu = str_is(name, "silu") || str_is(name, "swish");
    if (!*silu && !str_is(name, "none"))
        return op_fail(c, "attribute activation must be \"none\", \"silu\" or \"swish\"");
    return STATUS_OK;
}

static enum status infer(struct op_ctx *c) {
    bool silu = false;
    enum status s = op_need_all(c, 2);
    if (s == STATUS_OK)
        s = op_need_dtype(c, X, DT_FLOATS);
    for (size_t i = WEIGHT; i <= PAST && s == STATUS_OK; i++)
        s = op_need_same(c, i, X);
    if (s == STATUS_OK)
        s = op_need_rank(c, X, 3, 3);
    if (s == STATUS_OK)
        s = op_need_rank(c, WEIGHT, 3, 3);
    if (s == STATUS_OK)
        s = op_need_rank(c, BIAS, 1, 1);
    if (s == STATUS_OK)
        s = op_need_rank(c, PAST, 3, 3);
    if (s == STATUS_OK)
        s = check_activation(c, &silu);
    if (s != STATUS_OK)
        return s;
    const struct tensor *x = op_in(c, X), *w = op_in(c, WEIGHT), *past = op_in(c, PAST);
    const int64_t state[3] = {x->dims[0], x->dims[1], w->dims[2] - 1};
    if (w->dims[0] != x->dims[1] || w->dims[1] != 1 || w->dims[2] < 1)
        return op_fail(c, "the weight must have shape [%lld,1,k]", (long long)x->dims[1]);
    if (op_in(c, BIAS) && op_in(c, BIAS)->count != x->dims[1])
        return op_fail(c, "the bias has %lld elements, there are %lld channels",
                       (long long)op_in(c, BIAS)->count, (long long)x->dims[1]);
    if (past && memcmp(past->dims, state, sizeof state) != 0)
        return op_fail(c, "past_state must have shape [%lld,%lld,%lld]", (long long)state[0],
                       (long long)state[1], (long long)state[2]);
    s = op_infer_like(c, Y, x);
    return s == STATUS_OK ? op_infer(c, PRESENT, x->dtype, 3, state) : s;
}

struct job {
    const float *x, *weight, *bias, *past;
    float *y, *present;
    int64_t channels, length, k;
    bool silu;
};

/* Element i of the state followed by the row. */
static float at(const struct job *j, int64_t row, int64_t i) {
    const int64_t state = j->k - 1;
    if (i >= state)
        return j->x[row * j->length + i - state];
    return j->past ? j->past[row * state + i] : 0.0f;
}

static void rows(void *arg, size_t begin, size_t end) {
    const struct job *j = arg;
    for (int64_t row = (int64_t)begin; row < (int64_t)end; row++) {
        const int64_t channel = row % j->channels;
        const float *w = j->weight + channel * j->k;
        for (int64_t i = 0; j->y && i < j->length; i++) {
            float sum = j->bias ? j->bias[channel] : 0.0f;
            for (int64_t t = 0; t < j->k; t++)
                sum += w[t] * at(j, row, i + t);
            j->y[row * j->length + i] = j->silu ? sum / (1.0f + expf(-sum)) : sum;
        }
        for (int64_t i = 0; j->present && i < j->k - 1; i++)
            j->present[row * (j->k - 1) + i] = at(j, row, j->length + i);
    }
}

static enum status run(struct op_ctx *c) {
    const struct tensor *x = op_in(c, X);
    struct job j = {.channels = x->dims[1], .length = x->dims[2], .k = op_in(c, WEIGHT)->dims[2]};
    enum status s = check_activation(c, &j.silu);
    if (s == STATUS_OK)
        s = op_in_f32(c, X, &j.x);
    if (s == STATUS_OK)
        s = op_in_f32(c, WEIGHT, &j.weight);
    if (s == STATUS_OK && op_in(c, BIAS))
        s = op_in_f32(c, BIAS, &j.bias);
    if (s == STATUS_OK && op_in(c, PAST))
        s = op_in_f32(c, PAST, &j.past);
    if (s == STATUS_OK)
        s = op_out_f32(c, Y, &j.y);
    if (s == STATUS_OK)
        s = op_out_f32(c, PRESENT, &j.present);
    if (s != STATUS_OK)
        return s;
    const size_t work = (size_t)(j.length * j.k) + 1;
    op_parallel(c, (size_t)(x->dims[0] * j.channels), OP_SHARED_WORK / work + 1, rows, &j);
    if (j.y)
        op_out_f32_done(c, Y, j.y);
    if (j.present)
        op_out_f32_done(c, PRESENT, j.present);
    return STATUS_OK;
}

const struct op_row op_family_causal_conv[] = {
    {.name = "CausalConvWithState", .since = 27, .infer = infer, .run = run},
    OP_END,
};
