/* RoiAlign and MaxRoiPool: a fixed grid of values from each region of interest. Batch indices from
 * data are checked; a coordinate that is not a number, or outside, reads nothing. */
#include "engine/ops/real.h"

#include <math.h>

#define SAMPLES_MAX 16777216.0 /* points of one region: bounds the work a region can ask for */

static enum status parse_pooled(struct op_ctx *c, int64_t height, int64_t width) {
    if (height < 1 || width < 1 || height > INT32_MAX || width > INT32_MAX)
        return op_fail(c, "the output is %lld by %lld, expected at least 1", (long long)height,
                       (long long)width);
    return STATUS_OK;
}

static enum status need_image(struct op_ctx *c, size_t inputs, int64_t columns) {
    enum status s = op_need_all(c, inputs);
    if (s == STATUS_OK)
        s = op_need_dtype(c, 0, DT_FLOATS);
    if (s == STATUS_OK)
        s = op_need_rank(c, 0, 4, 4);
    if (s == STATUS_OK)
        s = op_need_dtype(c, 1, DT_FLOATS);
    if (s == STATUS_OK)
        s = op_need_rank(c, 1, 2, 2);
    if (s == STATUS_OK && op_in(c, 1)->dims[1] != columns)
        return op_fail(c, "rois has %lld columns, expected %lld", (long long)op_in(c, 1)->dims[1],
                       (long long)columns);
    return s;
}

struct job {
    const struct tensor *image;
    const double *x, *rois;
    double *y;
    int64_t height, width; /* of the output */
    int64_t batch;         /* of the region */
    int64_t region;
    double scale, offset;
    int64_t ratio;
    bool max;
};

/* ---- RoiAlign ---- */

static enum status align_infer(struct op_ctx *c) {
    enum status s = need_image(c, 3, 4);
    if (s == STATUS_OK)
        s = op_need_dtype(c, 2, DT(INT64));
    if (s == STATUS_OK && (op_in(c, 2)->rank != 1 || op_in(c, 2)->dims[0] != op_in(c, 1)->dims[0]))
        return op_fail(c, "batch_indices must have one number for each of %lld regions",
                       (long long)op_in(c, 1)->dims[0]);
    const int64_t height = op_attr_int(c, "output_height", 1);
    const int64_t width = op_attr_int(c, "output_width", 1);
    if (s == STATUS_OK)
        s = parse_pooled(c, height, width);
    const struct str mode = op_attr_str(c, "mode", "avg");
    if (s == STATUS_OK && !str_is(mode, "avg") && !str_is(mode, "max"))
        return op_fail(c, "mode must be avg or max");
    const int64_t ratio = op_attr_int(c, "sampling_ratio", 0);
    if (s == STATUS_OK && (ratio < 0 || ratio > 4096))
        return op_fail(c, "sampling_ratio is %lld, expected 0 to 4096", (long long)ratio);
    if (s != STATUS_OK)
        return s;
    const struct tensor *x = op_in(c, 0);
    return op_infer(c, 0, x->dtype, 4,
                    (int64_t[]){op_in(c, 1)->dims[0], x->dims[1], height, width});
}

/* The four pixels around a point and their weights; false where the point is outside. */
static bool around(const struct job *j, double y, double x, int64_t at[4], double weight[4]) {
    const int64_t h = j->image->dims[2], w = j->image->dims[3];
    if (!(y >= -1 && y <= (double)h && x >= -1 && x <= (double)w) || h < 1 || w < 1)
        return false;
    y = y > 0 ? y : 0;
    x = x > 0 ? x : 0;
    int64_t top = (int64_t)y, left = (int64_t)x, bottom = top + 1, right = left + 1;
    if (top >= h - 1) {
        top = bottom = h - 1;
        y = (double)top;
    }
    if (left >= w - 1) {
        left = right = w - 1;
        x = (double)left;
    }
    const double ly = y - (double)top, lx = x - (double)left;
    at[0] = top * w + left;
    at[1] = top * w + right;
    at[2] = bottom * w + left;
    at[3] = bottom * w + right;
    weight[0] = (1 - ly) * (1 - lx);
    weight[1] = (1 - ly) * lx;
    weight[2] = ly * (1 - lx);
    weight[3] = ly * lx;
    return true;
}

/* Mean (or largest weighted pixel) of the samples of one bin, for one channel. */
struct bin {
    double top, left, height, width;
    int64_t rows, columns;
};

