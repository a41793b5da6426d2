/* Decimal to binary: the float or double nearest to digits * 10^exponent, ties to even, always.
 *
 * The inline functions decide nearly every number with one multiplication (after Eisel and Lemire,
 * "Number parsing at a gigabyte per second", 2021): the product of the digits and the first 64 bits
 * of the power of ten, together with a bound of its error, says how to round unless the error spans
 * a point half-way between two results. decimal_round_slowly then takes 128 bits of the power, and
 * where that leaves a doubt too, compares exactly.
 *
 * Results are the bits of the absolute value; the sign is the caller's. False where it is beyond
 * the largest finite value; *bits is untouched then. Threads: no state. Input: untrusted, but for
 * what struct decimal says of itself. */
#ifndef FRONT_DECIMAL_ROUND_H
#define FRONT_DECIMAL_ROUND_H

#include "server/front/decimal_powers.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A number without its sign. Exact: digits * 10^exponent. Not exact: it has more digits than fit,
 * so it lies in [digits, digits + 1) * 10^exponent, digits >= 10^18, and the whole of it is in
 * `text` (JSON's grammar, a sign is passed over). */
struct decimal {
    uint64_t digits;
    int exponent;
    bool exact;
    const uint8_t *text;
    size_t size; /* at most DECIMAL_TEXT_MAX */
};

#define DECIMAL_TEXT_MAX 512

/* A binary format: bits of the significand with the hidden one, exponent of the smallest number's
 * unit in the last place, the bits of infinity. */
struct decimal_format {
    int precision;
    int least;
    uint64_t infinity;
};

#define DECIMAL_FORMAT_F32 ((struct decimal_format){24, -149, UINT64_C(0x7f800000)})
#define DECIMAL_FORMAT_F64 ((struct decimal_format){53, -1074, UINT64_C(0x7ff0000000000000)})

bool decimal_round_slowly(struct decimal decimal, struct decimal_format format, uint64_t *bits);

static inline __attribute__((always_inline)) bool
decimal_round(struct decimal decimal, struct decimal_format format, uint64_t *bits) {
    if (decimal.digits == 0) {
        *bits = 0;
        return true;
    }
    int q = decimal.exponent;
    if (!decimal.exact || q < DECIMAL_POWERS_LEAST || q > DECIMAL_POWERS_MOST)
        return decimal_round_slowly(decimal, format, bits);
    int shift = __builtin_clzll(decimal.digits);
    uint64_t digits = decimal.digits << shift;
    __uint128_t product = (__uint128_t)digits * decimal_powers_of(q).high;
    uint64_t top = (uint64_t)(product >> 64);
    /* The value is `top`, and a fraction, times 2^(128 - shift + log2 - 127); top has 63 or 64
     * bits, of which the lowest `drop` are rounded away. */
    int drop = 63 - format.precision + (int)(top >> 63);
    int unit = drop + 1 - shift + decimal_powers_log2(q) - format.least;
    /* What the power lacks is less than 2^64 in units of the product's last bit, times the digits'
     * 2^-64: the value's first 64 bits are `top` or top + 1. So only a fraction of one half, or
     * just below, is in doubt. */
    uint64_t half = UINT64_C(1) << (drop - 1);
    uint64_t fraction = top & (2 * half - 1);
    if (__builtin_expect(unit < 0 || fraction + 1 - half <= 1, 0))
        return decimal_round_slowly(decimal, format, bits);
    /* A carry out of the significand goes where it belongs, into the exponent. */
    uint64_t made = ((uint64_t)unit << (format.precision - 1)) + (((top >> (drop - 1)) + 1) >> 1);
    if (__builtin_expect(made >= format.infinity, 0))
        return false;
    *bits = made;
    return true;
}

#endif
