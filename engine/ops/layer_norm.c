/* Normalisation over the trailing dimensions: LayerNormalization, RMSNormalization, and the
 * com.microsoft forms that add a residual first (SkipLayerNormalization) or leave the mean out
 * (SimplifiedLayerNormalization, SkipSimplifiedLayerNormalization).
 *
 *   y = (x - mean) / sqrt(variance + epsilon) * scale + bias      rms: mean is 0
 *
 * Sums are kept in double; double tensors are computed in double, others in float. */
#include "engine/ops/broadcast.h"
#include "engine/ops/op.h"

#include <math.h>

struct form {
    bool rms;  /* no mean, no bias */
    bool skip; /* input 1 is a residual, the axis is the last, scale is input 2 */
};

static struct form form_of(const struct op_ctx *c) {
    const struct str name = c->node->op_type;
    const bool simple = str_is(name, "SkipSimplifiedLayerNormalization");
    return (struct form){
        .rms = simple || str_is(name, "RMSNormalization") ||
               str_is(name, "SimplifiedLayerNormalization"),
        .skip = simple || str_is(name, "SkipLayerNormalization"),
    };
}

/* Parameter i broadcasts to the normalised dimensions. */
static enum status check_parameter(struct op_ctx *c, size_t i, int axis) {
    const struct tensor *x = op_in(c, 0), *p = op_in(c, i);
    if (!p)
        return STATUS_OK;
    enum status s = op_need_dtype(c, i, DT_FLOATS);
    if (s != STATUS_OK)
        return s;
    const int n = x->rank - axis;
    for (int d = 0; d < p->rank; d++) {
        const int from = x->rank - p->rank + d; /* may be before axis: then only 1 fits */
        const int64_t most = from >= axis && from < x->rank ? x->dims[from] : 1;
        if (p->dims[d] != 1 && p->dims[d] != most)
            return op_fail(c, "input %zu does not broadcast to the last %d dimensions", i, n);
    }
    return STATUS_OK;
}

static enum status axis_of(struct op_ctx *c, struct form f, int *axis) {
    const struct tensor *x = op_in(c, 0);
    return op_axis(c, "axis", f.skip ? -1 : op_attr_int(c, "axis", -1), x->rank, axis);
}

/* The residual is as large as x, or serves every entry of x's first dimension. */
static bool skip_fits(const struct tensor *x, const struct tensor *skip) {
    if (tensor_same_shape(x, skip))
        return true;
    if (x->rank != 3 || skip->rank < 2 || skip->rank > 3 || (skip->rank == 3 && skip->dims[0] != 1))
        return false;
    return skip->dims[skip->rank - 2] == x->dims[1] && skip->dims[skip->rank - 1] == x->dims[2];
}

static enum status infer(struct op_ctx *c) {
    const struct form f = form_of(c);
    const size_t scale = f.skip ? 2 : 1;
    enum status s = op_need_all(c, scale + 1);
    if (s == STATUS_OK)
        s = op_need_dtype(c, 0, DT_FLOATS);
    if (s == STATUS_OK)
        s = op_need_rank(c, 0, 1, TENSOR_MAX_RANK);
    int axis = 0;
    if (s == STATUS_OK)
        s = axis_of(c, f, &axis);
    for (size_t i = scale; i < scale + (f.skip ? 3 : 2) && s == STATUS_OK; i++)
        s = check_parameter(c, i, axis);
    if (s != STATUS_OK)
        return s;
    const struct tensor *x = op_in(c, 0);
    if (f.skip) {
        s = op_need_same(c, 1, 0);
        if (s == STATUS_OK && !skip_fits(x, op_in(c, 1)))
            return op_fail(c, "skip has neither the shape of the input nor that of its last two "
                              "dimensions");
        if (s == STATUS_OK && (op_out_wanted(c, 1) || op_out_wanted(c, 2)))
            return op_fail(c, "outputs 1 and 2 are given in training only");
        if (s == STATUS_OK)
            s = op_infer_like(c, 3, x);
    } else if (!str_is(c->node->op_type, "RMSNormalization")) {
        int64_t dims[TENSOR_MAX_RANK];
        for (int d = 0; d < x->rank; d++)
            dims[d] = d < axis ? x->dims[d] : 1;
        const enum dtype stash =
            op_attr_int(c, "stash_type", 1) == DTYPE_FLOAT ? DTYPE_FLOAT : x->dtype;
        s = op_infer(c, 1, stash, x->rank, dims);
        if (s == STATUS_OK)
            s = op_infer(c, 2, stash, x->rank, dims);
    }
    const struct tensor *w = op_in(c, scale);
    /* The result has the type of scale where it differs (mixed precision). */
    return s == STATUS_OK ? op_infer(c, 0, f.skip ? x->dtype : w->dtype, x->rank, x->dims) : s;
}

