#include "server/front/decimal_shortest.h"

#include "server/front/decimal_powers.h"

#include <stdbool.h>
#include <string.h>

/* What the search works on: the value is c * 2^q. All numbers are in quarters of the unit 10^k, so
 * that the ends of the interval, which lie half-way to the neighbours, are whole before scaling. */
struct scaled {
    uint64_t lower, value, upper; /* rounded to odd: the last bit set stands for a fraction */
    bool even;                    /* c is even, so the ends round to it and belong to it */
    int k;
};

/* floor(q * log10(2)), and the same of 3/4 * 2^q; exact for |q| <= 1,500. */
static int log10_of_two(int q) {
    return (q * 315653) >> 20;
}
static int log10_of_three_quarters(int q) {
    return (q * 315653 - 131008) >> 20;
}

/* Smallest multiples first: of ten units, then of one. At most two candidates of each kind lie on
 * either side of the value, and where both do, the nearer is taken. */
static struct decimal_short choose(const struct scaled *s) {
    uint64_t lower = s->lower + !s->even, upper = s->upper - !s->even;
    uint64_t units = s->value / 4;
    if (units >= 10) {
        uint64_t tens = units / 10;
        bool down = lower <= 40 * tens, up = 40 * tens + 40 <= upper;
        if (down != up)
            return (struct decimal_short){tens + up, s->k + 1};
    }
    bool down = lower <= 4 * units, up = 4 * units + 4 <= upper;
    if (down == up) {
        uint64_t middle = 4 * units + 2;
        up = s->value > middle || (s->value == middle && (units & 1));
    }
    return (struct decimal_short){units + up, s->k};
}

static struct decimal_short without_zeros(struct decimal_short d) {
    while (d.digits % 100000000 == 0) {
        d.digits /= 100000000;
        d.exponent += 8;
    }
    if (d.digits % 10000 == 0) {
        d.digits /= 10000;
        d.exponent += 4;
    }
    while (d.digits % 10 == 0) {
        d.digits /= 10;
        d.exponent++;
    }
    return d;
}

/* The upper 64 bits of power * c, the lower ones only as whether they are more than the power's
 * own error, which is less than one unit: that is what "rounded to odd" keeps of a fraction. */
static uint64_t scale_f64(struct decimal_power power, uint64_t c) {
    __uint128_t low = (__uint128_t)power.low * c;
    __uint128_t high = (__uint128_t)power.high * c + (uint64_t)(low >> 64);
    return (uint64_t)(high >> 64) | ((uint64_t)high > 1);
}

static uint64_t scale_f32(uint64_t power, uint64_t c) {
    __uint128_t product = (__uint128_t)power * c;
    return (uint64_t)(product >> 64) | ((uint32_t)(product >> 32) > 1);
}

/* 10^k as an upper bound: the table's bits are cut off. */
static struct decimal_power ceiling(int k) {
    struct decimal_power power = decimal_powers_of(k);
    if (!decimal_powers_exact(k) && ++power.low == 0)
        power.high++;
    return power;
}

struct decimal_short decimal_shortest_f64(double value) {
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    uint64_t fraction = bits & ((UINT64_C(1) << 52) - 1);
    int biased = (int)(bits >> 52 & 0x7ff);
    uint64_t c = biased ? fraction | UINT64_C(1) << 52 : fraction;
    int q = (biased ? biased : 1) - 1075;
    if (q <= 0 && q > -53 && (c & ((UINT64_C(1) << -q) - 1)) == 0)
        return without_zeros((struct decimal_short){c >> -q, 0}); /* a whole number */
    bool narrow = fraction == 0 && biased > 1; /* the neighbour below is half as far away */
    struct scaled s = {.even = (c & 1) == 0};
    s.k = narrow ? log10_of_three_quarters(q) : log10_of_two(q);
    int shift = q + decimal_powers_log2(-s.k) + 1;
    struct decimal_power power = ceiling(-s.k);
    s.lower = scale_f64(power, (4 * c - 2 + narrow) << shift);
    s.value = scale_f64(power, (4 * c) << shift);
    s.upper = scale_f64(power, (4 * c + 2) << shift);
    return without_zeros(choose(&s));
}

struct decimal_short decimal_shortest_f32(float value) {
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    uint32_t fraction = bits & 0x7fffff;
    int biased = (int)(bits >> 23 & 0xff);
    uint64_t c = biased ? fraction | 0x800000 : fraction;
    int q = (biased ? biased : 1) - 150;
    if (q <= 0 && q > -24 && (c & ((UINT64_C(1) << -q) - 1)) == 0)
        return without_zeros((struct decimal_short){c >> -q, 0});
    bool narrow = fraction == 0 && biased > 1;
    struct scaled s = {.even = (c & 1) == 0};
    s.k = narrow ? log10_of_three_quarters(q) : log10_of_two(q);
    int shift = q + decimal_powers_log2(-s.k) + 1;
    /* 64 bits of the power are enough here. */
    struct decimal_power power = decimal_powers_of(-s.k);
    uint64_t up = power.high + (power.low != 0 || !decimal_powers_exact(-s.k));
    s.lower = scale_f32(up, (4 * c - 2 + narrow) << shift);
    s.value = scale_f32(up, (4 * c) << shift);
    s.upper = scale_f32(up, (4 * c + 2) << shift);
    return without_zeros(choose(&s));
}