static double sample_bin(const struct job *j, const struct bin *b, const double *plane) {
    double sum = 0;
    bool any = false;
    for (int64_t iy = 0; iy < b->rows; iy++)
        for (int64_t ix = 0; ix < b->columns; ix++) {
            int64_t at[4] = {0};
            double w[4] = {0}, value = 0;
            const double y = b->top + ((double)iy + 0.5) * b->height / (double)b->rows;
            const double x = b->left + ((double)ix + 0.5) * b->width / (double)b->columns;
            if (around(j, y, x, at, w))
                for (int k = 0; k < 4; k++) {
                    const double v = w[k] * plane[at[k]];
                    value = !j->max ? value + v : k == 0 || v > value ? v : value;
                }
            sum = !j->max ? sum + value : !any || value > sum ? value : sum;
            any = true;
        }
    const int64_t count = b->rows * b->columns;
    return j->max || count < 1 ? sum : sum / (double)count;
}

static void align_channels(void *arg, size_t begin, size_t end) {
    const struct job *j = arg;
    const double *roi = j->rois + 4 * j->region;
    const int64_t space = j->image->dims[2] * j->image->dims[3], bins = j->height * j->width;
    const double left = roi[0] * j->scale - j->offset, top = roi[1] * j->scale - j->offset;
    double width = roi[2] * j->scale - j->offset - left;
    double height = roi[3] * j->scale - j->offset - top;
    if (j->offset == 0) {
        width = width > 1 ? width : 1;
        height = height > 1 ? height : 1;
    }
    struct bin b = {.height = height / (double)j->height, .width = width / (double)j->width};
    b.rows = j->ratio > 0 ? j->ratio : b.height > 0 ? (int64_t)ceil(b.height) : 0;
    b.columns = j->ratio > 0 ? j->ratio : b.width > 0 ? (int64_t)ceil(b.width) : 0;
    for (size_t ch = begin; ch < end; ch++) {
        const double *plane = j->x + (j->batch * j->image->dims[1] + (int64_t)ch) * space;
        double *y = j->y + (j->region * j->image->dims[1] + (int64_t)ch) * bins;
        for (int64_t i = 0; i < bins; i++) {
            b.top = top + (double)(i / j->width) * b.height;
            b.left = left + (double)(i % j->width) * b.width;
            y[i] = sample_bin(j, &b, plane);
        }
    }
}

static enum status check_region(struct op_ctx *c, const struct job *j) {
    const double *roi = j->rois + 4 * j->region;
    for (int k = 0; k < 4; k++)
        if (!isfinite(roi[k]))
            return op_fail(c, "region %lld has a coordinate that is not finite",
                           (long long)j->region);
    const double height = fmax(1, (roi[3] - roi[1]) * j->scale),
                 width = fmax(1, (roi[2] - roi[0]) * j->scale);
    if (j->ratio == 0 && !(height * width <= SAMPLES_MAX))
        return op_fail(c, "region %lld is larger than %g pixels", (long long)j->region,
                       SAMPLES_MAX);
    return STATUS_OK;
}

static enum status align_run(struct op_ctx *c) {
    if (!op_out(c, 0) || op_out(c, 0)->count == 0)
        return STATUS_OK;
    const bool half =
        op_opset(c) >= 16 &&
        str_is(op_attr_str(c, "coordinate_transformation_mode", "half_pixel"), "half_pixel");
    struct job j = {.image = op_in(c, 0),
                    .height = op_attr_int(c, "output_height", 1),
                    .width = op_attr_int(c, "output_width", 1),
                    .scale = (double)op_attr_float(c, "spatial_scale", 1.0f),
                    .offset = half ? 0.5 : 0,
                    .ratio = op_attr_int(c, "sampling_ratio", 0),
                    .max = str_is(op_attr_str(c, "mode", "avg"), "max")};
    enum status s = real_in(c, 0, &j.x);
    if (s == STATUS_OK)
        s = real_in(c, 1, &j.rois);
    if (s == STATUS_OK)
        s = real_out(c, 0, &j.y);
    const int64_t *batches = op_in(c, 2)->data;
    for (; s == STATUS_OK && j.region < op_in(c, 1)->dims[0]; j.region++) {
        j.batch = batches[j.region];
        if (j.batch < 0 || j.batch >= j.image->dims[0])
            return op_fail(c, "batch index %lld is outside a batch of %lld", (long long)j.batch,
                           (long long)j.image->dims[0]);
        s = check_region(c, &j);
        if (s == STATUS_OK)
            op_parallel(c, (size_t)j.image->dims[1], 4, align_channels, &j);
    }
    if (s == STATUS_OK)
        real_out_done(c, 0, j.y);
    return s;
}

