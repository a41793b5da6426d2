/* Numbers of the JSON reader: syntax, and exact conversion. */
#include "server/front/json_reader.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static inline bool is_digit(uint8_t c) {
    return c >= '0' && c <= '9';
}

enum status json_reader_number(struct json_reader *r, struct json_number *number,
                               struct error *error) {
    while (r->offset < r->size && (r->data[r->offset] == ' ' || r->data[r->offset] == '\n' ||
                                   r->data[r->offset] == '\r' || r->data[r->offset] == '\t'))
        r->offset++;
    const uint8_t *begin = r->data + r->offset, *end = r->data + r->size, *at = begin;
    struct json_number n = {.text = begin, .integer = true, .exact = true};
    long exponent = 0;
    if (at < end && *at == '-') {
        n.negative = true;
        at++;
    }
    if (at == end || !is_digit(*at))
        goto malformed;
    if (*at == '0' && end - at > 1 && is_digit(at[1])) {
        at++;
        goto malformed;
    }
    for (; at < end && is_digit(*at); at++)
        if (__builtin_mul_overflow(n.digits, 10, &n.digits) ||
            __builtin_add_overflow(n.digits, (uint64_t)(*at - '0'), &n.digits))
            n.exact = false;
    if (at < end && *at == '.') {
        n.integer = false;
        at++;
        if (at == end || !is_digit(*at))
            goto malformed;
        for (; at < end && is_digit(*at); at++) {
            exponent--;
            if (__builtin_mul_overflow(n.digits, 10, &n.digits) ||
                __builtin_add_overflow(n.digits, (uint64_t)(*at - '0'), &n.digits))
                n.exact = false;
        }
    }
    if (at < end && (*at == 'e' || *at == 'E')) {
        n.integer = false;
        at++;
        bool down = at < end && *at == '-';
        if (at < end && (*at == '-' || *at == '+'))
            at++;
        if (at == end || !is_digit(*at))
            goto malformed;
        long value = 0;
        for (; at < end && is_digit(*at); at++)
            if (value < 100000)
                value = value * 10 + (*at - '0');
        exponent += down ? -value : value;
    }
    n.size = (size_t)(at - begin);
    if (n.size > JSON_NUMBER_MAX)
        return status_fail(error, STATUS_INVALID,
                           "JSON at byte %zu: a number longer than %d characters", r->offset,
                           JSON_NUMBER_MAX);
    n.exponent = (int)exponent;
    r->offset += n.size;
    *number = n;
    return STATUS_OK;

malformed:
    r->offset = (size_t)(at - r->data);
    return status_fail(error, STATUS_INVALID, "JSON at byte %zu: malformed number", r->offset);
}

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
