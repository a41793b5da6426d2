/* com.microsoft Attention and QAttention: one product gives Q, K and V side by side, then
 * attention. Past keys and values go before the new ones. Constant weights are packed at load. */
#include "engine/ops/dense.h"
#include "engine/ops/ms_attention_mask.h"
#include "engine/ops/quant.h"

#define MICROSOFT "com.microsoft"
#define NONE MS_ATTENTION_NONE

/* Where the inputs are. */
struct places {
    size_t bias, mask, past, extra; /* extra: attention_bias */
    size_t x_scale, w_scale, x_zero, w_zero;
};

static const struct places plain = {2, 3, 4, 5, NONE, NONE, NONE, NONE};
static const struct places quantised = {2, 5, 8, NONE, 3, 4, 6, 7};

static bool is_quantised(const struct places *p) {
    return p->x_scale != NONE;
}

struct packed_state {
    struct dense w;
};

/* Sizes of Q, K and V in a row. */
static enum status hidden_sizes(struct op_ctx *c, const struct tensor *w, int64_t heads,
                                int64_t out[3]) {
    const int64_t *given = NULL;
    const size_t n = op_attr_ints(c, "qkv_hidden_sizes", &given);
    if (n != 0 && n != 3)
        return op_fail(c, "qkv_hidden_sizes has %zu numbers, expected 3", n);
    int64_t sum = 0;
    for (size_t i = 0; i < 3; i++) {
        out[i] = n ? given[i] : w->dims[1] / 3;
        if (out[i] < 1 || out[i] % heads != 0 || __builtin_add_overflow(sum, out[i], &sum))
            return op_fail(c, "a hidden size of %lld is not %lld heads", (long long)out[i],
                           (long long)heads);
    }
    if (sum != w->dims[1] || out[0] != out[1])
        return op_fail(c, "the weights have %lld columns, hidden sizes are %lld, %lld and %lld",
                       (long long)w->dims[1], (long long)out[0], (long long)out[1],
                       (long long)out[2]);
    return STATUS_OK;
}

static enum status one_or(struct op_ctx *c, size_t i, int64_t many, uint32_t types) {
    const struct tensor *t = i == NONE ? NULL : op_in(c, i);
    if (!t)
        return STATUS_OK;
    if (t->count != 1 && t->count != many)
        return op_fail(c, "input %zu has %lld elements, expected 1 or %lld", i, (long long)t->count,
                       (long long)many);
    return op_need_dtype(c, i, types);
}

static enum status attention_shape(struct op_ctx *c, const struct places *p,
                                   struct ms_attention_shape *s, int64_t sizes[3]) {
    const struct tensor *x = op_in(c, 0), *w = op_in(c, 1), *past = op_in(c, p->past);
    *s = (struct ms_attention_shape){.heads = op_attr_int(c, "num_heads", 0)};
    if (s->heads < 1)
        return op_fail(c, "num_heads is %lld, expected at least 1", (long long)s->heads);
    if (x->dims[2] != w->dims[0])
        return op_fail(c, "the input has rows of %lld, the weights take %lld",
                       (long long)x->dims[2], (long long)w->dims[0]);
    enum status st = hidden_sizes(c, w, s->heads, sizes);
    if (st != STATUS_OK)
        return st;
    s->batch = x->dims[0];
    s->queries = x->dims[1];
    if (past) {
        const int64_t head = sizes[0] / s->heads;
        if (past->rank != 5 || past->dims[0] != 2 || past->dims[1] != s->batch ||
            past->dims[2] != s->heads || past->dims[4] != head || sizes[2] != sizes[0])
            return op_fail(c, "past must have shape [2,%lld,%lld,..,%lld]", (long long)s->batch,
                           (long long)s->heads, (long long)head);
        s->past = past->dims[3];
    }
    s->total = s->past + s->queries;
    return STATUS_OK;
}

