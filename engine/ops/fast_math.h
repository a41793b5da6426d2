/* Exponential, sigmoid and tanh of floats without branches or calls, so that compilers turn loops
 * over them into vector code; and such loops, compiled for each instruction set and chosen by what
 * the processor has (fast_math.c). Errors stay within 2 units in the last place over the whole
 * range (exp below -87.3 gives 0 or the least normal number, above 88.7 infinity; NaN stays NaN).
 *
 * exp(x) = 2^n * exp(r), n = round(x / ln 2), |r| <= ln 2 / 2; exp(r) is a polynomial (minimax,
 * degree 6), r comes from a two-part ln 2 (Cody and Waite). */
#ifndef ENGINE_OPS_FAST_MATH_H
#define ENGINE_OPS_FAST_MATH_H

#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

static inline float fast_bits(uint32_t i) {
    float f;
    memcpy(&f, &i, sizeof f);
    return f;
}

static inline float fast_expf(float x) {
    /* Adding 1.5 * 2^23 leaves the nearest integer in the low bits of the mantissa. */
    const float magic = 12582912.0f;
    float v = x < -87.33654f ? -87.33654f : x;
    v = v > 88.72283f ? 88.72283f : v;
    const float shifted = v * 1.44269504f + magic, n = shifted - magic;
    const float r = (v - n * 0.693359375f) - n * -2.12194440e-4f;
    float p = 1.9875691500e-4f;
    p = p * r + 1.3981999507e-3f;
    p = p * r + 8.3334519073e-3f;
    p = p * r + 4.1665795894e-2f;
    p = p * r + 1.6666665459e-1f;
    p = p * r + 5.0000001201e-1f;
    p = p * (r * r) + r + 1.0f;
    int32_t bits;
    memcpy(&bits, &shifted, sizeof bits);
    /* 2^n in two factors: n reaches 128, one more than an exponent holds. */
    const int32_t e = bits - 0x4B400000, half = e >> 1;
    const float y =
        p * fast_bits((uint32_t)(half + 127) << 23) * fast_bits((uint32_t)(e - half + 127) << 23);
    const float top = x > 88.72283f ? INFINITY : y;
    const float low = x < -87.33654f ? 0.0f : top;
    return x != x ? x : low;
}

static inline float fast_sigmoidf(float x) {
    return 1.0f / (1.0f + fast_expf(-x));
}

/* Near 0 an odd polynomial (degree 11, accurate to rounding up to 0.625), beyond
 * it 1 - 2 / (exp(2x) + 1), which cancels nothing there. */
static inline float fast_tanhf(float x) {
    const float z = x * x;
    float p = -5.70498872745e-3f;
    p = p * z + 2.06390887954e-2f;
    p = p * z - 5.37397155531e-2f;
    p = p * z + 1.33314422036e-1f;
    p = p * z - 3.33332819422e-1f;
    const float small = p * z * x + x;
    const float large = 1.0f - 2.0f / (fast_expf(2.0f * x) + 1.0f);
    return (x < 0 ? -x : x) < 0.625f ? small : large;
}

/* Whole arrays. */
void fast_tanh(float *x, size_t n);
void fast_sigmoid(float *x, size_t n);
/* y = exp(x - subtract); gives the sum of y. x and y may be the same. */
float fast_exp(const float *x, float *y, size_t n, float subtract);
float fast_max(const float *x, size_t n); /* -INFINITY for none */

#endif
