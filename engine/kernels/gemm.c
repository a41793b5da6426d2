#include "engine/kernels/gemm.h"

#include <cblas.h>
#include <pthread.h>

/* OpenBLAS takes int sizes; a block of rows or columns is at most this, the rest goes in pieces.
 * (k and the strides of real tensors are far below INT_MAX: memory bounds them.) */
#define SPLIT_WORK ((size_t)1 << 18) /* multiply-adds worth giving to another thread */

/* The serial build of OpenBLAS gives one scratch to two callers that come at the same instant, and
 * both get wrong sums; its threaded build would start threads of its own in every role. So one
 * caller at a time. */
static pthread_mutex_t one_caller = PTHREAD_MUTEX_INITIALIZER;

struct job {
    const struct gemm_shape *g;
    const void *a, *b;
    void *c;
    double alpha, beta;
    bool by_columns;
};

static size_t a_offset(const struct gemm_shape *g, size_t row) {
    return g->transpose_a ? row : row * g->lda;
}

static size_t b_offset(const struct gemm_shape *g, size_t column) {
    return g->transpose_b ? column * g->ldb : column;
}

#define RANGES(suffix, type, routine, vector_routine)                                              \
    static void range_##suffix(void *arg, size_t begin, size_t end) {                              \
        const struct job *j = arg;                                                                 \
        const struct gemm_shape *g = j->g;                                                         \
        const type *a = j->a, *b = j->b;                                                           \
        type *c = j->c;                                                                            \
        size_t m = g->m, n = g->n;                                                                 \
        if (j->by_columns) {                                                                       \
            b += b_offset(g, begin);                                                               \
            c += begin;                                                                            \
            n = end - begin;                                                                       \
        } else {                                                                                   \
            a += a_offset(g, begin);                                                               \
            c += begin * g->ldc;                                                                   \
            m = end - begin;                                                                       \
        }                                                                                          \
        pthread_mutex_lock(&one_caller);                                                           \
        if (m == 1 && (!g->transpose_a || g->lda == 1))                                            \
            vector_routine(CblasRowMajor, g->transpose_b ? CblasNoTrans : CblasTrans,              \
                           (int)(g->transpose_b ? n : g->k), (int)(g->transpose_b ? g->k : n),     \
                           (type)j->alpha, b, (int)g->ldb, a, 1, (type)j->beta, c, 1);             \
        else                                                                                       \
            routine(CblasRowMajor, g->transpose_a ? CblasTrans : CblasNoTrans,                     \
                    g->transpose_b ? CblasTrans : CblasNoTrans, (int)m, (int)n, (int)g->k,         \
                    (type)j->alpha, a, (int)g->lda, b, (int)g->ldb, (type)j->beta, c,              \
                    (int)g->ldc);                                                                  \
        pthread_mutex_unlock(&one_caller);                                                         \
    }                                                                                              \
    void gemm_##suffix(struct threads *pool, const struct gemm_shape *g, type alpha,               \
                       const type *a, const type *b, type beta, type *c) {                         \
        if (g->m == 0 || g->n == 0)                                                                \
            return;                                                                                \
        if (g->k == 0) {                                                                           \
            for (size_t i = 0; i < g->m; i++)                                                      \
                for (size_t k = 0; k < g->n; k++)                                                  \
                    c[i * g->ldc + k] = beta == 0 ? 0 : beta * c[i * g->ldc + k];                  \
            return;                                                                                \
        }                                                                                          \
        struct job j = {.g = g,                                                                    \
                        .a = a,                                                                    \
                        .b = b,                                                                    \
                        .c = c,                                                                    \
                        .alpha = (double)alpha,                                                    \
                        .beta = (double)beta,                                                      \
                        .by_columns = g->n > g->m};                                                \
        size_t along = j.by_columns ? g->n : g->m, other = j.by_columns ? g->m : g->n;             \
        size_t grain = SPLIT_WORK / (other * g->k) + 1;                                            \
        size_t even = (along + threads_count(pool) - 1) / threads_count(pool);                     \
        /* One piece a thread: OpenBLAS packs its operand anew in every call. */                   \
        if (grain < even)                                                                          \
            grain = (even + 15) / 16 * 16;                                                         \
        threads_for(pool, along, grain, range_##suffix, &j);                                       \
    }

RANGES(f32, float, cblas_sgemm, cblas_sgemv)
RANGES(f64, double, cblas_dgemm, cblas_dgemv)
