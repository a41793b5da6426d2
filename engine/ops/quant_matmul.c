/* MatMulInteger and QLinearMatMul: the product of two quantised tensors, exact, then stored as
 * int32 or scaled back to a quantised type, an 8-bit float included. Zero points and scales are
 * single, one for each row of A and each column of B, or one for each row or column of every
 * matrix. */
#include "engine/kernels/gemm.h"
#include "engine/ops/matmul.h"
#include "engine/ops/quant.h"
#include "engine/ops/real.h"

/* How many parameters there may be: `lines` in a matrix, `all` in the tensor. */
static enum status check_count(struct op_ctx *c, size_t i, size_t lines, size_t all) {
    const struct tensor *t = op_in(c, i);
    const size_t n = t ? (size_t)t->count : 1;
    if (n == 1 || n == lines || n == all)
        return STATUS_OK;
    return op_fail(c, "input %zu has %zu elements, expected 1 or %zu", i, n, lines);
}

static enum status check_sides(struct op_ctx *c, const struct matmul *m, size_t a, size_t b) {
    enum status s = check_count(c, a, m->m, m->m * m->a_matrices);
    return s == STATUS_OK ? check_count(c, b, m->n, m->n * m->b_matrices) : s;
}

static enum status integer_infer(struct op_ctx *c) {
    enum status s = op_need_all(c, 2);
    for (size_t i = 0; i < 2 && s == STATUS_OK; i++) {
        s = op_need_dtype(c, i, QUANT_BYTES);
        if (s == STATUS_OK)
            s = op_need_same(c, 2 + i, i);
    }
    struct matmul m;
    if (s == STATUS_OK)
        s = matmul_shape(c, op_in(c, 0), op_in(c, 1), false, false, &m);
    if (s == STATUS_OK)
        s = check_sides(c, &m, 2, 3);
    return s == STATUS_OK ? op_infer(c, 0, DTYPE_INT32, m.out_rank, m.out_dims) : s;
}

enum { A, A_SCALE, A_ZERO, B, B_SCALE, B_ZERO, Y_SCALE, Y_ZERO, LINEAR_INPUTS };

static enum status linear_infer(struct op_ctx *c) {
    enum status s = op_need_all(c, LINEAR_INPUTS);
    for (size_t i = A; i <= Y_SCALE && s == STATUS_OK; i += 3) {
        const size_t scale = i == Y_SCALE ? i : i + 1, zero = scale + 1;
        s = op_need_dtype(c, scale, DT_FLOATS);
        if (s == STATUS_OK)
            s = op_need_dtype(c, zero, QUANT_BYTES | DT_TINY_FLOATS);
        if (s == STATUS_OK && i != Y_SCALE)
            s = op_need_same(c, i, zero);
    }
    struct matmul m;
    if (s == STATUS_OK)
        s = matmul_shape(c, op_in(c, A), op_in(c, B), false, false, &m);
    if (s == STATUS_OK)
        s = check_sides(c, &m, A_SCALE, B_SCALE);
    if (s == STATUS_OK)
        s = check_sides(c, &m, A_ZERO, B_ZERO);
    if (s == STATUS_OK && (op_in(c, Y_SCALE)->count != 1 || op_in(c, Y_ZERO)->count != 1))
        return op_fail(c, "the output must have one scale and one zero point");
    if (s != STATUS_OK)
        return s;
    return op_infer(c, 0, op_in(c, Y_ZERO)->dtype, m.out_rank, m.out_dims);
}

/* Number of the parameter for line `line` of matrix `matrix`. */
static size_t parameter(size_t count, size_t lines, size_t matrix, size_t line) {
    return count == 1 ? 0 : count == lines ? line : matrix * lines + line;
}

/* Input `at` minus its zero points; `by_row`: they belong to rows. */
static enum status load(struct op_ctx *c, size_t at, size_t zero, size_t matrices, size_t rows,
                        size_t columns, bool by_row, double **out) {
    const struct tensor *t = op_in(c, at);
    double *values = op_scratch_array(c, (size_t)t->count, sizeof *values);
    if (!values)
        return op_no_memory(c);
    const double *zeros = NULL;
    size_t n = 0;
    enum status s = quant_zero_points(c, zero, 1, &zeros, &n);
    if (s != STATUS_OK)
        return s;
    quant_load(t->dtype, t->data, (size_t)t->count, values);
    const size_t lines = by_row ? rows : columns;
    for (size_t m = 0, i = 0; m < matrices; m++)
        for (size_t r = 0; r < rows; r++)
            for (size_t k = 0; k < columns; k++, i++)
                values[i] -= zeros[parameter(n, lines, m, by_row ? r : k)];
    *out = values;
    return STATUS_OK;
}

