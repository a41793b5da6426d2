/* Sequences: made, taken apart, mapped. The tensors inside are shared between sequences, never
 * copied, except where they are cut or joined.
 *
 * Only run knows what is in a sequence, so shapes are left to it. */
#include "engine/ops/indices.h"
#include "engine/ops/op.h"

static enum status sequence_in(struct op_ctx *c, size_t i, const struct value **out) {
    const struct value *v = op_in_value(c, i);
    if (!v || v->kind != VALUE_SEQUENCE)
        return op_fail(c, "input %zu must be a sequence", i);
    *out = v;
    return STATUS_OK;
}

/* A position from input i: 0..count-1, and count itself where `end`; negative ones count from the
 * end. */
static enum status position_in(struct op_ctx *c, size_t i, size_t count, bool end, size_t *out) {
    int64_t at = 0;
    enum status s = op_in_int(c, i, &at);
    if (s != STATUS_OK)
        return s;
    int64_t n = (int64_t)count, given = at;
    if (at < 0)
        at += n;
    if (given < -n || at < 0 || at > n || (at == n && !end))
        return op_fail(c, "position %lld is outside a sequence of %zu", (long long)given, count);
    *out = (size_t)at;
    return STATUS_OK;
}

static enum dtype item_dtype(const struct value *v) {
    return v->count > 0 && v->items[0].kind == VALUE_TENSOR ? v->items[0].tensor.dtype
                                                            : v->item_dtype;
}

/* Room for n items, of `dtype` so far. */
static enum status sequence_new(struct op_ctx *c, size_t n, enum dtype dtype, struct value *out) {
    struct value *items = op_alloc_array(c, n, sizeof *items);
    if (!items)
        return op_no_memory(c);
    *out = (struct value){.kind = VALUE_SEQUENCE, .items = items, .count = n, .item_dtype = dtype};
    return STATUS_OK;
}

/* ---- making and changing ---- */

static enum status empty_run(struct op_ctx *c) {
    struct value out = {.kind = VALUE_SEQUENCE};
    enum status s = op_attr_dtype(c, "dtype", DTYPE_FLOAT, DT_ANY, &out.item_dtype);
    if (s == STATUS_OK)
        op_out_value(c, 0, &out);
    return s;
}

static enum status construct_run(struct op_ctx *c) {
    struct value out;
    size_t n = op_in_count(c);
    enum status s = op_need_all(c, n);
    if (s == STATUS_OK && n == 0)
        return op_fail(c, "a sequence is made of at least one tensor");
    if (s == STATUS_OK)
        s = sequence_new(c, n, op_in(c, 0)->dtype, &out);
    if (s != STATUS_OK)
        return s;
    for (size_t i = 0; i < n; i++) {
        if (op_in(c, i)->dtype != out.item_dtype)
            return op_fail(c, "input %zu is %s, the first is %s: must be the same", i,
                           dtype_name(op_in(c, i)->dtype), dtype_name(out.item_dtype));
        out.items[i] = *op_in_value(c, i);
    }
    op_out_value(c, 0, &out);
    return STATUS_OK;
}

static enum status insert_run(struct op_ctx *c) {
    const struct value *from = NULL;
    struct value out;
    size_t at = 0;
    enum status s = sequence_in(c, 0, &from);
    if (s == STATUS_OK)
        s = op_need(c, 1);
    if (s != STATUS_OK)
        return s;
    at = from->count;
    if (op_in(c, 2))
        s = position_in(c, 2, from->count, true, &at);
    enum dtype dtype = item_dtype(from), found = op_in(c, 1)->dtype;
    if (s == STATUS_OK && dtype != DTYPE_NONE && dtype != found)
        return op_fail(c, "a tensor of %s does not go into a sequence of %s", dtype_name(found),
                       dtype_name(dtype));
    if (s == STATUS_OK)
        s = sequence_new(c, from->count + 1, found, &out);
    if (s != STATUS_OK)
        return s;
    for (size_t i = 0, k = 0; i < out.count; i++)
        out.items[i] = i == at ? *op_in_value(c, 1) : from->items[k++];
    op_out_value(c, 0, &out);
    return STATUS_OK;
}

static enum status erase_run(struct op_ctx *c) {
    const struct value *from = NULL;
    struct value out;
    size_t at = 0;
    enum status s = sequence_in(c, 0, &from);
    if (s != STATUS_OK)
        return s;
    if (from->count == 0)
        return op_fail(c, "the sequence is empty: there is nothing to erase");
    at = from->count - 1;
    if (op_in(c, 1))
        s = position_in(c, 1, from->count, false, &at);
    if (s == STATUS_OK)
        s = sequence_new(c, from->count - 1, item_dtype(from), &out);
    if (s != STATUS_OK)
        return s;
    for (size_t i = 0, k = 0; i < from->count; i++)
        if (i != at)
            out.items[k++] = from->items[i];
    op_out_value(c, 0, &out);
    return STATUS_OK;
}

/* ---- reading ---- */

