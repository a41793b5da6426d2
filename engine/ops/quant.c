#include "engine/ops/quant.h"

#include <math.h>

void quant_load(enum dtype dtype, const void *from, size_t count, double *to) {
#define CASE(name, type)                                                                           \
    case DTYPE_##name:                                                                             \
        for (size_t i = 0; i < count; i++)                                                         \
            to[i] = (double)((const type *)from)[i];                                               \
        break;
    switch (dtype) {
        CASE(INT8, int8_t)
        CASE(INT4, int8_t)
        CASE(INT2, int8_t)
        CASE(UINT8, uint8_t)
        CASE(UINT4, uint8_t)
        CASE(UINT2, uint8_t)
        CASE(INT16, int16_t)
        CASE(UINT16, uint16_t)
        CASE(INT32, int32_t)
    default:
        for (size_t i = 0; i < count; i++)
            to[i] = (double)half_f8_to_float(dtype, ((const uint8_t *)from)[i]);
        break;
    }
#undef CASE
}

enum status quant_zero_points(struct op_ctx *c, size_t i, size_t otherwise, const double **out,
                              size_t *count) {
    const struct tensor *t = op_in(c, i);
    const size_t n = t ? (size_t)t->count : otherwise;
    double *values = op_scratch_array(c, n, sizeof *values);
    if (!values)
        return op_no_memory(c);
    if (t)
        quant_load(t->dtype, t->data, n, values);
    else
        memset(values, 0, n * sizeof *values);
    *out = values;
    *count = n;
    return STATUS_OK;
}

/* Range of an integer type of QUANT_INTS. */
static void range_of(enum dtype dtype, double *least, double *most) {
    static const struct {
        enum dtype dtype;
        double least, most;
    } table[] = {{DTYPE_INT8, INT8_MIN, INT8_MAX},
                 {DTYPE_UINT8, 0, UINT8_MAX},
                 {DTYPE_INT16, INT16_MIN, INT16_MAX},
                 {DTYPE_UINT16, 0, UINT16_MAX},
                 {DTYPE_INT4, -8, 7},
                 {DTYPE_UINT4, 0, 15},
                 {DTYPE_INT2, -2, 1},
                 {DTYPE_UINT2, 0, 3}};
    *least = *most = 0;
    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        if (table[i].dtype == dtype) {
            *least = table[i].least;
            *most = table[i].most;
        }
}

void quant_store(enum dtype dtype, void *to, size_t at, double v, double zero) {
    double least = 0, most = 0;
    if (dtype_is_tiny_float(dtype)) {
        ((uint8_t *)to)[at] = half_f8_from_float(dtype, (float)(v + zero), true);
        return;
    }
    range_of(dtype, &least, &most);
    /* rint rounds half to even: the rounding mode is never changed. NaN becomes the least. */
    const double r = rint(v) + zero;
    const double limited = r >= least ? (r <= most ? r : most) : least;
    switch (dtype) {
    case DTYPE_INT8:
    case DTYPE_INT4:
    case DTYPE_INT2:
        ((int8_t *)to)[at] = (int8_t)limited;
        break;
    case DTYPE_UINT8:
    case DTYPE_UINT4:
    case DTYPE_UINT2:
        ((uint8_t *)to)[at] = (uint8_t)limited;
        break;
    case DTYPE_INT16:
        ((int16_t *)to)[at] = (int16_t)limited;
        break;
    case DTYPE_UINT16:
        ((uint16_t *)to)[at] = (uint16_t)limited;
        break;
    default:
        break;
    }
}
