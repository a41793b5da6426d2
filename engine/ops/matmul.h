/* Shape arithmetic of numpy's matmul: batches broadcast, vectors become matrices. Shared by MatMul,
 * FusedMatMul, MatMulInteger and QLinearMatMul. */
#ifndef ENGINE_OPS_MATMUL_H
#define ENGINE_OPS_MATMUL_H

#include "engine/ops/op.h"

struct matmul {
    size_t m, n, k;
    bool ta, tb; /* the last two dimensions of A, B are stored swapped */
    int rank;    /* batch dimensions of the output */
    int64_t dims[TENSOR_MAX_RANK];
    int64_t a_stride[TENSOR_MAX_RANK], b_stride[TENSOR_MAX_RANK]; /* in matrices; 0: broadcast */
    size_t batches;
    size_t a_matrices, b_matrices; /* in the whole of A, B */
    int out_rank;
    int64_t out_dims[TENSOR_MAX_RANK];
};

/* ta, tb: swap the last two dimensions first (ranks of 2 and more). */
MUST_USE enum status matmul_shape(struct op_ctx *c, const struct tensor *a, const struct tensor *b,
                                  bool ta, bool tb, struct matmul *out);
/* Which matrices of A and B the product `batch` takes. */
void matmul_batch(const struct matmul *s, size_t batch, size_t *a, size_t *b);

#endif
