/* com.microsoft GroupQueryAttention: causal attention over a cache of keys and values whose heads
 * each serve several query heads, with rotary positions, heads normalised before they turn, a
 * window and a softcap where asked.
 *
 *   query  [B,S,N*H] with key and value [B,S,M*H], or all three in one: [B,S,(N+2M)*H]
 *   past   [B,M,P,H], of which entry b has used T(b) - Q(b) rows
 *   seqlens_k [B]: T(b) - 1, rows used after this step; query_seqlens [B]: Q(b), rows of this step
 *   that count, min(S, T(b)) where it is left out. Other rows of the output are zero.
 *
 * present is [B,M,max(P, total_sequence_length),H]: the rows used, then zeros. */
#include "engine/ops/attention_core.h"

#include <math.h>

enum {
    QUERY,
    KEY,
    VALUE,
    PAST_KEY,
    PAST_VALUE,
    SEQLENS,
    TOTAL,
    COS,
    SIN,
    POSITIONS,
    EXTRA,
    SINK,
    K_SCALE,
    V_SCALE,
    Q_NORM,
    K_NORM,
    QUERY_SEQLENS
};
enum { Y, PRESENT_KEY, PRESENT_VALUE, SCORES };

struct shape {
    int64_t batch, queries, heads, kv_heads, head;
    int64_t past, present; /* rows of the caches */
    int64_t rotated;       /* elements of a head that turn; 0: none do */
    bool packed;
};

static enum status parse_query(struct op_ctx *c, struct shape *s) {
    const struct tensor *q = op_in(c, QUERY), *k = op_in(c, KEY), *v = op_in(c, VALUE);
    *s = (struct shape){.batch = q->dims[0],
                        .queries = q->dims[1],
                        .heads = op_attr_int(c, "num_heads", 0),
                        .kv_heads = op_attr_int(c, "kv_num_heads", 0),
                        .packed = !k};
    if (s->heads < 1 || s->kv_heads < 1 || s->heads > INT32_MAX || s->kv_heads > s->heads ||
        s->heads % s->kv_heads != 0)
        return op_fail(c, "%lld query heads cannot share %lld key heads", (long long)s->heads,
                       (long long)s->kv_heads);
    if (!k != !v)
        return op_fail(c, "key and value must be given together");
    const int64_t parts = s->heads + (k ? 0 : 2 * s->kv_heads);
    if (q->dims[2] % parts != 0)
        return op_fail(c, "query has rows of %lld, which are not %lld heads", (long long)q->dims[2],
                       (long long)parts);
    s->head = q->dims[2] / parts;
    for (size_t i = KEY; i <= VALUE && k; i++) {
        const struct tensor *t = op_in(c, i);
        if (t->rank != 3 || t->dims[0] != s->batch || t->dims[1] != s->queries ||
            t->dims[2] != s->kv_heads * s->head)
            return op_fail(c, "input %zu must have shape [%lld,%lld,%lld]", i, (long long)s->batch,
                           (long long)s->queries, (long long)(s->kv_heads * s->head));
    }
    return STATUS_OK;
}

static enum status parse_past(struct op_ctx *c, struct shape *s) {
    const struct tensor *k = op_in(c, PAST_KEY), *v = op_in(c, PAST_VALUE);
    if (!k && !v)
        return STATUS_OK;
    if (!k || !v || k->rank != 4 || v->rank != 4 || !tensor_same_shape(k, v) ||
        k->dims[0] != s->batch || k->dims[1] != s->kv_heads || k->dims[3] != s->head)
        return op_fail(c, "past_key and past_value must both have shape [%lld,%lld,..,%lld]",
                       (long long)s->batch, (long long)s->kv_heads, (long long)s->head);
    s->past = k->dims[2];
    return STATUS_OK;
}

static enum status parse_rotary(struct op_ctx *c, struct shape *s) {
    const struct tensor *cosine = op_in(c, COS), *sine = op_in(c, SIN), *at = op_in(c, POSITIONS);
    if (op_attr_int(c, "do_rotary", 0) == 0)
        return STATUS_OK;
    if (!cosine || !sine || cosine->rank != 2 || !tensor_same_shape(cosine, sine) ||
        cosine->dims[1] < 1 || cosine->dims[1] > s->head / 2)
        return op_fail(c,
                       "cos_cache and sin_cache must both have two dimensions, the last at most "
                       "%lld",
                       (long long)s->head / 2);
    if (at && (at->rank != 2 || at->dims[0] != s->batch || at->dims[1] != s->queries))
        return op_fail(c, "position_ids must have shape [%lld,%lld]", (long long)s->batch,
                       (long long)s->queries);
    s->rotated = 2 * cosine->dims[1];
    return STATUS_OK;
}

