/* OneHot: a new axis of `depth` elements, all `off` but the one that the index names. An index
 * outside -depth..depth-1 gives `off` everywhere. */
#include "engine/ops/indices.h"
#include "engine/ops/op.h"
#include "engine/ops/types.h"

static enum status onehot_infer(struct op_ctx *c) {
    enum status s = op_need_all(c, 3);
    if (s == STATUS_OK)
        s = op_need_dtype(c, 0, DT_REAL);
    if (s == STATUS_OK)
        s = op_need_dtype(c, 1, DT_REAL);
    if (s != STATUS_OK)
        return s;
    const struct tensor *indices = op_in(c, 0), *values = op_in(c, 2);
    if (values->rank != 1 || values->count != 2)
        return op_fail(c, "input \"values\" must have the two elements off and on, has %lld",
                       (long long)values->count);
    if (indices->rank >= TENSOR_MAX_RANK)
        return op_fail(c, "input \"indices\" has %d dimensions, at most %d can be served",
                       indices->rank, TENSOR_MAX_RANK - 1);
    if (!op_in(c, 1)->data)
        return op_infer_later(c);
    int64_t depth = 0;
    int axis = 0;
    s = op_in_int(c, 1, &depth);
    if (s == STATUS_OK)
        s = op_axis(c, "axis", op_attr_int(c, "axis", -1), indices->rank + 1, &axis);
    if (s != STATUS_OK)
        return s;
    if (depth < 0)
        return op_fail(c, "input \"depth\" is %lld, must not be negative", (long long)depth);
    int64_t dims[TENSOR_MAX_RANK];
    for (int i = 0, k = 0; i <= indices->rank; i++)
        dims[i] = i == axis ? depth : indices->dims[k++];
    return op_infer(c, 0, values->dtype, indices->rank + 1, dims);
}

static int64_t index_of(const struct tensor *t, int64_t i) {
#define CASE(name, T)                                                                              \
    case DTYPE_##name:                                                                             \
        return (int64_t)((const T *)t->data)[i];
    switch (t->dtype) {
        TYPES_INT(CASE)
    case DTYPE_FLOAT:
        return index_from_double((double)((const float *)t->data)[i]);
    case DTYPE_DOUBLE:
        return index_from_double(((const double *)t->data)[i]);
    case DTYPE_FLOAT16:
        return index_from_double((double)half_to_float(((const uint16_t *)t->data)[i]));
    default:
        return index_from_double((double)half_bf16_to_float(((const uint16_t *)t->data)[i]));
    }
#undef CASE
}

static enum status onehot_run(struct op_ctx *c) {
    const struct tensor *indices = op_in(c, 0), *values = op_in(c, 2);
    struct tensor *y = op_out(c, 0);
    if (!y || y->count == 0)
        return STATUS_OK;
    int axis = 0;
    enum status s = op_axis(c, "axis", op_attr_int(c, "axis", -1), indices->rank + 1, &axis);
    if (s != STATUS_OK)
        return s;
    size_t size = dtype_size(y->dtype);
    const char *off = values->data, *on = off + size;
    char *to = y->data;
    for (int64_t i = 0; i < y->count; i++)
        memcpy(to + (size_t)i * size, off, size);
    int64_t depth = y->dims[axis], inner = tensor_span(indices, axis, indices->rank);
    for (int64_t i = 0; i < indices->count; i++) {
        int64_t index = index_of(indices, i);
        if (!index_wrap(&index, depth))
            continue;
        int64_t at = (i / inner * depth + index) * inner + i % inner;
        memcpy(to + (size_t)at * size, on, size);
    }
    return STATUS_OK;
}

const struct op_row op_family_onehot[] = {
    {.name = "OneHot", .since = 9, .infer = onehot_infer, .run = onehot_run},
    OP_END,
};
