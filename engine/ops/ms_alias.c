/* Operators of com.microsoft that are an operator of ai.onnx under the older name, kept there by
 * models from before ai.onnx had it: Trilu, Pad, Range, GridSample, GatherND, Unique; and
 * ExpandDims.
 *
 * Unique gives values in the order in which they appear, their places, and their counts. Range may
 * leave delta out, which is then 1. */
#include "engine/ops/delegate.h"
#include "engine/ops/real.h"

#define MOST_INPUTS 3

struct alias {
    const char *name;
    int64_t opset; /* the newest whose row takes the same inputs and attributes */
    size_t inputs;
    size_t values; /* inputs from this one on are read to know the shape; MOST_INPUTS: none is */
};

static enum status open(struct op_ctx *c, struct delegate *d) {
    const struct alias *a = op_form(c);
    enum status s = delegate_open(c, d, a->name, a->opset, a->inputs, 1);
    for (size_t i = 0; s == STATUS_OK && i < a->inputs; i++)
        delegate_in(d, i, op_in(c, i));
    if (s != STATUS_OK || strcmp(a->name, "Range") != 0 || op_in(c, 2))
        return s;
    struct tensor one;
    s = op_need(c, 0);
    if (s == STATUS_OK)
        s = op_need_dtype(c, 0, DT_REAL);
    if (s == STATUS_OK)
        s = tensor_shape(&one, op_in(c, 0)->dtype, 0, NULL, c->error);
    if (s != STATUS_OK)
        return s;
    one.data = op_scratch(c, one.bytes);
    if (!one.data)
        return op_no_memory(c);
    real_put(&one, 0, 1.0);
    delegate_in(d, 2, &one);
    return STATUS_OK;
}

static enum status infer(struct op_ctx *c) {
    const struct alias *a = op_form(c);
    struct delegate d;
    for (size_t i = a->values; i < a->inputs; i++)
        if (op_in(c, i) && !op_in(c, i)->data)
            return op_infer_later(c);
    enum status s = open(c, &d);
    if (s == STATUS_OK)
        s = delegate_infer(&d);
    return s == STATUS_OK ? op_infer_like(c, 0, &d.out[0].tensor) : s;
}

static enum status run(struct op_ctx *c) {
    struct delegate d;
    enum status s = open(c, &d);
    if (s == STATUS_OK)
        s = delegate_run(&d);
    return s == STATUS_OK ? op_view(c, 0, &d.out[0].tensor) : s;
}

/* ---- Unique ---- */

enum { VALUES, FIRST, PLACES, COUNTS, UNIQUE_OUTPUTS };

static enum status unique_run(struct op_ctx *c) {
    static const size_t from[] = {VALUES, PLACES, COUNTS};
    struct delegate d;
    enum status s = op_need(c, 0);
    if (s == STATUS_OK)
        s = op_need_rank(c, 0, 1, 1);
    if (s == STATUS_OK)
        s = delegate_open(c, &d, "Unique", 11, 1, UNIQUE_OUTPUTS);
    if (s != STATUS_OK)
        return s;
    delegate_int(&d, "sorted", 0);
    delegate_in(&d, 0, op_in(c, 0));
    s = d.node.row->infer(&d.ctx);
    if (s == STATUS_OK)
        s = d.node.row->run(&d.ctx);
    for (size_t i = 0; s == STATUS_OK && i < sizeof from / sizeof *from; i++) {
        const struct tensor *t = &d.out[from[i]].tensor;
        struct tensor *y = NULL;
        s = op_out_new(c, i, t->dtype, t->rank, t->dims, &y);
        if (s == STATUS_OK && y && y->bytes > 0)
            memcpy(y->data, t->data, y->bytes);
    }
    return s;
}

/* ---- ExpandDims ---- */

static enum status expand_infer(struct op_ctx *c) {
    enum status s = op_need_all(c, 2);
    if (s == STATUS_OK)
        s = op_need_dtype(c, 1, DT(INT32) | DT(INT64));
    if (s != STATUS_OK)
        return s;
    if (!op_in(c, 1)->data)
        return op_infer_later(c);
    const struct tensor *x = op_in(c, 0);
    int64_t axis = 0, dims[TENSOR_MAX_RANK];
    int at = 0;
    s = op_in_int(c, 1, &axis);
    if (s == STATUS_OK && x->rank == TENSOR_MAX_RANK)
        return op_fail(c, "input 0 has %d dimensions, one more is too many", x->rank);
    if (s == STATUS_OK)
        s = op_axis(c, "axis", axis, x->rank + 1, &at);
    if (s != STATUS_OK)
        return s;
    for (int d = 0; d <= x->rank; d++)
        dims[d] = d < at ? x->dims[d] : d == at ? 1 : x->dims[d - 1];
    return op_infer(c, 0, x->dtype, x->rank + 1, dims);
}

static enum status expand_run(struct op_ctx *c) {
    return op_view(c, 0, op_in(c, 0));
}

#define MICROSOFT "com.microsoft"
#define ALIAS(text, version, count, first)                                                         \
    {                                                                                              \
        .domain = MICROSOFT, .name = text, .since = 1, .infer = infer, .run = run,                 \
        .form = &(const struct alias) {                                                            \
            text, version, count, first                                                            \
        }                                                                                          \
    }

const struct op_row op_family_ms_alias[] = {
    ALIAS("Trilu", 14, 2, MOST_INPUTS),
    ALIAS("Pad", 13, 3, 1),
    ALIAS("Range", 11, 3, 0),
    ALIAS("GridSample", 16, 2, MOST_INPUTS),
    ALIAS("GatherND", 12, 2, MOST_INPUTS),
    {.domain = MICROSOFT,
     .name = "Unique",
     .since = 1,
     .infer = op_infer_in_run,
     .run = unique_run},
    {.domain = MICROSOFT,
     .name = "ExpandDims",
     .since = 1,
     .infer = expand_infer,
     .run = expand_run,
     .flags = OP_VIEW},
    OP_END,
};