static enum status check_attributes(struct op_ctx *c) {
    static const char *const off[] = {"sliding_window_cache"};
    static const char *const types[] = {"k_quant_type", "v_quant_type"};
    for (size_t i = 0; i < sizeof off / sizeof *off; i++)
        if (op_attr_int(c, off[i], 0) != 0)
            return op_fail(c, "attribute \"%s\" must be 0", off[i]);
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (!str_is(op_attr_str(c, types[i], "NONE"), "NONE"))
            return op_fail(c, "attribute \"%s\" must be NONE", types[i]);
    for (size_t i = K_SCALE; i <= V_SCALE; i++)
        if (op_in_value(c, i))
            return op_fail(c, "input %zu is not served", i);
    if (!op_in(c, Q_NORM) != !op_in(c, K_NORM))
        return op_fail(c, "q_norm_weight and k_norm_weight must be given together");
    const int64_t scores = op_attr_int(c, "qk_output", 0);
    if (scores < 0 || scores > 2)
        return op_fail(c, "qk_output is %lld, expected 0 to 2", (long long)scores);
    return STATUS_OK;
}

static enum status need_ints(struct op_ctx *c, size_t i, int64_t count) {
    const struct tensor *t = op_in(c, i);
    if (t && t->count != count)
        return op_fail(c, "input %zu has %lld elements, expected %lld", i, (long long)t->count,
                       (long long)count);
    return op_need_dtype(c, i, DT(INT32));
}

static enum status parse(struct op_ctx *c, struct shape *s) {
    enum status st = parse_query(c, s);
    if (st == STATUS_OK)
        st = parse_past(c, s);
    if (st == STATUS_OK)
        st = parse_rotary(c, s);
    if (st == STATUS_OK)
        st = need_ints(c, SEQLENS, s->batch);
    if (st == STATUS_OK)
        st = need_ints(c, QUERY_SEQLENS, s->batch);
    if (st == STATUS_OK)
        st = need_ints(c, TOTAL, 1);
    if (st != STATUS_OK || !op_in(c, TOTAL)->data)
        return st;
    const int32_t total = *(const int32_t *)op_in(c, TOTAL)->data;
    s->present = total > s->past ? total : s->past;
    const struct tensor *extra = op_in(c, EXTRA), *sink = op_in(c, SINK);
    if (extra && (extra->rank != 4 || (extra->dims[0] != 1 && extra->dims[0] != s->batch) ||
                  (extra->dims[1] != 1 && extra->dims[1] != s->heads) ||
                  extra->dims[2] != s->queries || extra->dims[3] < total))
        return op_fail(c, "attention_bias must have shape [%lld,%lld,%lld,%d]", (long long)s->batch,
                       (long long)s->heads, (long long)s->queries, (int)total);
    for (size_t i = Q_NORM; i <= K_NORM; i++)
        if (op_in(c, i) && (op_in(c, i)->rank != 1 || op_in(c, i)->dims[0] != s->head))
            return op_fail(c, "input %zu must have one dimension of %lld", i, (long long)s->head);
    if (sink && (sink->rank != 1 || sink->dims[0] != s->heads))
        return op_fail(c, "head_sink must have one dimension of %lld", (long long)s->heads);
    return STATUS_OK;
}

static enum status infer(struct op_ctx *c) {
    enum status st = op_need(c, QUERY);
    if (st == STATUS_OK)
        st = op_need_rank(c, QUERY, 3, 3);
    if (st == STATUS_OK)
        st = op_need_dtype(c, QUERY, DT_FLOATS);
    static const size_t same[] = {KEY, VALUE, PAST_KEY, PAST_VALUE, COS,
                                  SIN, EXTRA, SINK,     Q_NORM,     K_NORM};
    for (size_t i = 0; i < sizeof same / sizeof *same && st == STATUS_OK; i++)
        st = op_need_same(c, same[i], QUERY);
    if (st == STATUS_OK)
        st = op_need(c, SEQLENS);
    if (st == STATUS_OK)
        st = op_need(c, TOTAL);
    if (st == STATUS_OK)
        st = op_need_dtype(c, POSITIONS, DT(INT64));
    if (st == STATUS_OK)
        st = check_attributes(c);
    struct shape s;
    if (st == STATUS_OK)
        st = parse(c, &s);
    if (st != STATUS_OK)
        return st;
    if (!op_in(c, TOTAL)->data)
        return op_infer_later(c);
    const enum dtype dtype = op_in(c, QUERY)->dtype;
    st = op_infer(c, Y, dtype, 3, (int64_t[]){s.batch, s.queries, s.heads * s.head});
    for (size_t i = PRESENT_KEY; i <= PRESENT_VALUE && st == STATUS_OK; i++)
        st = op_infer(c, i, dtype, 4, (int64_t[]){s.batch, s.kv_heads, s.present, s.head});
    return st == STATUS_OK ? op_infer(c, SCORES, dtype, 4,
                                      (int64_t[]){s.batch, s.heads, s.queries,
                                                  *(const int32_t *)op_in(c, TOTAL)->data})
                           : st;
}

