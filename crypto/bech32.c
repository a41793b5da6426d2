#include "crypto/bech32.h"

#include <string.h>

#include "crypto/secret.h"

enum { CHECKSUM = 6 };

/* All ones where a < b, else zero; for values below 2^31. Identities pass through this file, so
 * nothing here branches on, or indexes by, a character or digit of the data part. */
static uint32_t less(uint32_t a, uint32_t b) {
    return 0U - ((a - b) >> 31);
}

static uint32_t equal(uint32_t a, uint32_t b) {
    uint32_t difference = a ^ b;
    return ~(0U - ((difference | (0U - difference)) >> 31));
}

static const char alphabet[] = "qpzry9x8gf2tvdw0s3jn54khce6mua7l";

static char character_of(uint32_t digit) {
    uint32_t c = 0;
    for (uint32_t i = 0; i < 32; i++)
        c |= equal(digit, i) & (uint8_t)alphabet[i];
    return (char)c;
}

/* 0 to 31, or at least 32 for no character of the alphabet (in lower case). */
static uint32_t digit_of(uint32_t c) {
    uint32_t digit = 0, found = 0;
    for (uint32_t i = 0; i < 32; i++) {
        uint32_t same = equal(c, (uint8_t)alphabet[i]);
        digit |= same & i;
        found |= same;
    }
    return digit | (~found & 32);
}

static uint32_t checksum_step(uint32_t checksum, uint32_t value) {
    static const uint32_t generator[5] = {0x3b6a57b2, 0x26508e6d, 0x1ea119fa, 0x3d4233dd,
                                          0x2a1462b3};
    uint32_t top = checksum >> 25;
    checksum = (checksum & 0x1ffffff) << 5 ^ value;
    for (unsigned i = 0; i < 5; i++)
        checksum ^= (0U - (top >> i & 1)) & generator[i];
    return checksum;
}

static uint32_t checksum_prefix(const char *hrp) {
    uint32_t checksum = 1;
    for (const char *p = hrp; *p; p++)
        checksum = checksum_step(checksum, (uint32_t)(uint8_t)*p >> 5);
    checksum = checksum_step(checksum, 0);
    for (const char *p = hrp; *p; p++)
        checksum = checksum_step(checksum, (uint8_t)*p & 31);
    return checksum;
}

void bech32_encode(const char *hrp, const void *data, size_t size, bool upper, char *out) {
    const uint8_t *bytes = data;
    size_t at = strlen(hrp);
    memcpy(out, hrp, at);
    out[at++] = '1';
    uint32_t checksum = checksum_prefix(hrp);
    uint32_t pending = 0;
    unsigned bits = 0;
    for (size_t i = 0; i < size || bits > 0;) {
        if (bits < 5 && i < size) {
            pending = pending << 8 | bytes[i++];
            bits += 8;
        } else if (bits < 5) {
            pending <<= 5 - bits;
            bits = 5;
        }
        while (bits >= 5) {
            bits -= 5;
            uint32_t digit = pending >> bits & 31;
            out[at++] = character_of(digit);
            checksum = checksum_step(checksum, digit);
        }
    }
    for (unsigned i = 0; i < CHECKSUM; i++)
        checksum = checksum_step(checksum, 0);
    checksum ^= 1;
    for (unsigned i = 0; i < CHECKSUM; i++)
        out[at++] = character_of(checksum >> (5 * (CHECKSUM - 1 - i)) & 31);
    out[at] = '\0';
    if (upper)
        for (size_t i = 0; i < at; i++)
            out[i] = (char)((uint8_t)out[i] -
                            (~less((uint8_t)out[i], 'a') & less((uint8_t)out[i], 'z' + 1) & 32));
}

static uint32_t is_upper(uint32_t c) {
    return ~less(c, 'A') & less(c, 'Z' + 1);
}

static uint32_t is_lower(uint32_t c) {
    return ~less(c, 'a') & less(c, 'z' + 1);
}

enum status bech32_decode(const char *text, size_t length, const char *hrp, void *out, size_t size,
                          struct error *error) {
    size_t prefix = strlen(hrp);
    size_t digits = (size * 8 + 4) / 5;
    if (length != prefix + 1 + digits + CHECKSUM)
        return status_fail(error, STATUS_INVALID, "\"%s1...\": %zu characters found, it has %zu",
                           hrp, length, prefix + 1 + digits + CHECKSUM);
    uint32_t upper = 0, lower = 0, wrong = 0;
    for (size_t i = 0; i < length; i++) {
        upper |= is_upper((uint8_t)text[i]);
        lower |= is_lower((uint8_t)text[i]);
    }
    for (size_t i = 0; i < prefix; i++)
        wrong |= ~equal((uint8_t)text[i] + (is_upper((uint8_t)text[i]) & 32), (uint8_t)hrp[i]);
    if (wrong || text[prefix] != '1')
        return status_fail(error, STATUS_INVALID, "does not begin with \"%s1\"", hrp);
    if (upper & lower)
        return status_fail(error, STATUS_INVALID, "\"%s1...\": mixed upper and lower case", hrp);

    uint32_t checksum = checksum_prefix(hrp);
    uint32_t pending = 0;
    unsigned bits = 0;
    uint8_t *bytes = out;
    size_t written = 0;
    for (size_t i = 0; i < digits + CHECKSUM; i++) {
        uint32_t c = (uint8_t)text[prefix + 1 + i];
        uint32_t digit = digit_of(c + (is_upper(c) & 32));
        wrong |= digit & 32;
        checksum = checksum_step(checksum, digit & 31);
        if (i >= digits)
            continue;
        pending = (pending << 5 | (digit & 31)) & 0xfff;
        bits += 5;
        if (bits >= 8) {
            bits -= 8;
            bytes[written++] = (uint8_t)(pending >> bits);
        }
    }
    /* What is left are fewer than five padding bits, all zero. */
    wrong |= pending & ((1U << bits) - 1);
    wrong |= ~equal(checksum, 1);
    if (wrong) {
        secret_wipe(out, size);
        return status_fail(error, STATUS_INVALID,
                           "\"%s1...\": the checksum does not match: mistyped or damaged", hrp);
    }
    return STATUS_OK;
}
