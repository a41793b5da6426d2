/* Det: determinants of square matrices, by elimination with row exchanges, in double. */
#include "engine/ops/op.h"

#include <math.h>

static enum status det_infer(struct op_ctx *c) {
    enum status s = op_need(c, 0);
    if (s == STATUS_OK)
        s = op_need_dtype(c, 0, DT_FLOATS);
    if (s == STATUS_OK)
        s = op_need_rank(c, 0, 2, TENSOR_MAX_RANK);
    if (s != STATUS_OK)
        return s;
    const struct tensor *x = op_in(c, 0);
    if (x->dims[x->rank - 1] != x->dims[x->rank - 2])
        return op_fail(c, "matrices are %lld by %lld, must be square",
                       (long long)x->dims[x->rank - 2], (long long)x->dims[x->rank - 1]);
    return op_infer(c, 0, x->dtype, x->rank - 2, x->dims);
}

/* a is overwritten. The determinant of no rows is 1. */
static double determinant(double *a, size_t n) {
    double det = 1;
    for (size_t k = 0; k < n; k++) {
        size_t pivot = k;
        for (size_t i = k + 1; i < n; i++)
            if (fabs(a[i * n + k]) > fabs(a[pivot * n + k]))
                pivot = i;
        if (a[pivot * n + k] == 0)
            return 0;
        if (pivot != k) {
            det = -det;
            for (size_t j = k; j < n; j++) {
                double t = a[k * n + j];
                a[k * n + j] = a[pivot * n + j];
                a[pivot * n + j] = t;
            }
        }
        det *= a[k * n + k];
        for (size_t i = k + 1; i < n; i++) {
            double f = a[i * n + k] / a[k * n + k];
            for (size_t j = k + 1; j < n; j++)
                a[i * n + j] -= f * a[k * n + j];
        }
    }
    return det;
}

static enum status det_run(struct op_ctx *c) {
    const struct tensor *x = op_in(c, 0);
    struct tensor *y = op_out(c, 0);
    if (!y || y->count == 0)
        return STATUS_OK;
    size_t n = (size_t)x->dims[x->rank - 1];
    const float *from = NULL;
    float *to = NULL;
    bool wide = x->dtype == DTYPE_DOUBLE;
    enum status s = STATUS_OK;
    if (!wide)
        s = op_in_f32(c, 0, &from);
    if (s == STATUS_OK && !wide)
        s = op_out_f32(c, 0, &to);
    if (s != STATUS_OK)
        return s;
    double *a = op_scratch_array(c, n * n, sizeof *a);
    if (!a)
        return op_no_memory(c);
    for (size_t m = 0; m < (size_t)y->count; m++) {
        for (size_t i = 0; i < n * n; i++)
            a[i] = wide ? ((const double *)x->data)[m * n * n + i] : (double)from[m * n * n + i];
        double d = determinant(a, n);
        if (wide)
            ((double *)y->data)[m] = d;
        else
            to[m] = (float)d;
    }
    if (!wide)
        op_out_f32_done(c, 0, to);
    return STATUS_OK;
}

const struct op_row op_family_det[] = {
    {.name = "Det", .since = 11, .infer = det_infer, .run = det_run},
    OP_END,
};