/* ---- run ---- */

/* Of each batch entry: rows used before and after this step, and rows of it that count. */
struct steps {
    int64_t *past, *total, *rows;
};

static enum status open_steps(struct op_ctx *c, const struct shape *s, struct steps *out) {
    const int32_t *last = op_in(c, SEQLENS)->data;
    const int32_t *rows = op_in(c, QUERY_SEQLENS) ? op_in(c, QUERY_SEQLENS)->data : NULL;
    const int64_t most = *(const int32_t *)op_in(c, TOTAL)->data;
    int64_t *n = op_scratch_array(c, (size_t)s->batch, 3 * sizeof *n);
    if (!n)
        return op_no_memory(c);
    *out = (struct steps){n, n + s->batch, n + 2 * s->batch};
    for (int64_t b = 0; b < s->batch; b++) {
        const int64_t total = (int64_t)last[b] + 1, fit = total < s->queries ? total : s->queries;
        const int64_t own = rows ? rows[b] : fit;
        if (total < 1 || total > most || total > s->present || own < 0 || own > fit ||
            total - own > s->past)
            return op_fail(c,
                           "entry %lld has %lld keys, %lld of them new, of %lld and a cache of "
                           "%lld",
                           (long long)b, (long long)total, (long long)own, (long long)most,
                           (long long)s->past);
        out->past[b] = total - own;
        out->total[b] = total;
        out->rows[b] = own;
    }
    return STATUS_OK;
}

struct rotary {
    const float *cos, *sin;
    const int64_t *ids; /* [batch, queries], or NULL */
    int64_t length, half;
    bool interleaved;
};

static void turn(const struct rotary *r, int64_t position, int64_t head, const float *x, float *y) {
    const int64_t step = r->interleaved ? 2 : 1, other = r->interleaved ? 1 : r->half;
    const float *cosine = r->cos + position * r->half, *sine = r->sin + position * r->half;
    memcpy(y, x, (size_t)head * sizeof *y);
    for (int64_t i = 0; i < r->half; i++) {
        const float a = x[i * step], b = x[i * step + other];
        y[i * step] = cosine[i] * a - sine[i] * b;
        y[i * step + other] = sine[i] * a + cosine[i] * b;
    }
}

static enum status open_rotary(struct op_ctx *c, const struct shape *s, const struct steps *n,
                               struct rotary *r) {
    *r = (struct rotary){.half = s->rotated / 2,
                         .interleaved = op_attr_int(c, "rotary_interleaved", 0) != 0};
    if (s->rotated == 0)
        return STATUS_OK;
    enum status st = op_in_f32(c, COS, &r->cos);
    if (st == STATUS_OK)
        st = op_in_f32(c, SIN, &r->sin);
    if (st != STATUS_OK)
        return st;
    r->length = op_in(c, COS)->dims[0];
    r->ids = op_in(c, POSITIONS) ? op_in(c, POSITIONS)->data : NULL;
    for (int64_t b = 0; b < s->batch; b++)
        for (int64_t q = 0; q < n->rows[b]; q++) {
            const int64_t at = r->ids ? r->ids[b * s->queries + q] : n->past[b] + q;
            if (at < 0 || at >= r->length)
                return op_fail(c, "position %lld is outside a cache of %lld", (long long)at,
                               (long long)r->length);
        }
    return STATUS_OK;
}

/* RMS normalisation of each head, before it turns; weight NULL: none. */
struct norm {
    const float *weight;
    float epsilon, *row; /* row: room for a head */
};

