/* BatchNormalization (one scale and shift per channel) and InstanceNormalization (the same, with
 * the statistics of each channel of each image).
 *
 * training_mode (from opset 14 on) normalises with the statistics of the batch and gives the
 * running ones, moved by `momentum`. Before opset 9, spatial = 0 kept statistics for every element.
 * double is computed in double, everything else in float. */
#include "engine/ops/op.h"

#include <math.h>

/* x is [batch, channels, inner]. */
struct layout {
    size_t batch, channels, inner;
};

static bool training(struct op_ctx *c) {
    return op_opset(c) >= 14 && op_attr_int(c, "training_mode", 0) != 0;
}

static struct layout layout_of(struct op_ctx *c) {
    const struct tensor *x = op_in(c, 0);
    const bool each = op_opset(c) < 9 && op_attr_int(c, "spatial", 1) == 0;
    struct layout l = {.batch = (size_t)x->dims[0], .channels = 1, .inner = 1};
    if (each)
        l.channels = (size_t)tensor_span(x, 1, x->rank);
    else if (x->rank > 1) {
        l.channels = (size_t)x->dims[1];
        l.inner = (size_t)tensor_span(x, 2, x->rank);
    }
    return l;
}

static enum status check_parameters(struct op_ctx *c, size_t from, size_t to, size_t channels) {
    enum status s = STATUS_OK;
    for (size_t i = from; i < to && s == STATUS_OK; i++) {
        s = op_need_dtype(c, i, DT_FLOATS);
        if (s == STATUS_OK && (size_t)op_in(c, i)->count != channels)
            s = op_fail(c, "input %zu has %lld elements, expected %zu, one for each channel", i,
                        (long long)op_in(c, i)->count, channels);
    }
    return s;
}

static enum status batch_infer(struct op_ctx *c) {
    enum status s = op_need_all(c, 5);
    if (s == STATUS_OK)
        s = op_need_dtype(c, 0, DT_FLOATS);
    if (s == STATUS_OK)
        s = op_need_rank(c, 0, 1, TENSOR_MAX_RANK);
    if (s != STATUS_OK)
        return s;
    s = check_parameters(c, 1, 5, layout_of(c).channels);
    if (s == STATUS_OK)
        s = op_infer_like(c, 0, op_in(c, 0));
    if (s != STATUS_OK)
        return s;
    if (training(c)) {
        s = op_infer_like(c, 1, op_in(c, 3));
        return s == STATUS_OK ? op_infer_like(c, 2, op_in(c, 4)) : s;
    }
    for (size_t i = 1; i < op_out_count(c); i++)
        if (op_out_wanted(c, i))
            return op_fail(c, "output %zu is given in training only", i);
    return STATUS_OK;
}

/* Kernels: y = x * scale[channel] + shift[channel] over planes of `inner` elements. */
struct job {
    struct layout l;
    const void *x;
    void *y;
    const void *scale, *shift; /* per channel; InstanceNormalization: gamma, beta */
    double epsilon;
};

#define KERNELS(suffix, type)                                                                      \
    static void scale_##suffix(void *arg, size_t begin, size_t end) {                              \
        const struct job *j = arg;                                                                 \
        for (size_t p = begin; p < end; p++) {                                                     \
            const size_t ch = p % j->l.channels;                                                   \
            const type a = ((const type *)j->scale)[ch], b = ((const type *)j->shift)[ch];         \
            const type *x = (const type *)j->x + p * j->l.inner;                                   \
            type *y = (type *)j->y + p * j->l.inner;                                               \
            for (size_t i = 0; i < j->l.inner; i++)                                                \
                y[i] = x[i] * a + b;                                                               \
        }                                                                                          \
    }                                                                                              \
    static void instance_##suffix(void *arg, size_t begin, size_t end) {                           \
        const struct job *j = arg;                                                                 \
        for (size_t p = begin; p < end; p++) {                                                     \
            const size_t ch = p % j->l.channels;                                                   \
            const type *x = (const type *)j->x + p * j->l.inner;                                   \
            type *y = (type *)j->y + p * j->l.inner;                                               \
            double sum = 0, squares = 0;                                                           \
            for (size_t i = 0; i < j->l.inner; i++)                                                \
                sum += (double)x[i];                                                               \
            const double mean = sum / (double)j->l.inner;                                          \
            for (size_t i = 0; i < j->l.inner; i++)                                                \
                squares += ((double)x[i] - mean) * ((double)x[i] - mean);                          \
            const double inverse = 1 / sqrt(squares / (double)j->l.inner + j->epsilon);            \
            const type a = (type)(inverse * (double)((const type *)j->scale)[ch]);                 \
            const type m = (type)mean, b = ((const type *)j->shift)[ch];                           \
            for (size_t i = 0; i < j->l.inner; i++)                                                \
                y[i] = (x[i] - m) * a + b;                                                         \
        }                                                                                          \
    }