struct finish {
    const double *a_scale, *b_scale; /* NULL: int32 */
    size_t a_scales, b_scales;
    double y_scale, y_zero;
};

static void store(const struct matmul *m, const struct finish *f, const double *sums, size_t batch,
                  struct tensor *y) {
    size_t ia = 0, ib = 0;
    matmul_batch(m, batch, &ia, &ib);
    for (size_t r = 0; r < m->m; r++)
        for (size_t k = 0; k < m->n; k++) {
            const double sum = sums[r * m->n + k];
            const size_t at = (batch * m->m + r) * m->n + k;
            if (!f->a_scale) {
                ((int32_t *)y->data)[at] = (int32_t)(uint32_t)(int64_t)sum;
                continue;
            }
            const double scale = f->a_scale[parameter(f->a_scales, m->m, ia, r)] *
                                 f->b_scale[parameter(f->b_scales, m->n, ib, k)] / f->y_scale;
            quant_store(y->dtype, y->data, at, (double)(float)(sum * scale), f->y_zero);
        }
}

static enum status multiply(struct op_ctx *c, const size_t at[4], const struct finish *f) {
    struct tensor *y = op_out(c, 0);
    struct matmul m;
    enum status s = matmul_shape(c, op_in(c, at[0]), op_in(c, at[1]), false, false, &m);
    double *a = NULL, *b = NULL;
    if (s == STATUS_OK)
        s = load(c, at[0], at[2], m.a_matrices, m.m, m.k, true, &a);
    if (s == STATUS_OK)
        s = load(c, at[1], at[3], m.b_matrices, m.k, m.n, false, &b);
    if (s != STATUS_OK)
        return s;
    double *sums = op_scratch_array(c, m.m * m.n, sizeof *sums);
    if (!sums)
        return op_no_memory(c);
    const struct gemm_shape g = gemm_shape_of(m.m, m.n, m.k, false, false);
    for (size_t i = 0; i < m.batches; i++) {
        size_t ia = 0, ib = 0;
        matmul_batch(&m, i, &ia, &ib);
        gemm_f64(&g, 1.0, a + ia * m.m * m.k, b + ib * m.k * m.n, 0.0, sums);
        store(&m, f, sums, i, y);
    }
    return STATUS_OK;
}

static enum status integer_run(struct op_ctx *c) {
    const struct finish f = {0};
    if (!op_out(c, 0) || op_out(c, 0)->count == 0)
        return STATUS_OK;
    return multiply(c, (const size_t[]){0, 1, 2, 3}, &f);
}

static enum status linear_run(struct op_ctx *c) {
    if (!op_out(c, 0) || op_out(c, 0)->count == 0)
        return STATUS_OK;
    struct finish f = {.a_scales = (size_t)op_in(c, A_SCALE)->count,
                       .b_scales = (size_t)op_in(c, B_SCALE)->count};
    const double *y_scale = NULL, *y_zero = NULL;
    size_t n = 0;
    enum status s = real_in(c, A_SCALE, &f.a_scale);
    if (s == STATUS_OK)
        s = real_in(c, B_SCALE, &f.b_scale);
    if (s == STATUS_OK)
        s = real_in(c, Y_SCALE, &y_scale);
    if (s == STATUS_OK)
        s = quant_zero_points(c, Y_ZERO, 1, &y_zero, &n);
    if (s != STATUS_OK)
        return s;
    f.y_scale = *y_scale;
    f.y_zero = *y_zero;
    return multiply(c, (const size_t[]){A, B, A_ZERO, B_ZERO}, &f);
}

const struct op_row op_family_quant_matmul[] = {
    {.name = "MatMulInteger", .since = 10, .infer = integer_infer, .run = integer_run},
    {.name = "QLinearMatMul", .since = 10, .infer = linear_infer, .run = linear_run},
    OP_END,
};
