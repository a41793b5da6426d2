/* Scaler, Normalizer, Imputer, Binarizer (ai.onnx.ml): one row's features, one by one. */
#include "engine/ops/ml_common.h"

#include <math.h>

#define ML "ai.onnx.ml"

/* Features are the last dimension; a list of `n` values fits if it has one, or one a feature. */
static enum status fits(struct op_ctx *c, const char *name, size_t n) {
    const struct tensor *x = op_in(c, 0);
    int64_t width = x->rank > 0 ? x->dims[x->rank - 1] : 1;
    if (n == 1 || (int64_t)n == width)
        return STATUS_OK;
    return op_fail(c, "attribute \"%s\" has %zu values, must have 1 or %lld", name, n,
                   (long long)width);
}

static enum status float_like(struct op_ctx *c) {
    enum status s = op_need(c, 0);
    if (s == STATUS_OK)
        s = op_need_dtype(c, 0, ML_NUMBERS);
    if (s == STATUS_OK)
        s = op_infer(c, 0, DTYPE_FLOAT, op_in(c, 0)->rank, op_in(c, 0)->dims);
    return s;
}

/* ---- Scaler: (x - offset) * scale ---- */

static enum status scaler_infer(struct op_ctx *c) {
    const float *offset = NULL, *scale = NULL;
    size_t offsets = op_attr_floats(c, "offset", &offset);
    size_t scales = op_attr_floats(c, "scale", &scale);
    enum status s = float_like(c);
    if (s == STATUS_OK)
        s = offsets ? fits(c, "offset", offsets) : STATUS_OK;
    if (s == STATUS_OK && scales)
        s = fits(c, "scale", scales);
    return s;
}

static enum status scaler_run(struct op_ctx *c) {
    const struct tensor *x = op_in(c, 0);
    struct tensor *y = op_out(c, 0);
    const float *offset = NULL, *scale = NULL;
    size_t offsets = op_attr_floats(c, "offset", &offset);
    size_t scales = op_attr_floats(c, "scale", &scale);
    if (!y || y->count == 0)
        return STATUS_OK;
    const double *wide = NULL;
    const float *from = NULL;
    enum status s =
        x->dtype == DTYPE_FLOAT ? ml_common_floats(c, 0, &from) : ml_common_doubles(c, 0, &wide);
    if (s != STATUS_OK)
        return s;
    float *to = y->data;
    size_t width = x->rank > 0 ? (size_t)x->dims[x->rank - 1] : 1;
    for (size_t i = 0, k = 0; i < (size_t)x->count; i++, k = k + 1 == width ? 0 : k + 1) {
        float o = offsets ? offset[offsets == 1 ? 0 : k] : 0;
        float m = scales ? scale[scales == 1 ? 0 : k] : 1;
        to[i] = from ? (from[i] - o) * m : (float)((wide[i] - (double)o) * (double)m);
    }
    return STATUS_OK;
}

/* ---- Normalizer: each row divided by its largest element, its L1 or its L2 norm ---- */

static const char *const norms[] = {"MAX", "L1", "L2"};

static enum status normalizer_infer(struct op_ctx *c) {
    size_t norm = 0;
    struct ml_rows rows = {0};
    enum status s = ml_common_rows(c, ML_NUMBERS, &rows);
    if (s == STATUS_OK)
        s = ml_common_choice(c, "norm", norms, 3, 0, &norm);
    return s == STATUS_OK ? float_like(c) : s;
}

static enum status normalizer_run(struct op_ctx *c) {
    struct tensor *y = op_out(c, 0);
    struct ml_rows rows = {0};
    const float *from = NULL;
    size_t norm = 0;
    if (!y || y->count == 0)
        return STATUS_OK;
    enum status s = ml_common_rows(c, ML_NUMBERS, &rows);
    if (s == STATUS_OK)
        s = ml_common_choice(c, "norm", norms, 3, 0, &norm);
    if (s == STATUS_OK)
        s = ml_common_floats(c, 0, &from);
    if (s != STATUS_OK)
        return s;
    float *to = y->data;
    for (int64_t r = 0; r < rows.n; r++, from += rows.width, to += rows.width) {
        double d = norm == 0 ? -INFINITY : 0;
        for (int64_t i = 0; i < rows.width; i++) {
            double x = (double)from[i];
            if (norm == 0)
                d = x > d ? x : d;
            else
                d += norm == 1 ? fabs(x) : x * x;
        }
        if (norm == 2)
            d = sqrt(d);
        for (int64_t i = 0; i < rows.width; i++)
            to[i] = d != 0 ? (float)((double)from[i] / d) : from[i];
    }
    return STATUS_OK;
}

