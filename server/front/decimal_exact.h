/* The last resort of decimal_round: compares a decimal number with a binary one exactly, in whole
 * numbers of some 2,200 bits. It is needed where a number lies on, or within a part in 2^56 of, the
 * point half-way between two floats: never by chance, and often in hand-made input.
 *
 * Threads: no state. Input: untrusted text that follows JSON's grammar. */
#ifndef FRONT_DECIMAL_EXACT_H
#define FRONT_DECIMAL_EXACT_H

#include <stddef.h>
#include <stdint.h>

/* -1, 0 or 1 as |text| is less than, equal to, or greater than significand * 2^exponent. The two
 * must be within a factor of two of each other, `size` at most DECIMAL_TEXT_MAX, `significand` not
 * 0 and less than 2^55, and `exponent` at least -1075. */
int decimal_exact_compare(const uint8_t *text, size_t size, uint64_t significand, int exponent);

#endif