static enum status attention_infer(struct op_ctx *c) {
    const struct places *p = op_form(c);
    const bool q = is_quantised(p);
    enum status st = op_need_all(c, q ? 5 : 2);
    for (size_t i = 0; i < 2 && st == STATUS_OK; i++) {
        st = op_need_dtype(c, i, q ? QUANT_BYTES : DT_FLOATS);
        if (st == STATUS_OK)
            st = op_need_rank(c, i, i == 0 ? 3 : 2, i == 0 ? 3 : 2);
    }
    if (st == STATUS_OK && (op_attr_int(c, "do_rotary", 0) != 0 ||
                            op_attr_int(c, "past_present_share_buffer", 0) != 0))
        return op_fail(c, "do_rotary and past_present_share_buffer must be 0");
    struct ms_attention_shape s;
    int64_t sizes[3];
    if (st == STATUS_OK)
        st = attention_shape(c, p, &s, sizes);
    enum ms_attention_padding kind;
    if (st == STATUS_OK)
        st = ms_attention_padding(c, p->mask, &s, true, &kind);
    if (st == STATUS_OK && p->extra != NONE)
        st = ms_attention_check_bias(c, p->extra, &s);
    const int64_t columns = st == STATUS_OK ? op_in(c, 1)->dims[1] : 0;
    const struct tensor *b = op_in(c, p->bias);
    if (st == STATUS_OK && b && (b->rank != 1 || b->dims[0] != columns))
        return op_fail(c, "the bias must have one dimension of %lld", (long long)columns);
    if (st == STATUS_OK)
        st = op_need_dtype(c, p->bias, DT_FLOATS);
    if (st == STATUS_OK)
        st = op_need_dtype(c, p->past, DT_FLOATS);
    if (st == STATUS_OK && q) {
        st = one_or(c, p->x_scale, 1, DT(FLOAT));
        if (st == STATUS_OK)
            st = one_or(c, p->w_scale, columns, DT(FLOAT));
        if (st == STATUS_OK)
            st = one_or(c, p->x_zero, 1, (uint32_t)1 << op_in(c, 0)->dtype);
        if (st == STATUS_OK)
            st = one_or(c, p->w_zero, columns, (uint32_t)1 << op_in(c, 1)->dtype);
    }
    if (st != STATUS_OK)
        return st;
    const enum dtype dtype = q ? DTYPE_FLOAT : op_in(c, 0)->dtype;
    st = op_infer(c, 0, dtype, 3, (int64_t[]){s.batch, s.queries, sizes[2]});
    if (st == STATUS_OK && op_out_wanted(c, 1) && sizes[0] != sizes[2])
        return op_fail(c, "present needs keys and values of one size");
    return st == STATUS_OK ? op_infer(c, 1, dtype, 5,
                                      (int64_t[]){2, s.batch, s.heads, s.total, sizes[0] / s.heads})
                           : st;
}

/* A quantised input as float; `lines` scales and zero points along the last dimension, or one. */
static enum status widen(struct op_ctx *c, size_t i, size_t scale, size_t zero, float **out) {
    const struct tensor *t = op_in(c, i), *scales = op_in(c, scale);
    const double *zeros = NULL;
    size_t n = 0;
    enum status s = quant_zero_points(c, zero, 1, &zeros, &n);
    if (s != STATUS_OK)
        return s;
    double *wide = op_scratch_array(c, (size_t)t->count, sizeof *wide);
    *out = op_scratch_array(c, (size_t)t->count, sizeof **out);
    if (!wide || !*out)
        return op_no_memory(c);
    quant_load(t->dtype, t->data, (size_t)t->count, wide);
    const size_t columns = (size_t)t->dims[t->rank - 1];
    const float *by = scales->data;
    for (size_t k = 0; k < (size_t)t->count; k++)
        (*out)[k] = (float)(wide[k] - zeros[n == 1 ? 0 : k % columns]) *
                    by[scales->count == 1 ? 0 : k % columns];
    return STATUS_OK;
}

/* The weights can be packed at load: everything they come from is constant. */
static bool packable(struct op_ctx *c, const struct places *p) {
    const struct tensor *w = op_in(c, 1);
    if (!op_in_constant(c, 1) || !w || w->rank != 2 || w->count == 0)
        return false;
    if (!is_quantised(p))
        return w->dtype == DTYPE_FLOAT;
    const struct tensor *scale = op_in(c, p->w_scale), *zero = op_in(c, p->w_zero);
    return (QUANT_BYTES >> w->dtype & 1) && op_in_constant(c, p->w_scale) && scale &&
           scale->dtype == DTYPE_FLOAT && (scale->count == 1 || scale->count == w->dims[1]) &&
           (!op_in_value(c, p->w_zero) ||
            (op_in_constant(c, p->w_zero) && zero && zero->dtype == w->dtype &&
             (zero->count == 1 || zero->count == w->dims[1])));
}

static size_t attention_pack_size(struct op_ctx *c) {
    const struct tensor *w = op_in(c, 1);
    return packable(c, op_form(c)) ? dense_pack_size((size_t)w->dims[0], (size_t)w->dims[1]) : 0;
}

static enum status open_weights(struct op_ctx *c, const struct places *p, struct dense *d) {
    const struct tensor *w = op_in(c, 1);
    float *wide = NULL;
    *d =
        (struct dense){.k = (size_t)w->dims[0], .n = (size_t)w->dims[1], .ldw = (size_t)w->dims[1]};
    if (!is_quantised(p))
        return op_in_f32(c, 1, &d->plain);
    enum status s = widen(c, 1, p->w_scale, p->w_zero, &wide);
    d->plain = wide;
    return s;
}

static enum status attention_prepare(struct op_ctx *c) {
    const struct places *p = op_form(c);
    if (attention_pack_size(c) == 0)
        return STATUS_OK;
    struct packed_state *state = op_state_new(c, sizeof *state);
    if (!state)
        return op_no_memory(c);
    enum status s = open_weights(c, p, &state->w);
    if (s == STATUS_OK)
        s = dense_pack(c, &state->w);
    state->w.plain = NULL; /* the bytes may go */
    if (s == STATUS_OK)
        op_packed(c, 1);
    return s;
}

