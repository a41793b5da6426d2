#include "server/front/decimal_round.h"

#include "server/front/decimal_exact.h"

/* The 192 bits of digits * power, of which the last 64 only tell whether they are zero; and the
 * end of the interval that the value lies in. */
struct span {
    __uint128_t low, high;
    bool point; /* the value is `low` and nothing else */
};

static struct span span_of(uint64_t digits, struct decimal_power power, bool exact, bool more) {
    __uint128_t tail = (__uint128_t)digits * power.low;
    __uint128_t low = (__uint128_t)digits * power.high + (tail >> 64);
    /* Digits that were cut off add less than one to `digits`, which is shifted by four bits at
     * most (it is 10^18 or more): less than 2^4 * 2^128 in units of 2^-64. */
    __uint128_t width = more ? (__uint128_t)1 << 70 : exact ? 0 : 1;
    /* No overflow: no power of ten in the table comes close to a power of two from below. */
    return (struct span){low, low + width, exact && !more && (uint64_t)tail == 0};
}

/* `value` without its last `drop` bits (1 to 128), half rounded up. */
static uint64_t rounded(__uint128_t value, int drop) {
    return (uint64_t)(((value >> (drop - 1)) + 1) >> 1);
}

static bool is_half(__uint128_t value, int drop) {
    return (value << (128 - drop)) == (__uint128_t)1 << 127;
}

bool decimal_round_slowly(struct decimal decimal, struct decimal_format format, uint64_t *bits) {
    int q = decimal.exponent;
    if (decimal.digits == 0 || q < DECIMAL_POWERS_LEAST) {
        *bits = 0; /* less than 2^64 * 10^-343, which is less than half of the smallest number */
        return true;
    }
    if (q > DECIMAL_POWERS_MOST)
        return false;
    int shift = __builtin_clzll(decimal.digits);
    struct span span = span_of(decimal.digits << shift, decimal_powers_of(q),
                               decimal_powers_exact(q), !decimal.exact);
    /* As in decimal_round, but 64 bits further down. */
    int drop = 63 - format.precision + (int)(span.low >> 127) + 64;
    int unit = drop - 64 + 1 - shift + decimal_powers_log2(q) - format.least;
    if (unit < 0) { /* below the normal numbers the last place stays where it is */
        drop -= unit;
        unit = 0;
    }
    if (drop > 128) { /* less than half of the smallest number */
        *bits = 0;
        return true;
    }
    uint64_t least = rounded(span.low, drop), most = rounded(span.high, drop);
    bool half = is_half(span.low, drop);
    uint64_t made = most;
    if (half && span.point) {
        made = least - (least & 1);
    } else if (half || least != most) {
        /* The value is near the point half-way between `below` and the next. */
        uint64_t below = half ? least - 1 : least;
        int place = unit + format.least;
        int side = decimal_exact_compare(decimal.text, decimal.size, 2 * below + 1, place - 1);
        made = below + (side > 0 || (side == 0 && (below & 1)));
    }
    made += (uint64_t)unit << (format.precision - 1);
    if (made >= format.infinity)
        return false;
    *bits = made;
    return true;
}
