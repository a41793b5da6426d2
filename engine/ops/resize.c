/* Resize (opset 10 to 19) and Upsample.
 *
 * nearest copies elements of any type. linear and cubic work in float, for double and the integers
 * in double (integers are cut towards zero, as the reference does, and limited to their range). */
#include "engine/ops/resize.h"

#include "engine/ops/real.h"

#include <math.h>

struct resize {
    struct resize_options options;
    double extrapolation;
    struct resize_axis axes[TENSOR_MAX_RANK];
};

/* ---- attributes ---- */

struct choice {
    const char *name;
    int value;
};

static enum status choose(struct op_ctx *c, const char *attribute, const char *otherwise,
                          const struct choice *choices, size_t count, int *out) {
    const struct str s = op_attr_str(c, attribute, otherwise);
    for (size_t i = 0; i < count; i++)
        if (str_is(s, choices[i].name)) {
            *out = choices[i].value;
            return STATUS_OK;
        }
    return op_fail(c, "%s has a value that the operator does not know", attribute);
}

static bool upsample(const struct op_ctx *c) {
    return str_is(c->node->op_type, "Upsample");
}

/* Upsample, and Resize before opset 11: coordinates are divided by the scale, and cut. */
static bool old(const struct op_ctx *c) {
    return upsample(c) || op_opset(c) < 11;
}

static enum status parse_options(struct op_ctx *c, struct resize_options *o) {
    static const struct choice modes[] = {{"nearest", RESIZE_NEAREST},
                                          {"linear", RESIZE_LINEAR},
                                          {"bilinear", RESIZE_LINEAR},
                                          {"cubic", RESIZE_CUBIC}};
    static const struct choice transforms[] = {
        {"half_pixel", RESIZE_HALF_PIXEL},
        {"half_pixel_symmetric", RESIZE_HALF_PIXEL_SYMMETRIC},
        {"pytorch_half_pixel", RESIZE_PYTORCH_HALF_PIXEL},
        {"align_corners", RESIZE_ALIGN_CORNERS},
        {"asymmetric", RESIZE_ASYMMETRIC},
        {"tf_half_pixel_for_nn", RESIZE_TF_HALF_PIXEL_FOR_NN},
        {"tf_crop_and_resize", RESIZE_TF_CROP_AND_RESIZE}};
    static const struct choice roundings[] = {{"round_prefer_floor", RESIZE_ROUND_PREFER_FLOOR},
                                              {"round_prefer_ceil", RESIZE_ROUND_PREFER_CEIL},
                                              {"floor", RESIZE_FLOOR},
                                              {"ceil", RESIZE_CEIL}};
    int mode = 0, transform = RESIZE_ASYMMETRIC, rounding = RESIZE_FLOOR;
    enum status s = choose(c, "mode", "nearest", modes, 4, &mode);
    if (s == STATUS_OK && !old(c))
        s = choose(c, "coordinate_transformation_mode", "half_pixel", transforms, 7, &transform);
    if (s == STATUS_OK && !old(c))
        s = choose(c, "nearest_mode", "round_prefer_floor", roundings, 4, &rounding);
    if (s != STATUS_OK)
        return s;
    *o = (struct resize_options){
        .mode = (enum resize_mode)mode,
        .transform = (enum resize_transform)transform,
        .rounding = (enum resize_rounding)rounding,
        .cubic_a = (double)op_attr_float(c, "cubic_coeff_a", -0.75f),
        .exclude_outside = op_attr_int(c, "exclude_outside", 0) != 0,
        .antialias = op_attr_int(c, "antialias", 0) != 0,
    };
    return STATUS_OK;
}

/* ---- scales and sizes ---- */

/* An input that is there and not empty: old models leave an empty tensor for "not this one". */
static const struct tensor *given(const struct op_ctx *c, size_t i) {
    const struct tensor *t = op_in(c, i);
    return t && t->count > 0 ? t : NULL;
}

static size_t scales_input(const struct op_ctx *c) {
    return old(c) ? 1 : 2;
}

/* The dimensions that scales, sizes and roi speak of. */
static enum status parse_axes(struct op_ctx *c, int rank, int axes[TENSOR_MAX_RANK], size_t *n) {
    const int64_t *values = NULL;
    *n = op_attr_ints(c, "axes", &values);
    if (*n == 0) {
        for (int d = 0; d < rank; d++)
            axes[d] = d;
        *n = (size_t)rank;
        return STATUS_OK;
    }
    if (*n > (size_t)rank)
        return op_fail(c, "axes names %zu dimensions of %d", *n, rank);
    for (size_t i = 0; i < *n; i++) {
        enum status s = op_axis(c, "axes", values[i], rank, &axes[i]);
        if (s != STATUS_OK)
            return s;
    }
    return STATUS_OK;
}

