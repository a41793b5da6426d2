#include "engine/ops/convert.h"

#include "engine/model/half.h"

#include <math.h>

#define CHUNK 256

static int64_t cut(double v) {
    return v >= -0x1p63 && v < 0x1p63 ? (int64_t)v : INT64_MIN;
}

static uint64_t cut_unsigned(double v) {
    return v >= 0x1p63 && v < 0x1p64 ? (uint64_t)v : (uint64_t)cut(v);
}

/* The types that C has; the others go through float. */
static bool plain(enum dtype t) {
    return dtype_is_integer(t) || t == DTYPE_BOOL || t == DTYPE_FLOAT || t == DTYPE_DOUBLE ||
           t == DTYPE_INT4 || t == DTYPE_UINT4 || t == DTYPE_INT2 || t == DTYPE_UINT2;
}

bool convert_possible(enum dtype from, enum dtype to) {
    bool in = plain(from) || dtype_is_float(from) || dtype_is_tiny_float(from);
    bool out = plain(to) || dtype_is_float(to) || dtype_is_tiny_float(to);
    return in && out;
}

#define EACH(to_type, expression)                                                                  \
    {                                                                                              \
        to_type *to = out;                                                                         \
        for (size_t i = 0; i < count; i++) {                                                       \
            const value_type v = from[i];                                                          \
            to[i] = (to_type)(expression);                                                         \
        }                                                                                          \
        break;                                                                                     \
    }

/* FROM(name, type, how to get at an integer, at an unsigned 64-bit one, and at one of four
 * or two bits with its bounds): all conversions from one type. Floats saturate to those, integers
 * keep the low bits, sign-extended. */
#define FROM(name, type, INTEGER, UNSIGNED, NIBBLE)                                                \
    static void from_##name(const type *from, enum dtype to_dtype, void *out, size_t count) {      \
        typedef type value_type;                                                                   \
        switch (to_dtype) {                                                                        \
        case DTYPE_FLOAT:                                                                          \
            EACH(float, v)                                                                         \
        case DTYPE_DOUBLE:                                                                         \
            EACH(double, v)                                                                        \
        case DTYPE_BOOL:                                                                           \
            EACH(uint8_t, v != 0)                                                                  \
        case DTYPE_INT8:                                                                           \
            EACH(int8_t, INTEGER(v))                                                               \
        case DTYPE_INT16:                                                                          \
            EACH(int16_t, INTEGER(v))                                                              \
        case DTYPE_INT32:                                                                          \
            EACH(int32_t, INTEGER(v))                                                              \
        case DTYPE_INT64:                                                                          \
            EACH(int64_t, INTEGER(v))                                                              \
        case DTYPE_UINT8:                                                                          \
            EACH(uint8_t, INTEGER(v))                                                              \
        case DTYPE_UINT16:                                                                         \
            EACH(uint16_t, INTEGER(v))                                                             \
        case DTYPE_UINT32:                                                                         \
            EACH(uint32_t, INTEGER(v))                                                             \
        case DTYPE_UINT64:                                                                         \
            EACH(uint64_t, UNSIGNED(v))                                                            \
        case DTYPE_UINT4:                                                                          \
            EACH(uint8_t, (uint64_t)NIBBLE(v, 0, 15) & 15)                                         \
        case DTYPE_INT4:                                                                           \
            EACH(int8_t, ((int64_t)NIBBLE(v, -8, 7) & 7) - ((int64_t)NIBBLE(v, -8, 7) & 8))        \
        case DTYPE_UINT2:                                                                          \
            EACH(uint8_t, (uint64_t)NIBBLE(v, 0, 3) & 3)                                           \
        case DTYPE_INT2:                                                                           \
            EACH(int8_t, ((int64_t)NIBBLE(v, -2, 1) & 1) - ((int64_t)NIBBLE(v, -2, 1) & 2))        \
        default:                                                                                   \
            break;                                                                                 \
        }                                                                                          \
    }

