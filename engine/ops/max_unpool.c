/* MaxUnpool: puts values back where MaxPool found them, zeros elsewhere.
 *
 * Indices are flat positions in the tensor that the pooling attributes give; where output_shape
 * asks for another, that tensor lies in its corner. Every index is checked. */
#include "engine/ops/window.h"

/* The shape that the attributes give: of the tensor that the indices count in. */
static enum status inferred(struct op_ctx *c, int64_t dims[TENSOR_MAX_RANK]) {
    const struct tensor *x = op_in(c, 0);
    struct window w;
    enum status s = window_parse_plain(c, x, NULL, &w);
    if (s != STATUS_OK)
        return s;
    dims[0] = x->dims[0];
    dims[1] = x->dims[1];
    for (int d = 0; d < w.n; d++) {
        const int at = WINDOW_DIMS - w.n + d;
        int64_t size = 0;
        if (__builtin_mul_overflow(w.in[at] - 1, w.stride[at], &size) ||
            __builtin_add_overflow(size, w.kernel[at] - w.begin[at] - w.end[at], &size) || size < 0)
            return op_fail(c, "dimension %d of the output does not fit: input %lld, stride %lld",
                           2 + d, (long long)w.in[at], (long long)w.stride[at]);
        dims[2 + d] = size;
    }
    int64_t count = 0;
    if (!checked_product(dims, (size_t)x->rank, &count))
        return op_fail(c, "the output is too large");
    return STATUS_OK;
}

static enum status infer(struct op_ctx *c) {
    enum status s = op_need_all(c, 2);
    if (s == STATUS_OK)
        s = op_need_dtype(c, 0, DT_FLOATS | DT_INTS);
    if (s == STATUS_OK)
        s = op_need_dtype(c, 1, DT(INT64));
    if (s != STATUS_OK)
        return s;
    const struct tensor *x = op_in(c, 0);
    if (!tensor_same_shape(x, op_in(c, 1)))
        return op_fail(c, "values and indices have different shapes");
    int64_t dims[TENSOR_MAX_RANK];
    s = inferred(c, dims);
    if (s != STATUS_OK || !op_in(c, 2))
        return s != STATUS_OK ? s : op_infer(c, 0, x->dtype, x->rank, dims);
    if (!op_in(c, 2)->data)
        return op_infer_later(c);
    int64_t wanted[TENSOR_MAX_RANK];
    size_t n = 0;
    s = op_in_ints(c, 2, wanted, TENSOR_MAX_RANK, &n);
    if (s != STATUS_OK)
        return s;
    if (n != (size_t)x->rank)
        return op_fail(c, "output_shape has %zu numbers, expected %d", n, x->rank);
    for (size_t d = 0; d < n; d++)
        if (wanted[d] < dims[d])
            return op_fail(c, "output_shape has %lld in dimension %zu, expected at least %lld",
                           (long long)wanted[d], d, (long long)dims[d]);
    return op_infer(c, 0, x->dtype, x->rank, wanted);
}

static enum status run(struct op_ctx *c) {
    const struct tensor *x = op_in(c, 0);
    struct tensor *y = op_out(c, 0);
    if (!y)
        return STATUS_OK;
    int64_t dims[TENSOR_MAX_RANK], count = 0;
    enum status s = inferred(c, dims);
    if (s != STATUS_OK)
        return s;
    if (!checked_product(dims, (size_t)x->rank, &count))
        return op_fail(c, "the output is too large");
    memset(y->data, 0, y->bytes);
    const int64_t *indices = op_in(c, 1)->data;
    const size_t size = dtype_size(x->dtype);
    for (int64_t i = 0; i < x->count; i++) {
        int64_t rest = indices[i], at = 0, stride = 1;
        if (rest < 0 || rest >= count)
            return op_fail(c, "index %lld is outside the output of %lld elements", (long long)rest,
                           (long long)count);
        for (int d = x->rank - 1; d >= 0; d--) {
            at += rest % dims[d] * stride;
            rest /= dims[d];
            stride *= y->dims[d];
        }
        memcpy((char *)y->data + (size_t)at * size, (const char *)x->data + (size_t)i * size, size);
    }
    return STATUS_OK;
}

const struct op_row op_family_max_unpool[] = {
    {.name = "MaxUnpool", .since = 1, .infer = infer, .run = run},
    OP_END,
};
