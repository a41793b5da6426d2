/* A float32 matrix on the right of a product, packed where it is a constant, plain where it is an
 * activation: Gemm and the recurrent operators are written over this one form.
 *
 *   C[m,n] = A[m,k] * W[k,n] (+ bias[n])
 *
 * The packed bytes are the caller's (op_weights_alloc); a plain matrix is only pointed to. */
#ifndef ENGINE_OPS_DENSE_H
#define ENGINE_OPS_DENSE_H

#include "engine/ops/op.h"

struct dense {
    size_t k, n;
    size_t ldw;          /* elements between rows of `plain` as stored */
    bool transposed;     /* `plain` is stored [n,k] */
    const float *plain;  /* used where packed is NULL */
    const float *packed; /* by dense_pack */
};

/* Bytes for dense_pack of this shape; 0 where they overflow or there is nothing to pack. */
size_t dense_pack_size(size_t k, size_t n);
/* In prepare: packs w->plain into op_weights_alloc's memory. No-op for an empty matrix. */
MUST_USE enum status dense_pack(struct op_ctx *c, struct dense *w);
/* `a` has lda elements between rows. bias may be NULL. `accumulate` adds the old C. */
void dense_apply(struct threads *pool, const struct dense *w, size_t m, const float *a, size_t lda,
                 const float *bias, bool accumulate, float *out, size_t ldc);

#endif
