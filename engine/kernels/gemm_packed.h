/* float32 matrix products where one operand is a constant weight, packed once at load into memory
 * of the caller's (the secret arena) and read from there only: no copy is made of it at run time.
 *
 *   right: C[m,n] = A[m,k] * W[k,n]   weights on the right (MatMul, Gemm, LSTM)
 *   left:  C[m,n] = W[m,k] * B[k,n]   weights on the left  (convolution: B is im2col, C is NCHW)
 *
 * The layout belongs to the kernel chosen for this processor: sizes and packed bytes are valid in
 * the process that made them only.
 *
 * Then, in this order: `accumulate` adds the old C (else C is not read), bias is added: one value
 * per column of C (right) or per row (left), NULL for none.
 *
 * Threads: `pool` may be NULL. Sizes are trusted: callers have checked them. */
#ifndef ENGINE_KERNELS_GEMM_PACKED_H
#define ENGINE_KERNELS_GEMM_PACKED_H

#include "engine/kernels/threads.h"

#include <stdbool.h>
#include <stddef.h>

/* Bytes for the packed form, 0 where they overflow. */
size_t gemm_packed_right_size(size_t k, size_t n);
size_t gemm_packed_left_size(size_t m, size_t k);

/* `w` is stored [k,n] (or [n,k] where `transposed`), `ldw` elements between rows as stored. */
void gemm_packed_right_pack(size_t k, size_t n, const float *w, size_t ldw, bool transposed,
                            float *packed);
/* `w` is stored [m,k] (or [k,m] where `transposed`). */
void gemm_packed_left_pack(size_t m, size_t k, const float *w, size_t ldw, bool transposed,
                           float *packed);

struct gemm_packed_shape {
    size_t m, n, k;
    size_t ld_in; /* elements between rows of the operand that is not packed: A, or B */
    size_t ldc;
    bool accumulate;
};

void gemm_packed_right(struct threads *pool, const struct gemm_packed_shape *g, const float *a,
                       const float *packed, const float *bias, float *c);
void gemm_packed_left(struct threads *pool, const struct gemm_packed_shape *g, const float *packed,
                      const float *b, const float *bias, float *c);

/* Name of the kernel in use, for `inspect` and tests: "gemm_f32_8x32_avx512" and so on. */
const char *gemm_packed_kernel(void);

#endif
