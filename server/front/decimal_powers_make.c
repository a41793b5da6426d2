/* Writes the rows of decimal_powers_table to standard output; run by the build.
 *
 * 10^q = 5^q * 2^q, so the bits are those of 5^q: for q >= 0 its first 128, for q < 0 the first 128
 * of the quotient 1 / 5^-q, by long division in binary. Nothing is rounded up. */
#include "server/front/decimal_powers.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define WORDS 28 /* of 32 bits; 5^342 has 795 bits, a remainder one more */

struct big {
    uint32_t word[WORDS]; /* least significant first */
};

static void big_times(struct big *a, uint32_t factor) {
    uint64_t carry = 0;
    for (int i = 0; i < WORDS; i++) {
        carry += (uint64_t)a->word[i] * factor;
        a->word[i] = (uint32_t)carry;
        carry >>= 32;
    }
}

static int big_compare(const struct big *a, const struct big *b) {
    for (int i = WORDS - 1; i >= 0; i--)
        if (a->word[i] != b->word[i])
            return a->word[i] < b->word[i] ? -1 : 1;
    return 0;
}

static void big_subtract(struct big *a, const struct big *b) {
    uint64_t borrow = 0;
    for (int i = 0; i < WORDS; i++) {
        uint64_t difference = (uint64_t)a->word[i] - b->word[i] - borrow;
        a->word[i] = (uint32_t)difference;
        borrow = difference >> 63;
    }
}

static int big_bits(const struct big *a) {
    for (int i = WORDS - 1; i >= 0; i--)
        if (a->word[i])
            return 32 * i + 32 - __builtin_clz(a->word[i]);
    return 0;
}

static unsigned big_bit(const struct big *a, int at) {
    return at < 0 ? 0 : a->word[at / 32] >> (at % 32) & 1;
}

static void append(struct decimal_power *power, unsigned bit) {
    power->high = power->high << 1 | power->low >> 63;
    power->low = power->low << 1 | bit;
}

static struct decimal_power power_of(int q) {
    struct decimal_power made = {0, 0};
    struct big five = {{1}};
    for (int i = 0; i < (q < 0 ? -q : q); i++)
        big_times(&five, 5);
    int bits = big_bits(&five);
    if (q >= 0) {
        for (int i = 0; i < 128; i++)
            append(&made, big_bit(&five, bits - 1 - i));
        return made;
    }
    /* 2^(bits-1) is the largest power of two that 5^-q exceeds, so the first bit is one. */
    struct big remainder = {{0}};
    remainder.word[(bits - 1) / 32] = UINT32_C(1) << ((bits - 1) % 32);
    for (int i = 0; i < 128; i++) {
        big_times(&remainder, 2);
        unsigned bit = big_compare(&remainder, &five) >= 0;
        if (bit)
            big_subtract(&remainder, &five);
        append(&made, bit);
    }
    return made;
}

int main(void) {
    for (int q = DECIMAL_POWERS_LEAST; q <= DECIMAL_POWERS_MOST; q++) {
        struct decimal_power power = power_of(q);
        printf("    {UINT64_C(0x%016" PRIx64 "), UINT64_C(0x%016" PRIx64 ")}, /* %d */\n",
               power.high, power.low, q);
    }
    return fflush(stdout) == 0 ? 0 : 1;
}
