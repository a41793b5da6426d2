/* Attention (ai.onnx 23 to 25): softmax(softcap(scale * Q K') + mask) V, for each head.
 *
 * Q, K, V are [batch, heads, sequence, head] or [batch, sequence, heads * head]; key and value
 * heads may be fewer, each then serves as many query heads in a row. past_key and past_value go
 * before K and V. Rows are worked off in blocks, so that the scores of one block are all that is
 * held at a time. A row whose every score is masked gives zeros. From opset 24 on, the
 * number of valid keys of each image may be given, where K and V are a whole cache; from 25 on, a
 * window limits how far from its own place a query looks. Computed in float. */
#include "engine/ops/attention_core.h"
#include "engine/ops/convert.h"

enum { Q, K, V, MASK, PAST_KEY, PAST_VALUE, VALID };
enum { Y, PRESENT_KEY, PRESENT_VALUE, SCORES };

struct shape {
    struct attention_side q, k, v;
    int64_t batch, past, total; /* total: past + k.sequence */
};

static enum status parse_side(struct op_ctx *c, size_t i, int64_t heads,
                              struct attention_side *out) {
    const struct tensor *t = op_in(c, i);
    if (t->rank == 4) {
        *out = attention_plain(t->dims[1], t->dims[2], t->dims[3]);
        return STATUS_OK;
    }
    if (heads < 1 || t->dims[2] % heads != 0)
        return op_fail(c, "input %zu has a hidden size of %lld, which is not %lld heads", i,
                       (long long)t->dims[2], (long long)heads);
    *out = attention_rows(heads, t->dims[1], t->dims[2] / heads, t->dims[2]);
    return STATUS_OK;
}

static enum status parse(struct op_ctx *c, struct shape *s) {
    const struct tensor *q = op_in(c, Q), *past = op_in(c, PAST_KEY);
    const int64_t kv_heads = op_attr_int(c, "kv_num_heads", 0);
    enum status st = parse_side(c, Q, op_attr_int(c, "q_num_heads", 0), &s->q);
    if (st == STATUS_OK)
        st = parse_side(c, K, kv_heads, &s->k);
    if (st == STATUS_OK)
        st = parse_side(c, V, kv_heads, &s->v);
    if (st != STATUS_OK)
        return st;
    s->batch = q->dims[0];
    s->past = past ? past->dims[2] : 0;
    s->total = s->past + s->k.sequence;
    if (op_in(c, K)->dims[0] != s->batch || op_in(c, V)->dims[0] != s->batch)
        return op_fail(c, "Q, K and V have different batch sizes");
    if (s->q.head != s->k.head || s->k.sequence != s->v.sequence || s->k.heads != s->v.heads)
        return op_fail(c,
                       "Q, K and V do not fit together: heads of %lld and %lld, %lld and %lld "
                       "keys and values, of %lld and %lld heads",
                       (long long)s->q.head, (long long)s->k.head, (long long)s->k.sequence,
                       (long long)s->v.sequence, (long long)s->k.heads, (long long)s->v.heads);
    if (s->k.heads < 1 || s->q.heads % s->k.heads != 0)
        return op_fail(c, "%lld query heads cannot share %lld key heads", (long long)s->q.heads,
                       (long long)s->k.heads);
    return STATUS_OK;
}

static enum status check_past(struct op_ctx *c, const struct shape *s) {
    const struct tensor *k = op_in(c, PAST_KEY), *v = op_in(c, PAST_VALUE);
    if (!k && !v)
        return STATUS_OK;
    if (!k || !v)
        return op_fail(c, "past_key and past_value must be given together");
    const struct tensor *past[2] = {k, v};
    const struct attention_side *side[2] = {&s->k, &s->v};
    for (size_t i = 0; i < 2; i++) {
        const struct tensor *t = past[i];
        if (t->rank != 4 || t->dims[0] != s->batch || t->dims[1] != side[i]->heads ||
            t->dims[2] != s->past || t->dims[3] != side[i]->head)
            return op_fail(c, "input %d must have shape [%lld,%lld,%lld,%lld]", PAST_KEY + (int)i,
                           (long long)s->batch, (long long)side[i]->heads, (long long)s->past,
                           (long long)side[i]->head);
    }
    return STATUS_OK;
}

/* The mask broadcasts to [batch, query heads, queries, total]; a shorter last dimension stands for
 * keys after it that are all masked. */
