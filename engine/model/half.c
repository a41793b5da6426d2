#include "engine/model/half.h"

#include <math.h>

static float bits_float(uint32_t u) {
    float f;
    memcpy(&f, &u, sizeof f);
    return f;
}

static uint32_t float_bits(float f) {
    uint32_t u;
    memcpy(&u, &f, sizeof u);
    return u;
}

float half_to_float(uint16_t h) {
    uint32_t sign = (uint32_t)(h & 0x8000) << 16;
    uint32_t exponent = (h >> 10) & 0x1f, mantissa = h & 0x3ff;
    if (exponent == 0x1f)
        return bits_float(sign | 0x7f800000u | mantissa << 13);
    if (exponent == 0) {
        /* Subnormal: mantissa * 2^-24, exact in float. */
        float v = (float)mantissa * 0x1p-24f;
        return sign ? -v : v;
    }
    return bits_float(sign | (exponent + 112) << 23 | mantissa << 13);
}

uint16_t half_from_float(float f) {
    uint32_t u = float_bits(f);
    uint16_t sign = (uint16_t)(u >> 16 & 0x8000);
    u &= 0x7fffffffu;
    if (u > 0x7f800000u)
        return (uint16_t)(sign | 0x7e00 | (u >> 13 & 0x1ff));
    if (u >= 0x477ff000u) /* 65520 and above rounds to infinity */
        return (uint16_t)(sign | 0x7c00);
    if (u < 0x38800000u) {
        /* Below 2^-14: adding 0.5 puts units of 2^-24 into the low bits, rounded by the FPU. */
        float v = bits_float(u) + 0.5f;
        return (uint16_t)(sign | (uint16_t)(float_bits(v) - 0x3f000000u));
    }
    u += 0xfff + (u >> 13 & 1);
    return (uint16_t)(sign | (uint16_t)((u - 0x38000000u) >> 13));
}

uint16_t half_from_double(double d) {
    float f = (float)d;
    /* Round to odd, so that the second rounding sees on which side of a tie the value lay. */
    if (!isnan(d) && !isinf(f) && (double)f != d) {
        uint32_t u = float_bits(f);
        if ((double)fabsf(f) > fabs(d))
            u -= 1;
        f = bits_float(u | 1);
    }
    return half_from_float(f);
}

float half_bf16_to_float(uint16_t b) {
    return bits_float((uint32_t)b << 16);
}

uint16_t half_bf16_from_float(float f) {
    uint32_t u = float_bits(f);
    if ((u & 0x7fffffffu) > 0x7f800000u)
        return (uint16_t)(u >> 16 | 0x40);
    return (uint16_t)((u + 0x7fff + (u >> 16 & 1)) >> 16);
}

/* The formats of 8 and 4 bits: exponent bits, mantissa bits, bias, and what the top codes mean. */
struct format {
    int exponent_bits, mantissa_bits, bias;
    bool infinities; /* IEEE-like: all-ones exponent holds infinity and NaN */
    bool fnuz;       /* 0x80 is the only NaN, no negative zero, no infinity */
    bool no_nan;     /* every code is a number (float4) */
};

static struct format format_of(enum dtype dtype) {
    switch (dtype) {
    case DTYPE_FLOAT8E4M3FN:
        return (struct format){4, 3, 7, false, false, false};
    case DTYPE_FLOAT8E4M3FNUZ:
        return (struct format){4, 3, 8, false, true, false};
    case DTYPE_FLOAT8E5M2:
        return (struct format){5, 2, 15, true, false, false};
    case DTYPE_FLOAT8E5M2FNUZ:
        return (struct format){5, 2, 16, false, true, false};
    case DTYPE_FLOAT6E2M3:
        return (struct format){2, 3, 1, false, false, true};
    case DTYPE_FLOAT6E3M2:
        return (struct format){3, 2, 3, false, false, true};
    default:
        return (struct format){2, 1, 1, false, false, true};
    }
}

/* 2^(v - 127); 255 is NaN. No sign, no zero. */
static float e8m0_to_float(uint8_t v) {
    return v == 255 ? NAN : ldexpf(1.0f, (int)v - 127);
}

uint8_t half_e8m0_from_float(float f, bool saturate, enum half_round round) {
    uint32_t u = float_bits(f) & 0x7fffffffu;
    if (u > 0x7f800000u)
        return 255;
    if (u == 0x7f800000u)
        return saturate ? 254 : 255;
    if (u == 0)
        return saturate ? 0 : 255;
    int exponent = 0;
    float half =
        frexpf(bits_float(u), &exponent); /* 0.5 <= half < 1, the value half * 2^exponent */
    int code = exponent - 1 + 127;
    if (round == HALF_UP ? half > 0.5f : round == HALF_NEAREST && half >= 0.75f)
        code++;
    if (code < 0)
        return saturate ? 0 : 255;
    return (uint8_t)(code <= 254 ? code : saturate ? 254 : 255);
}

