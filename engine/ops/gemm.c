/* Gemm: alpha * op(A) * op(B) + beta * C, C broadcast to the product's shape.
 *
 * A constant float32 B is packed at load, for A as rows; then a C that is one row of the output and
 * beta 1 is added by the kernel itself. double is computed in double, integers wrap. */
#include "engine/kernels/gemm.h"
#include "engine/ops/dense.h"
#include "engine/ops/types.h"

struct gemm_args {
    bool ta, tb;
    float alpha, beta;
    size_t m, n, k;
    size_t c_row, c_column; /* element strides of C, 0 where it is broadcast */
};

static enum status parse(struct op_ctx *c, struct gemm_args *g) {
    const struct tensor *a = op_in(c, 0), *b = op_in(c, 1), *bias = op_in(c, 2);
    *g = (struct gemm_args){
        .ta = op_attr_int(c, "transA", 0) != 0,
        .tb = op_attr_int(c, "transB", 0) != 0,
        .alpha = op_attr_float(c, "alpha", 1.0f),
        .beta = op_attr_float(c, "beta", 1.0f),
    };
    const int64_t m = a->dims[g->ta], k = a->dims[!g->ta];
    const int64_t n = b->dims[!g->tb], kb = b->dims[g->tb];
    if (k != kb)
        return op_fail(c, "A has %lld columns where B has %lld rows", (long long)k, (long long)kb);
    g->m = (size_t)m;
    g->n = (size_t)n;
    g->k = (size_t)k;
    if (!bias)
        return STATUS_OK;
    const int64_t columns = bias->rank > 0 ? bias->dims[bias->rank - 1] : 1;
    const int64_t rows = bias->rank > 1 ? bias->dims[0] : 1;
    if (bias->rank > 2 || (columns != 1 && columns != n) || (rows != 1 && rows != m))
        return op_fail(c, "C does not broadcast to [%lld,%lld]", (long long)m, (long long)n);
    g->c_column = columns == n && n != 1;
    g->c_row = rows == m && m != 1 ? (size_t)columns : 0;
    return STATUS_OK;
}

static enum status infer(struct op_ctx *c) {
    enum status s = op_need_all(c, 2);
    for (size_t i = 0; i < 2 && s == STATUS_OK; i++)
        s = op_need_rank(c, i, 2, 2);
    if (s == STATUS_OK)
        s = op_need_dtype(c, 0, DT_FLOATS | DT(INT32) | DT(INT64) | DT(UINT32) | DT(UINT64));
    if (s != STATUS_OK)
        return s;
    const enum dtype dtype = op_in(c, 0)->dtype;
    for (size_t i = 1; i < 3 && s == STATUS_OK; i++)
        s = op_need_same(c, i, 0);
    struct gemm_args g;
    if (s == STATUS_OK)
        s = parse(c, &g);
    if (s != STATUS_OK)
        return s;
    return op_infer(c, 0, dtype, 2, (int64_t[]){(int64_t)g.m, (int64_t)g.n});
}

static bool packable(struct op_ctx *c, struct dense *w) {
    const struct tensor *b = op_in(c, 1);
    if (!b || !op_in_constant(c, 1) || op_in_constant(c, 0) || b->dtype != DTYPE_FLOAT ||
        b->rank != 2)
        return false;
    const bool tb = op_attr_int(c, "transB", 0) != 0;
    *w = (struct dense){
        .k = (size_t)b->dims[tb],
        .n = (size_t)b->dims[!tb],
        .ldw = (size_t)b->dims[1],
        .transposed = tb,
        .plain = b->data,
    };
    return true;
}

static size_t pack_size(struct op_ctx *c) {
    struct dense w;
    return packable(c, &w) ? dense_pack_size(w.k, w.n) : 0;
}

static enum status prepare(struct op_ctx *c) {
    struct dense w;
    if (!packable(c, &w))
        return STATUS_OK;
    struct dense *state = op_state_new(c, sizeof *state);
    if (!state)
        return op_no_memory(c);
    *state = w;
    enum status s = dense_pack(c, state);
    if (s == STATUS_OK && state->packed)
        op_packed(c, 1);
    return s;
}

static void transpose(const float *from, size_t rows, size_t columns, float *to) {
    for (size_t i = 0; i < rows; i++)
        for (size_t k = 0; k < columns; k++)
            to[k * rows + i] = from[i * columns + k];
}

static void finish_f32(const struct gemm_args *g, float alpha, const float *bias, float *y) {
    if (alpha == 1.0f && !bias)
        return;
    for (size_t i = 0; i < g->m; i++)
        for (size_t k = 0; k < g->n; k++) {
            const float add = bias ? g->beta * bias[i * g->c_row + k * g->c_column] : 0.0f;
            y[i * g->n + k] = alpha * y[i * g->n + k] + add;
        }
}

