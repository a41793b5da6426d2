/* DeformConv (two spatial dimensions): a convolution whose every kernel position is moved by an
 * offset from data, read by bilinear interpolation (zero outside), and scaled by a mask. Computed
 * in double: for each image and group the matrix of samples, then its product with the weights. */
#include "engine/kernels/gemm.h"
#include "engine/ops/conv.h"
#include "engine/ops/real.h"

#include <math.h>

enum { X, W, OFFSET, BIAS, MASK };

static enum status check_data(struct op_ctx *c, size_t i, const struct conv *v, int64_t channels) {
    const struct tensor *t = op_in(c, i);
    if (!t)
        return STATUS_OK;
    if (t->rank != 4 || t->dims[0] != (int64_t)v->batch || t->dims[1] != channels ||
        t->dims[2] != v->w.out[1] || t->dims[3] != v->w.out[2])
        return op_fail(c, "input %zu must have shape [%zu,%lld,%lld,%lld]", i, v->batch,
                       (long long)channels, (long long)v->w.out[1], (long long)v->w.out[2]);
    return STATUS_OK;
}

static enum status parse(struct op_ctx *c, struct conv *v, int64_t *offset_groups) {
    enum status s = conv_parse(c, op_in(c, X), op_in(c, W), op_in(c, BIAS), v);
    if (s != STATUS_OK)
        return s;
    const int64_t channels = op_in(c, X)->dims[1], groups = op_attr_int(c, "offset_group", 1);
    if (groups < 1 || channels % groups != 0)
        return op_fail(c, "offset_group is %lld for %lld channels", (long long)groups,
                       (long long)channels);
    int64_t positions = 0;
    if (__builtin_mul_overflow(groups, v->w.kernel_size, &positions) || positions > INT64_MAX / 2)
        return op_fail(c, "offset_group is too large");
    *offset_groups = groups;
    s = check_data(c, OFFSET, v, 2 * positions);
    return s == STATUS_OK ? check_data(c, MASK, v, positions) : s;
}

static enum status infer(struct op_ctx *c) {
    enum status s = op_need_all(c, 3);
    if (s == STATUS_OK)
        s = op_need_dtype(c, X, DT_FLOATS);
    for (size_t i = W; i <= MASK && s == STATUS_OK; i++)
        s = op_need_same(c, i, X);
    if (s == STATUS_OK)
        s = op_need_rank(c, X, 4, 4);
    struct conv v;
    int64_t groups = 0;
    if (s == STATUS_OK)
        s = parse(c, &v, &groups);
    if (s != STATUS_OK)
        return s;
    int64_t dims[TENSOR_MAX_RANK];
    const int rank = conv_out_dims(&v, dims);
    return op_infer(c, 0, op_in(c, X)->dtype, rank, dims);
}

struct job {
    struct conv v;
    int64_t offset_groups;
    const double *x, *offset, *mask;
    double *columns; /* [channels * kernel][out] of one group of one image */
    size_t batch, group;
};

static double sample(const struct window *w, const double *plane, double y, double x) {
    const int64_t h = w->in[1], width = w->in[2];
    if (!(y > -1 && y < (double)h && x > -1 && x < (double)width))
        return 0;
    const double top = floor(y), left = floor(x), ly = y - top, lx = x - left;
    const int64_t t = (int64_t)top, l = (int64_t)left;
    double sum = 0;
    for (int64_t dy = 0; dy < 2; dy++)
        for (int64_t dx = 0; dx < 2; dx++) {
            const int64_t r = t + dy, k = l + dx;
            if (r >= 0 && r < h && k >= 0 && k < width)
                sum += (dy ? ly : 1 - ly) * (dx ? lx : 1 - lx) * plane[r * width + k];
        }
    return sum;
}

/* Rows of the matrix: channel of the group times kernel position. */
static void sample_rows(void *arg, size_t begin, size_t end) {
    const struct job *j = arg;
    const struct window *w = &j->v.w;
    const size_t kernel = (size_t)w->kernel_size, all = (size_t)w->out_size;
    const size_t channels = j->v.groups * j->v.channels;
    const size_t each = channels / (size_t)j->offset_groups;
    for (size_t r = begin; r < end; r++) {
        const size_t channel = j->group * j->v.channels + r / kernel, k = r % kernel;
        const size_t place = (j->batch * (size_t)j->offset_groups + channel / each) * kernel + k;
        const double *plane = j->x + (j->batch * channels + channel) * (size_t)w->in_size;
        const double *dy = j->offset + 2 * place * all, *dx = dy + all;
        const double *mask = j->mask ? j->mask + place * all : NULL;
        const int64_t ky = (int64_t)k / w->kernel[2], kx = (int64_t)k % w->kernel[2];
        for (size_t o = 0; o < all; o++) {
            const int64_t oy = (int64_t)o / w->out[2], ox = (int64_t)o % w->out[2];
            const int64_t y = oy * w->stride[1] - w->begin[1] + ky * w->dilation[1];
            const int64_t x = ox * w->stride[2] - w->begin[2] + kx * w->dilation[2];
            const double v = sample(w, plane, (double)y + dy[o], (double)x + dx[o]);
            j->columns[r * all + o] = mask ? v * mask[o] : v;
        }
    }
}

static enum status run(struct op_ctx *c) {
    struct job j = {0};
    const double *weights = NULL, *bias = NULL;
    double *y = NULL;
    if (!op_out(c, 0) || op_out(c, 0)->count == 0)
        return STATUS_OK;
    enum status s = parse(c, &j.v, &j.offset_groups);
    if (s == STATUS_OK)
        s = real_in(c, X, &j.x);
    if (s == STATUS_OK)
        s = real_in(c, W, &weights);
    if (s == STATUS_OK)
        s = real_in(c, OFFSET, &j.offset);
    if (s == STATUS_OK && op_in(c, BIAS))
        s = real_in(c, BIAS, &bias);
    if (s == STATUS_OK && op_in(c, MASK))
        s = real_in(c, MASK, &j.mask);
    if (s == STATUS_OK)
        s = real_out(c, 0, &y);
    if (s != STATUS_OK)
        return s;
    const struct conv *v = &j.v;
    const size_t k = v->channels * (size_t)v->w.kernel_size, all = (size_t)v->w.out_size;
    j.columns = op_scratch_array(c, k, all * sizeof *j.columns);
    if (!j.columns)
        return op_no_memory(c);
    const struct gemm_shape g = gemm_shape_of(v->filters, all, k, false, false);
    for (size_t i = 0; i < v->batch * v->groups; i++) {
        j.batch = i / v->groups;
        j.group = i % v->groups;
        op_parallel(c, k, 1, sample_rows, &j);
        double *out = y + i * v->filters * all;
        gemm_f64(&g, 1.0, weights + j.group * v->filters * k, j.columns, 0.0, out);
        for (size_t f = 0; bias && f < v->filters; f++)
            for (size_t o = 0; o < all; o++)
                out[f * all + o] += bias[j.group * v->filters + f];
    }
    real_out_done(c, 0, y);
    return STATUS_OK;
}

const struct op_row op_family_deform_conv[] = {
    {.name = "DeformConv", .since = 19, .infer = infer, .run = run},
    OP_END,
};