KERNELS(f32, float)
KERNELS(f64, double)

/* A parameter as doubles: there are few of them, and each is read once. */
static enum status parameter(struct op_ctx *c, size_t i, double **out) {
    const struct tensor *t = op_in(c, i);
    double *v = op_scratch_array(c, (size_t)t->count, sizeof *v);
    if (!v)
        return op_no_memory(c);
    if (t->dtype == DTYPE_DOUBLE) {
        memcpy(v, t->data, t->bytes);
    } else {
        const float *from = NULL;
        enum status s = op_in_f32(c, i, &from);
        if (s != STATUS_OK)
            return s;
        for (int64_t k = 0; k < t->count; k++)
            v[k] = (double)from[k];
    }
    *out = v;
    return STATUS_OK;
}

/* Statistics of the batch, in double. */
static void statistics(const struct job *j, bool wide, double *mean, double *variance) {
    const struct layout *l = &j->l;
    const double count = (double)l->batch * (double)l->inner;
    for (size_t ch = 0; ch < l->channels; ch++) {
        double sum = 0, squares = 0;
        for (int pass = 0; pass < 2; pass++)
            for (size_t b = 0; b < l->batch; b++)
                for (size_t i = 0; i < l->inner; i++) {
                    const size_t at = (b * l->channels + ch) * l->inner + i;
                    const double v =
                        wide ? ((const double *)j->x)[at] : (double)((const float *)j->x)[at];
                    if (pass == 0)
                        sum += v;
                    else
                        squares += (v - sum / count) * (v - sum / count);
                }
        mean[ch] = sum / count;
        variance[ch] = squares / count;
    }
}

/* running = old * momentum + new * (1 - momentum), into an output of any float type. */
static void store_running(struct op_ctx *c, size_t i, const double *old, const double *fresh) {
    struct tensor *t = op_out(c, i);
    if (!t)
        return;
    const double momentum = (double)op_attr_float(c, "momentum", 0.9f);
    for (int64_t k = 0; k < t->count; k++) {
        const double v = old[k] * momentum + fresh[k] * (1 - momentum);
        const float f = (float)v;
        if (t->dtype == DTYPE_DOUBLE)
            ((double *)t->data)[k] = v;
        else
            half_narrow(t->dtype, &f, (char *)t->data + (size_t)k * dtype_size(t->dtype), 1);
    }
}

/* Scale and shift per channel from gamma, beta, mean and variance, in the kernel's type. */
static enum status fold(struct op_ctx *c, struct job *j, bool wide, const double *const p[4]) {
    const size_t n = j->l.channels;
    double *scale = op_scratch_array(c, n, sizeof *scale);
    double *shift = op_scratch_array(c, n, sizeof *shift);
    if (!scale || !shift)
        return op_no_memory(c);
    for (size_t k = 0; k < n; k++) {
        scale[k] = p[0][k] / sqrt(p[3][k] + j->epsilon);
        shift[k] = p[1][k] - p[2][k] * scale[k];
    }
    j->scale = scale;
    j->shift = shift;
    if (wide)
        return STATUS_OK;
    float *narrow = op_scratch_array(c, 2 * n, sizeof *narrow);
    if (!narrow)
        return op_no_memory(c);
    for (size_t k = 0; k < n; k++) {
        narrow[k] = (float)scale[k];
        narrow[n + k] = (float)shift[k];
    }
    j->scale = narrow;
    j->shift = narrow + n;
    return STATUS_OK;
}