/* ---- MaxRoiPool ---- */

static enum status pooled_shape(struct op_ctx *c, int64_t *height, int64_t *width) {
    const int64_t *values = NULL;
    if (op_attr_ints(c, "pooled_shape", &values) != 2)
        return op_fail(c, "pooled_shape must have two numbers");
    *height = values[0];
    *width = values[1];
    return parse_pooled(c, *height, *width);
}

static enum status pool_infer(struct op_ctx *c) {
    enum status s = need_image(c, 2, 5);
    int64_t height = 0, width = 0;
    if (s == STATUS_OK)
        s = pooled_shape(c, &height, &width);
    if (s != STATUS_OK)
        return s;
    const struct tensor *x = op_in(c, 0);
    return op_infer(c, 0, x->dtype, 4,
                    (int64_t[]){op_in(c, 1)->dims[0], x->dims[1], height, width});
}

/* Pixels [*from, *to) of bin `i` of a side of `count` bins, within [0, limit). */
static void bin_range(double start, double size, int64_t i, int64_t count, int64_t limit,
                      int64_t *from, int64_t *to) {
    const double each = size / (double)count;
    const double low = floor((double)i * each) + start, high = ceil((double)(i + 1) * each) + start;
    *from = low > 0 ? (low < (double)limit ? (int64_t)low : limit) : 0;
    *to = high > 0 ? (high < (double)limit ? (int64_t)high : limit) : 0;
}

static void pool_channels(void *arg, size_t begin, size_t end) {
    const struct job *j = arg;
    const double *roi = j->rois + 5 * j->region + 1;
    const int64_t h = j->image->dims[2], w = j->image->dims[3], bins = j->height * j->width;
    const double left = round(roi[0] * j->scale), top = round(roi[1] * j->scale);
    const double width = fmax(round(roi[2] * j->scale) - left + 1, 1);
    const double height = fmax(round(roi[3] * j->scale) - top + 1, 1);
    for (size_t ch = begin; ch < end; ch++) {
        const double *plane = j->x + (j->batch * j->image->dims[1] + (int64_t)ch) * h * w;
        double *y = j->y + (j->region * j->image->dims[1] + (int64_t)ch) * bins;
        for (int64_t i = 0; i < bins; i++) {
            int64_t y0 = 0, y1 = 0, x0 = 0, x1 = 0;
            bin_range(top, height, i / j->width, j->height, h, &y0, &y1);
            bin_range(left, width, i % j->width, j->width, w, &x0, &x1);
            double best = y1 > y0 && x1 > x0 ? -INFINITY : 0;
            for (int64_t v = y0; v < y1; v++)
                for (int64_t u = x0; u < x1; u++)
                    best = plane[v * w + u] > best ? plane[v * w + u] : best;
            y[i] = best;
        }
    }
}

static enum status pool_run(struct op_ctx *c) {
    if (!op_out(c, 0) || op_out(c, 0)->count == 0)
        return STATUS_OK;
    struct job j = {.image = op_in(c, 0), .scale = (double)op_attr_float(c, "spatial_scale", 1.0f)};
    enum status s = pooled_shape(c, &j.height, &j.width);
    if (s == STATUS_OK)
        s = real_in(c, 0, &j.x);
    if (s == STATUS_OK)
        s = real_in(c, 1, &j.rois);
    if (s == STATUS_OK)
        s = real_out(c, 0, &j.y);
    for (; s == STATUS_OK && j.region < op_in(c, 1)->dims[0]; j.region++) {
        const double *roi = j.rois + 5 * j.region;
        for (int k = 0; k < 5; k++)
            if (!isfinite(roi[k]))
                return op_fail(c, "region %lld has a number that is not finite",
                               (long long)j.region);
        if (!(roi[0] >= 0 && roi[0] < (double)j.image->dims[0]))
            return op_fail(c, "batch index %g is outside a batch of %lld", roi[0],
                           (long long)j.image->dims[0]);
        j.batch = (int64_t)roi[0];
        op_parallel(c, (size_t)j.image->dims[1], 4, pool_channels, &j);
    }
    if (s == STATUS_OK)
        real_out_done(c, 0, j.y);
    return s;
}

const struct op_row op_family_roi[] = {
    {.name = "RoiAlign", .since = 10, .infer = align_infer, .run = align_run},
    {.name = "MaxRoiPool", .since = 1, .infer = pool_infer, .run = pool_run},
    OP_END,
};