static enum status set_scale(struct op_ctx *c, struct resize_axis *a, float scale) {
    if (!(scale > 0) || !isfinite(scale))
        return op_fail(c, "a scale is %g, expected more than 0", (double)scale);
    const double out = floor((double)a->in * (double)scale);
    if (out > 0x1p53)
        return op_fail(c, "a scale of %g makes the output too large", (double)scale);
    a->scale = (double)scale;
    a->out = (int64_t)out;
    return STATUS_OK;
}

static enum status apply_scales(struct op_ctx *c, struct resize *r, const float *scales,
                                size_t count, const int *axes, size_t n) {
    if (count != n)
        return op_fail(c, "scales has %zu numbers, expected %zu", count, n);
    enum status s = STATUS_OK;
    for (size_t i = 0; i < n && s == STATUS_OK; i++)
        s = set_scale(c, &r->axes[axes[i]], scales[i]);
    return s;
}

static enum status apply_sizes(struct op_ctx *c, struct resize *r, const int *axes, size_t n) {
    int64_t sizes[TENSOR_MAX_RANK];
    size_t count = 0;
    enum status s = op_in_ints(c, 3, sizes, TENSOR_MAX_RANK, &count);
    if (s != STATUS_OK)
        return s;
    if (count != n)
        return op_fail(c, "sizes has %zu numbers, expected %zu", count, n);
    for (size_t i = 0; i < n; i++) {
        struct resize_axis *a = &r->axes[axes[i]];
        if (sizes[i] < 0 || (a->in == 0 && sizes[i] > 0))
            return op_fail(c, "sizes holds %lld for a dimension of %lld", (long long)sizes[i],
                           (long long)a->in);
        a->out = sizes[i];
        a->scale = a->in > 0 ? (double)sizes[i] / (double)a->in : 1.0;
    }
    const struct str policy = op_attr_str(c, "keep_aspect_ratio_policy", "stretch");
    if (str_is(policy, "stretch"))
        return STATUS_OK;
    const bool larger = str_is(policy, "not_smaller");
    if (!larger && !str_is(policy, "not_larger"))
        return op_fail(c, "keep_aspect_ratio_policy must be stretch, not_larger or not_smaller");
    double scale = r->axes[axes[0]].scale;
    for (size_t i = 1; i < n; i++) {
        const double v = r->axes[axes[i]].scale;
        scale = larger ? fmax(scale, v) : fmin(scale, v);
    }
    for (size_t i = 0; i < n; i++) {
        struct resize_axis *a = &r->axes[axes[i]];
        const double out = floor(scale * (double)a->in + 0.5);
        if (out > 0x1p53)
            return op_fail(c, "sizes make the output too large");
        a->scale = scale;
        a->out = (int64_t)out;
    }
    return STATUS_OK;
}

/* Options and, for each dimension, in, out and scale. *later: values are not known yet. */
static enum status parse(struct op_ctx *c, struct resize *r, bool *later) {
    const struct tensor *x = op_in(c, 0);
    *later = false;
    enum status s = parse_options(c, &r->options);
    if (s != STATUS_OK)
        return s;
    r->extrapolation = (double)op_attr_float(c, "extrapolation_value", 0.0f);
    for (int d = 0; d < x->rank; d++)
        r->axes[d] = (struct resize_axis){.in = x->dims[d], .out = x->dims[d], .scale = 1.0};
    int axes[TENSOR_MAX_RANK];
    size_t n = 0;
    s = parse_axes(c, x->rank, axes, &n);
    if (s != STATUS_OK || n == 0)
        return s;
    const float *attribute = NULL;
    const size_t count =
        upsample(c) && op_opset(c) < 9 ? op_attr_floats(c, "scales", &attribute) : 0;
    if (count > 0)
        return apply_scales(c, r, attribute, count, axes, n);
    const struct tensor *scales = given(c, scales_input(c)), *sizes = old(c) ? NULL : given(c, 3);
    if (!scales == !sizes)
        return op_fail(c, "exactly one of scales and sizes must be given");
    if (scales) {
        s = op_need_dtype(c, scales_input(c), DT(FLOAT));
        if (s == STATUS_OK && !scales->data)
            *later = true;
        if (s != STATUS_OK || *later)
            return s;
        return apply_scales(c, r, scales->data, (size_t)scales->count, axes, n);
    }
    *later = !sizes->data;
    return *later ? STATUS_OK : apply_sizes(c, r, axes, n);
}