/* Input 0 and output 0 in the kernel's type; *to is NULL where output 0 is not wanted. */
static enum status open_data(struct op_ctx *c, struct job *j, bool wide, float **to) {
    *to = NULL;
    if (wide) {
        j->x = op_in(c, 0)->data;
        j->y = op_out(c, 0) ? op_out(c, 0)->data : NULL;
        return STATUS_OK;
    }
    const float *from = NULL;
    enum status s = op_pair_f32(c, &from, to);
    j->x = from;
    j->y = *to;
    return s;
}

static enum status batch_run(struct op_ctx *c) {
    if (op_in(c, 0)->count == 0 && !training(c))
        return STATUS_OK;
    const bool wide = op_in(c, 0)->dtype == DTYPE_DOUBLE;
    struct job j = {.l = layout_of(c), .epsilon = (double)op_attr_float(c, "epsilon", 1e-5f)};
    double *p[4] = {NULL};
    float *to = NULL;
    enum status s = open_data(c, &j, wide, &to);
    for (size_t i = 0; i < 4 && s == STATUS_OK; i++)
        s = parameter(c, 1 + i, &p[i]);
    if (s != STATUS_OK)
        return s;
    if (training(c)) {
        double *mean = op_scratch_array(c, j.l.channels, sizeof *mean);
        double *variance = op_scratch_array(c, j.l.channels, sizeof *variance);
        if (!mean || !variance)
            return op_no_memory(c);
        statistics(&j, wide, mean, variance);
        store_running(c, 1, p[2], mean);
        store_running(c, 2, p[3], variance);
        p[2] = mean;
        p[3] = variance;
    }
    if (!j.y)
        return STATUS_OK;
    s = fold(c, &j, wide, (const double *const *)p);
    if (s != STATUS_OK)
        return s;
    op_parallel(c, j.l.batch * j.l.channels, 4096 / (j.l.inner + 1) + 1,
                wide ? scale_f64 : scale_f32, &j);
    if (to)
        op_out_f32_done(c, 0, to);
    return STATUS_OK;
}

static enum status instance_infer(struct op_ctx *c) {
    enum status s = op_need_all(c, 3);
    if (s == STATUS_OK)
        s = op_need_dtype(c, 0, DT_FLOATS);
    if (s == STATUS_OK)
        s = op_need_rank(c, 0, 2, TENSOR_MAX_RANK);
    if (s == STATUS_OK)
        s = op_need_same(c, 1, 0);
    if (s == STATUS_OK)
        s = op_need_same(c, 2, 0);
    if (s == STATUS_OK)
        s = check_parameters(c, 1, 3, (size_t)op_in(c, 0)->dims[1]);
    return s == STATUS_OK ? op_infer_like(c, 0, op_in(c, 0)) : s;
}

static enum status instance_run(struct op_ctx *c) {
    const struct tensor *x = op_in(c, 0);
    if (!op_out(c, 0) || x->count == 0)
        return STATUS_OK;
    const bool wide = x->dtype == DTYPE_DOUBLE;
    struct job j = {
        .l = {(size_t)x->dims[0], (size_t)x->dims[1], (size_t)tensor_span(x, 2, x->rank)},
        .epsilon = (double)op_attr_float(c, "epsilon", 1e-5f)};
    float *to = NULL;
    enum status s = open_data(c, &j, wide, &to);
    const float *gamma = NULL, *beta = NULL;
    if (s == STATUS_OK && !wide)
        s = op_in_f32(c, 1, &gamma);
    if (s == STATUS_OK && !wide)
        s = op_in_f32(c, 2, &beta);
    if (s != STATUS_OK)
        return s;
    j.scale = wide ? op_in(c, 1)->data : gamma;
    j.shift = wide ? op_in(c, 2)->data : beta;
    op_parallel(c, j.l.batch * j.l.channels, 1, wide ? instance_f64 : instance_f32, &j);
    if (to)
        op_out_f32_done(c, 0, to);
    return STATUS_OK;
}

const struct op_row op_family_batch_norm[] = {
    {.name = "BatchNormalization", .since = 1, .infer = batch_infer, .run = batch_run},
    {.name = "InstanceNormalization", .since = 1, .infer = instance_infer, .run = instance_run},
    OP_END,
};
