/* Compress: the slices along an axis, or the elements, whose condition is true. The condition may
 * be shorter than the axis; what lies past its end is left out. */
#include "engine/ops/op.h"

struct span {
    int64_t outer, dim, inner;
};

static enum status compress_span(struct op_ctx *c, int *axis, struct span *out) {
    const struct tensor *x = op_in(c, 0);
    *axis = -1;
    if (!op_attr_has(c, "axis")) {
        *out = (struct span){1, x->count, 1};
        return STATUS_OK;
    }
    enum status s = op_axis(c, "axis", op_attr_int(c, "axis", 0), x->rank, axis);
    if (s == STATUS_OK)
        *out = (struct span){tensor_span(x, 0, *axis), x->dims[*axis],
                             tensor_span(x, *axis + 1, x->rank)};
    return s;
}

static enum status compress_infer(struct op_ctx *c) {
    enum status s = op_need_all(c, 2);
    if (s == STATUS_OK)
        s = op_need_dtype(c, 1, DT(BOOL));
    if (s == STATUS_OK)
        s = op_need_rank(c, 1, 1, 1);
    if (s != STATUS_OK)
        return s;
    struct span span;
    int axis = 0;
    s = compress_span(c, &axis, &span);
    if (s == STATUS_OK && op_in(c, 1)->count > span.dim)
        return op_fail(c, "the condition has %lld elements, more than the %lld to choose from",
                       (long long)op_in(c, 1)->count, (long long)span.dim);
    return s == STATUS_OK ? op_infer_in_run(c) : s;
}

static enum status compress_run(struct op_ctx *c) {
    const struct tensor *x = op_in(c, 0), *condition = op_in(c, 1);
    const uint8_t *wanted = condition->data;
    struct span span;
    int axis = 0;
    enum status s = compress_span(c, &axis, &span);
    if (s != STATUS_OK)
        return s;
    int64_t n = 0, dims[TENSOR_MAX_RANK];
    for (int64_t i = 0; i < condition->count; i++)
        n += wanted[i] != 0;
    for (int i = 0; i < x->rank; i++)
        dims[i] = i == axis ? n : x->dims[i];
    struct tensor *y = NULL;
    if (axis < 0)
        dims[0] = n;
    s = op_out_new(c, 0, x->dtype, axis < 0 ? 1 : x->rank, dims, &y);
    if (s != STATUS_OK || !y || y->count == 0)
        return s;
    size_t step = (size_t)span.inner * dtype_size(x->dtype);
    char *to = y->data;
    for (int64_t o = 0; o < span.outer; o++)
        for (int64_t i = 0; i < condition->count; i++)
            if (wanted[i]) {
                memcpy(to, (const char *)x->data + (size_t)(o * span.dim + i) * step, step);
                to += step;
            }
    return STATUS_OK;
}

const struct op_row op_family_compress[] = {
    {.name = "Compress", .since = 9, .infer = compress_infer, .run = compress_run},
    OP_END,
};