static enum status infer(struct op_ctx *c) {
    enum status s = op_need(c, 0);
    if (s == STATUS_OK)
        s = op_need_dtype(c, 0, DT_ANY);
    struct resize r;
    bool later = false;
    if (s == STATUS_OK)
        s = parse(c, &r, &later);
    if (s == STATUS_OK && r.options.mode != RESIZE_NEAREST)
        s = op_need_dtype(c, 0, DT_REAL);
    if (s != STATUS_OK)
        return s;
    if (later)
        return op_infer_later(c);
    const struct tensor *x = op_in(c, 0);
    int64_t dims[TENSOR_MAX_RANK];
    for (int d = 0; d < x->rank; d++)
        dims[d] = r.axes[d].out;
    return op_infer(c, 0, x->dtype, x->rank, dims);
}

/* ---- run ---- */

static enum status parse_roi(struct op_ctx *c, struct resize *r) {
    const struct tensor *x = op_in(c, 0), *roi = old(c) ? NULL : given(c, 1);
    int axes[TENSOR_MAX_RANK];
    size_t n = 0;
    enum status s = parse_axes(c, x->rank, axes, &n);
    if (s != STATUS_OK)
        return s;
    if (!roi || (size_t)roi->count != 2 * n)
        return op_fail(c, "tf_crop_and_resize needs roi with %zu numbers", 2 * n);
    s = op_need_dtype(c, 1, DT_FLOATS);
    const float *v = NULL;
    if (s == STATUS_OK)
        s = op_in_f32(c, 1, &v);
    if (s != STATUS_OK)
        return s;
    for (int d = 0; d < x->rank; d++)
        r->axes[d].roi[1] = 1;
    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; k < 2; k++) {
            if (!isfinite(v[k * n + i]))
                return op_fail(c, "roi holds a number that is not finite");
            r->axes[axes[i]].roi[k] = (double)v[k * n + i];
        }
    return STATUS_OK;
}

/* One pass along one dimension of [outer, in, inner], over lines of [outer, out]. */
struct pass {
    const struct resize_axis *a;
    const void *from;
    void *to;
    size_t inner, size; /* size: bytes of an element, for nearest */
};

static void nearest(void *arg, size_t begin, size_t end) {
    const struct pass *p = arg;
    const size_t in = (size_t)p->a->in, out = (size_t)p->a->out, bytes = p->inner * p->size;
    const char *from = p->from;
    char *to = p->to;
    for (size_t i = begin; i < end; i++) {
        const size_t at = (i / out * in + (size_t)p->a->index[i % out]) * bytes;
        if (bytes == 4)
            memcpy(to + i * 4, from + at, 4);
        else
            memcpy(to + i * bytes, from + at, bytes);
    }
}

#define INTERPOLATE(suffix, type)                                                                  \
    static void interpolate_##suffix(void *arg, size_t begin, size_t end) {                        \
        const struct pass *p = arg;                                                                \
        const struct resize_axis *a = p->a;                                                        \
        const size_t in = (size_t)a->in, out = (size_t)a->out, inner = p->inner, taps = a->taps;   \
        for (size_t i = begin; i < end; i++) {                                                     \
            const type *x = (const type *)p->from + i / out * in * inner;                          \
            type *y = (type *)p->to + i * inner;                                                   \
            const int64_t *index = a->index + i % out * taps;                                      \
            const double *weight = a->weight + i % out * taps;                                     \
            for (size_t k = 0; k < inner; k++)                                                     \
                y[k] = (type)weight[0] * x[(size_t)index[0] * inner + k];                          \
            for (size_t t = 1; t < taps; t++) {                                                    \
                const type w = (type)weight[t];                                                    \
                const type *row = x + (size_t)index[t] * inner;                                    \
                for (size_t k = 0; k < inner; k++)                                                 \
                    y[k] += w * row[k];                                                            \
            }                                                                                      \
        }                                                                                          \
    }
INTERPOLATE(f32, float)
INTERPOLATE(f64, double)

/* All passes, from `from` with the input's shape; the result is where *result says (`to`, unless
 * no dimension changes). */
