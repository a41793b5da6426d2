/* The inner loops of the JSON reader, inline for what reads many numbers. Eight bytes are looked at
 * together (SWAR); a number within eight bytes of the end is taken byte by byte, so nothing is read
 * past `end`.
 *
 * Threads: no state. Input: untrusted. */
#ifndef FRONT_JSON_SCAN_H
#define FRONT_JSON_SCAN_H

#include "server/front/decimal_round.h"
#include "server/front/json_reader.h"

#include <endian.h>
#include <string.h>

/* For functions that are made anew for each use, their arguments being constants there. */
#define JSON_SCAN_INLINE static inline __attribute__((always_inline))

/* Digits of which every number with so many fits into 64 bits. */
#define JSON_SCAN_DIGITS_SAFE 19

static inline const uint8_t *json_scan_space(const uint8_t *at, const uint8_t *end) {
    while (at < end && (*at == ' ' || *at == '\n' || *at == '\r' || *at == '\t'))
        at++;
    return at;
}

/* Past the bytes of a string that stand for themselves: ASCII but for controls, quotes and
 * backslashes. In each byte of the masks the high bit is set where the byte is such a one; a borrow
 * may set it above one that is, which does not matter to whether there is any. */
static inline const uint8_t *json_scan_plain(const uint8_t *at, const uint8_t *end) {
    const uint64_t ones = UINT64_C(0x0101010101010101), high = ones << 7;
    for (; end - at >= 8; at += 8) {
        uint64_t chunk;
        memcpy(&chunk, at, sizeof chunk);
        uint64_t quote = chunk ^ ones * '"', slash = chunk ^ ones * '\\';
        uint64_t special = chunk | ((chunk - ones * ' ') & ~chunk) | ((quote - ones) & ~quote) |
                           ((slash - ones) & ~slash);
        if (special & high)
            break;
    }
    while (at < end && *at >= ' ' && *at < 0x80 && *at != '"' && *at != '\\')
        at++;
    return at;
}

/* The value of eight digits, the first in the lowest byte, each byte 0 to 9: pairs, then fours,
 * then all eight. */
static inline uint64_t json_scan_eight(uint64_t digits) {
    const uint64_t mask = UINT64_C(0x000000ff000000ff);
    digits = digits * 10 + (digits >> 8);
    return ((digits & mask) * (100 + (UINT64_C(1000000) << 32)) +
            (digits >> 16 & mask) * (1 + (UINT64_C(10000) << 32))) >>
           32;
}

/* Pass the digits at `at`, and append them to *value, which wraps where they are too many. */
static inline const uint8_t *json_scan_digits(const uint8_t *at, const uint8_t *end,
                                              uint64_t *value) {
    static const uint32_t powers[] = {1, 10, 100, 1000, 10000, 100000, 1000000, 10000000};
    uint64_t made = *value;
    while (end - at >= 8) {
        uint64_t chunk;
        memcpy(&chunk, at, sizeof chunk);
        chunk = le64toh(chunk) ^ UINT64_C(0x3030303030303030);
        /* The high bit of each byte that is no digit. A carry spoils bytes above the first such
         * one only. */
        uint64_t others =
            (chunk | (chunk + UINT64_C(0x7676767676767676))) & UINT64_C(0x8080808080808080);
        if (others) {
            unsigned bits = (unsigned)__builtin_ctzll(others) & ~7u;
            if (bits) {
                made = made * powers[bits / 8] + json_scan_eight(chunk << (64 - bits));
                at += bits / 8;
            }
            *value = made;
            return at;
        }
        made = made * 100000000 + json_scan_eight(chunk);
        at += 8;
    }
    for (; at < end && (uint8_t)(*at - '0') <= 9; at++)
        made = made * 10 + (uint64_t)(*at - '0');
    *value = made;
    return at;
}

/* A number with more digits than JSON_SCAN_DIGITS_SAFE, whose grammar is known to be right: sets
 * digits, exponent and exact. */
void json_number_long(struct json_number *number);

/* One number by JSON's grammar. Returns where it ends and fills `number` in, or returns NULL, and
 * number->size is the number of bytes before the one that is wrong or missing. */
