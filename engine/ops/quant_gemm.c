/* com.microsoft QGemm: alpha * A B + C over quantised A and B, exact, as a quantised tensor, or as
 * float where no scale of the result is given. C is int32 in steps of alpha * a_scale * b_scale. */
#include "engine/kernels/gemm.h"
#include "engine/ops/quant.h"

enum { A, A_SCALE, A_ZERO, B, B_SCALE, B_ZERO, C, Y_SCALE, Y_ZERO };

struct shape {
    bool ta, tb;
    int64_t m, n, k;
};

static enum status one_or(struct op_ctx *c, size_t i, int64_t many) {
    const struct tensor *t = op_in(c, i);
    return !t || t->count == 1 || t->count == many
               ? STATUS_OK
               : op_fail(c, "input %zu has %lld elements, expected 1 or %lld", i,
                         (long long)t->count, (long long)many);
}

static enum status parse(struct op_ctx *c, struct shape *s) {
    const struct tensor *a = op_in(c, A), *b = op_in(c, B);
    s->ta = op_attr_int(c, "transA", 0) != 0;
    s->tb = op_attr_int(c, "transB", 0) != 0;
    s->m = a->dims[s->ta ? 1 : 0];
    s->k = a->dims[s->ta ? 0 : 1];
    s->n = b->dims[s->tb ? 0 : 1];
    const int64_t other = b->dims[s->tb ? 1 : 0];
    return s->k == other
               ? STATUS_OK
               : op_fail(c, "A has %lld columns, B %lld rows", (long long)s->k, (long long)other);
}

static enum status infer(struct op_ctx *c) {
    enum status st = op_need_all(c, 6);
    for (size_t i = A; i <= B && st == STATUS_OK; i += B) {
        st = op_need_rank(c, i, 2, 2);
        if (st == STATUS_OK)
            st = op_need_dtype(c, i, QUANT_BYTES);
        if (st == STATUS_OK)
            st = op_need_dtype(c, i + 1, DT(FLOAT));
        if (st == STATUS_OK)
            st = op_need_same(c, i + 2, i);
    }
    if (st == STATUS_OK)
        st = op_need_dtype(c, C, DT(INT32));
    if (st == STATUS_OK)
        st = op_need_dtype(c, Y_SCALE, DT(FLOAT));
    if (st == STATUS_OK)
        st = op_need_dtype(c, Y_ZERO, QUANT_BYTES);
    struct shape s = {0};
    if (st == STATUS_OK)
        st = parse(c, &s);
    for (size_t i = A_SCALE; i <= A_ZERO && st == STATUS_OK; i++)
        st = one_or(c, i, 1);
    for (size_t i = B_SCALE; i <= B_ZERO && st == STATUS_OK; i++)
        st = one_or(c, i, s.n);
    for (size_t i = Y_SCALE; i <= Y_ZERO && st == STATUS_OK; i++)
        st = one_or(c, i, 1);
    if (st != STATUS_OK)
        return st;
    const struct tensor *bias = op_in(c, C), *zero = op_in(c, Y_ZERO);
    const int64_t dims[2] = {s.m, s.n};
    for (int d = 0; bias && d < bias->rank; d++) {
        const int at = 2 - bias->rank + d;
        if (at < 0 || (bias->dims[d] != 1 && bias->dims[d] != dims[at]))
            return op_fail(c, "C does not broadcast to [%lld,%lld]", (long long)s.m,
                           (long long)s.n);
    }
    if (!op_in(c, Y_SCALE) != !zero)
        return op_fail(c, "y_scale and y_zero_point must be given together");
    return op_infer(c, 0, zero ? zero->dtype : DTYPE_FLOAT, 2, dims);
}

/* Input i without its zero point; columns of B have their own. */
static enum status widen(struct op_ctx *c, size_t i, bool by_row, double **out) {
    const struct tensor *t = op_in(c, i);
    const double *zeros = NULL;
    size_t n = 0;
    enum status s = quant_zero_points(c, i + 2, 1, &zeros, &n);
    if (s != STATUS_OK)
        return s;
    *out = op_scratch_array(c, (size_t)t->count, sizeof **out);
    if (!*out)
        return op_no_memory(c);
    quant_load(t->dtype, t->data, (size_t)t->count, *out);
    for (int64_t k = 0; k < t->count; k++) {
        const int64_t line = by_row ? k / t->dims[1] : k % t->dims[1];
        (*out)[k] -= zeros[n == 1 ? 0 : line];
    }
    return STATUS_OK;
}

static enum status run(struct op_ctx *c) {
    struct tensor *y = op_out(c, 0);
    if (!y || y->count == 0)
        return STATUS_OK;
    struct shape s = {0};
    double *a = NULL, *b = NULL;
    enum status st = parse(c, &s);
    if (st == STATUS_OK)
        st = widen(c, A, false, &a);
    if (st == STATUS_OK)
        st = widen(c, B, s.tb, &b);
    if (st != STATUS_OK)
        return st;
    double *sums = op_scratch_array(c, (size_t)y->count, sizeof *sums);
    if (!sums)
        return op_no_memory(c);
    memset(sums, 0, (size_t)y->count * sizeof *sums);
    const struct gemm_shape g = gemm_shape_of((size_t)s.m, (size_t)s.n, (size_t)s.k, s.ta, s.tb);
    if (s.k > 0)
        gemm_f64(&g, 1.0, a, b, 0.0, sums);
    const struct tensor *bias = op_in(c, C), *zero = op_in(c, Y_ZERO), *scales = op_in(c, B_SCALE);
    const int64_t row = bias && bias->rank > 0 && bias->dims[bias->rank - 1] != 1 ? 1 : 0;
    const int64_t column = bias && bias->rank == 2 && bias->dims[0] != 1 ? (row ? s.n : 1) : 0;
    const double by_a =
        (double)(op_attr_float(c, "alpha", 1.0f) * *(const float *)op_in(c, A_SCALE)->data);
    double y_zero = 0;
    if (zero)
        quant_load(zero->dtype, zero->data, 1, &y_zero);
    for (int64_t i = 0; i < y->count; i++) {
        const int64_t m = i / s.n, n = i % s.n;
        double v = sums[i];
        if (bias)
            v += (double)((const int32_t *)bias->data)[m * column + n * row];
        v *= by_a * (double)((const float *)scales->data)[scales->count == 1 ? 0 : n];
        if (zero)
            quant_store(y->dtype, y->data, (size_t)i,
                        (double)(float)(v / (double)*(const float *)op_in(c, Y_SCALE)->data),
                        y_zero);
        else
            ((float *)y->data)[i] = (float)v;
    }
    return STATUS_OK;
}

const struct op_row op_family_quant_gemm[] = {
    {.domain = "com.microsoft", .name = "QGemm", .since = 1, .infer = infer, .run = run},
    OP_END,
};
