/* Powers of ten with 128 significant bits, what both directions of number conversion multiply by.
 *
 * The table is made at build time by decimal_powers_make.c. The number of bits of a power and where
 * its first bit stands follow from the exponent, so only the bits are kept:
 *
 *     10^q = (high * 2^64 + low + r) * 2^(decimal_powers_log2(q) - 127),  0 <= r < 1
 *
 * with the first bit of `high` set, and r = 0 where 0 <= q <= DECIMAL_POWERS_EXACT.
 * Threads: constant. */
#ifndef FRONT_DECIMAL_POWERS_H
#define FRONT_DECIMAL_POWERS_H

#include <stdbool.h>
#include <stdint.h>

/* The least power that a double can need: 19 digits below it round to zero. The largest: printing
 * the smallest double. */
#define DECIMAL_POWERS_LEAST (-342)
#define DECIMAL_POWERS_MOST 324
#define DECIMAL_POWERS_EXACT 55 /* 5^55 has 128 bits */

struct decimal_power {
    uint64_t high, low;
};

extern const struct decimal_power
    decimal_powers_table[DECIMAL_POWERS_MOST - DECIMAL_POWERS_LEAST + 1];

static inline struct decimal_power decimal_powers_of(int q) {
    return decimal_powers_table[q - DECIMAL_POWERS_LEAST];
}

/* floor(log2(10^q)); the fraction is log2(10) with 16 bits, enough for |q| <= 400 (a test looks at
 * every q). */
static inline int decimal_powers_log2(int q) {
    return (q * 217706) >> 16;
}

/* True where the table's bits are all there are. */
static inline bool decimal_powers_exact(int q) {
    return q >= 0 && q <= DECIMAL_POWERS_EXACT;
}

#endif
