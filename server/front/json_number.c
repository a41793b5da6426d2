/* Exact conversion of the JSON reader's numbers. */
#include "server/front/json_reader.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

bool json_number_u64(const struct json_number *number, uint64_t *out) {
    if (!number->integer || !number->exact || (number->negative && number->digits))
        return false;
    *out = number->digits;
    return true;
}

bool json_number_i64(const struct json_number *number, int64_t *out) {
    if (!number->integer || !number->exact)
        return false;
    if (number->negative) {
        if (number->digits > (uint64_t)INT64_MAX + 1)
            return false;
        *out = (int64_t)(0 - number->digits);
        return true;
    }
    if (number->digits > INT64_MAX)
        return false;
    *out = (int64_t)number->digits;
    return true;
}

static const double powers[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                1e8,  1e9,  1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
                                1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};

/* Clinger's fast path: both factors are exact doubles, so one operation rounds correctly. */
static bool fast_f64(const struct json_number *n, double *out) {
    if (!n->exact || n->digits > UINT64_C(1) << 53 || n->exponent < -22 || n->exponent > 22)
        return false;
    double value = (double)n->digits;
    value = n->exponent < 0 ? value / powers[-n->exponent] : value * powers[n->exponent];
    *out = n->negative ? -value : value;
    return true;
}

/* A terminated copy for the C library, which rounds correctly; the process stays in the C
 * locale. */
static void copy_text(const struct json_number *n, char text[JSON_NUMBER_MAX + 1]) {
    memcpy(text, n->text, n->size);
    text[n->size] = '\0';
}

bool json_number_f64(const struct json_number *number, double *out) {
    double value;
    if (!fast_f64(number, &value)) {
        char text[JSON_NUMBER_MAX + 1];
        copy_text(number, text);
        value = strtod(text, NULL);
        explicit_bzero(text, number->size);
    }
    if (!isfinite(value))
        return false;
    *out = value;
    return true;
}

bool json_number_f32(const struct json_number *number, float *out) {
    double wide;
    float value;
    bool done = false;
    if (fast_f64(number, &wide)) {
        /* Rounding twice goes wrong only where the double lies half-way between two floats, or
         * where a float has fewer bits; those take the long way. */
        uint64_t bits;
        memcpy(&bits, &wide, sizeof bits);
        double size = fabs(wide);
        done = wide == 0 || ((bits & 0x1fffffff) != 0x10000000 && size >= 2 * (double)FLT_MIN);
        value = size > (double)FLT_MAX * 2 ? HUGE_VALF : (float)wide;
    }
    if (!done) {
        char text[JSON_NUMBER_MAX + 1];
        copy_text(number, text);
        value = strtof(text, NULL);
        explicit_bzero(text, number->size);
    }
    if (!isfinite(value))
        return false;
    *out = value;
    return true;
}
