/* CenterCropPad: each named axis cut or filled up with zeros to a length, evenly on both sides; of
 * an odd number the larger half is at the end. */
#include "engine/ops/op.h"

/* Lengths of all axes of the result. */
static enum status lengths_of(struct op_ctx *c, int64_t *dims) {
    const struct tensor *x = op_in(c, 0);
    const int64_t *axes = NULL;
    int64_t wanted[TENSOR_MAX_RANK];
    bool named[TENSOR_MAX_RANK] = {false};
    size_t n = 0, n_axes = op_attr_ints(c, "axes", &axes);
    enum status s = op_in_ints(c, 1, wanted, TENSOR_MAX_RANK, &n);
    if (s != STATUS_OK)
        return s;
    if (n != (op_attr_has(c, "axes") ? n_axes : (size_t)x->rank))
        return op_fail(c, "input \"shape\" has %zu lengths for %zu axes", n,
                       op_attr_has(c, "axes") ? n_axes : (size_t)x->rank);
    for (int i = 0; i < x->rank; i++)
        dims[i] = x->dims[i];
    for (size_t i = 0; i < n; i++) {
        int axis = (int)i;
        if (axes)
            s = op_axis(c, "axes", axes[i], x->rank, &axis);
        if (s != STATUS_OK)
            return s;
        if (named[axis] || wanted[i] < 0)
            return op_fail(c, "axis %d cannot have the length %lld", axis, (long long)wanted[i]);
        named[axis] = true;
        dims[axis] = wanted[i];
    }
    return STATUS_OK;
}

static enum status crop_infer(struct op_ctx *c) {
    int64_t dims[TENSOR_MAX_RANK];
    enum status s = op_need_all(c, 2);
    if (s != STATUS_OK)
        return s;
    if (!op_in(c, 1)->data)
        return op_infer_later(c);
    s = lengths_of(c, dims);
    return s == STATUS_OK ? op_infer(c, 0, op_in(c, 0)->dtype, op_in(c, 0)->rank, dims) : s;
}

static enum status crop_run(struct op_ctx *c) {
    const struct tensor *x = op_in(c, 0);
    struct tensor *y = op_out(c, 0);
    if (!y)
        return STATUS_OK;
    size_t size = dtype_size(x->dtype);
    int64_t from = 0, to = 0, both[TENSOR_MAX_RANK] = {0}, at[TENSOR_MAX_RANK] = {0};
    int64_t count = 1;
    memset(y->data, 0, y->bytes);
    if (x->count == 0 || y->count == 0)
        return STATUS_OK;
    for (int d = 0; d < x->rank; d++) {
        int64_t old = x->dims[d], new = y->dims[d];
        both[d] = old < new ? old : new;
        from = from * old + (old - both[d]) / 2;
        to = to * new + (new - both[d]) / 2;
        count *= both[d]; /* not more than either tensor has */
    }
    /* whole rows of the last axis at a time */
    int last = x->rank - 1;
    int64_t row = x->rank > 0 ? both[last] : 1;
    for (int64_t k = 0; k < count; k += row) {
        memcpy((char *)y->data + (size_t)to * size, (const char *)x->data + (size_t)from * size,
               (size_t)row * size);
        int64_t x_step = x->rank > 0 ? x->dims[last] : 1, y_step = x->rank > 0 ? y->dims[last] : 1;
        for (int d = last - 1; d >= 0; d--) {
            from += x_step;
            to += y_step;
            if (++at[d] < both[d])
                break;
            from -= x_step * both[d];
            to -= y_step * both[d];
            at[d] = 0;
            x_step *= x->dims[d];
            y_step *= y->dims[d];
        }
    }
    return STATUS_OK;
}

const struct op_row op_family_center_crop_pad[] = {
    {.name = "CenterCropPad", .since = 18, .infer = crop_infer, .run = crop_run},
    OP_END,
};
