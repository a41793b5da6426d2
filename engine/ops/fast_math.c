#include "engine/ops/fast_math.h"

#include "engine/ops/fast_vector.h"

#define BYTES sizeof(fast_v)

/* The functions of the header on vectors; the same operations in the same order. */
#define VECTORS(suffix, attribute)                                                                 \
    attribute static inline __attribute__((always_inline)) void exp_vector_##suffix(fast_v *x) {   \
        const fast_v zero = {0};                                                                   \
        fast_v v = FAST_SELECT(*x < -87.33654f, zero - 87.33654f, *x);                             \
        v = FAST_SELECT(v > 88.72283f, zero + 88.72283f, v);                                       \
        const fast_v shifted = v * 1.44269504f + 12582912.0f, n = shifted - 12582912.0f;           \
        const fast_v r = (v - n * 0.693359375f) - n * -2.12194440e-4f;                             \
        fast_v p = r * 1.9875691500e-4f + 1.3981999507e-3f;                                        \
        p = p * r + 8.3334519073e-3f;                                                              \
        p = p * r + 4.1665795894e-2f;                                                              \
        p = p * r + 1.6666665459e-1f;                                                              \
        p = p * r + 5.0000001201e-1f;                                                              \
        p = p * (r * r) + r + 1.0f;                                                                \
        const fast_i e = (fast_i)((fast_u)shifted - 0x4B400000u), half = e >> 1;                   \
        const fast_u low = (fast_u)half + 127u, high = (fast_u)e - (fast_u)half + 127u;            \
        fast_v y = p * (fast_v)(low << 23) * (fast_v)(high << 23);                                 \
        y = FAST_SELECT(*x > 88.72283f, zero + INFINITY, y);                                       \
        y = FAST_SELECT(*x < -87.33654f, zero, y);                                                 \
        *x = FAST_SELECT(*x != *x, *x, y);                                                         \
    }                                                                                              \
    attribute static inline                                                                        \
        __attribute__((always_inline)) void sigmoid_vector_##suffix(fast_v *x) {                   \
        fast_v e = -*x;                                                                            \
        exp_vector_##suffix(&e);                                                                   \
        *x = 1.0f / (1.0f + e);                                                                    \
    }                                                                                              \
    attribute static inline __attribute__((always_inline)) void tanh_vector_##suffix(fast_v *x) {  \
        const fast_v z = *x * *x;                                                                  \
        fast_v p = z * -5.70498872745e-3f + 2.06390887954e-2f;                                     \
        p = p * z - 5.37397155531e-2f;                                                             \
        p = p * z + 1.33314422036e-1f;                                                             \
        p = p * z - 3.33332819422e-1f;                                                             \
        const fast_v small = p * z * *x + *x;                                                      \
        fast_v e = 2.0f * *x;                                                                      \
        exp_vector_##suffix(&e);                                                                   \
        const fast_v large = 1.0f - 2.0f / (e + 1.0f);                                             \
        *x = FAST_SELECT((*x < 0.625f) & (*x > -0.625f), small, large);                            \
    }

/* In place over an array; the last, short vector is padded with zeros. */
#define EACH(name, suffix, attribute)                                                              \
    attribute static void name##_##suffix(float *x, size_t n) {                                    \
        for (size_t i = 0; i < n; i += FAST_LANES) {                                               \
            const size_t bytes = n - i < FAST_LANES ? (n - i) * sizeof *x : BYTES;                 \
            fast_v v = {0};                                                                        \
            if (bytes == BYTES) {                                                                  \
                memcpy(&v, x + i, BYTES);                                                          \
                name##_vector_##suffix(&v);                                                        \
                memcpy(x + i, &v, BYTES);                                                          \
            } else {                                                                               \
                memcpy(&v, x + i, bytes);                                                          \
                name##_vector_##suffix(&v);                                                        \
                memcpy(x + i, &v, bytes);                                                          \
            }                                                                                      \
        }                                                                                          \
    }

#define SUMS(suffix, attribute)                                                                    \
    attribute static float exp_##suffix(const float *x, float *y, size_t n, float subtract) {      \
        fast_v total = {0};                                                                        \
        float sum = 0;                                                                             \
        size_t i = 0;                                                                              \
        for (; i + FAST_LANES <= n; i += FAST_LANES) {                                             \
            fast_v v;                                                                              \
            memcpy(&v, x + i, BYTES);                                                              \
            v -= subtract;                                                                         \
            exp_vector_##suffix(&v);                                                               \
            memcpy(y + i, &v, BYTES);                                                              \
            total += v;                                                                            \
        }                                                                                          \
        for (; i < n; i++)                                                                         \
            sum += y[i] = fast_expf(x[i] - subtract);                                              \
        for (int l = 0; l < FAST_LANES; l++)                                                       \
            sum += total[l];                                                                       \
        return sum;                                                                                \
    }                                                                                              \
    attribute static float max_##suffix(const float *x, size_t n) {                                \
        fast_v most = (fast_v){0} - INFINITY;                                                      \
        float top = -INFINITY;                                                                     \
        size_t i = 0;                                                                              \
        for (; i + FAST_LANES <= n; i += FAST_LANES) {                                             \
            fast_v v;                                                                              \
            memcpy(&v, x + i, BYTES);                                                              \
            most = FAST_SELECT(v > most, v, most);                                                 \
        }                                                                                          \
        for (; i < n; i++)                                                                         \
            top = x[i] > top ? x[i] : top;                                                         \
        for (int l = 0; l < FAST_LANES; l++)                                                       \
            top = most[l] > top ? most[l] : top;                                                   \
        return top;                                                                                \
    }

#define ALL(suffix, attribute)                                                                     \
    VECTORS(suffix, attribute)                                                                     \
    EACH(tanh, suffix, attribute)                                                                  \
    EACH(sigmoid, suffix, attribute)                                                               \
    SUMS(suffix, attribute)
FAST_SETS(ALL)

void fast_tanh(float *x, size_t n) {
    FAST_CHOOSE(tanh)(x, n);
}

void fast_sigmoid(float *x, size_t n) {
    FAST_CHOOSE(sigmoid)(x, n);
}

float fast_exp(const float *x, float *y, size_t n, float subtract) {
    return FAST_CHOOSE(exp)(x, y, n, subtract);
}

float fast_max(const float *x, size_t n) {
    return FAST_CHOOSE(max)(x, n);
}