static enum status run_f32(struct op_ctx *c, const struct gemm_args *g) {
    const struct dense *packed = op_state(c);
    const float *a = NULL, *b = NULL, *bias = NULL;
    float *y = NULL;
    enum status s = op_in_f32(c, 0, &a);
    if (s == STATUS_OK && !packed)
        s = op_in_f32(c, 1, &b);
    if (s == STATUS_OK && op_in(c, 2) && g->beta != 0.0f)
        s = op_in_f32(c, 2, &bias);
    if (s == STATUS_OK)
        s = op_out_f32(c, 0, &y);
    if (s != STATUS_OK)
        return s;
    if (packed) {
        if (g->ta) {
            float *rows = op_scratch_array(c, g->m * g->k, sizeof *rows);
            if (!rows)
                return op_no_memory(c);
            transpose(a, g->k, g->m, rows);
            a = rows;
        }
        const bool in_kernel = bias && g->beta == 1.0f && g->alpha == 1.0f && g->c_row == 0 &&
                               (g->c_column == 1 || g->n == 1);
        dense_apply(op_threads(c), packed, g->m, a, g->k, in_kernel ? bias : NULL, false, y, g->n);
        finish_f32(g, g->alpha, in_kernel ? NULL : bias, y);
    } else {
        const struct gemm_shape shape = gemm_shape_of(g->m, g->n, g->k, g->ta, g->tb);
        gemm_f32(&shape, g->alpha, a, b, 0.0f, y);
        finish_f32(g, 1.0f, bias, y);
    }
    op_out_f32_done(c, 0, y);
    return STATUS_OK;
}

static void run_f64(struct op_ctx *c, const struct gemm_args *g, struct tensor *out) {
    const double *bias = op_in(c, 2) ? op_in(c, 2)->data : NULL;
    double *y = out->data;
    const struct gemm_shape shape = gemm_shape_of(g->m, g->n, g->k, g->ta, g->tb);
    gemm_f64(&shape, (double)g->alpha, op_in(c, 0)->data, op_in(c, 1)->data, 0.0, y);
    if (bias)
        for (size_t i = 0; i < g->m; i++)
            for (size_t k = 0; k < g->n; k++)
                y[i * g->n + k] += (double)g->beta * bias[i * g->c_row + k * g->c_column];
}

/* Integers: sums wrap; a scale other than 1 is applied in double and cut to the type's range. */
static double limited(double v, double least, double most) {
    return v >= least ? (v < most ? v : most) : least;
}

#define INT_RUN(suffix, type, unsigned_type, least, most)                                          \
    static void run_##suffix(struct op_ctx *c, const struct gemm_args *g, struct tensor *out) {    \
        const type *a = op_in(c, 0)->data, *b = op_in(c, 1)->data;                                 \
        const type *bias = op_in(c, 2) ? op_in(c, 2)->data : NULL;                                 \
        type *y = out->data;                                                                       \
        const bool plain = g->alpha == 1.0f && g->beta == 1.0f;                                    \
        for (size_t i = 0; i < g->m; i++)                                                          \
            for (size_t n = 0; n < g->n; n++) {                                                    \
                unsigned_type sum = 0;                                                             \
                for (size_t k = 0; k < g->k; k++)                                                  \
                    sum += (unsigned_type)a[g->ta ? k * g->m + i : i * g->k + k] *                 \
                           (unsigned_type)b[g->tb ? n * g->k + k : k * g->n + n];                  \
                const type add = bias ? bias[i * g->c_row + n * g->c_column] : 0;                  \
                y[i * g->n + n] = plain ? (type)(sum + (unsigned_type)add)                         \
                                        : (type)limited((double)g->alpha * (double)(type)sum +     \
                                                            (double)g->beta * (double)add,         \
                                                        (double)(least), (double)(most));          \
            }                                                                                      \
    }
INT_RUN(i32, int32_t, uint32_t, INT32_MIN, INT32_MAX)
INT_RUN(u32, uint32_t, uint32_t, 0, UINT32_MAX)
/* The largest double below 2^63 and 2^64: the limits themselves round up, out of range. */
INT_RUN(i64, int64_t, uint64_t, INT64_MIN, 9223372036854774784.0)
INT_RUN(u64, uint64_t, uint64_t, 0, 18446744073709549568.0)

static enum status run(struct op_ctx *c) {
    struct tensor *y = op_out(c, 0);
    if (!y || y->count == 0)
        return STATUS_OK;
    struct gemm_args g;
    enum status s = parse(c, &g);
    if (s != STATUS_OK)
        return s;
    switch (y->dtype) {
    case DTYPE_DOUBLE:
        run_f64(c, &g, y);
        return STATUS_OK;
    case DTYPE_INT32:
        run_i32(c, &g, y);
        return STATUS_OK;
    case DTYPE_UINT32:
        run_u32(c, &g, y);
        return STATUS_OK;
    case DTYPE_INT64:
        run_i64(c, &g, y);
        return STATUS_OK;
    case DTYPE_UINT64:
        run_u64(c, &g, y);
        return STATUS_OK;
    default:
        return run_f32(c, &g);
    }
}

const struct op_row op_family_gemm[] = {
    {.name = "Gemm",
     .since = 1,
     .infer = infer,
     .run = run,
     .prepare = prepare,
     .pack_size = pack_size},
    OP_END,
};
