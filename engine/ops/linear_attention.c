/* LinearAttention: a state S of [key size, value size] for each image and key head, renewed by each
 * token in turn, and read by the query:
 *
 *     S = decay * S + beta * k (v - (decay * S)' k)'   ("delta" and "gated_delta")
 *     S = decay * S + k v'                             ("linear" and "gated")
 *     o = scale * S' q
 *
 * where decay is exp of the input of that name in the gated forms, else 1. Computed in float, token
 * by token: the chunk size is a hint that does not change the result. */
#include "engine/ops/op.h"

#include <math.h>

enum { QUERY, KEY, VALUE, PAST, DECAY, BETA };
enum { Y, PRESENT };

struct shape {
    int64_t batch, tokens, heads, shared, key, value; /* shared: query heads for a key head */
    int64_t decay, beta; /* elements of a token's decay for a head (key or 1); of its beta in all */
    bool gated, delta;
};

static enum status parse_rule(struct op_ctx *c, struct shape *s) {
    const struct str rule = op_attr_str(c, "update_rule", "gated_delta");
    s->gated = str_is(rule, "gated") || str_is(rule, "gated_delta");
    s->delta = str_is(rule, "delta") || str_is(rule, "gated_delta");
    if (!s->gated && !s->delta && !str_is(rule, "linear"))
        return op_fail(c, "attribute update_rule must be \"linear\", \"gated\", \"delta\" or "
                          "\"gated_delta\"");
    if (s->gated && !op_in(c, DECAY))
        return op_need(c, DECAY);
    return s->delta && !op_in(c, BETA) ? op_need(c, BETA) : STATUS_OK;
}

static bool is_token_row(const struct tensor *t, const struct shape *s, int64_t size) {
    return t->rank == 3 && t->dims[0] == s->batch && t->dims[1] == s->tokens && t->dims[2] == size;
}

/* decay: [batch, tokens, heads * key] or [batch, tokens, heads]; beta: [batch, tokens, heads or 1].
 */
static enum status parse_gates(struct op_ctx *c, struct shape *s) {
    const struct tensor *decay = op_in(c, DECAY), *beta = op_in(c, BETA);
    if (s->gated) {
        s->decay = is_token_row(decay, s, s->heads) ? 1 : s->key;
        if (s->decay != 1 && !is_token_row(decay, s, s->heads * s->key))
            return op_fail(c, "the decay must have %lld or %lld elements for each token",
                           (long long)s->heads, (long long)(s->heads * s->key));
    }
    if (s->delta) {
        s->beta = is_token_row(beta, s, 1) ? 1 : s->heads;
        if (s->beta != 1 && !is_token_row(beta, s, s->heads))
            return op_fail(c, "beta must have %lld elements or one for each token",
                           (long long)s->heads);
    }
    return STATUS_OK;
}

static enum status parse(struct op_ctx *c, struct shape *s) {
    const struct tensor *q = op_in(c, QUERY), *k = op_in(c, KEY), *v = op_in(c, VALUE);
    const int64_t q_heads = op_attr_int(c, "q_num_heads", 0);
    *s = (struct shape){
        .batch = q->dims[0], .tokens = q->dims[1], .heads = op_attr_int(c, "kv_num_heads", 0)};
    if (s->heads < 1 || q_heads < 1 || q_heads % s->heads != 0)
        return op_fail(c, "%lld query heads cannot share %lld key heads", (long long)q_heads,
                       (long long)s->heads);
    if (q->dims[2] % q_heads != 0 || v->dims[2] % s->heads != 0)
        return op_fail(c, "the last dimensions are not made of %lld and %lld heads",
                       (long long)q_heads, (long long)s->heads);
    s->shared = q_heads / s->heads;
    s->key = q->dims[2] / q_heads;
    s->value = v->dims[2] / s->heads;
    if (k->dims[2] != q->dims[2] / s->shared || !is_token_row(k, s, k->dims[2]) ||
        !is_token_row(v, s, v->dims[2]))
        return op_fail(c, "query, key and value do not fit together");
    const int64_t state[4] = {s->batch, s->heads, s->key, s->value};
    const struct tensor *past = op_in(c, PAST);
    if (past && memcmp(past->dims, state, sizeof state) != 0)
        return op_fail(c, "past_state must have shape [%lld,%lld,%lld,%lld]", (long long)state[0],
                       (long long)state[1], (long long)state[2], (long long)state[3]);
    enum status st = parse_rule(c, s);
    return st == STATUS_OK ? parse_gates(c, s) : st;
}

static enum status infer(struct op_ctx *c) {
    struct shape s;
    enum status st = op_need_all(c, 3);
    for (size_t i = QUERY; i <= BETA && st == STATUS_OK; i++) {
        st = op_need_dtype(c, i, DT_FLOATS);
        if (st == STATUS_OK)
            st = op_need_rank(c, i, i == PAST ? 4 : 3, i == PAST ? 4 : 3);
    }
    if (st == STATUS_OK)
        st = parse(c, &s);
    if (st != STATUS_OK)
        return st;
    const enum dtype dtype = op_in(c, QUERY)->dtype;
    int64_t width = 0;
    if (__builtin_mul_overflow(s.heads * s.shared, s.value, &width))
        return op_fail(c, "the output is too large");
    st = op_infer(c, Y, dtype, 3, (int64_t[]){s.batch, s.tokens, width});
    if (st == STATUS_OK)
        st = op_infer(c, PRESENT, op_in(c, PAST) ? op_in(c, PAST)->dtype : dtype, 4,
                      (int64_t[]){s.batch, s.heads, s.key, s.value});
    return st;
}

