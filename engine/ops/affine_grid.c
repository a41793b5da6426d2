/* AffineGrid: the grid of coordinates, -1 to 1, that an affine map of the output's pixels gives, in
 * two or three dimensions; GridSample reads with it. */
#include "engine/ops/real.h"

static enum status infer(struct op_ctx *c) {
    enum status s = op_need_all(c, 2);
    if (s == STATUS_OK)
        s = op_need_dtype(c, 0, DT_FLOATS);
    if (s == STATUS_OK)
        s = op_need_rank(c, 0, 3, 3);
    if (s != STATUS_OK)
        return s;
    if (!op_in(c, 1)->data)
        return op_infer_later(c);
    int64_t size[TENSOR_MAX_RANK];
    size_t count = 0;
    s = op_in_ints(c, 1, size, TENSOR_MAX_RANK, &count);
    if (s != STATUS_OK)
        return s;
    const struct tensor *theta = op_in(c, 0);
    const int64_t n = (int64_t)count - 2;
    if (n < 2 || n > 3)
        return op_fail(c, "size has %zu numbers, expected 4 or 5", count);
    if (theta->dims[0] != size[0] || theta->dims[1] != n || theta->dims[2] != n + 1)
        return op_fail(c, "theta must have shape [%lld,%lld,%lld]", (long long)size[0],
                       (long long)n, (long long)n + 1);
    int64_t dims[TENSOR_MAX_RANK] = {size[0]};
    for (int64_t d = 0; d < n; d++) {
        dims[1 + d] = size[2 + d];
        if (size[2 + d] < 1)
            return op_fail(c, "size holds %lld, expected at least 1", (long long)size[2 + d]);
    }
    dims[1 + n] = n;
    return op_infer(c, 0, theta->dtype, (int)n + 2, dims);
}

struct job {
    const struct tensor *y;
    const double *theta;
    double *out;
    int n;
    bool align;
};

/* Where pixel i of `size` lies between -1 and 1: corners, or centres of pixels. */
static double coordinate(bool align, int64_t i, int64_t size) {
    if (align)
        return size > 1 ? 2.0 * (double)i / (double)(size - 1) - 1 : -1;
    return (2.0 * (double)i + 1) / (double)size - 1;
}

static void points(void *arg, size_t begin, size_t end) {
    const struct job *j = arg;
    const int n = j->n;
    for (size_t p = begin; p < end; p++) {
        double at[4] = {0}; /* x first, and a 1 at the end */
        int64_t rest = (int64_t)p;
        for (int d = n - 1; d >= 0; d--) {
            at[n - 1 - d] = coordinate(j->align, rest % j->y->dims[1 + d], j->y->dims[1 + d]);
            rest /= j->y->dims[1 + d];
        }
        at[n] = 1;
        const double *theta = j->theta + rest * n * (n + 1);
        for (int r = 0; r < n; r++) {
            double sum = 0;
            for (int k = 0; k <= n; k++)
                sum += theta[r * (n + 1) + k] * at[k];
            j->out[p * (size_t)n + (size_t)r] = sum;
        }
    }
}

static enum status run(struct op_ctx *c) {
    struct job j = {.y = op_out(c, 0), .align = op_attr_int(c, "align_corners", 0) != 0};
    if (!j.y || j.y->count == 0)
        return STATUS_OK;
    enum status s = real_in(c, 0, &j.theta);
    if (s == STATUS_OK)
        s = real_out(c, 0, &j.out);
    if (s != STATUS_OK)
        return s;
    j.n = j.y->rank - 2;
    op_parallel(c, (size_t)(j.y->count / j.n), 1024, points, &j);
    real_out_done(c, 0, j.out);
    return STATUS_OK;
}

const struct op_row op_family_affine_grid[] = {
    {.name = "AffineGrid", .since = 20, .infer = infer, .run = run},
    OP_END,
};
