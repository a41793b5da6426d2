/* Binary to decimal: the shortest decimal number that reads back as the same float or double, and
 * of those the nearest to it (the even one where two are equally near).
 *
 * The method is Giulietti's Schubfach ("The Schubfach way to render doubles", 2020): one power of
 * ten is chosen such that the interval which rounds to the value holds at least one and at most
 * ten or so of its multiples; the ends of the interval and the value, scaled by that power and
 * rounded to odd, decide which.
 *
 * Threads: no state. Any finite value but zero; the sign is passed over. */
#ifndef FRONT_DECIMAL_SHORTEST_H
#define FRONT_DECIMAL_SHORTEST_H

#include <stdint.h>

/* digits * 10^exponent; digits is neither 0 nor a multiple of ten. */
struct decimal_short {
    uint64_t digits;
    int exponent;
};

struct decimal_short decimal_shortest_f32(float value);
struct decimal_short decimal_shortest_f64(double value);

#endif