struct job {
    struct shape s;
    const float *q, *k, *v, *decay, *beta;
    float *y, *state, *error; /* error: a row of `value` for each image and head */
    float scale;
};

/* S = decay * S, a factor for each row or one for all. */
static void fade(const struct job *j, int64_t token, int64_t head, float *state) {
    const struct shape *s = &j->s;
    const float *g = j->decay + (token * s->heads + head) * s->decay;
    for (int64_t i = 0; i < s->key; i++) {
        const float f = expf(g[s->decay == 1 ? 0 : i]);
        for (int64_t e = 0; e < s->value; e++)
            state[i * s->value + e] *= f;
    }
}

/* S = S + k error', where error = v, or beta * (v - S' k). */
static void renew(const struct job *j, int64_t token, int64_t head, float *state, float *error) {
    const struct shape *s = &j->s;
    const float *k = j->k + (token * s->heads + head) * s->key;
    memcpy(error, j->v + (token * s->heads + head) * s->value, (size_t)s->value * sizeof *error);
    if (s->delta) {
        const float beta = j->beta[token * s->beta + (s->beta == 1 ? 0 : head)];
        for (int64_t i = 0; i < s->key; i++)
            for (int64_t e = 0; e < s->value; e++)
                error[e] -= state[i * s->value + e] * k[i];
        for (int64_t e = 0; e < s->value; e++)
            error[e] *= beta;
    }
    for (int64_t i = 0; i < s->key; i++)
        for (int64_t e = 0; e < s->value; e++)
            state[i * s->value + e] += k[i] * error[e];
}

static void read_out(const struct job *j, int64_t token, int64_t head, const float *state) {
    const struct shape *s = &j->s;
    for (int64_t h = head * s->shared; h < (head + 1) * s->shared; h++) {
        const float *q = j->q + (token * s->heads * s->shared + h) * s->key;
        float *y = j->y + (token * s->heads * s->shared + h) * s->value;
        memset(y, 0, (size_t)s->value * sizeof *y);
        for (int64_t i = 0; i < s->key; i++)
            for (int64_t e = 0; e < s->value; e++)
                y[e] += j->scale * q[i] * state[i * s->value + e];
    }
}

static void heads(void *arg, size_t begin, size_t end) {
    const struct job *j = arg;
    const struct shape *s = &j->s;
    for (int64_t at = (int64_t)begin; at < (int64_t)end; at++) {
        float *state = j->state + at * s->key * s->value, *error = j->error + at * s->value;
        const int64_t image = at / s->heads, head = at % s->heads;
        for (int64_t t = image * s->tokens; t < (image + 1) * s->tokens; t++) {
            if (s->gated)
                fade(j, t, head, state);
            renew(j, t, head, state, error);
            read_out(j, t, head, state);
        }
    }
}

static enum status open_job(struct op_ctx *c, struct job *j) {
    const float *past = NULL;
    enum status st = parse(c, &j->s);
    const struct {
        size_t input;
        const float **to;
    } inputs[] = {{QUERY, &j->q}, {KEY, &j->k},       {VALUE, &j->v},
                  {PAST, &past},  {DECAY, &j->decay}, {BETA, &j->beta}};
    for (size_t i = 0; i < sizeof inputs / sizeof *inputs && st == STATUS_OK; i++)
        if (op_in(c, inputs[i].input))
            st = op_in_f32(c, inputs[i].input, inputs[i].to);
    if (st == STATUS_OK)
        st = op_out_f32(c, Y, &j->y);
    if (st == STATUS_OK)
        st = op_out_f32(c, PRESENT, &j->state);
    if (st != STATUS_OK)
        return st;
    const struct shape *s = &j->s;
    const size_t all = (size_t)(s->batch * s->heads), cells = (size_t)(s->key * s->value);
    if (!j->y)
        j->y = op_scratch_array(c, (size_t)(s->batch * s->tokens * s->heads * s->shared),
                                (size_t)s->value * sizeof *j->y);
    if (!j->state)
        j->state = op_scratch_array(c, all, cells * sizeof *j->state);
    j->error = op_scratch_array(c, all, (size_t)s->value * sizeof *j->error);
    if (!j->y || !j->state || !j->error)
        return op_no_memory(c);
    if (past)
        memcpy(j->state, past, all * cells * sizeof *past);
    else
        memset(j->state, 0, all * cells * sizeof *j->state);
    return STATUS_OK;
}

static enum status run(struct op_ctx *c) {
    struct job j = {.scale = op_attr_float(c, "scale", 0.0f)};
    enum status st = open_job(c, &j);
    if (st != STATUS_OK)
        return st;
    if (j.scale == 0.0f)
        j.scale = 1.0f / sqrtf((float)(j.s.key > 0 ? j.s.key : 1));
    op_parallel(c, (size_t)(j.s.batch * j.s.heads), 1, heads, &j);
    if (op_out(c, Y))
        op_out_f32_done(c, Y, j.y);
    if (op_out(c, PRESENT))
        op_out_f32_done(c, PRESENT, j.state);
    return STATUS_OK;
}

const struct op_row op_family_linear_attention[] = {
    {.name = "LinearAttention", .since = 27, .infer = infer, .run = run},
    OP_END,
};