static enum status run_passes(struct op_ctx *c, const struct resize *r, threads_fn *fn,
                              const void *from, size_t size, void *to, const void **result) {
    const struct tensor *x = op_in(c, 0);
    struct tensor now = *x;
    int left = 0;
    for (int d = 0; d < x->rank; d++)
        left += !r->axes[d].identity;
    for (int d = x->rank - 1; d >= 0; d--) {
        if (r->axes[d].identity)
            continue;
        struct pass p = {.a = &r->axes[d],
                         .from = from,
                         .inner = (size_t)tensor_span(&now, d + 1, now.rank),
                         .size = size};
        now.dims[d] = p.a->out;
        int64_t count = 0;
        if (!checked_product(now.dims, (size_t)now.rank, &count))
            return op_no_memory(c);
        p.to = --left == 0 ? to : op_scratch_array(c, (size_t)count, size);
        if (!p.to)
            return op_no_memory(c);
        op_parallel(c, (size_t)tensor_span(&now, 0, d + 1), 4096 / (p.inner + 1) + 1, fn, &p);
        from = p.to;
    }
    *result = from;
    return STATUS_OK;
}

/* tf_crop_and_resize: elements that lie outside along any dimension. */
#define EXTRAPOLATE(suffix, type)                                                                  \
    static void extrapolate_##suffix(const struct resize *r, const struct tensor *y, type *data) { \
        for (int d = 0; d < y->rank; d++) {                                                        \
            const struct resize_axis *a = &r->axes[d];                                             \
            const int64_t inner = tensor_span(y, d + 1, y->rank);                                  \
            for (int64_t i = 0; a->outside && i < y->count; i++)                                   \
                if (a->outside[i / inner % a->out])                                                \
                    data[i] = (type)r->extrapolation;                                              \
        }                                                                                          \
    }
EXTRAPOLATE(f32, float)
EXTRAPOLATE(f64, double)

static enum status run_wide(struct op_ctx *c, const struct resize *r, struct tensor *y) {
    const double *from = NULL;
    double *to = NULL;
    const void *result = NULL;
    enum status s = real_in(c, 0, &from);
    if (s == STATUS_OK)
        s = real_out(c, 0, &to);
    if (s == STATUS_OK)
        s = run_passes(c, r, interpolate_f64, from, sizeof *from, to, &result);
    if (s != STATUS_OK)
        return s;
    if (result == to)
        extrapolate_f64(r, y, to);
    real_out_done(c, 0, result);
    return STATUS_OK;
}

static enum status run_float(struct op_ctx *c, const struct resize *r, struct tensor *y,
                             threads_fn *fn) {
    const float *from = NULL;
    float *to = NULL;
    enum status s = op_pair_f32(c, &from, &to);
    const void *result = NULL;
    if (s == STATUS_OK)
        s = run_passes(c, r, fn, from, sizeof *from, to, &result);
    if (s != STATUS_OK)
        return s;
    if (result != to)
        memcpy(to, result, (size_t)y->count * sizeof *to);
    extrapolate_f32(r, y, to);
    op_out_f32_done(c, 0, to);
    return STATUS_OK;
}

static enum status run(struct op_ctx *c) {
    struct tensor *y = op_out(c, 0);
    if (!y || y->count == 0)
        return STATUS_OK;
    const struct tensor *x = op_in(c, 0);
    struct resize r;
    bool later = false;
    enum status s = parse(c, &r, &later);
    const bool crop = r.options.transform == RESIZE_TF_CROP_AND_RESIZE;
    if (s == STATUS_OK && crop)
        s = parse_roi(c, &r);
    for (int d = 0; d < x->rank && s == STATUS_OK; d++)
        s = resize_axis_build(c, &r.options, &r.axes[d]);
    if (s != STATUS_OK)
        return s;
    const bool is_float = dtype_is_float(x->dtype) && x->dtype != DTYPE_DOUBLE;
    if (r.options.mode != RESIZE_NEAREST)
        return is_float ? run_float(c, &r, y, interpolate_f32) : run_wide(c, &r, y);
    if (crop && is_float)
        return run_float(c, &r, y, nearest);
    const void *result = NULL;
    s = run_passes(c, &r, nearest, x->data, dtype_size(x->dtype), y->data, &result);
    if (s != STATUS_OK)
        return s;
    if (result != y->data)
        memcpy(y->data, result, y->bytes);
    if (crop && x->dtype == DTYPE_DOUBLE)
        extrapolate_f64(&r, y, y->data);
    else if (crop)
        return op_fail(c, "tf_crop_and_resize is for floating point, not %s", dtype_name(x->dtype));
    return STATUS_OK;
}

const struct op_row op_family_resize[] = {
    {.name = "Resize", .since = 10, .infer = infer, .run = run},
    {.name = "Upsample", .since = 1, .until = 9, .infer = infer, .run = run},
    OP_END,
};
