#include "engine/ops/resize.h"

#include <math.h>

/* Place of output element x in the input (the formulas of the Resize operator's
 * coordinate_transformation_mode). The resized length is scale * in, not rounded. */
static double place(const struct resize_options *o, const struct resize_axis *a, int64_t at) {
    const double x = (double)at, in = (double)a->in, length = a->scale * in;
    switch (o->transform) {
    case RESIZE_ALIGN_CORNERS:
        return length == 1 ? 0 : x * (in - 1) / (length - 1);
    case RESIZE_ASYMMETRIC:
        return x / a->scale;
    case RESIZE_TF_HALF_PIXEL_FOR_NN:
        return (x + 0.5) / a->scale;
    case RESIZE_TF_CROP_AND_RESIZE:
        return a->out > 1 ? a->roi[0] * (in - 1) +
                                x * (a->roi[1] - a->roi[0]) * (in - 1) / ((double)a->out - 1)
                          : 0.5 * (a->roi[0] + a->roi[1]) * (in - 1);
    case RESIZE_PYTORCH_HALF_PIXEL:
        return a->out > 1 ? (x + 0.5) / a->scale - 0.5 : 0;
    case RESIZE_HALF_PIXEL_SYMMETRIC:
        return in / 2 * (1 - (double)a->out / length) + (x + 0.5) / a->scale - 0.5;
    case RESIZE_HALF_PIXEL:
        break;
    }
    return (x + 0.5) / a->scale - 0.5;
}

static int64_t clamp(double at, int64_t in) {
    if (!(at > 0))
        return 0;
    return at >= (double)(in - 1) ? in - 1 : (int64_t)at;
}

static double rounded(enum resize_rounding r, double x) {
    switch (r) {
    case RESIZE_ROUND_PREFER_FLOOR:
        return ceil(x - 0.5);
    case RESIZE_ROUND_PREFER_CEIL:
        return floor(x + 0.5);
    case RESIZE_CEIL:
        return ceil(x);
    case RESIZE_FLOOR:
        break;
    }
    return floor(x);
}

static double cubic(double a, double x) {
    x = fabs(x);
    if (x <= 1)
        return ((a + 2) * x - (a + 3)) * x * x + 1;
    return x < 2 ? ((a * x - 5 * a) * x + 8 * a) * x - 4 * a : 0;
}

/* Weights of one output element around `at`; `first` is the offset of the first tap from floor(at),
 * `stretch` shrinks the filter's argument for antialiasing. */
static void weigh(const struct resize_options *o, const struct resize_axis *a, double at,
                  double first, double stretch, int64_t *index, double *weight) {
    const double base = floor(at), ratio = at - base;
    double sum = 0;
    for (size_t t = 0; t < a->taps; t++) {
        const double offset = first + (double)t, v = (offset - ratio) * stretch;
        double w = o->mode == RESIZE_CUBIC ? cubic(o->cubic_a, v) : fmax(0, 1 - fabs(v));
        const bool out = base + offset < 0 || base + offset > (double)(a->in - 1);
        if (o->exclude_outside && out)
            w = 0;
        index[t] = clamp(base + offset, a->in);
        weight[t] = w;
        sum += w;
    }
    if (sum != 0 && (o->exclude_outside || stretch != 1))
        for (size_t t = 0; t < a->taps; t++)
            weight[t] /= sum;
}

enum status resize_axis_build(struct op_ctx *c, const struct resize_options *o,
                              struct resize_axis *a) {
    const bool crop = o->transform == RESIZE_TF_CROP_AND_RESIZE;
    a->taps = 1;
    a->index = NULL;
    a->weight = NULL;
    a->outside = NULL;
    a->identity = !crop && a->in == a->out && a->scale == 1.0;
    if (a->identity || a->out == 0)
        return STATUS_OK;
    const double stretch = o->antialias && a->scale < 1 ? a->scale : 1;
    const double reach = o->mode == RESIZE_CUBIC ? 2 : 1;
    const double first = floor(-reach / stretch) + 1;
    if (o->mode != RESIZE_NEAREST) {
        /* out is at least 1, so a scale far below 1 / in is not one that a model means. */
        const double taps = 2 - 2 * first;
        if (!(taps <= 16 * (double)a->in + 16))
            return op_fail(c, "a scale of %g does not go with %lld elements", a->scale,
                           (long long)a->in);
        a->taps = (size_t)taps;
        a->weight = op_scratch_array(c, (size_t)a->out, a->taps * sizeof *a->weight);
        if (!a->weight)
            return op_no_memory(c);
    }
    a->index = op_scratch_array(c, (size_t)a->out, a->taps * sizeof *a->index);
    if (crop)
        a->outside = op_scratch_array(c, (size_t)a->out, sizeof *a->outside);
    if (!a->index || (crop && !a->outside))
        return op_no_memory(c);
    for (int64_t x = 0; x < a->out; x++) {
        const double at = place(o, a, x);
        const size_t from = (size_t)x * a->taps;
        if (crop)
            a->outside[x] = !(at >= 0 && at <= (double)(a->in - 1));
        if (o->mode == RESIZE_NEAREST)
            /* In float, so that a scale such as 1/3, rounded up, still meets whole numbers. */
            a->index[x] = clamp(rounded(o->rounding, (double)(float)at), a->in);
        else
            weigh(o, a, at, first, stretch, a->index + from, a->weight + from);
    }
    return STATUS_OK;
}