/* ---- Imputer: elements that equal one value (NaN equals NaN) are replaced ---- */

struct imputing {
    const float *floats;
    const int64_t *ints;
    size_t n;
};

static enum status imputer_values(struct op_ctx *c, bool floats, struct imputing *out) {
    const char *name = floats ? "imputed_value_floats" : "imputed_value_int64s";
    struct imputing v = {0};
    v.n = floats ? op_attr_floats(c, name, &v.floats) : op_attr_ints(c, name, &v.ints);
    *out = v;
    return fits(c, name, v.n);
}

static bool is_float(const struct tensor *x) {
    return x->dtype == DTYPE_FLOAT || x->dtype == DTYPE_DOUBLE;
}

static enum status imputer_infer(struct op_ctx *c) {
    struct imputing v = {0};
    enum status s = op_need(c, 0);
    if (s == STATUS_OK)
        s = op_need_dtype(c, 0, ML_NUMBERS);
    if (s == STATUS_OK)
        s = imputer_values(c, is_float(op_in(c, 0)), &v);
    if (s == STATUS_OK)
        s = op_infer_like(c, 0, op_in(c, 0));
    return s;
}

#define IMPUTE(T, R, replaced, list)                                                               \
    do {                                                                                           \
        const T *from = x->data;                                                                   \
        T *to = y->data;                                                                           \
        const R old = (replaced);                                                                  \
        for (size_t i = 0, k = 0; i < (size_t)x->count; i++, k = k + 1 == width ? 0 : k + 1) {     \
            R e = (R)from[i];                                                                      \
            bool hit = e == old || (e != e && old != old);                                         \
            to[i] = hit ? (T)(list)[v.n == 1 ? 0 : k] : from[i];                                   \
        }                                                                                          \
    } while (0)

static enum status imputer_run(struct op_ctx *c) {
    const struct tensor *x = op_in(c, 0);
    struct tensor *y = op_out(c, 0);
    struct imputing v = {0};
    enum status s = imputer_values(c, is_float(x), &v);
    if (s != STATUS_OK || !y)
        return s;
    size_t width = x->rank > 0 ? (size_t)x->dims[x->rank - 1] : 1;
    switch (x->dtype) {
    case DTYPE_FLOAT:
        IMPUTE(float, float, op_attr_float(c, "replaced_value_float", 0), v.floats);
        break;
    case DTYPE_DOUBLE:
        IMPUTE(double, double, (double)op_attr_float(c, "replaced_value_float", 0), v.floats);
        break;
    case DTYPE_INT32:
        IMPUTE(int32_t, int64_t, op_attr_int(c, "replaced_value_int64", 0), v.ints);
        break;
    default:
        IMPUTE(int64_t, int64_t, op_attr_int(c, "replaced_value_int64", 0), v.ints);
    }
    return STATUS_OK;
}

/* ---- Binarizer ---- */

static enum status binarizer_infer(struct op_ctx *c) {
    enum status s = op_need(c, 0);
    if (s == STATUS_OK)
        s = op_need_dtype(c, 0, ML_NUMBERS);
    if (s == STATUS_OK)
        s = op_infer_like(c, 0, op_in(c, 0));
    return s;
}

#define BINARIZE(T)                                                                                \
    do {                                                                                           \
        const T *from = x->data;                                                                   \
        T *to = y->data;                                                                           \
        for (int64_t i = 0; i < x->count; i++)                                                     \
            to[i] = (T)((double)from[i] > threshold);                                              \
    } while (0)

static enum status binarizer_run(struct op_ctx *c) {
    const struct tensor *x = op_in(c, 0);
    struct tensor *y = op_out(c, 0);
    double threshold = (double)op_attr_float(c, "threshold", 0);
    if (!y)
        return STATUS_OK;
    switch (x->dtype) {
    case DTYPE_FLOAT:
        BINARIZE(float);
        break;
    case DTYPE_DOUBLE:
        BINARIZE(double);
        break;
    case DTYPE_INT32:
        BINARIZE(int32_t);
        break;
    default:
        BINARIZE(int64_t);
    }
    return STATUS_OK;
}

const struct op_row op_family_ml_scale[] = {
    {.domain = ML, .name = "Scaler", .since = 1, .infer = scaler_infer, .run = scaler_run},
    {.domain = ML,
     .name = "Normalizer",
     .since = 1,
     .infer = normalizer_infer,
     .run = normalizer_run},
    {.domain = ML, .name = "Imputer", .since = 1, .infer = imputer_infer, .run = imputer_run},
    {.domain = ML,
     .name = "Binarizer",
     .since = 1,
     .infer = binarizer_infer,
     .run = binarizer_run,
     .flags = OP_IN_PLACE},
    OP_END,
};