JSON_SCAN_INLINE const uint8_t *json_scan_number(const uint8_t *begin, const uint8_t *end,
                                                 struct json_number *number) {
    const uint8_t *at = begin, *digits;
    uint64_t value = 0;
    int exponent = 0;
    bool integer = true;
    bool negative = at < end && *at == '-';
    at += negative;
    digits = at;
    /* One digit before the point is what most numbers have: a branch that is foreseen costs less
     * than waiting for the count. */
    if (end - at >= 2 && (uint8_t)(at[0] - '0') <= 9 && at[1] == '.')
        value = (uint64_t)(*at++ - '0');
    else
        at = json_scan_digits(at, end, &value);
    ptrdiff_t count = at - digits;
    if (__builtin_expect(count == 0, 0))
        goto malformed;
    if (__builtin_expect(*digits == '0' && count > 1, 0)) {
        at = digits + 1;
        goto malformed;
    }
    if (at < end && *at == '.') {
        integer = false;
        digits = ++at;
        at = json_scan_digits(at, end, &value);
        ptrdiff_t places = at - digits;
        if (__builtin_expect(places == 0, 0))
            goto malformed;
        count += places;
        exponent = places > 100000 ? -100000 : -(int)places;
    }
    if (__builtin_expect(at < end && (*at | 0x20) == 'e', 0)) {
        integer = false;
        at++;
        bool down = at < end && *at == '-';
        if (at < end && (*at == '-' || *at == '+'))
            at++;
        digits = at;
        int written = 0;
        for (; at < end && (uint8_t)(*at - '0') <= 9; at++)
            if (written < 100000)
                written = written * 10 + (*at - '0');
        if (at == digits)
            goto malformed;
        exponent += down ? -written : written;
    }
    struct json_number made = {.text = begin,
                               .size = (size_t)(at - begin),
                               .digits = value,
                               .exponent = exponent,
                               .negative = negative,
                               .integer = integer,
                               .exact = true};
    if (__builtin_expect(count > JSON_SCAN_DIGITS_SAFE, 0)) {
        struct json_number many = made; /* a copy, so that the others can stay in registers */
        json_number_long(&many);
        made = many;
    }
    *number = made;
    return at;

malformed:
    number->size = (size_t)(at - begin);
    return NULL;
}

/* The bits of the nearest float or double, without the sign; false where it is out of range. */
JSON_SCAN_INLINE bool json_number_bits(const struct json_number *number,
                                       struct decimal_format format, uint64_t *bits) {
    const struct decimal decimal = {.digits = number->digits,
                                    .exponent = number->exponent,
                                    .exact = number->exact,
                                    .text = number->text,
                                    .size = number->size};
    return decimal_round(decimal, format, bits);
}

/* Puts a number into `size` bytes at `out`; false where it may not be there. */
typedef bool json_scan_store(const struct json_number *number, size_t size, uint8_t *out);

/* Reads numbers of the array that the reader is in, as long as they are in good order, stored, and
 * not more than `most`; returns how many. The reader is left behind the last of them, before the
 * comma or whatever else follows. */
JSON_SCAN_INLINE uint64_t json_scan_numbers(struct json_reader *r, uint64_t most,
                                            json_scan_store *store, size_t size, uint8_t *out) {
    const uint8_t *behind = r->data + r->offset, *end = r->data + r->size;
    const uint64_t bit = UINT64_C(1) << r->depth;
    bool first = !(r->started & bit);
    uint64_t read = 0;
    for (; read < most; read++) {
        struct json_number number;
        const uint8_t *at = json_scan_space(behind, end);
        if (!first) {
            if (at == end || *at != ',')
                break;
            at = json_scan_space(at + 1, end);
        }
        at = json_scan_number(at, end, &number);
        if (!at || number.size > JSON_NUMBER_MAX || !store(&number, size, out))
            break;
        out += size;
        behind = at;
        first = false;
    }
    r->offset = (size_t)(behind - r->data);
    if (!first)
        r->started |= bit;
    return read;
}

#endif
