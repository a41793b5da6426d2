#include "engine/kernels/gemm.h"

#include <cblas.h>
#include <pthread.h>

/* OpenBLAS takes int sizes. The longer side goes in pieces of this many rows or columns; the other
 * side, k and the strides of real tensors are far below INT_MAX, since memory bounds them. */
#define PIECE ((size_t)1 << 30)

/* The serial build of OpenBLAS gives one scratch to two callers that come at the same instant, and
 * both get wrong sums; its threaded build would start threads of its own in every role. So one
 * caller at a time, which also means that splitting a product over threads would gain nothing. */
static pthread_mutex_t one_caller = PTHREAD_MUTEX_INITIALIZER;

#define GEMM(suffix, type, routine, vector_routine)                                                \
    static void piece_##suffix(const struct gemm_shape *g, size_t m, size_t n, type alpha,         \
                               const type *a, const type *b, type beta, type *c) {                 \
        if (m == 1 && (!g->transpose_a || g->lda == 1))                                            \
            vector_routine(CblasRowMajor, g->transpose_b ? CblasNoTrans : CblasTrans,              \
                           (int)(g->transpose_b ? n : g->k), (int)(g->transpose_b ? g->k : n),     \
                           alpha, b, (int)g->ldb, a, 1, beta, c, 1);                               \
        else                                                                                       \
            routine(CblasRowMajor, g->transpose_a ? CblasTrans : CblasNoTrans,                     \
                    g->transpose_b ? CblasTrans : CblasNoTrans, (int)m, (int)n, (int)g->k, alpha,  \
                    a, (int)g->lda, b, (int)g->ldb, beta, c, (int)g->ldc);                         \
    }                                                                                              \
    void gemm_##suffix(const struct gemm_shape *g, type alpha, const type *a, const type *b,       \
                       type beta, type *c) {                                                       \
        const bool by_columns = g->n > g->m;                                                       \
        const size_t along = by_columns ? g->n : g->m;                                             \
        if (g->m == 0 || g->n == 0)                                                                \
            return;                                                                                \
        if (g->k == 0) {                                                                           \
            for (size_t i = 0; i < g->m; i++)                                                      \
                for (size_t k = 0; k < g->n; k++)                                                  \
                    c[i * g->ldc + k] = beta == 0 ? 0 : beta * c[i * g->ldc + k];                  \
            return;                                                                                \
        }                                                                                          \
        pthread_mutex_lock(&one_caller);                                                           \
        for (size_t at = 0; at < along; at += PIECE) {                                             \
            const size_t count = along - at < PIECE ? along - at : PIECE;                          \
            if (by_columns)                                                                        \
                piece_##suffix(g, g->m, count, alpha, a, b + (g->transpose_b ? at * g->ldb : at),  \
                               beta, c + at);                                                      \
            else                                                                                   \
                piece_##suffix(g, count, g->n, alpha, a + (g->transpose_a ? at : at * g->lda), b,  \
                               beta, c + at * g->ldc);                                             \
        }                                                                                          \
        pthread_mutex_unlock(&one_caller);                                                         \
    }

GEMM(f32, float, cblas_sgemm, cblas_sgemv)
GEMM(f64, double, cblas_dgemm, cblas_dgemv)