#define AS_IS(v) (v)
#define CUT(v) cut((double)(v))
#define CUT_UNSIGNED(v) cut_unsigned((double)(v))
#define LOW_BITS(v, least, most) (v)
#define CLAMPED(v, least, most) ((v) < (least) ? (least) : (v) > (most) ? (most) : CUT(v))

FROM(float, float, CUT, CUT_UNSIGNED, CLAMPED)
FROM(double, double, CUT, CUT_UNSIGNED, CLAMPED)
FROM(i8, int8_t, AS_IS, AS_IS, LOW_BITS)
FROM(i16, int16_t, AS_IS, AS_IS, LOW_BITS)
FROM(i32, int32_t, AS_IS, AS_IS, LOW_BITS)
FROM(i64, int64_t, AS_IS, AS_IS, LOW_BITS)
FROM(u8, uint8_t, AS_IS, AS_IS, LOW_BITS)
FROM(u16, uint16_t, AS_IS, AS_IS, LOW_BITS)
FROM(u32, uint32_t, AS_IS, AS_IS, LOW_BITS)
FROM(u64, uint64_t, AS_IS, AS_IS, LOW_BITS)

static void convert_plain(enum dtype from, const void *in, enum dtype to, void *out, size_t count) {
    switch (from) {
    case DTYPE_FLOAT:
        from_float(in, to, out, count);
        break;
    case DTYPE_DOUBLE:
        from_double(in, to, out, count);
        break;
    case DTYPE_INT8:
    case DTYPE_INT4:
    case DTYPE_INT2:
        from_i8(in, to, out, count);
        break;
    case DTYPE_INT16:
        from_i16(in, to, out, count);
        break;
    case DTYPE_INT32:
        from_i32(in, to, out, count);
        break;
    case DTYPE_INT64:
        from_i64(in, to, out, count);
        break;
    case DTYPE_UINT16:
        from_u16(in, to, out, count);
        break;
    case DTYPE_UINT32:
        from_u32(in, to, out, count);
        break;
    case DTYPE_UINT64:
        from_u64(in, to, out, count);
        break;
    default:
        from_u8(in, to, out, count);
    }
}

static void widen(enum dtype from, const void *in, float *out, size_t count) {
    if (dtype_is_tiny_float(from))
        for (size_t i = 0; i < count; i++)
            out[i] = half_f8_to_float(from, ((const uint8_t *)in)[i]);
    else
        half_widen(from, in, out, count);
}

static void narrow(const float *in, enum dtype to, void *out, size_t count, bool saturate) {
    if (dtype_is_tiny_float(to))
        for (size_t i = 0; i < count; i++)
            ((uint8_t *)out)[i] = half_f8_from_float(to, in[i], saturate);
    else
        half_narrow(to, in, out, count);
}

void convert_elements(enum dtype from, const void *in, enum dtype to, void *out, size_t count,
                      bool saturate) {
    const char *source = in;
    char *target = out;
    if (from == to) {
        if (count > 0)
            memcpy(out, in, count * dtype_size(from));
        return;
    }
    if (plain(from) && plain(to)) {
        convert_plain(from, in, to, out, count);
        return;
    }
    if (from == DTYPE_DOUBLE && to == DTYPE_FLOAT16) {
        for (size_t i = 0; i < count; i++)
            ((uint16_t *)out)[i] = half_from_double(((const double *)in)[i]);
        return;
    }
    for (size_t at = 0; at < count; at += CHUNK) {
        float middle[CHUNK];
        size_t n = count - at < CHUNK ? count - at : CHUNK;
        const char *s = source + at * dtype_size(from);
        char *t = target + at * dtype_size(to);
        if (plain(from))
            convert_plain(from, s, DTYPE_FLOAT, middle, n);
        else
            widen(from, s, middle, n);
        if (to == DTYPE_FLOAT)
            memcpy(t, middle, n * sizeof *middle);
        else if (plain(to))
            convert_plain(DTYPE_FLOAT, middle, to, t, n);
        else
            narrow(middle, to, t, n, saturate);
    }
}