static enum status at_run(struct op_ctx *c) {
    const struct value *from = NULL;
    size_t at = 0;
    enum status s = sequence_in(c, 0, &from);
    if (s == STATUS_OK)
        s = position_in(c, 1, from->count, false, &at);
    if (s == STATUS_OK)
        op_out_value(c, 0, &from->items[at]);
    return s;
}

static enum status length_run(struct op_ctx *c) {
    const struct value *from = NULL;
    struct tensor *y = NULL;
    enum status s = sequence_in(c, 0, &from);
    if (s == STATUS_OK)
        s = op_out_new(c, 0, DTYPE_INT64, 0, NULL, &y);
    if (s == STATUS_OK && y)
        *(int64_t *)y->data = (int64_t)from->count;
    return s;
}

/* ---- ConcatFromSequence ---- */

struct join {
    const struct value *from;
    bool stack; /* along an axis that is new */
    int axis;
    int rank; /* of the result */
    int64_t dims[TENSOR_MAX_RANK];
};

static enum status join_of(struct op_ctx *c, struct join *j) {
    enum status s = sequence_in(c, 0, &j->from);
    if (s != STATUS_OK)
        return s;
    if (j->from->count == 0)
        return op_fail(c, "the sequence is empty: there is nothing to concatenate");
    const struct tensor *first = &j->from->items[0].tensor;
    j->stack = op_attr_int(c, "new_axis", 0) != 0;
    j->rank = first->rank + j->stack;
    if (j->rank > TENSOR_MAX_RANK)
        return op_fail(c, "the result would have %d dimensions", j->rank);
    if (!op_attr_has(c, "axis"))
        return op_fail(c, "attribute \"axis\" is missing");
    s = op_axis(c, "axis", op_attr_int(c, "axis", 0), j->rank, &j->axis);
    if (s != STATUS_OK)
        return s;
    for (int d = 0, k = 0; d < j->rank; d++)
        j->dims[d] = d == j->axis ? 0 : first->dims[j->stack ? k++ : d];
    for (size_t i = 0; i < j->from->count; i++) {
        const struct tensor *t = &j->from->items[i].tensor;
        bool fits = j->from->items[i].kind == VALUE_TENSOR && t->dtype == first->dtype &&
                    t->rank == first->rank;
        for (int d = 0; fits && d < t->rank; d++)
            fits = t->dims[d] == first->dims[d] || (!j->stack && d == j->axis);
        if (!fits)
            return op_fail(c, "element %zu of the sequence does not fit the first one", i);
        int64_t more = j->stack ? 1 : t->dims[j->axis];
        if (__builtin_add_overflow(j->dims[j->axis], more, &j->dims[j->axis]))
            return op_no_memory(c);
    }
    return STATUS_OK;
}

static enum status concat_run(struct op_ctx *c) {
    struct join j = {0};
    struct tensor *y = NULL;
    enum status s = join_of(c, &j);
    if (s == STATUS_OK)
        s = op_out_new(c, 0, j.from->items[0].tensor.dtype, j.rank, j.dims, &y);
    if (s != STATUS_OK || !y || y->count == 0)
        return s;
    size_t size = dtype_size(y->dtype);
    size_t outer = (size_t)tensor_span(y, 0, j.axis);
    size_t row = (size_t)tensor_span(y, j.axis, y->rank) * size;
    char *to = y->data;
    for (size_t i = 0; i < j.from->count; i++) {
        const struct tensor *t = &j.from->items[i].tensor;
        size_t part = t->bytes / outer;
        for (size_t o = 0; o < outer; o++)
            memcpy(to + o * row, (const char *)t->data + o * part, part);
        to += part;
    }
    return STATUS_OK;
}

/* ---- SplitToSequence ---- */

/* Number of parts, and where each ends along the axis: ends[k], or (k + 1) * step cut at dim. */
struct cut {
    int axis;
    size_t count;
    int64_t step;
    bool drop_axis;
};

static enum status cut_of(struct op_ctx *c, struct cut *cut) {
    const struct tensor *x = op_in(c, 0), *split = op_in(c, 1);
    enum status s = op_axis(c, "axis", op_attr_int(c, "axis", 0), x->rank, &cut->axis);
    if (s != STATUS_OK)
        return s;
    int64_t dim = x->dims[cut->axis];
    cut->step = 1;
    cut->drop_axis = !split && op_attr_int(c, "keepdims", 1) == 0;
    if (split && split->rank == 1) {
        int64_t total = 0;
        for (int64_t i = 0; i < split->count; i++) {
            int64_t n = index_at(split, i);
            if (n < 0 || __builtin_add_overflow(total, n, &total))
                return op_fail(c, "a part of %lld elements cannot be", (long long)n);
        }
        if (total != dim)
            return op_fail(c, "the parts have %lld elements in all, the dimension %lld",
                           (long long)total, (long long)dim);
        cut->step = 0;
        cut->count = (size_t)split->count;
        return STATUS_OK;
    }
    if (split)
        s = op_in_int(c, 1, &cut->step);
    if (s == STATUS_OK && cut->step <= 0)
        return op_fail(c, "parts of %lld elements cannot be", (long long)cut->step);
    cut->count = (size_t)(dim / cut->step + (dim % cut->step != 0));
    return s;
}