struct job {
    struct form f;
    size_t n;
    size_t skip_rows; /* after so many rows, the residual starts again */
    double epsilon;
    const void *x, *skip, *add; /* add: one value per element of a row */
    const void *scale, *bias;   /* n elements each; bias may be NULL */
    void *y, *sum;              /* sum: x + skip + add, or NULL */
    double *mean, *inverse;     /* one per row, or NULL */
};

#define KERNEL(suffix, type)                                                                       \
    static void rows_##suffix(void *arg, size_t begin, size_t end) {                               \
        const struct job *j = arg;                                                                 \
        const size_t n = j->n;                                                                     \
        const type *scale = j->scale, *bias = j->bias, *add = j->add;                              \
        for (size_t r = begin; r < end; r++) {                                                     \
            const type *x = (const type *)j->x + r * n;                                            \
            type *y = (type *)j->y + r * n;                                                        \
            if (j->skip) {                                                                         \
                const type *skip = (const type *)j->skip + r % j->skip_rows * n;                   \
                type *sum = (type *)j->sum + r * n;                                                \
                for (size_t i = 0; i < n; i++)                                                     \
                    sum[i] = x[i] + skip[i] + (add ? add[i] : 0);                                  \
                x = sum;                                                                           \
            }                                                                                      \
            double mean = 0, square = 0;                                                           \
            if (!j->f.rms)                                                                         \
                mean = sum_##suffix(x, n) / (double)n;                                             \
            square = squares_##suffix(x, n, (type)mean) / (double)n;                               \
            const double inverse = 1 / sqrt(square + j->epsilon);                                  \
            const type m = (type)mean, a = (type)inverse;                                          \
            if (bias)                                                                              \
                for (size_t i = 0; i < n; i++)                                                     \
                    y[i] = (x[i] - m) * a * scale[i] + bias[i];                                    \
            else                                                                                   \
                for (size_t i = 0; i < n; i++)                                                     \
                    y[i] = (x[i] - m) * a * scale[i];                                              \
            if (j->mean)                                                                           \
                j->mean[r] = mean;                                                                 \
            if (j->inverse)                                                                        \
                j->inverse[r] = inverse;                                                           \
        }                                                                                          \
    }

/* Eight sums side by side, in the tensor's own type; a compiler makes vectors of them. */
#define SUMS(suffix, type)                                                                         \
    static double sum_##suffix(const type *x, size_t n) {                                          \
        type lane[8] = {0};                                                                        \
        size_t i = 0;                                                                              \
        for (; i + 8 <= n; i += 8)                                                                 \
            for (size_t l = 0; l < 8; l++)                                                         \
                lane[l] += x[i + l];                                                               \
        double sum = 0;                                                                            \
        for (; i < n; i++)                                                                         \
            sum += (double)x[i];                                                                   \
        for (size_t l = 0; l < 8; l++)                                                             \
            sum += (double)lane[l];                                                                \
        return sum;                                                                                \
    }                                                                                              \
    static double squares_##suffix(const type *x, size_t n, type mean) {                           \
        type lane[8] = {0};                                                                        \
        size_t i = 0;                                                                              \
        for (; i + 8 <= n; i += 8)                                                                 \
            for (size_t l = 0; l < 8; l++)                                                         \
                lane[l] += (x[i + l] - mean) * (x[i + l] - mean);                                  \
        double sum = 0;                                                                            \
        for (; i < n; i++)                                                                         \
            sum += (double)((x[i] - mean) * (x[i] - mean));                                        \
        for (size_t l = 0; l < 8; l++)                                                             \
            sum += (double)lane[l];                                                                \
        return sum;                                                                                \
    }
