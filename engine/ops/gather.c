/* Gather, GatherElements, GatherND. Every index is checked: -n <= index < n. */
#include "engine/ops/op.h"

static enum status index_type(struct op_ctx *c) {
    enum status s = op_need_all(c, 2);
    return s == STATUS_OK ? op_need_dtype(c, 1, DT(INT64) | DT(INT32)) : s;
}

static int64_t raw_index(const struct tensor *t, int64_t i) {
    return t->dtype == DTYPE_INT64 ? ((const int64_t *)t->data)[i] : ((const int32_t *)t->data)[i];
}

/* Element i of the indices as 0..n-1. */
static enum status checked_index(struct op_ctx *c, const struct tensor *indices, int64_t i,
                                 int64_t n, int64_t *out) {
    int64_t at = raw_index(indices, i);
    if (at < -n || at >= n)
        return op_fail(c, "indices[%lld] is %lld, outside of the %lld there are", (long long)i,
                       (long long)at, (long long)n);
    *out = at < 0 ? at + n : at;
    return STATUS_OK;
}

static enum status axis_of(struct op_ctx *c, int *axis) {
    return op_axis(c, "axis", op_attr_int(c, "axis", 0), op_in(c, 0)->rank, axis);
}

/* ---- Gather ---- */

static enum status gather_infer(struct op_ctx *c) {
    int axis = 0, rank = 0;
    int64_t dims[2 * TENSOR_MAX_RANK];
    enum status s = index_type(c);
    if (s == STATUS_OK)
        s = axis_of(c, &axis);
    if (s != STATUS_OK)
        return s;
    const struct tensor *x = op_in(c, 0), *indices = op_in(c, 1);
    for (int d = 0; d < axis; d++)
        dims[rank++] = x->dims[d];
    for (int d = 0; d < indices->rank; d++)
        dims[rank++] = indices->dims[d];
    for (int d = axis + 1; d < x->rank; d++)
        dims[rank++] = x->dims[d];
    return op_infer(c, 0, x->dtype, rank, dims);
}

static enum status gather_run(struct op_ctx *c) {
    const struct tensor *x = op_in(c, 0), *indices = op_in(c, 1);
    struct tensor *y = op_out(c, 0);
    int axis = 0;
    enum status s = axis_of(c, &axis);
    if (s != STATUS_OK || !y)
        return s;
    size_t unit = (size_t)tensor_span(x, axis + 1, x->rank) * dtype_size(x->dtype);
    size_t row = (size_t)x->dims[axis] * unit;
    size_t outer = y->count > 0 ? (size_t)tensor_span(x, 0, axis) : 0;
    for (int64_t i = 0; i < indices->count; i++) {
        int64_t at = 0;
        s = checked_index(c, indices, i, x->dims[axis], &at);
        if (s != STATUS_OK)
            return s;
        for (size_t o = 0; o < outer; o++)
            memcpy((char *)y->data + (o * (size_t)indices->count + (size_t)i) * unit,
                   (const char *)x->data + o * row + (size_t)at * unit, unit);
    }
    return STATUS_OK;
}

/* ---- GatherElements ---- */

static enum status elements_infer(struct op_ctx *c) {
    int axis = 0;
    enum status s = index_type(c);
    if (s == STATUS_OK)
        s = axis_of(c, &axis);
    if (s != STATUS_OK)
        return s;
    const struct tensor *x = op_in(c, 0), *indices = op_in(c, 1);
    bool fits = indices->rank == x->rank;
    for (int d = 0; fits && d < x->rank; d++)
        fits = d == axis || indices->dims[d] <= x->dims[d];
    if (!fits)
        return op_fail(c, "the shape of the indices does not fit that of input 0");
    return op_infer(c, 0, x->dtype, indices->rank, indices->dims);
}