static enum status split_run(struct op_ctx *c) {
    struct cut cut = {0};
    struct value out;
    enum status s = op_need(c, 0);
    if (s == STATUS_OK)
        s = op_need_dtype(c, 1, INDEX_TYPES);
    if (s == STATUS_OK)
        s = op_need_rank(c, 1, 0, 1);
    if (s == STATUS_OK)
        s = cut_of(c, &cut);
    const struct tensor *x = op_in(c, 0), *split = op_in(c, 1);
    if (s == STATUS_OK)
        s = sequence_new(c, cut.count, x->dtype, &out);
    if (s != STATUS_OK)
        return s;
    size_t size = dtype_size(x->dtype), inner = (size_t)tensor_span(x, cut.axis + 1, x->rank);
    size_t outer = (size_t)tensor_span(x, 0, cut.axis), row = (size_t)x->dims[cut.axis] * inner;
    int64_t at = 0;
    for (size_t i = 0; i < cut.count; i++) {
        int64_t left = x->dims[cut.axis] - at;
        int64_t n = cut.step ? (left < cut.step ? left : cut.step) : index_at(split, (int64_t)i);
        int64_t dims[TENSOR_MAX_RANK];
        int rank = 0;
        for (int d = 0; d < x->rank; d++)
            if (d != cut.axis || !cut.drop_axis)
                dims[rank++] = d == cut.axis ? n : x->dims[d];
        struct tensor t;
        s = tensor_shape(&t, x->dtype, rank, dims, c->error);
        if (s != STATUS_OK)
            return s;
        char *to = op_alloc(c, t.bytes);
        if (!to)
            return op_no_memory(c);
        size_t part = (size_t)n * inner * size;
        for (size_t o = 0; o < outer && part; o++)
            memcpy(to + o * part, (const char *)x->data + (o * row + (size_t)at * inner) * size,
                   part);
        t.data = to;
        out.items[i] = (struct value){.kind = VALUE_TENSOR, .tensor = t};
        at += n;
    }
    op_out_value(c, 0, &out);
    return STATUS_OK;
}

/* ---- SequenceMap: the body once for each element of the first sequence ---- */

static enum status map_run(struct op_ctx *c) {
    const struct graph *body = op_attr_graph(c, "body");
    const struct value *first = NULL;
    enum status s = sequence_in(c, 0, &first);
    if (s != STATUS_OK)
        return s;
    if (!body)
        return op_fail(c, "attribute \"body\" is missing");
    size_t n_in = op_in_count(c), n_out = body->output_count;
    if (body->input_count != n_in || op_out_count(c) > n_out)
        return op_fail(c, "the body has %zu inputs and %zu outputs, the operator %zu and %zu",
                       body->input_count, n_out, n_in, op_out_count(c));
    struct value *in = op_scratch_array(c, n_in, sizeof *in);
    struct value *made = op_scratch_array(c, n_out, sizeof *made);
    struct value *out = op_scratch_array(c, n_out, sizeof *out);
    if (!in || !made || !out)
        return op_no_memory(c);
    for (size_t k = 0; k < n_out; k++) {
        s = sequence_new(c, first->count, body->values[body->outputs[k]].type.dtype, &out[k]);
        if (s != STATUS_OK)
            return s;
    }
    for (size_t k = 0; k < n_in; k++) {
        const struct value *v = op_in_value(c, k);
        if (!v || (v->kind == VALUE_SEQUENCE && v->count != first->count))
            return op_fail(c, "input %zu must be as long as the first, of %zu elements", k,
                           first->count);
    }
    for (size_t i = 0; i < first->count; i++) {
        for (size_t k = 0; k < n_in; k++) {
            const struct value *v = op_in_value(c, k);
            in[k] = v->kind == VALUE_SEQUENCE ? v->items[i] : *v;
        }
        memset(made, 0, n_out * sizeof *made); /* outputs that are there would be written over */
        s = op_subgraph(c, body, in, n_in, made, n_out);
        if (s != STATUS_OK)
            return s;
        for (size_t k = 0; k < n_out; k++)
            out[k].items[i] = made[k];
    }
    for (size_t k = 0; k < op_out_count(c); k++)
        op_out_value(c, k, &out[k]);
    return STATUS_OK;
}

#define ROW(op, from, run_, more)                                                                  \
    {                                                                                              \
        .name = op, .since = from, .infer = op_infer_in_run, .run = run_,                          \
        .flags = OP_SEQUENCE | (more)                                                              \
    }

const struct op_row op_family_sequence[] = {
    ROW("SequenceEmpty", 11, empty_run, 0),
    ROW("SequenceConstruct", 11, construct_run, 0),
    ROW("SequenceInsert", 11, insert_run, 0),
    ROW("SequenceErase", 11, erase_run, 0),
    ROW("SequenceAt", 11, at_run, 0),
    ROW("SequenceLength", 11, length_run, 0),
    ROW("ConcatFromSequence", 11, concat_run, 0),
    ROW("SplitToSequence", 11, split_run, 0),
    ROW("SequenceMap", 17, map_run, OP_CONTROL),
    OP_END,
};
