/* com.microsoft MultiHeadAttention: attention over projections that other nodes made.
 *
 *   query  [B,S,D], or Q, K and V in one as [B,S,N,3,H]
 *   key    [B,L,D], K and V in one as [B,L,N,2,H], or made for a cross attention: [B,N,L,H]
 *   value  [B,L,E], or [B,N,L,G]; left out where key or query has it
 *
 * A bias is added to the three first (to the query alone where keys are [B,N,L,H]). */
#include "engine/ops/ms_attention_mask.h"

enum { QUERY, KEY, VALUE, BIAS, PADDING, EXTRA, PAST_KEY, PAST_VALUE };
enum { Y, PRESENT_KEY, PRESENT_VALUE, SCORES };
enum form { SEPARATE, PACKED_KV, PACKED_QKV, CROSS };

struct shape {
    struct ms_attention_shape s;
    enum form form;
    int64_t keys; /* new ones */
    int64_t head, v_head;
};

static enum status need_dims(struct op_ctx *c, size_t i, int rank, const int64_t *dims) {
    const struct tensor *t = op_in(c, i);
    bool same = t->rank == rank;
    for (int d = 0; same && d < rank; d++)
        same = t->dims[d] == dims[d];
    char got[160], want[160];
    return same ? STATUS_OK
                : op_fail(c, "input %zu has shape %s, expected %s", i,
                          tensor_dims_text(t->dims, t->rank, got, sizeof got),
                          tensor_dims_text(dims, rank, want, sizeof want));
}

static enum status parse_values(struct op_ctx *c, struct shape *s) {
    const struct tensor *k = op_in(c, KEY), *v = op_in(c, VALUE);
    const int64_t b = s->s.batch, n = s->s.heads;
    s->v_head = s->head;
    if (!v)
        return op_fail(c, "value is missing");
    if (k->rank == 4) {
        s->form = CROSS;
        s->keys = k->dims[2];
        s->v_head = v->dims[v->rank > 0 ? v->rank - 1 : 0];
        enum status st = need_dims(c, KEY, 4, (int64_t[]){b, n, s->keys, s->head});
        return st == STATUS_OK ? need_dims(c, VALUE, 4, (int64_t[]){b, n, s->keys, s->v_head}) : st;
    }
    if (k->rank != 3 || v->rank != 3 || v->dims[2] % n != 0)
        return op_fail(c, "key and value must both be [batch, sequence, hidden] or by heads");
    s->keys = k->dims[1];
    s->v_head = v->dims[2] / n;
    enum status st = need_dims(c, KEY, 3, (int64_t[]){b, s->keys, n * s->head});
    return st == STATUS_OK ? need_dims(c, VALUE, 3, (int64_t[]){b, s->keys, v->dims[2]}) : st;
}

static enum status parse(struct op_ctx *c, struct shape *s) {
    const struct tensor *q = op_in(c, QUERY), *k = op_in(c, KEY);
    const int64_t n = op_attr_int(c, "num_heads", 0);
    *s = (struct shape){.s = {.batch = q->dims[0], .queries = q->dims[1], .heads = n}};
    if (n < 1)
        return op_fail(c, "num_heads is %lld, expected at least 1", (long long)n);
    if (!k) {
        if (q->rank != 5 || q->dims[2] != n || q->dims[3] != 3)
            return op_fail(c, "query without key must be [batch, sequence, %lld, 3, head]",
                           (long long)n);
        s->form = PACKED_QKV;
        s->keys = q->dims[1];
        s->head = s->v_head = q->dims[4];
        return STATUS_OK;
    }
    if (q->rank != 3 || q->dims[2] % n != 0)
        return op_fail(c, "query must be [batch, sequence, hidden], hidden a multiple of %lld",
                       (long long)n);
    s->head = q->dims[2] / n;
    if (k->rank != 5)
        return parse_values(c, s);
    s->form = PACKED_KV;
    s->keys = k->dims[1];
    s->v_head = s->head;
    return need_dims(c, KEY, 5, (int64_t[]){s->s.batch, s->keys, n, 2, s->head});
}