/* Past and new rows of `side` joined in to, which is then what side describes. */
static void join_past(const struct ms_attention_shape *s, struct attention_side *side,
                      const float *past, const float **data, float *to) {
    attention_join(side, s->batch, s->past, past, *data, to);
    *side = attention_plain(side->heads, s->total, side->head);
    *data = to;
}

static enum status attention_past(struct op_ctx *c, const struct places *p,
                                  const struct ms_attention_shape *s, struct attention *a) {
    const float *past = NULL;
    float *present = NULL;
    enum status st = op_in(c, p->past) ? op_in_f32(c, p->past, &past) : STATUS_OK;
    if (st == STATUS_OK)
        st = op_out_f32(c, 1, &present);
    if (st != STATUS_OK || (!past && !present))
        return st;
    const size_t half = (size_t)(s->batch * s->heads * s->total * a->k.head);
    float *to = present ? present : op_scratch_array(c, half, 2 * sizeof *to);
    if (!to)
        return op_no_memory(c);
    const size_t before = (size_t)(s->batch * s->heads * s->past * a->k.head);
    join_past(s, &a->k, past, &a->k_data, to);
    join_past(s, &a->v, past ? past + before : NULL, &a->v_data, to + half);
    if (present)
        op_out_f32_done(c, 1, present);
    return STATUS_OK;
}

static enum status attention_op_run(struct op_ctx *c) {
    const struct places *p = op_form(c);
    const struct packed_state *state = op_state(c);
    struct attention a = {
        .causal = op_attr_int(c, "unidirectional", 0) != 0, .before = -1, .after = -1};
    struct ms_attention_shape s;
    struct dense w;
    int64_t sizes[3];
    const float *x = NULL, *bias = NULL;
    float *wide = NULL;
    enum status st = attention_shape(c, p, &s, sizes);
    if (st == STATUS_OK && state)
        w = state->w;
    else if (st == STATUS_OK)
        st = open_weights(c, p, &w);
    if (st == STATUS_OK && is_quantised(p)) {
        st = widen(c, 0, p->x_scale, p->x_zero, &wide);
        x = wide;
    } else if (st == STATUS_OK) {
        st = op_in_f32(c, 0, &x);
    }
    if (st == STATUS_OK && op_in(c, p->bias))
        st = op_in_f32(c, p->bias, &bias);
    if (st == STATUS_OK)
        st = op_out_f32(c, 0, &a.y_data);
    if (st != STATUS_OK)
        return st;
    const int64_t row = sizes[0] + sizes[1] + sizes[2];
    float *qkv = op_scratch_array(c, (size_t)(s.batch * s.queries), (size_t)row * sizeof *qkv);
    if (!a.y_data)
        a.y_data =
            op_scratch_array(c, (size_t)(s.batch * s.queries), (size_t)sizes[2] * sizeof(float));
    if (!qkv || !a.y_data)
        return op_no_memory(c);
    dense_apply(op_threads(c), &w, (size_t)(s.batch * s.queries), x, w.k, bias, false, qkv,
                (size_t)row);
    a.batch = s.batch;
    a.total = s.total;
    a.past = s.past;
    a.q = attention_rows(s.heads, s.queries, sizes[0] / s.heads, row);
    a.k = attention_rows(s.heads, s.queries, sizes[1] / s.heads, row);
    a.v = attention_rows(s.heads, s.queries, sizes[2] / s.heads, row);
    a.y = attention_rows(s.heads, s.queries, sizes[2] / s.heads, sizes[2]);
    a.q_data = qkv;
    a.k_data = qkv + sizes[0];
    a.v_data = qkv + 2 * sizes[0];
    a.scale = attention_scale(op_attr_float(c, "scale", 0.0f), a.q.head);
    st = ms_attention_masks(c, p->mask, p->extra, &s, true, &a);
    if (st == STATUS_OK)
        st = attention_past(c, p, &s, &a);
    if (st == STATUS_OK)
        st = attention_run(c, &a);
    if (st == STATUS_OK && op_out(c, 0))
        op_out_f32_done(c, 0, a.y_data);
    return st;
}

const struct op_row op_family_ms_attention[] = {
    {.domain = MICROSOFT,
     .name = "Attention",
     .since = 1,
     .infer = attention_infer,
     .run = attention_op_run,
     .prepare = attention_prepare,
     .pack_size = attention_pack_size,
     .form = &plain},
    {.domain = MICROSOFT,
     .name = "QAttention",
     .since = 1,
     .infer = attention_infer,
     .run = attention_op_run,
     .prepare = attention_prepare,
     .pack_size = attention_pack_size,
     .form = &quantised},
    OP_END,
};
