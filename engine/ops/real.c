#include "engine/ops/real.h"

#include "engine/ops/types.h"

static double limited(double v, double least, double most) {
    return v >= least ? (v <= most ? v : most) : least;
}

static void widen(enum dtype dtype, const void *from, double *to, size_t count) {
#define CASE(name, type)                                                                           \
    case DTYPE_##name:                                                                             \
        for (size_t i = 0; i < count; i++)                                                         \
            to[i] = (double)((const type *)from)[i];                                               \
        break;
    switch (dtype) {
        TYPES_NUMBER(CASE)
    case DTYPE_FLOAT16:
        for (size_t i = 0; i < count; i++)
            to[i] = (double)half_to_float(((const uint16_t *)from)[i]);
        break;
    case DTYPE_BFLOAT16:
        for (size_t i = 0; i < count; i++)
            to[i] = (double)half_bf16_to_float(((const uint16_t *)from)[i]);
        break;
    case DTYPE_BOOL:
        for (size_t i = 0; i < count; i++)
            to[i] = ((const uint8_t *)from)[i];
        break;
    default:
        for (size_t i = 0; dtype_is_tiny_float(dtype) && i < count; i++)
            to[i] = (double)half_f8_to_float(dtype, ((const uint8_t *)from)[i]);
        break;
    }
#undef CASE
}

static void narrow(enum dtype dtype, const double *from, void *to, size_t count) {
#define CASE(name, type, least, most)                                                              \
    case DTYPE_##name:                                                                             \
        for (size_t i = 0; i < count; i++)                                                         \
            ((type *)to)[i] = (type)limited(from[i], least, most);                                 \
        break;
    switch (dtype) {
        CASE(INT8, int8_t, INT8_MIN, INT8_MAX)
        CASE(INT16, int16_t, INT16_MIN, INT16_MAX)
        CASE(INT32, int32_t, INT32_MIN, INT32_MAX)
        CASE(INT64, int64_t, -0x1p63, 0x1.fffffffffffffp62)
        CASE(UINT8, uint8_t, 0, UINT8_MAX)
        CASE(UINT16, uint16_t, 0, UINT16_MAX)
        CASE(UINT32, uint32_t, 0, UINT32_MAX)
        CASE(UINT64, uint64_t, 0, 0x1.fffffffffffffp63)
    case DTYPE_FLOAT:
        for (size_t i = 0; i < count; i++)
            ((float *)to)[i] = (float)from[i];
        break;
    case DTYPE_DOUBLE:
        if (from != to)
            memcpy(to, from, count * sizeof *from);
        break;
    case DTYPE_FLOAT16:
        for (size_t i = 0; i < count; i++)
            ((uint16_t *)to)[i] = half_from_double(from[i]);
        break;
    case DTYPE_BFLOAT16:
        for (size_t i = 0; i < count; i++)
            ((uint16_t *)to)[i] = half_bf16_from_float((float)from[i]);
        break;
    case DTYPE_BOOL:
        for (size_t i = 0; i < count; i++)
            ((uint8_t *)to)[i] = from[i] != 0;
        break;
    default:
        for (size_t i = 0; dtype_is_tiny_float(dtype) && i < count; i++)
            ((uint8_t *)to)[i] = half_f8_from_float(dtype, (float)from[i], true);
        break;
    }
#undef CASE
}

double real_at(const struct tensor *t, int64_t i) {
    double v = 0;
    widen(t->dtype, (const char *)t->data + (size_t)i * dtype_size(t->dtype), &v, 1);
    return v;
}

void real_put(struct tensor *t, int64_t i, double v) {
    char *to = (char *)t->data + (size_t)i * dtype_size(t->dtype);
    narrow(t->dtype, &v, to, 1);
}

enum status real_in(struct op_ctx *c, size_t i, const double **out) {
    const struct tensor *t = op_in(c, i);
    if (t->dtype == DTYPE_DOUBLE) {
        *out = t->data;
        return STATUS_OK;
    }
    double *values = op_scratch_array(c, (size_t)t->count, sizeof *values);
    if (!values)
        return op_no_memory(c);
    widen(t->dtype, t->data, values, (size_t)t->count);
    *out = values;
    return STATUS_OK;
}

enum status real_out(struct op_ctx *c, size_t i, double **out) {
    struct tensor *t = op_out(c, i);
    if (!t || t->dtype == DTYPE_DOUBLE) {
        *out = t ? t->data : NULL;
        return STATUS_OK;
    }
    double *values = op_scratch_array(c, (size_t)t->count, sizeof *values);
    if (!values)
        return op_no_memory(c);
    *out = values;
    return STATUS_OK;
}

void real_out_done(struct op_ctx *c, size_t i, const double *values) {
    struct tensor *t = op_out(c, i);
    if (t)
        narrow(t->dtype, values, t->data, (size_t)t->count);
}