static enum status parse_past(struct op_ctx *c, struct shape *s) {
    const struct tensor *k = op_in(c, PAST_KEY), *v = op_in(c, PAST_VALUE);
    s->s.total = s->keys;
    if (!k && !v)
        return STATUS_OK;
    if (!k || !v || k->rank != 4 || s->form == CROSS)
        return op_fail(c, "past_key and past_value must be given together, [batch, heads, past, "
                          "head], for keys that are not by heads");
    s->s.past = k->dims[2];
    s->s.total += s->s.past;
    enum status st =
        need_dims(c, PAST_KEY, 4, (int64_t[]){s->s.batch, s->s.heads, s->s.past, s->head});
    return st == STATUS_OK ? need_dims(c, PAST_VALUE, 4,
                                       (int64_t[]){s->s.batch, s->s.heads, s->s.past, s->v_head})
                           : st;
}

static enum status check(struct op_ctx *c, struct shape *s) {
    enum status st = parse(c, s);
    if (st == STATUS_OK)
        st = parse_past(c, s);
    const struct tensor *bias = op_in(c, BIAS);
    if (st == STATUS_OK && bias)
        st = need_dims(c, BIAS, 1, (int64_t[]){s->s.heads * (2 * s->head + s->v_head)});
    enum ms_attention_padding kind;
    if (st == STATUS_OK)
        st = ms_attention_padding(c, PADDING, &s->s, false, &kind);
    return st == STATUS_OK ? ms_attention_check_bias(c, EXTRA, &s->s) : st;
}

static enum status infer(struct op_ctx *c) {
    enum status st = op_need(c, QUERY);
    if (st == STATUS_OK)
        st = op_need_rank(c, QUERY, 3, 5);
    if (st == STATUS_OK)
        st = op_need_dtype(c, QUERY, DT_FLOATS);
    for (size_t i = KEY; i <= PAST_VALUE && st == STATUS_OK; i++)
        if (i != PADDING)
            st = op_need_same(c, i, QUERY);
    if (st == STATUS_OK && (op_in_value(c, 8) || op_in_value(c, 9)))
        return op_fail(c, "past_sequence_length and cache_indirection are not served");
    struct shape s;
    if (st == STATUS_OK)
        st = check(c, &s);
    if (st != STATUS_OK)
        return st;
    const enum dtype dtype = op_in(c, QUERY)->dtype;
    const struct ms_attention_shape *m = &s.s;
    st = op_infer(c, Y, dtype, 3, (int64_t[]){m->batch, m->queries, m->heads * s.v_head});
    if (st == STATUS_OK)
        st = op_infer(c, PRESENT_KEY, dtype, 4, (int64_t[]){m->batch, m->heads, m->total, s.head});
    if (st == STATUS_OK)
        st = op_infer(c, PRESENT_VALUE, dtype, 4,
                      (int64_t[]){m->batch, m->heads, m->total, s.v_head});
    return st == STATUS_OK ? op_infer(c, SCORES, dtype, 4,
                                      (int64_t[]){m->batch, m->heads, m->queries, m->total})
                           : st;
}

/* Rows of `side` plus the bias of each head, without gaps between them. */
static enum status add_bias(struct op_ctx *c, int64_t batch, const float *bias,
                            struct attention_side *side, const float **data) {
    const struct attention_side from = *side;
    const int64_t row = from.heads * from.head;
    float *to = op_scratch_array(c, (size_t)(batch * from.sequence), (size_t)row * sizeof *to);
    if (!to)
        return op_no_memory(c);
    *side = attention_rows(from.heads, from.sequence, from.head, row);
    for (int64_t r = 0; r < batch * from.sequence; r++)
        for (int64_t h = 0; h < from.heads; h++) {
            const float *x = *data + r / from.sequence * from.batch_stride +
                             r % from.sequence * from.row_stride + h * from.head_stride;
            for (int64_t i = 0; i < from.head; i++)
                to[r * row + h * from.head + i] = x[i] + bias[h * from.head + i];
        }
    *data = to;
    return STATUS_OK;
}

static enum status open_sides(struct op_ctx *c, const struct shape *s, struct attention *a) {
    const int64_t n = s->s.heads, h = s->head, g = s->v_head;
    const float *q = NULL, *k = NULL, *v = NULL;
    enum status st = op_in_f32(c, QUERY, &q);
    if (st == STATUS_OK && op_in(c, KEY))
        st = op_in_f32(c, KEY, &k);
    if (st == STATUS_OK && op_in(c, VALUE) && s->form != PACKED_KV)
        st = op_in_f32(c, VALUE, &v);
    if (st != STATUS_OK)
        return st;
    a->q = attention_rows(n, s->s.queries, h, n * h);
    a->k = attention_rows(n, s->keys, h, n * h);
    a->v = attention_rows(n, s->keys, g, n * g);
    if (s->form == CROSS) {
        a->k = attention_plain(n, s->keys, h);
        a->v = attention_plain(n, s->keys, g);
    } else if (s->form == PACKED_KV) {
        a->k = a->v = attention_rows(n, s->keys, h, 2 * n * h);
        a->k.head_stride = a->v.head_stride = 2 * h;
        v = k + h;
    } else if (s->form == PACKED_QKV) {
        a->q = a->k = a->v = attention_rows(n, s->keys, h, 3 * n * h);
        a->q.head_stride = a->k.head_stride = a->v.head_stride = 3 * h;
        k = q + h;
        v = q + 2 * h;
    }
    a->q_data = q;
    a->k_data = k;
    a->v_data = v;
    return STATUS_OK;
}