static enum status check_mask(struct op_ctx *c, const struct shape *s) {
    const struct tensor *m = op_in(c, MASK);
    if (!m)
        return STATUS_OK;
    const int64_t full[4] = {s->batch, s->q.heads, s->q.sequence, s->total};
    bool fits = m->rank >= 1 && m->rank <= 4;
    for (int d = 0; fits && d < m->rank; d++) {
        const int64_t most = full[4 - m->rank + d];
        fits = m->dims[d] == 1 || m->dims[d] == most || (d == m->rank - 1 && m->dims[d] < most);
    }
    return fits ? STATUS_OK
                : op_fail(c, "attn_mask does not broadcast to [%lld,%lld,%lld,%lld]",
                          (long long)full[0], (long long)full[1], (long long)full[2],
                          (long long)full[3]);
}

/* The number of valid keys of each image: K and V are then the cache itself. */
static enum status check_valid(struct op_ctx *c, const struct shape *s) {
    const struct tensor *n = op_in(c, VALID);
    if (!n)
        return STATUS_OK;
    if (op_in(c, PAST_KEY))
        return op_fail(c, "nonpad_kv_seqlen and past_key exclude each other");
    if (n->rank != 1 || n->dims[0] != s->batch)
        return op_fail(c, "nonpad_kv_seqlen must have shape [%lld]", (long long)s->batch);
    return STATUS_OK;
}

static enum status infer(struct op_ctx *c) {
    enum status st = op_need_all(c, 3);
    for (size_t i = Q; i <= V && st == STATUS_OK; i++) {
        st = op_need_dtype(c, i, DT_FLOATS);
        if (st == STATUS_OK)
            st = op_need_rank(c, i, op_in(c, Q)->rank, op_in(c, Q)->rank);
    }
    if (st == STATUS_OK)
        st = op_need_rank(c, Q, 3, 4);
    if (st == STATUS_OK)
        st = op_need_dtype(c, MASK, DT_REAL | DT(BOOL));
    if (st == STATUS_OK)
        st = op_need_dtype(c, VALID, DT(INT64));
    for (size_t i = PAST_KEY; i <= PAST_VALUE && st == STATUS_OK; i++)
        st = op_need_same(c, i, i - PAST_KEY + K);
    if (st == STATUS_OK && op_in(c, PAST_KEY))
        st = op_need_rank(c, PAST_KEY, 4, 4);
    struct shape s;
    if (st == STATUS_OK)
        st = parse(c, &s);
    if (st == STATUS_OK)
        st = check_past(c, &s);
    if (st == STATUS_OK)
        st = check_mask(c, &s);
    if (st == STATUS_OK)
        st = check_valid(c, &s);
    const int64_t mode = op_attr_int(c, "qk_matmul_output_mode", 0);
    if (st == STATUS_OK && (mode < ATTENTION_RAW || mode > ATTENTION_AFTER_SOFTMAX))
        return op_fail(c, "qk_matmul_output_mode is %lld, expected 0 to 3", (long long)mode);
    if (st != STATUS_OK)
        return st;
    const enum dtype dtype = op_in(c, Q)->dtype;
    const int64_t y4[4] = {s.batch, s.q.heads, s.q.sequence, s.v.head};
    int64_t hidden = 0;
    if (__builtin_mul_overflow(s.q.heads, s.v.head, &hidden))
        return op_fail(c, "the output is too large");
    const int64_t y3[3] = {s.batch, s.q.sequence, hidden};
    const bool flat = op_in(c, Q)->rank == 3;
    st = op_infer(c, Y, dtype, flat ? 3 : 4, flat ? y3 : y4);
    if (st == STATUS_OK)
        st = op_infer(c, PRESENT_KEY, op_in(c, K)->dtype, 4,
                      (int64_t[]){s.batch, s.k.heads, s.total, s.k.head});
    if (st == STATUS_OK)
        st = op_infer(c, PRESENT_VALUE, op_in(c, V)->dtype, 4,
                      (int64_t[]){s.batch, s.v.heads, s.total, s.v.head});
    if (st == STATUS_OK)
        st = op_infer(c, SCORES, dtype, 4, (int64_t[]){s.batch, s.q.heads, s.q.sequence, s.total});
    return st;
}

/* ---- run ---- */

/* Input i (K or V) with its cache; also stored as output `present`. */
static enum status open_cached(struct op_ctx *c, size_t i, size_t present, const struct shape *s,
                               struct attention_side *side, const float **out) {
    const float *fresh = NULL, *before = NULL;
    float *to = NULL;
    enum status st = op_in_f32(c, i, &fresh);
    if (st == STATUS_OK && op_in(c, PAST_KEY))
        st = op_in_f32(c, i - K + PAST_KEY, &before);
    if (st == STATUS_OK)
        st = op_out_f32(c, present, &to);
    if (st != STATUS_OK)
        return st;
    *out = fresh;
    if (!before && !to)
        return STATUS_OK;
    const size_t count = (size_t)(s->batch * side->heads * s->total);
    float *joined = to ? to : op_scratch_array(c, count, (size_t)side->head * sizeof *joined);
    if (!joined)
        return op_no_memory(c);
    attention_join(side, s->batch, s->past, before, fresh, joined);
    if (to)
        op_out_f32_done(c, present, to);
    *side = attention_plain(side->heads, s->total, side->head);
    *out = joined;
    return STATUS_OK;
}