float half_f8_to_float(enum dtype dtype, uint8_t v) {
    if (dtype == DTYPE_FLOAT8E8M0)
        return e8m0_to_float(v);
    struct format f = format_of(dtype);
    int width = f.exponent_bits + f.mantissa_bits;
    unsigned sign = v >> width & 1;
    int exponent = (v >> f.mantissa_bits) & ((1 << f.exponent_bits) - 1);
    int mantissa = v & ((1 << f.mantissa_bits) - 1);
    int top = (1 << f.exponent_bits) - 1, ones = (1 << f.mantissa_bits) - 1;
    if (f.fnuz && sign && exponent == 0 && mantissa == 0)
        return NAN;
    if (f.infinities && exponent == top)
        return mantissa ? (sign ? -NAN : NAN) : (sign ? -INFINITY : INFINITY);
    if (!f.infinities && !f.fnuz && !f.no_nan && exponent == top && mantissa == ones)
        return sign ? -NAN : NAN;
    float r = exponent == 0
                  ? ldexpf((float)mantissa, 1 - f.bias - f.mantissa_bits)
                  : ldexpf((float)(mantissa + ones + 1), exponent - f.bias - f.mantissa_bits);
    return sign ? -r : r;
}

uint8_t half_f8_from_float(enum dtype dtype, float value, bool saturate) {
    if (dtype == DTYPE_FLOAT8E8M0)
        return half_e8m0_from_float(value, saturate, HALF_NEAREST);
    struct format f = format_of(dtype);
    int width = f.exponent_bits + f.mantissa_bits;
    uint8_t sign = (uint8_t)((signbit(value) ? 1u : 0u) << width);
    uint8_t top = (uint8_t)((1u << width) - 1); /* all exponent and mantissa bits */
    uint8_t nan_code, inf_code, max_code;
    if (f.fnuz) {
        nan_code = inf_code = 0x80;
        max_code = top;
    } else if (f.infinities) {
        nan_code = (uint8_t)(sign | top);
        inf_code = (uint8_t)(sign | (uint8_t)(top & ~((1u << f.mantissa_bits) - 1)));
        max_code = (uint8_t)((top & ~((1u << f.mantissa_bits) - 1)) - 1);
    } else if (f.no_nan) {
        nan_code = top; /* the specification leaves NaN open: largest value */
        inf_code = (uint8_t)(sign | top);
        max_code = top;
    } else {
        nan_code = inf_code = (uint8_t)(sign | top);
        max_code = (uint8_t)(top - 1);
    }
    if (isnan(value))
        return nan_code;
    float magnitude = fabsf(value);
    uint8_t saturated = (uint8_t)(sign | max_code);
    if (isinf(value))
        return saturate ? saturated : inf_code;
    /* In units of the last place of the exponent that the value falls in; rint is half to even. */
    int exponent = 0;
    (void)frexpf(magnitude, &exponent);
    exponent -= 1; /* magnitude is 1.x * 2^exponent */
    if (exponent < 1 - f.bias || magnitude == 0)
        exponent = 1 - f.bias;
    float units = rintf(ldexpf(magnitude, f.mantissa_bits - exponent));
    int code = (exponent + f.bias - 1) * (1 << f.mantissa_bits) + (int)units;
    if (code > max_code)
        return saturate || f.no_nan ? saturated : inf_code;
    if (code == 0 && f.fnuz)
        return 0;
    return (uint8_t)(sign | (uint8_t)code);
}

void half_widen(enum dtype dtype, const void *from, float *to, size_t count) {
    const uint16_t *h = from;
    const double *d = from;
    switch (dtype) {
    case DTYPE_FLOAT16:
        for (size_t i = 0; i < count; i++)
            to[i] = half_to_float(h[i]);
        break;
    case DTYPE_BFLOAT16:
        for (size_t i = 0; i < count; i++)
            to[i] = half_bf16_to_float(h[i]);
        break;
    case DTYPE_DOUBLE:
        for (size_t i = 0; i < count; i++)
            to[i] = (float)d[i];
        break;
    default:
        memcpy(to, from, count * sizeof *to);
    }
}

void half_narrow(enum dtype dtype, const float *from, void *to, size_t count) {
    uint16_t *h = to;
    double *d = to;
    switch (dtype) {
    case DTYPE_FLOAT16:
        for (size_t i = 0; i < count; i++)
            h[i] = half_from_float(from[i]);
        break;
    case DTYPE_BFLOAT16:
        for (size_t i = 0; i < count; i++)
            h[i] = half_bf16_from_float(from[i]);
        break;
    case DTYPE_DOUBLE:
        for (size_t i = 0; i < count; i++)
            d[i] = (double)from[i];
        break;
    default:
        memcpy(to, from, count * sizeof *from);
    }
}