SUMS(f32, float)
SUMS(f64, double)
KERNEL(f32, float)
KERNEL(f64, double)

/* Input i, broadcast to the normalised dimensions, in the kernel's type; NULL where absent. */
static enum status parameter(struct op_ctx *c, size_t i, int axis, bool wide, const void **out) {
    const struct tensor *x = op_in(c, 0), *p = op_in(c, i);
    *out = NULL;
    if (!p)
        return STATUS_OK;
    const float *narrow = NULL;
    const void *data = p->data;
    const size_t size = wide ? sizeof(double) : sizeof(float);
    enum status s = STATUS_OK;
    if (!wide || p->dtype != DTYPE_DOUBLE) {
        s = op_in_f32(c, i, &narrow);
        data = narrow;
    }
    if (s != STATUS_OK)
        return s;
    const int64_t n = tensor_span(x, axis, x->rank);
    if (wide && narrow) {
        double *d = op_scratch_array(c, (size_t)p->count, sizeof *d);
        if (!d)
            return op_no_memory(c);
        for (int64_t k = 0; k < p->count; k++)
            d[k] = (double)narrow[k];
        data = d;
    }
    if (p->count == n) {
        *out = data;
        return STATUS_OK;
    }
    struct tensor full, small = *p;
    s = tensor_shape(&full, p->dtype, x->rank - axis, x->dims + axis, c->error);
    while (small.rank > full.rank) { /* only ones are there: checked by infer */
        memmove(small.dims, small.dims + 1, (size_t)(small.rank - 1) * sizeof *small.dims);
        small.rank--;
    }
    char *expanded = s == STATUS_OK ? op_scratch_array(c, (size_t)n, size) : NULL;
    if (!expanded)
        return s != STATUS_OK ? s : op_no_memory(c);
    struct broadcast plan;
    const struct tensor *operand[] = {&small};
    broadcast_plan(&plan, &full, operand, 1);
    for (int64_t r = 0; r < plan.rows; r++) {
        int64_t at[BROADCAST_MAX];
        broadcast_row(&plan, r, at);
        for (int64_t k = 0; k < plan.inner; k++)
            memcpy(expanded + (size_t)(r * plan.inner + k) * size,
                   (const char *)data + (size_t)(at[0] + k * plan.inner_stride[0]) * size, size);
    }
    *out = expanded;
    return STATUS_OK;
}

static void store(struct tensor *t, const double *values) {
    for (int64_t k = 0; t && k < t->count; k++) {
        const float f = (float)values[k];
        if (t->dtype == DTYPE_DOUBLE)
            ((double *)t->data)[k] = values[k];
        else
            half_narrow(t->dtype, &f, (char *)t->data + (size_t)k * dtype_size(t->dtype), 1);
    }
}