static enum status open_mask(struct op_ctx *c, const struct shape *s, struct attention *a) {
    const struct tensor *m = op_in(c, MASK);
    const float *add = NULL;
    enum status st = STATUS_OK;
    if (!m)
        return STATUS_OK;
    if (dtype_is_float(m->dtype)) {
        st = op_in_f32(c, MASK, &add);
    } else if (m->dtype != DTYPE_BOOL) {
        float *wide = op_scratch_array(c, (size_t)m->count, sizeof *wide);
        if (!wide)
            return op_no_memory(c);
        convert_elements(m->dtype, m->data, DTYPE_FLOAT, wide, (size_t)m->count, true);
        add = wide;
    }
    if (st == STATUS_OK)
        a->mask[0] = attention_mask_of(m, add, s->total);
    return st;
}

static enum status open_valid(struct op_ctx *c, const struct shape *s, struct attention *a) {
    const struct tensor *n = op_in(c, VALID);
    if (!n)
        return STATUS_OK;
    const int64_t *valid = n->data;
    int64_t *past = op_scratch_array(c, (size_t)n->count, sizeof *past);
    if (!past)
        return op_no_memory(c);
    for (int64_t b = 0; b < n->count; b++) {
        if (valid[b] < 0 || valid[b] > s->total)
            return op_fail(c, "nonpad_kv_seqlen[%lld] is %lld, there are %lld keys", (long long)b,
                           (long long)valid[b], (long long)s->total);
        /* Below 0 where there are more queries than valid keys. */
        past[b] = valid[b] - s->q.sequence;
    }
    a->valid_of = valid;
    a->past_of = past;
    return STATUS_OK;
}

static enum status open_data(struct op_ctx *c, struct shape *s, struct attention *a) {
    enum status st = parse(c, s);
    if (st == STATUS_OK)
        st = op_in_f32(c, Q, &a->q_data);
    if (st == STATUS_OK)
        st = open_cached(c, K, PRESENT_KEY, s, &s->k, &a->k_data);
    if (st == STATUS_OK)
        st = open_cached(c, V, PRESENT_VALUE, s, &s->v, &a->v_data);
    if (st == STATUS_OK)
        st = open_mask(c, s, a);
    if (st == STATUS_OK)
        st = open_valid(c, s, a);
    if (st == STATUS_OK)
        st = op_out_f32(c, Y, &a->y_data);
    if (st == STATUS_OK)
        st = op_out_f32(c, SCORES, &a->scores_out);
    return st;
}

static enum status run(struct op_ctx *c) {
    struct shape s;
    struct attention a = {.causal = op_attr_int(c, "is_causal", 0) != 0,
                          .before = op_attr_int(c, "left_window_size", -1),
                          .after = op_attr_int(c, "right_window_size", -1),
                          .softcap = op_attr_float(c, "softcap", 0.0f),
                          .stage =
                              (enum attention_stage)op_attr_int(c, "qk_matmul_output_mode", 0)};
    enum status st = open_data(c, &s, &a);
    if (st != STATUS_OK)
        return st;
    if (!a.y_data) {
        a.y_data = op_scratch_array(c, (size_t)(s.batch * s.q.heads * s.q.sequence),
                                    (size_t)s.v.head * sizeof(float));
        if (!a.y_data)
            return op_no_memory(c);
    }
    a.batch = s.batch;
    a.past = s.past;
    a.total = s.total;
    a.q = s.q;
    a.k = s.k;
    a.v = s.v;
    a.y = op_in(c, Q)->rank == 3
              ? attention_rows(s.q.heads, s.q.sequence, s.v.head, s.q.heads * s.v.head)
              : attention_plain(s.q.heads, s.q.sequence, s.v.head);
    a.scale = attention_scale(op_attr_float(c, "scale", 0.0f), s.q.head);
    st = attention_run(c, &a);
    if (st == STATUS_OK && op_out(c, Y))
        op_out_f32_done(c, Y, a.y_data);
    if (st == STATUS_OK && a.scores_out)
        op_out_f32_done(c, SCORES, a.scores_out);
    return st;
}

const struct op_row op_family_attention[] = {
    {.name = "Attention", .since = 23, .infer = infer, .run = run},
    OP_END,
};
