#include "engine/ops/ms_attention_mask.h"

static const struct tensor *bias_of(struct op_ctx *c, size_t i) {
    return i == MS_ATTENTION_NONE ? NULL : op_in(c, i);
}

enum status ms_attention_padding(struct op_ctx *c, size_t i, const struct ms_attention_shape *s,
                                 bool starts, enum ms_attention_padding *out) {
    const struct tensor *m = op_in(c, i);
    *out = NO_PADDING;
    if (!m)
        return STATUS_OK;
    enum status st = op_need_dtype(c, i, DT(INT32));
    if (st != STATUS_OK)
        return st;
    if (m->rank == 1 && m->dims[0] == s->batch)
        *out = ENDS;
    else if (m->rank == 1 && starts && m->dims[0] == 2 * s->batch)
        *out = ENDS_AND_STARTS;
    else if (m->rank == 2 && m->dims[0] == s->batch && m->dims[1] == s->total)
        *out = BY_KEY;
    else if (m->rank == 3 && m->dims[0] == s->batch && m->dims[1] == s->queries &&
             m->dims[2] == s->total)
        *out = BY_QUERY;
    else {
        char text[160];
        return op_fail(c,
                       "the mask has shape %s, served are [%lld], [%lld,%lld] and [%lld,%lld,%lld]",
                       tensor_dims_text(m->dims, m->rank, text, sizeof text), (long long)s->batch,
                       (long long)s->batch, (long long)s->total, (long long)s->batch,
                       (long long)s->queries, (long long)s->total);
    }
    return STATUS_OK;
}

/* What input i adds to the scores broadcasts to [batch, heads, queries, total]. */
enum status ms_attention_check_bias(struct op_ctx *c, size_t i,
                                    const struct ms_attention_shape *s) {
    const struct tensor *t = bias_of(c, i);
    if (!t)
        return STATUS_OK;
    const int64_t full[4] = {s->batch, s->heads, s->queries, s->total};
    enum status st = op_need_dtype(c, i, DT_FLOATS);
    if (st == STATUS_OK)
        st = op_need_rank(c, i, 4, 4);
    for (int d = 0; st == STATUS_OK && d < 4; d++)
        if (t->dims[d] != full[d] && !(d < 2 && t->dims[d] == 1))
            return op_fail(c, "attention_bias does not broadcast to [%lld,%lld,%lld,%lld]",
                           (long long)full[0], (long long)full[1], (long long)full[2],
                           (long long)full[3]);
    return st;
}

enum status ms_attention_masks(struct op_ctx *c, size_t padding, size_t bias,
                               const struct ms_attention_shape *s, bool starts,
                               struct attention *a) {
    enum ms_attention_padding kind = NO_PADDING;
    enum status st = ms_attention_padding(c, padding, s, starts, &kind);
    const float *add = NULL;
    if (st == STATUS_OK && bias_of(c, bias))
        st = op_in_f32(c, bias, &add);
    if (st != STATUS_OK)
        return st;
    if (add)
        a->mask[1] = attention_mask_of(bias_of(c, bias), add, s->total);
    if (kind == NO_PADDING)
        return STATUS_OK;
    const float filter = op_attr_float(c, "mask_filter_value", -10000.0f);
    const int64_t rows = kind == BY_QUERY ? s->queries : 1;
    const int32_t *from = op_in(c, padding)->data;
    float *to = op_scratch_array(c, (size_t)(s->batch * rows), (size_t)s->total * sizeof *to);
    if (!to)
        return op_no_memory(c);
    for (int64_t b = 0; b < s->batch; b++)
        for (int64_t k = 0; k < rows * s->total; k++) {
            bool there = false;
            if (kind == ENDS || kind == ENDS_AND_STARTS)
                there = k < from[b] && (kind == ENDS || k >= from[s->batch + b]);
            else
                there = from[b * rows * s->total + k] > 0;
            to[b * rows * s->total + k] = there ? 0.0f : filter;
        }
    a->mask[0] = (struct attention_mask){
        .add = to, .stride = {rows * s->total, 0, rows == 1 ? 0 : s->total, 1}, .last = s->total};
    return STATUS_OK;
}
