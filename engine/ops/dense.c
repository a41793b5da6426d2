#include "engine/ops/dense.h"

#include "engine/kernels/gemm.h"
#include "engine/kernels/gemm_packed.h"

size_t dense_pack_size(size_t k, size_t n) {
    return k == 0 || n == 0 ? 0 : gemm_packed_right_size(k, n);
}

enum status dense_pack(struct op_ctx *c, struct dense *w) {
    const size_t size = dense_pack_size(w->k, w->n);
    if (size == 0)
        return STATUS_OK;
    float *packed = op_weights_alloc(c, size);
    if (!packed)
        return op_no_memory(c);
    gemm_packed_right_pack(w->k, w->n, w->plain, w->ldw, w->transposed, packed);
    w->packed = packed;
    return STATUS_OK;
}

static void plain_apply(const struct dense *w, size_t m, const float *a, size_t lda,
                        bool accumulate, float *out, size_t ldc) {
    const struct gemm_shape g = {
        .transpose_b = w->transposed,
        .m = m,
        .n = w->n,
        .k = w->k,
        .lda = lda,
        .ldb = w->ldw,
        .ldc = ldc,
    };
    gemm_f32(&g, 1.0f, a, w->plain, accumulate ? 1.0f : 0.0f, out);
}

void dense_apply(struct threads *pool, const struct dense *w, size_t m, const float *a, size_t lda,
                 const float *bias, bool accumulate, float *out, size_t ldc) {
    if (m == 0 || w->n == 0)
        return;
    if (w->packed) {
        const struct gemm_packed_shape g = {
            .m = m, .n = w->n, .k = w->k, .ld_in = lda, .ldc = ldc, .accumulate = accumulate};
        gemm_packed_right(pool, &g, a, w->packed, bias, out);
        return;
    }
    if (w->k != 0)
        plain_apply(w, m, a, lda, accumulate, out, ldc);
    else if (!accumulate)
        for (size_t i = 0; i < m; i++)
            memset(out + i * ldc, 0, w->n * sizeof *out);
    if (bias)
        for (size_t i = 0; i < m; i++)
            for (size_t j = 0; j < w->n; j++)
                out[i * ldc + j] += bias[j];
}
