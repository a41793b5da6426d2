/* com.microsoft Inverse and CDist.
 *
 * Inverse: of each [N,N] matrix of a batch, by elimination with the greatest pivot of a column, in
 * double. A matrix that has none gives infinities or NaN, as the division does.
 * CDist: distances between the rows of A [M,N] and of B [K,N], "euclidean" or "sqeuclidean", from
 * the differences themselves: no two near rows lose their distance to rounding. */
#include "engine/ops/real.h"

#include <math.h>

static enum status inverse_infer(struct op_ctx *c) {
    enum status s = op_need(c, 0);
    if (s == STATUS_OK)
        s = op_need_dtype(c, 0, DT_FLOATS);
    if (s == STATUS_OK)
        s = op_need_rank(c, 0, 2, TENSOR_MAX_RANK);
    if (s != STATUS_OK)
        return s;
    const struct tensor *x = op_in(c, 0);
    if (x->dims[x->rank - 1] != x->dims[x->rank - 2])
        return op_fail(c, "the matrices are not square: %lld by %lld",
                       (long long)x->dims[x->rank - 2], (long long)x->dims[x->rank - 1]);
    return op_infer_like(c, 0, x);
}

/* a becomes the unit matrix by steps that make the unit matrix in `out` the inverse. */
static void invert(double *a, double *out, size_t n) {
    memset(out, 0, n * n * sizeof *out);
    for (size_t i = 0; i < n; i++)
        out[i * n + i] = 1;
    for (size_t k = 0; k < n; k++) {
        size_t best = k;
        for (size_t r = k + 1; r < n; r++)
            if (fabs(a[r * n + k]) > fabs(a[best * n + k]))
                best = r;
        for (size_t i = 0; i < n && best != k; i++) {
            const double x = a[k * n + i], y = out[k * n + i];
            a[k * n + i] = a[best * n + i];
            a[best * n + i] = x;
            out[k * n + i] = out[best * n + i];
            out[best * n + i] = y;
        }
        const double by = 1 / a[k * n + k];
        for (size_t i = 0; i < n; i++) {
            a[k * n + i] *= by;
            out[k * n + i] *= by;
        }
        for (size_t r = 0; r < n; r++) {
            const double f = a[r * n + k];
            for (size_t i = 0; r != k && i < n; i++) {
                a[r * n + i] -= f * a[k * n + i];
                out[r * n + i] -= f * out[k * n + i];
            }
        }
    }
}

static enum status inverse_run(struct op_ctx *c) {
    const struct tensor *x = op_in(c, 0);
    const double *from = NULL;
    double *to = NULL;
    enum status s = real_in(c, 0, &from);
    if (s == STATUS_OK)
        s = real_out(c, 0, &to);
    if (s != STATUS_OK || !to || x->count == 0)
        return s;
    const size_t n = (size_t)x->dims[x->rank - 1], each = n * n;
    double *work = op_scratch_array(c, each, sizeof *work);
    if (!work)
        return op_no_memory(c);
    for (size_t m = 0; m < (size_t)x->count / each; m++) {
        memcpy(work, from + m * each, each * sizeof *work);
        invert(work, to + m * each, n);
    }
    real_out_done(c, 0, to);
    return STATUS_OK;
}

static enum status distance_infer(struct op_ctx *c) {
    enum status s = op_need_all(c, 2);
    for (size_t i = 0; i < 2 && s == STATUS_OK; i++) {
        s = op_need_dtype(c, i, DT(FLOAT) | DT(DOUBLE));
        if (s == STATUS_OK)
            s = op_need_rank(c, i, 2, 2);
    }
    if (s == STATUS_OK)
        s = op_need_same(c, 1, 0);
    if (s != STATUS_OK)
        return s;
    const struct tensor *a = op_in(c, 0), *b = op_in(c, 1);
    const struct str metric = op_attr_str(c, "metric", "sqeuclidean");
    char text[64];
    if (!str_is(metric, "euclidean") && !str_is(metric, "sqeuclidean"))
        return op_fail(c, "metric \"%s\" is not served, expected euclidean or sqeuclidean",
                       graph_name_text(metric, text, sizeof text));
    if (a->dims[1] != b->dims[1])
        return op_fail(c, "A has rows of %lld, B of %lld", (long long)a->dims[1],
                       (long long)b->dims[1]);
    return op_infer(c, 0, a->dtype, 2, (int64_t[]){a->dims[0], b->dims[0]});
}

struct job {
    const double *a, *b;
    double *to;
    size_t rows, width; /* of b */
    bool root;
};

static void distances(void *arg, size_t begin, size_t end) {
    const struct job *j = arg;
    for (size_t i = begin; i < end; i++)
        for (size_t k = 0; k < j->rows; k++) {
            double sum = 0;
            for (size_t d = 0; d < j->width; d++) {
                const double by = j->a[i * j->width + d] - j->b[k * j->width + d];
                sum += by * by;
            }
            j->to[i * j->rows + k] = j->root ? sqrt(sum) : sum;
        }
}

static enum status distance_run(struct op_ctx *c) {
    const struct tensor *b = op_in(c, 1);
    struct job j = {.rows = (size_t)b->dims[0],
                    .width = (size_t)b->dims[1],
                    .root = str_is(op_attr_str(c, "metric", "sqeuclidean"), "euclidean")};
    enum status s = real_in(c, 0, &j.a);
    if (s == STATUS_OK)
        s = real_in(c, 1, &j.b);
    if (s == STATUS_OK)
        s = real_out(c, 0, &j.to);
    if (s != STATUS_OK || !j.to)
        return s;
    const size_t row = j.rows * (j.width + 1) + 1;
    op_parallel(c, (size_t)op_in(c, 0)->dims[0], OP_SHARED_WORK / row + 1, distances, &j);
    real_out_done(c, 0, j.to);
    return STATUS_OK;
}

#define MICROSOFT "com.microsoft"

const struct op_row op_family_ms_matrix[] = {
    {.domain = MICROSOFT,
     .name = "Inverse",
     .since = 1,
     .infer = inverse_infer,
     .run = inverse_run},
    {.domain = MICROSOFT,
     .name = "CDist",
     .since = 1,
     .infer = distance_infer,
     .run = distance_run},
    OP_END,
};