/* x, skip, y and sum in the kernel's type. `to` and `to_sum` are what op_out_f32_done wants. */
static enum status open_data(struct op_ctx *c, struct job *j, bool wide, float **to,
                             float **to_sum) {
    const struct tensor *x = op_in(c, 0);
    const float *f = NULL;
    enum status s = STATUS_OK;
    j->x = x->data;
    j->skip = j->f.skip ? op_in(c, 1)->data : NULL;
    if (!wide) {
        s = op_in_f32(c, 0, &f);
        j->x = f;
        if (s == STATUS_OK && j->f.skip) {
            s = op_in_f32(c, 1, &f);
            j->skip = f;
        }
    }
    if (s == STATUS_OK && (!wide || (op_out(c, 0) && op_out(c, 0)->dtype != DTYPE_DOUBLE)))
        s = op_out_f32(c, 0, to);
    if (s == STATUS_OK && !wide && j->f.skip)
        s = op_out_f32(c, 3, to_sum);
    if (s != STATUS_OK)
        return s;
    const size_t size = wide ? sizeof(double) : sizeof(float);
    j->y = !wide ? (void *)*to : op_out(c, 0) && !*to ? op_out(c, 0)->data : NULL;
    j->sum = !wide ? (void *)*to_sum : op_out(c, 3) ? op_out(c, 3)->data : NULL;
    if (!j->y)
        j->y = op_scratch_array(c, (size_t)x->count, size);
    if (j->f.skip && !j->sum)
        j->sum = op_scratch_array(c, (size_t)x->count, size);
    return j->y && (j->sum || !j->f.skip) ? STATUS_OK : op_no_memory(c);
}

static enum status run(struct op_ctx *c) {
    const struct tensor *x = op_in(c, 0);
    struct job j = {.f = form_of(c)};
    j.epsilon = (double)op_attr_float(c, "epsilon", j.f.skip ? 1e-12f : 1e-5f);
    int axis = 0;
    enum status s = axis_of(c, j.f, &axis);
    if (s != STATUS_OK || x->count == 0)
        return s;
    const bool wide = x->dtype == DTYPE_DOUBLE;
    const size_t first = j.f.skip ? 2 : 1;
    j.n = (size_t)tensor_span(x, axis, x->rank);
    const size_t rows = (size_t)x->count / j.n;
    j.skip_rows = j.f.skip ? (size_t)op_in(c, 1)->count / j.n : rows;
    float *to = NULL, *to_sum = NULL;
    s = open_data(c, &j, wide, &to, &to_sum);
    if (s == STATUS_OK)
        s = parameter(c, first, axis, wide, &j.scale);
    const size_t bias = j.f.rms && j.f.skip ? 0 : first + 1;
    if (s == STATUS_OK && bias != 0)
        s = parameter(c, bias, axis, wide, &j.bias);
    if (s == STATUS_OK && j.f.skip)
        s = parameter(c, j.f.rms ? 3 : 4, axis, wide, &j.add);
    if (s != STATUS_OK)
        return s;
    if (!j.f.skip && (op_out(c, 1) || op_out(c, 2))) {
        j.mean = op_scratch_array(c, rows, sizeof *j.mean);
        j.inverse = op_scratch_array(c, rows, sizeof *j.inverse);
        if (!j.mean || !j.inverse)
            return op_no_memory(c);
    }
    op_parallel(c, rows, 4096 / j.n + 1, wide ? rows_f64 : rows_f32, &j);
    if (j.mean) {
        store(op_out(c, 1), j.mean);
        store(op_out(c, 2), j.inverse);
    }
    if (to && wide)
        for (int64_t k = 0; k < x->count; k++)
            to[k] = (float)((const double *)j.y)[k];
    if (to)
        op_out_f32_done(c, 0, to);
    if (to_sum)
        op_out_f32_done(c, 3, to_sum);
    return STATUS_OK;
}

#define MICROSOFT "com.microsoft"

const struct op_row op_family_layer_norm[] = {
    {.name = "LayerNormalization", .since = 1, .infer = infer, .run = run},
    {.name = "SimplifiedLayerNormalization", .since = 1, .infer = infer, .run = run},
    {.name = "RMSNormalization", .since = 23, .infer = infer, .run = run},
    {.domain = MICROSOFT, .name = "SkipLayerNormalization", .since = 1, .infer = infer, .run = run},
    {.domain = MICROSOFT,
     .name = "SkipSimplifiedLayerNormalization",
     .since = 1,
     .infer = infer,
     .run = run},
    OP_END,
};
