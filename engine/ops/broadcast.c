#include "engine/ops/broadcast.h"

enum status broadcast_shapes(struct op_ctx *c, const struct tensor *const *in, size_t count,
                             int *rank, int64_t *dims) {
    int r = 0;
    for (size_t k = 0; k < count; k++)
        if (in[k]->rank > r)
            r = in[k]->rank;
    for (int d = 0; d < r; d++) {
        dims[d] = 1;
        for (size_t k = 0; k < count; k++) {
            int own = d - (r - in[k]->rank);
            int64_t n = own < 0 ? 1 : in[k]->dims[own];
            if (n == 1 || n == dims[d])
                continue;
            if (dims[d] != 1) {
                char a[160], b[160];
                return op_fail(c, "shapes %s and %s do not broadcast",
                               tensor_dims_text(in[0]->dims, in[0]->rank, a, sizeof a),
                               tensor_dims_text(in[k]->dims, in[k]->rank, b, sizeof b));
            }
            dims[d] = n;
        }
    }
    *rank = r;
    return STATUS_OK;
}

enum status broadcast_infer(struct op_ctx *c, size_t count, enum dtype dtype) {
    const struct tensor *in[BROADCAST_MAX];
    int64_t dims[TENSOR_MAX_RANK];
    int rank = 0;
    enum status s = op_need_all(c, count);
    if (s != STATUS_OK)
        return s;
    for (size_t k = 0; k < count; k++)
        in[k] = op_in(c, k);
    s = broadcast_shapes(c, in, count, &rank, dims);
    return s == STATUS_OK ? op_infer(c, 0, dtype, rank, dims) : s;
}

void broadcast_plan(struct broadcast *b, const struct tensor *out, const struct tensor *const *in,
                    size_t count) {
    memset(b, 0, sizeof *b);
    b->operands = count;
    b->rows = 1;
    b->inner = 1;
    int64_t step[BROADCAST_MAX] = {1, 1, 1, 1};
    bool first = true;
    int64_t dims[TENSOR_MAX_RANK], strides[BROADCAST_MAX][TENSOR_MAX_RANK];
    int n = 0; /* dimensions gathered so far, innermost first */
    for (int d = out->rank - 1; d >= 0; d--) {
        int64_t stride[BROADCAST_MAX];
        for (size_t k = 0; k < count; k++) {
            int own = d - (out->rank - in[k]->rank);
            int64_t size = own < 0 ? 1 : in[k]->dims[own];
            stride[k] = size == 1 ? 0 : step[k];
            step[k] *= size;
        }
        if (out->dims[d] == 1)
            continue;
        /* Merge with the dimension inside where every operand goes on as it went there. */
        bool merge = !first;
        for (size_t k = 0; merge && k < count; k++)
            merge = stride[k] == strides[k][n - 1] * dims[n - 1];
        if (merge) {
            dims[n - 1] *= out->dims[d];
            continue;
        }
        first = false;
        dims[n] = out->dims[d];
        for (size_t k = 0; k < count; k++)
            strides[k][n] = stride[k];
        n++;
    }
    if (n == 0)
        return; /* a single element */
    b->inner = dims[0];
    for (size_t k = 0; k < count; k++)
        b->inner_stride[k] = strides[k][0];
    b->rank = n - 1;
    for (int d = 1; d < n; d++) {
        b->dims[n - 1 - d] = dims[d];
        b->rows *= dims[d];
        for (size_t k = 0; k < count; k++)
            b->strides[k][n - 1 - d] = strides[k][d];
    }
}

void broadcast_row(const struct broadcast *b, int64_t row, int64_t *offsets) {
    for (size_t k = 0; k < b->operands; k++)
        offsets[k] = 0;
    for (int d = b->rank - 1; d >= 0; d--) {
        int64_t at = row % b->dims[d];
        row /= b->dims[d];
        for (size_t k = 0; k < b->operands; k++)
            offsets[k] += at * b->strides[k][d];
    }
}
