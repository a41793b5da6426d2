/* Indices that come from tensor data: read, and checked on both sides.
 *
 * Pure functions. Input: the values are hostile; the tensors' types and sizes were checked. */
#ifndef ENGINE_OPS_INDICES_H
#define ENGINE_OPS_INDICES_H

#include "engine/model/tensor.h"

#define INDEX_TYPES (DT(INT32) | DT(INT64))

/* Element i of a tensor of INDEX_TYPES. */
static inline int64_t index_at(const struct tensor *t, int64_t i) {
    return t->dtype == DTYPE_INT32 ? ((const int32_t *)t->data)[i] : ((const int64_t *)t->data)[i];
}

/* -dim <= *index < dim: counts a negative one from the end. false: out of range. */
static inline bool index_wrap(int64_t *index, int64_t dim) {
    if (*index < -dim || *index >= dim)
        return false;
    if (*index < 0)
        *index += dim;
    return true;
}

/* A whole number from a float, cut towards zero; ends of the range stand for what is past them,
 * 0 for NaN. */
static inline int64_t index_from_double(double v) {
    if (v >= 9223372036854775807.0)
        return INT64_MAX;
    if (v <= -9223372036854775808.0)
        return INT64_MIN;
    return v == v ? (int64_t)v : 0;
}

#endif