static enum status open_norm(struct op_ctx *c, const struct shape *s, size_t i, const char *name,
                             struct norm *out) {
    const float both = op_attr_float(c, "qk_norm_epsilon", 1e-6f);
    *out = (struct norm){.epsilon = op_attr_float(c, name, both)};
    if (!op_in(c, i))
        return STATUS_OK;
    out->row = op_scratch_array(c, (size_t)s->head, sizeof *out->row);
    return out->row ? op_in_f32(c, i, &out->weight) : op_no_memory(c);
}

static const float *normalise(const struct norm *m, int64_t head, const float *x) {
    double sum = 0;
    if (!m->weight)
        return x;
    for (int64_t i = 0; i < head; i++)
        sum += (double)x[i] * (double)x[i];
    const float by = (float)(1 / sqrt(sum / (double)head + (double)m->epsilon));
    for (int64_t i = 0; i < head; i++)
        m->row[i] = x[i] * by * m->weight[i];
    return m->row;
}

/* Rows of `side` to y at y_row rows of [batch, heads, rows, head], normalised and turned where m
 * and r are given. */
static void place(const struct shape *s, const struct steps *n, const struct rotary *r,
                  const struct norm *m, const struct attention_side *side, const float *x,
                  int64_t rows, bool after_past, float *y) {
    for (int64_t b = 0; b < s->batch; b++)
        for (int64_t h = 0; h < side->heads; h++)
            for (int64_t q = 0; q < n->rows[b]; q++) {
                const float *from =
                    x + b * side->batch_stride + h * side->head_stride + q * side->row_stride;
                const int64_t row = q + (after_past ? n->past[b] : 0);
                float *to = y + ((b * side->heads + h) * rows + row) * s->head;
                if (m)
                    from = normalise(m, s->head, from);
                if (r && r->half > 0)
                    turn(r, r->ids ? r->ids[b * s->queries + q] : n->past[b] + q, s->head, from,
                         to);
                else
                    memcpy(to, from, (size_t)s->head * sizeof *to);
            }
}

/* The cache of input i: the rows used, zeros after them. Float. */
static enum status open_cache(struct op_ctx *c, size_t i, size_t present, const struct shape *s,
                              const struct steps *n, float **out) {
    const float *past = NULL;
    enum status st = op_in(c, i) ? op_in_f32(c, i, &past) : STATUS_OK;
    if (st == STATUS_OK)
        st = op_out_f32(c, present, out);
    if (st != STATUS_OK)
        return st;
    const size_t rows = (size_t)(s->batch * s->kv_heads * s->present), row = (size_t)s->head;
    if (!*out)
        *out = op_scratch_array(c, rows, row * sizeof **out);
    if (!*out)
        return op_no_memory(c);
    memset(*out, 0, rows * row * sizeof **out);
    for (int64_t k = 0; past && k < s->batch * s->kv_heads; k++)
        memcpy(*out + k * s->present * s->head, past + k * s->past * s->head,
               (size_t)(n->past[k / s->kv_heads] * s->head) * sizeof **out);
    return STATUS_OK;
}

static enum status open_sides(struct op_ctx *c, const struct shape *s, const struct steps *n,
                              struct attention *a) {
    struct rotary r;
    struct norm q_norm, k_norm;
    const float *q = NULL, *k = NULL, *v = NULL;
    float *turned = NULL, *keys = NULL, *values = NULL;
    enum status st = open_rotary(c, s, n, &r);
    if (st == STATUS_OK)
        st = open_norm(c, s, Q_NORM, "q_norm_epsilon", &q_norm);
    if (st == STATUS_OK)
        st = open_norm(c, s, K_NORM, "k_norm_epsilon", &k_norm);
    if (st == STATUS_OK)
        st = op_in_f32(c, QUERY, &q);
    if (st == STATUS_OK && !s->packed)
        st = op_in_f32(c, KEY, &k);
    if (st == STATUS_OK && !s->packed)
        st = op_in_f32(c, VALUE, &v);
    if (st == STATUS_OK)
        st = open_cache(c, PAST_KEY, PRESENT_KEY, s, n, &keys);
    if (st == STATUS_OK)
        st = open_cache(c, PAST_VALUE, PRESENT_VALUE, s, n, &values);
    if (st != STATUS_OK)
        return st;
    const size_t count = (size_t)(s->batch * s->heads * s->queries);
    turned = op_scratch_array(c, count, (size_t)s->head * sizeof *turned);
    if (!turned)
        return op_no_memory(c);
    memset(turned, 0, count * (size_t)s->head * sizeof *turned);
    const int64_t kv = s->kv_heads * s->head, all = s->heads * s->head + 2 * kv;
    const int64_t q_row = s->packed ? all : s->heads * s->head, k_row = s->packed ? all : kv;
    const struct attention_side from_q = attention_rows(s->heads, s->queries, s->head, q_row),
                                from_k = attention_rows(s->kv_heads, s->queries, s->head, k_row);
    if (s->packed) {
        k = q + s->heads * s->head;
        v = k + kv;
    }
    place(s, n, &r, &q_norm, &from_q, q, s->queries, false, turned);
    place(s, n, &r, &k_norm, &from_k, k, s->present, true, keys);
    place(s, n, NULL, NULL, &from_k, v, s->present, true, values);
    a->q = attention_plain(s->heads, s->queries, s->head);
    a->k = a->v = attention_plain(s->kv_heads, s->present, s->head);
    a->q_data = turned;
    a->k_data = keys;
    a->v_data = values;
    if (op_out(c, PRESENT_KEY))
        op_out_f32_done(c, PRESENT_KEY, keys);
    if (op_out(c, PRESENT_VALUE))
        op_out_f32_done(c, PRESENT_VALUE, values);
    return STATUS_OK;
}

