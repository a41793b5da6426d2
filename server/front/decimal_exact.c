#include "server/front/decimal_exact.h"

#include "server/front/decimal_round.h"

#include <assert.h>
#include <stdbool.h>
#include <string.h>

/* The text has at most 511 digits (1,698 bits). Where its last digit stands for 10^-n, the binary
 * side is multiplied by 5^n: n is at most 511 plus the 324 places down to the smallest number, so
 * that side has up to 55 + 1,939 bits. The twos are shared out between the sides, and the sides
 * are of like size. */
#define WORDS 36 /* of 64 bits */

struct big {
    uint64_t word[WORDS]; /* least significant first */
    unsigned size;        /* words in use; those above are not looked at */
};

static void push(struct big *a, uint64_t word) {
    if (!word)
        return;
    assert(a->size < WORDS);
    a->word[a->size++] = word;
}

static void times_plus(struct big *a, uint64_t factor, uint64_t addend) {
    __uint128_t carry = addend;
    for (unsigned i = 0; i < a->size; i++) {
        carry += (__uint128_t)a->word[i] * factor;
        a->word[i] = (uint64_t)carry;
        carry >>= 64;
    }
    push(a, (uint64_t)carry);
}

static void times_five(struct big *a, int power) {
    static const uint64_t most = UINT64_C(7450580596923828125); /* 5^27 */
    for (; power >= 27; power -= 27)
        times_plus(a, most, 0);
    uint64_t rest = 1;
    for (; power > 0; power--)
        rest *= 5;
    times_plus(a, rest, 0);
}

static void shift_left(struct big *a, int bits) {
    unsigned words = (unsigned)bits / 64;
    if (!a->size)
        return;
    times_plus(a, UINT64_C(1) << (bits % 64), 0);
    assert(a->size + words <= WORDS);
    memmove(a->word + words, a->word, a->size * sizeof *a->word);
    memset(a->word, 0, words * sizeof *a->word);
    a->size += words;
}

static int compare(const struct big *a, const struct big *b) {
    if (a->size != b->size)
        return a->size < b->size ? -1 : 1;
    for (unsigned i = a->size; i-- > 0;)
        if (a->word[i] != b->word[i])
            return a->word[i] < b->word[i] ? -1 : 1;
    return 0;
}

/* The digits as one whole number; returns the power of ten that its last digit stands for. */
static int read_digits(const uint8_t *text, size_t size, struct big *digits) {
    int exponent = 0, written = 0;
    bool fraction = false, down = false;
    size_t at = text[0] == '-';
    for (; at < size && (text[at] | 0x20) != 'e'; at++) {
        if (text[at] == '.') {
            fraction = true;
            continue;
        }
        times_plus(digits, 10, (uint64_t)(text[at] - '0'));
        exponent -= fraction;
    }
    if (at < size) {
        at++;
        down = text[at] == '-';
        at += text[at] == '-' || text[at] == '+';
    }
    for (; at < size; at++)
        if (written < 100000)
            written = written * 10 + (text[at] - '0');
    return exponent + (down ? -written : written);
}

int decimal_exact_compare(const uint8_t *text, size_t size, uint64_t significand, int exponent) {
    assert(size && size <= DECIMAL_TEXT_MAX);
    struct big decimal, binary;
    decimal.size = 0;
    binary.size = 1;
    binary.word[0] = significand;
    int ten = read_digits(text, size, &decimal);
    /* decimal * 5^ten * 2^ten against binary * 2^exponent, with no power below zero. */
    times_five(ten > 0 ? &decimal : &binary, ten > 0 ? ten : -ten);
    int two = ten - exponent;
    shift_left(two > 0 ? &decimal : &binary, two > 0 ? two : -two);
    int order = compare(&decimal, &binary);
    /* Only what stands there is a caller's. */
    explicit_bzero(decimal.word, decimal.size * sizeof *decimal.word);
    explicit_bzero(binary.word, binary.size * sizeof *binary.word);
    return order;
}
