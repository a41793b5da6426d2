/* What the ai.onnx.ml operators share: rows of numbers, class labels, transforms of scores.
 *
 * Inputs are [N,C], or [C] for one row, of float, double, int64 or int32. Scores are computed in
 * double and stored as the output's type says.
 *
 * Source of the transforms: the ai.onnx.ml operator set's documentation, and ONNX's reference
 * implementation where that is silent (SOFTMAX_ZERO, PROBIT, two classes from one score).
 *
 * Threads: none shared. Input: attributes are hostile, they are checked here. */
#ifndef ENGINE_OPS_ML_COMMON_H
#define ENGINE_OPS_ML_COMMON_H

#include "engine/ops/op.h"

#define ML_NUMBERS (DT(FLOAT) | DT(DOUBLE) | DT(INT64) | DT(INT32))

/* ---- rows ---- */
struct ml_rows {
    int64_t n, width;
};
/* Shape of input 0 as rows: 1 or 2 dimensions, a type of `types`. */
MUST_USE enum status ml_common_rows(struct op_ctx *c, uint32_t types, struct ml_rows *out);
/* Input i as float or double: its own data where it is that already, else a copy in scratch. */
MUST_USE enum status ml_common_floats(struct op_ctx *c, size_t i, const float **out);
MUST_USE enum status ml_common_doubles(struct op_ctx *c, size_t i, const double **out);

/* ---- labels ---- */
struct ml_labels {
    const int64_t *ints;
    const struct str *strings; /* NULL: labels are ints */
    size_t count;
};
/* Exactly one of the two attributes must be there. */
MUST_USE enum status ml_common_labels(struct op_ctx *c, const char *ints, const char *strings,
                                      struct ml_labels *out);
enum dtype ml_common_label_dtype(const struct ml_labels *l);
/* Element i of y becomes label k < count. */
void ml_common_label_put(const struct ml_labels *l, struct tensor *y, int64_t i, size_t k);

/* ---- transforms ---- */
enum ml_post { ML_NONE, ML_SOFTMAX, ML_LOGISTIC, ML_SOFTMAX_ZERO, ML_PROBIT };
/* The attribute post_transform, as a name. */
MUST_USE enum status ml_common_post(struct op_ctx *c, enum ml_post *out);
void ml_common_transform(enum ml_post post, double *scores, size_t n);
double ml_common_logistic(double v);
/* Number of `name` among the n names, by attribute; the default is names[0]. */
MUST_USE enum status ml_common_choice(struct op_ctx *c, const char *attribute,
                                      const char *const *names, size_t n, size_t otherwise,
                                      size_t *out);

#endif
