/* Dense matrix products over OpenBLAS, mostly of two activations. Row-major. C[m,n] = alpha *
 * op(A)[m,k] * op(B)[k,n] + beta * C; op transposes where asked: A is stored [m,k], or [k,m] where
 * transpose_a, with `lda` elements between rows as stored. beta 0 means that C is not read.
 *
 * OpenBLAS copies its operands into scratch of its own, outside any arena: the constant float32
 * weights of MatMul, Gemm, Conv, ConvTranspose and the recurrent operators go through
 * kernels/gemm_packed.h instead. Weights of other types (double, float16, quantised) and those of
 * DeformConv and Einsum do come through here.
 *
 * Threads: any, one at a time: a product is one caller's, and others wait. Sizes are trusted:
 * callers have checked them. */
#ifndef ENGINE_KERNELS_GEMM_H
#define ENGINE_KERNELS_GEMM_H

#include <stdbool.h>
#include <stddef.h>

struct gemm_shape {
    bool transpose_a, transpose_b;
    size_t m, n, k, lda, ldb, ldc;
};

/* The shape of a product of whole matrices: no gaps between rows. */
static inline struct gemm_shape gemm_shape_of(size_t m, size_t n, size_t k, bool transpose_a,
                                              bool transpose_b) {
    return (struct gemm_shape){
        .transpose_a = transpose_a,
        .transpose_b = transpose_b,
        .m = m,
        .n = n,
        .k = k,
        .lda = transpose_a ? m : k,
        .ldb = transpose_b ? k : n,
        .ldc = n,
    };
}

void gemm_f32(const struct gemm_shape *g, float alpha, const float *a, const float *b, float beta,
              float *c);
void gemm_f64(const struct gemm_shape *g, double alpha, const double *a, const double *b,
              double beta, double *c);

#endif
