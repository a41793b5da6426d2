#include "engine/ops/ml_common.h"

#include <float.h>
#include <math.h>

enum status ml_common_rows(struct op_ctx *c, uint32_t types, struct ml_rows *out) {
    enum status s = op_need(c, 0);
    if (s == STATUS_OK)
        s = op_need_dtype(c, 0, types);
    if (s == STATUS_OK)
        s = op_need_rank(c, 0, 1, 2);
    if (s != STATUS_OK)
        return s;
    const struct tensor *x = op_in(c, 0);
    *out =
        x->rank == 1 ? (struct ml_rows){1, x->dims[0]} : (struct ml_rows){x->dims[0], x->dims[1]};
    return STATUS_OK;
}

/* COPY(T): every element of x as T. */
#define COPY(T, x, to)                                                                             \
    do {                                                                                           \
        for (int64_t k = 0; k < (x)->count; k++) {                                                 \
            switch ((x)->dtype) {                                                                  \
            case DTYPE_FLOAT:                                                                      \
                (to)[k] = (T)((const float *)(x)->data)[k];                                        \
                break;                                                                             \
            case DTYPE_DOUBLE:                                                                     \
                (to)[k] = (T)((const double *)(x)->data)[k];                                       \
                break;                                                                             \
            case DTYPE_INT32:                                                                      \
                (to)[k] = (T)((const int32_t *)(x)->data)[k];                                      \
                break;                                                                             \
            case DTYPE_FLOAT16:                                                                    \
                (to)[k] = (T)half_to_float(((const uint16_t *)(x)->data)[k]);                      \
                break;                                                                             \
            default:                                                                               \
                (to)[k] = (T)((const int64_t *)(x)->data)[k];                                      \
            }                                                                                      \
        }                                                                                          \
    } while (0)

enum status ml_common_floats(struct op_ctx *c, size_t i, const float **out) {
    const struct tensor *x = op_in(c, i);
    if (x->dtype == DTYPE_FLOAT) {
        *out = x->data;
        return STATUS_OK;
    }
    float *to = op_scratch_array(c, (size_t)x->count, sizeof *to);
    if (!to)
        return op_no_memory(c);
    COPY(float, x, to);
    *out = to;
    return STATUS_OK;
}

enum status ml_common_doubles(struct op_ctx *c, size_t i, const double **out) {
    const struct tensor *x = op_in(c, i);
    if (x->dtype == DTYPE_DOUBLE) {
        *out = x->data;
        return STATUS_OK;
    }
    double *to = op_scratch_array(c, (size_t)x->count, sizeof *to);
    if (!to)
        return op_no_memory(c);
    COPY(double, x, to);
    *out = to;
    return STATUS_OK;
}

enum status ml_common_labels(struct op_ctx *c, const char *ints, const char *strings,
                             struct ml_labels *out) {
    struct ml_labels l = {0};
    size_t n_ints = op_attr_ints(c, ints, &l.ints),
           n_strings = op_attr_strs(c, strings, &l.strings);
    if ((n_ints > 0) == (n_strings > 0))
        return op_fail(c, "exactly one of the attributes \"%s\" and \"%s\" must give the labels",
                       ints, strings);
    l.count = n_ints ? n_ints : n_strings;
    if (n_ints)
        l.strings = NULL;
    *out = l;
    return STATUS_OK;
}

enum dtype ml_common_label_dtype(const struct ml_labels *l) {
    return l->strings ? DTYPE_STRING : DTYPE_INT64;
}

void ml_common_label_put(const struct ml_labels *l, struct tensor *y, int64_t i, size_t k) {
    if (l->strings)
        ((struct str *)y->data)[i] = l->strings[k];
    else
        ((int64_t *)y->data)[i] = l->ints[k];
}

/* ---- transforms ---- */

enum status ml_common_choice(struct op_ctx *c, const char *attribute, const char *const *names,
                             size_t n, size_t otherwise, size_t *out) {
    struct str s = op_attr_str(c, attribute, names[otherwise]);
    for (size_t i = 0; i < n; i++)
        if (str_is(s, names[i])) {
            *out = i;
            return STATUS_OK;
        }
    return op_fail(c, "attribute \"%s\" is \"%.*s\", which is not one of its values", attribute,
                   (int)(s.size < 32 ? s.size : 32), s.data);
}

enum status ml_common_post(struct op_ctx *c, enum ml_post *out) {
    static const char *const names[] = {"NONE", "SOFTMAX", "LOGISTIC", "SOFTMAX_ZERO", "PROBIT"};
    size_t k = 0;
    enum status s = ml_common_choice(c, "post_transform", names, 5, 0, &k);
    if (s == STATUS_OK)
        *out = (enum ml_post)k;
    return s;
}

double ml_common_logistic(double v) {
    double e = 1 / (1 + exp(-fabs(v))); /* exp never overflows */
    return v < 0 ? 1 - e : e;
}

/* Inverse of the normal distribution's cumulative function, by Winitzki's approximation of the
 * inverse error function ("A handy approximation for the error function and its inverse", 2008,
 * a = 0.147), which is what ONNX's reference implementation computes. */
static double probit(double p) {
    double x = 2 * p - 1, a = 0.147;
    double log_term = log((1 - x) * (1 + x));
    double v = 2 / (3.14159265358979323846 * a) + log_term / 2;
    double r = sqrt(sqrt(v * v - log_term / a) - v);
    return 1.41421356237309504880 * (x < 0 ? -r : r);
}

/* keep_zero: a score of zero stays zero and takes no part (SOFTMAX_ZERO). */
static void softmax(double *scores, size_t n, bool keep_zero) {
    double top = -DBL_MAX, sum = 0;
    for (size_t i = 0; i < n; i++)
        top = scores[i] > top ? scores[i] : top;
    for (size_t i = 0; i < n; i++) {
        bool zero = keep_zero && fabs(scores[i]) <= 1e-7;
        scores[i] = zero ? 0 : exp(scores[i] - top);
        sum += scores[i];
    }
    for (size_t i = 0; i < n && sum != 0; i++)
        scores[i] /= sum;
}

void ml_common_transform(enum ml_post post, double *scores, size_t n) {
    switch (post) {
    case ML_NONE:
        return;
    case ML_SOFTMAX:
    case ML_SOFTMAX_ZERO:
        if (n > 1) /* a distribution over one class would say nothing: the score stays */
            softmax(scores, n, post == ML_SOFTMAX_ZERO);
        return;
    case ML_LOGISTIC:
        for (size_t i = 0; i < n; i++)
            scores[i] = ml_common_logistic(scores[i]);
        return;
    case ML_PROBIT:
        for (size_t i = 0; i < n; i++)
            scores[i] = probit(scores[i]);
        return;
    }
}