static enum status open_scores(struct op_ctx *c, const struct shape *s, struct attention *a) {
    const float *add = NULL, *sink = NULL;
    enum status st = op_in(c, EXTRA) ? op_in_f32(c, EXTRA, &add) : STATUS_OK;
    if (st == STATUS_OK && op_in(c, SINK))
        st = op_in_f32(c, SINK, &sink);
    if (st == STATUS_OK && op_attr_int(c, "qk_output", 0) != 0)
        st = op_out_f32(c, SCORES, &a->scores_out);
    if (st != STATUS_OK)
        return st;
    if (add)
        a->mask[0] = attention_mask_of(op_in(c, EXTRA), add, a->total);
    if (!sink && op_attr_int(c, "smooth_softmax", 0) == 1) {
        float *zeros = op_scratch_array(c, (size_t)s->heads, sizeof *zeros);
        if (!zeros)
            return op_no_memory(c);
        memset(zeros, 0, (size_t)s->heads * sizeof *zeros);
        sink = zeros;
    }
    a->sink = sink;
    a->stage = op_attr_int(c, "qk_output", 0) == 2 ? ATTENTION_AFTER_SOFTMAX : ATTENTION_AFTER_MASK;
    return STATUS_OK;
}

static enum status run(struct op_ctx *c) {
    struct shape s;
    struct steps n;
    const int64_t window = op_attr_int(c, "local_window_size", -1);
    struct attention a = {.causal = op_attr_int(c, "causal", 1) != 0,
                          .before = window > 0 ? window - 1 : -1,
                          .after = -1,
                          .softcap = op_attr_float(c, "softcap", 0.0f)};
    enum status st = parse(c, &s);
    if (st == STATUS_OK)
        st = open_steps(c, &s, &n);
    if (st == STATUS_OK)
        st = open_sides(c, &s, &n, &a);
    a.total = st == STATUS_OK ? *(const int32_t *)op_in(c, TOTAL)->data : 0;
    if (st == STATUS_OK)
        st = open_scores(c, &s, &a);
    if (st == STATUS_OK)
        st = op_out_f32(c, Y, &a.y_data);
    if (st != STATUS_OK || !a.y_data)
        return st;
    a.batch = s.batch;
    a.past_of = n.past;
    a.valid_of = n.total;
    a.y = attention_rows(s.heads, s.queries, s.head, s.heads * s.head);
    a.scale = attention_scale(op_attr_float(c, "scale", 0.0f), s.head);
    st = attention_run(c, &a);
    for (int64_t b = 0; b < s.batch && st == STATUS_OK; b++)
        memset(a.y_data + b * a.y.batch_stride + n.rows[b] * a.y.row_stride, 0,
               (size_t)((s.queries - n.rows[b]) * a.y.row_stride) * sizeof(float));
    if (st == STATUS_OK)
        op_out_f32_done(c, Y, a.y_data);
    if (st == STATUS_OK && a.scores_out)
        op_out_f32_done(c, SCORES, a.scores_out);
    return st;
}

const struct op_row op_family_ms_group_query[] = {
    {.domain = "com.microsoft",
     .name = "GroupQueryAttention",
     .since = 1,
     .infer = infer,
     .run = run},
    OP_END,
};