static enum status apply_bias(struct op_ctx *c, const struct shape *s, struct attention *a) {
    const float *bias = NULL;
    if (!op_in(c, BIAS))
        return STATUS_OK;
    const int64_t row = s->s.heads * s->head;
    enum status st = op_in_f32(c, BIAS, &bias);
    if (st == STATUS_OK)
        st = add_bias(c, s->s.batch, bias, &a->q, &a->q_data);
    if (st == STATUS_OK && s->form != CROSS)
        st = add_bias(c, s->s.batch, bias + row, &a->k, &a->k_data);
    if (st == STATUS_OK && s->form != CROSS)
        st = add_bias(c, s->s.batch, bias + 2 * row, &a->v, &a->v_data);
    return st;
}

/* Joined with what input `past` has, and stored as output `present`. */
static enum status join(struct op_ctx *c, size_t past, size_t present, const struct shape *s,
                        struct attention_side *side, const float **data) {
    const float *before = NULL;
    float *to = NULL;
    enum status st = op_in(c, past) ? op_in_f32(c, past, &before) : STATUS_OK;
    if (st == STATUS_OK)
        st = op_out_f32(c, present, &to);
    if (st != STATUS_OK || (!before && !to))
        return st;
    if (!to)
        to = op_scratch_array(c, (size_t)(s->s.batch * s->s.heads * s->s.total),
                              (size_t)side->head * sizeof *to);
    if (!to)
        return op_no_memory(c);
    attention_join(side, s->s.batch, s->s.past, before, *data, to);
    if (op_out(c, present))
        op_out_f32_done(c, present, to);
    *side = attention_plain(side->heads, s->s.total, side->head);
    *data = to;
    return STATUS_OK;
}

static enum status run(struct op_ctx *c) {
    struct shape s;
    struct attention a = {
        .causal = op_attr_int(c, "unidirectional", 0) != 0, .before = -1, .after = -1};
    enum status st = check(c, &s);
    if (st == STATUS_OK)
        st = open_sides(c, &s, &a);
    if (st == STATUS_OK)
        st = apply_bias(c, &s, &a);
    if (st == STATUS_OK)
        st = join(c, PAST_KEY, PRESENT_KEY, &s, &a.k, &a.k_data);
    if (st == STATUS_OK)
        st = join(c, PAST_VALUE, PRESENT_VALUE, &s, &a.v, &a.v_data);
    if (st == STATUS_OK)
        st = ms_attention_masks(c, PADDING, EXTRA, &s.s, false, &a);
    if (st == STATUS_OK)
        st = op_out_f32(c, Y, &a.y_data);
    if (st == STATUS_OK)
        st = op_out_f32(c, SCORES, &a.scores_out);
    if (st != STATUS_OK)
        return st;
    const int64_t row = s.s.heads * s.v_head;
    if (!a.y_data) {
        a.y_data =
            op_scratch_array(c, (size_t)(s.s.batch * s.s.queries), (size_t)row * sizeof(float));
        if (!a.y_data)
            return op_no_memory(c);
    }
    a.batch = s.s.batch;
    a.past = s.s.past;
    a.total = s.s.total;
    a.y = attention_rows(s.s.heads, s.s.queries, s.v_head, row);
    a.scale = attention_scale(op_attr_float(c, "scale", 0.0f), s.head);
    a.stage = ATTENTION_RAW;
    st = attention_run(c, &a);
    if (st == STATUS_OK && op_out(c, Y))
        op_out_f32_done(c, Y, a.y_data);
    if (st == STATUS_OK && a.scores_out)
        op_out_f32_done(c, SCORES, a.scores_out);
    return st;
}

const struct op_row op_family_ms_multi_head[] = {
    {.domain = "com.microsoft",
     .name = "MultiHeadAttention",
     .since = 1,
     .infer = infer,
     .run = run},
    OP_END,
};
