/* Exact conversion of the JSON reader's numbers. */
#include "server/front/decimal_round.h"
#include "server/front/json_scan.h"

#include <string.h>

_Static_assert(JSON_NUMBER_MAX <= DECIMAL_TEXT_MAX, "the exact comparison takes every number");

/* All digits of a whole number; false where they do not fit into 64 bits. */
static bool whole_value(const uint8_t *at, const uint8_t *end, uint64_t *value) {
    uint64_t made = 0;
    for (; at < end; at++)
        if (__builtin_mul_overflow(made, 10, &made) ||
            __builtin_add_overflow(made, (uint64_t)(*at - '0'), &made))
            return false;
    *value = made;
    return true;
}

void json_number_long(struct json_number *number) {
    const uint8_t *at = number->text + number->negative, *end = number->text + number->size;
    if (number->integer && whole_value(at, end, &number->digits))
        return;
    /* The first digits that are significant; those that are cut off move the point. */
    uint64_t value = 0;
    int count = 0, cut = 0;
    for (; at < end && (*at | 0x20) != 'e'; at++) {
        if (*at == '.' || (*at == '0' && !count))
            continue;
        if (count < JSON_SCAN_DIGITS_SAFE) {
            value = value * 10 + (uint64_t)(*at - '0');
            count++;
        } else if (cut < 100000) {
            cut++;
        }
    }
    number->digits = value;
    number->exponent += cut;
    number->exact = cut == 0;
}

bool json_number_u64(const struct json_number *number, uint64_t *out) {
    if (!number->integer || !number->exact || (number->negative && number->digits))
        return false;
    *out = number->digits;
    return true;
}

bool json_number_i64(const struct json_number *number, int64_t *out) {
    if (!number->integer || !number->exact ||
        number->digits > (uint64_t)INT64_MAX + number->negative)
        return false;
    *out = (int64_t)(number->negative ? 0 - number->digits : number->digits);
    return true;
}

bool json_number_f64(const struct json_number *number, double *out) {
    uint64_t bits;
    if (!json_number_bits(number, DECIMAL_FORMAT_F64, &bits))
        return false;
    bits |= (uint64_t)number->negative << 63;
    memcpy(out, &bits, sizeof bits);
    return true;
}

bool json_number_f32(const struct json_number *number, float *out) {
    uint64_t bits;
    if (!json_number_bits(number, DECIMAL_FORMAT_F32, &bits))
        return false;
    uint32_t narrow = (uint32_t)bits | (uint32_t)number->negative << 31;
    memcpy(out, &narrow, sizeof narrow);
    return true;
}