static enum status elements_run(struct op_ctx *c) {
    const struct tensor *x = op_in(c, 0), *indices = op_in(c, 1);
    struct tensor *y = op_out(c, 0);
    int axis = 0;
    int64_t at[TENSOR_MAX_RANK] = {0}, steps[TENSOR_MAX_RANK], step = 1;
    enum status s = axis_of(c, &axis);
    if (s != STATUS_OK || !y)
        return s;
    for (int d = x->rank - 1; d >= 0; d--) {
        steps[d] = step;
        step *= x->dims[d];
    }
    size_t size = dtype_size(x->dtype);
    for (int64_t i = 0; i < indices->count; i++) {
        int64_t index = 0, offset = 0;
        s = checked_index(c, indices, i, x->dims[axis], &index);
        if (s != STATUS_OK)
            return s;
        for (int d = 0; d < x->rank; d++)
            offset += (d == axis ? index : at[d]) * steps[d];
        memcpy((char *)y->data + (size_t)i * size, (const char *)x->data + (size_t)offset * size,
               size);
        for (int d = x->rank - 1; d >= 0 && ++at[d] == indices->dims[d]; d--)
            at[d] = 0;
    }
    return STATUS_OK;
}

/* ---- GatherND ---- */

static enum status nd_infer(struct op_ctx *c) {
    int rank = 0;
    int64_t dims[2 * TENSOR_MAX_RANK];
    enum status s = index_type(c);
    if (s == STATUS_OK)
        s = op_need_rank(c, 1, 1, TENSOR_MAX_RANK);
    if (s != STATUS_OK)
        return s;
    const struct tensor *x = op_in(c, 0), *indices = op_in(c, 1);
    int64_t batch = op_attr_int(c, "batch_dims", 0), depth = indices->dims[indices->rank - 1];
    if (batch < 0 || batch >= indices->rank || batch > x->rank || depth < 1 ||
        depth > x->rank - batch)
        return op_fail(c, "batch_dims %lld and indices of %lld numbers do not fit input 0",
                       (long long)batch, (long long)depth);
    for (int d = 0; d < batch; d++)
        if (x->dims[d] != indices->dims[d])
            return op_fail(c, "dimension %d differs between input 0 and the indices", d);
    for (int d = 0; d < indices->rank - 1; d++)
        dims[rank++] = indices->dims[d];
    for (int d = (int)(batch + depth); d < x->rank; d++)
        dims[rank++] = x->dims[d];
    return op_infer(c, 0, x->dtype, rank, dims);
}

static enum status nd_run(struct op_ctx *c) {
    const struct tensor *x = op_in(c, 0), *indices = op_in(c, 1);
    struct tensor *y = op_out(c, 0);
    int batch = (int)op_attr_int(c, "batch_dims", 0);
    int64_t depth = indices->dims[indices->rank - 1];
    if (!y || indices->count == 0)
        return STATUS_OK;
    int64_t tuples = indices->count / depth;
    int64_t batches = tensor_span(x, 0, batch), per_batch = batches > 0 ? tuples / batches : 0;
    size_t size = dtype_size(x->dtype);
    int64_t slice = tensor_span(x, batch + (int)depth, x->rank);
    int64_t block = tensor_span(x, batch, x->rank);
    for (int64_t i = 0; i < tuples; i++) {
        int64_t offset = 0;
        for (int64_t k = 0; k < depth; k++) {
            int64_t index = 0;
            int64_t n = x->dims[batch + (int)k];
            enum status s = checked_index(c, indices, i * depth + k, n, &index);
            if (s != STATUS_OK)
                return s;
            offset = offset * n + index;
        }
        offset = i / per_batch * block + offset * slice;
        memcpy((char *)y->data + (size_t)(i * slice) * size,
               (const char *)x->data + (size_t)offset * size, (size_t)slice * size);
    }
    return STATUS_OK;
}

const struct op_row op_family_gather[] = {
    {.name = "Gather", .since = 1, .infer = gather_infer, .run = gather_run},
    {.name = "GatherElements", .since = 11, .infer = elements_infer, .run = elements_run},
    {.name = "GatherND", .since = 11, .infer = nd_infer, .run = nd_run},
    OP_END,
};
