/* com.microsoft Gelu, BiasGelu, FastGelu and QuickGelu, computed in float.
 *
 *   Gelu, BiasGelu   x/2 (1 + erf(x / sqrt 2))        FastGelu   the same by tanh
 *   QuickGelu        x sigmoid(alpha x)
 *
 * x is the input plus a bias for each element of its last dimension where there is one. */
#include "engine/ops/fast_math.h"
#include "engine/ops/op.h"

enum kind { EXACT, TANH, QUICK };

struct form {
    enum kind kind;
    bool bias_needed;
};

static const struct form gelu = {EXACT, false}, bias_gelu = {EXACT, true},
                         fast_gelu = {TANH, false}, quick_gelu = {QUICK, false};

static enum status infer(struct op_ctx *c) {
    const struct form *f = op_form(c);
    enum status s = op_need_all(c, f->bias_needed ? 2 : 1);
    if (s == STATUS_OK)
        s = op_need_dtype(c, 0, DT_FLOATS);
    if (s == STATUS_OK)
        s = op_need_same(c, 1, 0);
    if (s != STATUS_OK)
        return s;
    const struct tensor *x = op_in(c, 0), *b = op_in(c, 1);
    if (b && (b->rank != 1 || x->rank < 1 || b->dims[0] != x->dims[x->rank - 1]))
        return op_fail(c, "the bias must have one dimension, that of the input's last");
    return op_infer_like(c, 0, x);
}

struct job {
    enum kind kind;
    const float *x, *bias;
    float *y, alpha;
    size_t n;
};

static void rows(void *arg, size_t begin, size_t end) {
    const struct job *j = arg;
    const size_t n = j->n;
    for (size_t r = begin; r < end; r++) {
        const float *x = j->x + r * n;
        float *y = j->y + r * n;
        for (size_t i = 0; i < n; i++)
            y[i] = x[i] + (j->bias ? j->bias[i] : 0.0f);
        for (size_t i = 0; i < n; i++) {
            const float v = y[i];
            if (j->kind == EXACT)
                y[i] = 0.5f * v * (1.0f + erff(v * 0.70710678f));
            else if (j->kind == TANH)
                y[i] = 0.5f * v * (1.0f + fast_tanhf(v * (0.797884561f + 0.035677408f * v * v)));
            else
                y[i] = v * fast_sigmoidf(j->alpha * v);
        }
    }
}

static enum status run(struct op_ctx *c) {
    const struct form *f = op_form(c);
    const struct tensor *x = op_in(c, 0);
    struct job j = {.kind = f->kind, .alpha = op_attr_float(c, "alpha", 1.702f)};
    float *y = NULL;
    enum status s = op_in_f32(c, 0, &j.x);
    if (s == STATUS_OK && op_in(c, 1))
        s = op_in_f32(c, 1, &j.bias);
    if (s == STATUS_OK)
        s = op_out_f32(c, 0, &y);
    if (s != STATUS_OK || !y || x->count == 0)
        return s;
    j.y = y;
    j.n = j.bias ? (size_t)op_in(c, 1)->count : 1;
    op_parallel(c, (size_t)x->count / j.n, 8192 / j.n + 1, rows, &j);
    op_out_f32_done(c, 0, y);
    return STATUS_OK;
}

#define ROW(text, form_of)                                                                         \
    {                                                                                              \
        .domain = "com.microsoft", .name = text, .since = 1, .infer = infer, .run = run,           \
        .form = &form_of,                                                                          \
    }

const struct op_row op_family_ms_gelu[] = {
    ROW("Gelu", gelu),
    ROW("BiasGelu", bias_gelu),
    ROW("FastGelu", fast_gelu),
    ROW("QuickGelu", quick_gelu),
    OP_END,
};
