#include "crypto/apikey.h"

#include <string.h>

#include "crypto/hash.h"
#include "crypto/random.h"
#include "crypto/secret.h"

enum {
    SECRET_LENGTH = 52,  /* 260 bits */
    CHECKSUM_LENGTH = 7, /* 35 bits */
    ID_BYTES = 8,        /* 64 bits, of which 60 show */
    SECRET_AT = 3 + APIKEY_ID_LENGTH + 1,
    CHECKSUM_AT = SECRET_AT + SECRET_LENGTH + 1,
};
_Static_assert(CHECKSUM_AT + CHECKSUM_LENGTH == APIKEY_LENGTH, "the parts add up");

static const char hash_label[] = "strongroom.dev/api-key v1";

/* All ones where a < b; for values below 2^31. Secrets pass through base32 here, so it neither
 * branches on, nor indexes by, a digit. */
static uint32_t less(uint32_t a, uint32_t b) {
    return 0U - ((a - b) >> 31);
}

static char character_of(uint32_t digit) {
    uint32_t letter = less(digit, 26);
    return (char)((letter & ('a' + digit)) | (~letter & ('2' + digit - 26)));
}

/* 0 to 31; at least 32 where it is no digit. */
static uint32_t digit_of(uint32_t c) {
    uint32_t letter = ~less(c, 'a') & less(c, 'z' + 1);
    uint32_t number = ~less(c, '2') & less(c, '7' + 1);
    return (letter & (c - 'a')) | (number & (c - '2' + 26)) | (~(letter | number) & 32);
}

/* As many digits as `length` says, from the first bits of `data`, missing ones zero. */
static void encode(const uint8_t *data, size_t size, char *out, size_t length) {
    uint32_t pending = 0;
    unsigned bits = 0;
    size_t at = 0;
    for (size_t i = 0; i < length; i++) {
        if (bits < 5) {
            pending = pending << 8 | (at < size ? data[at] : 0);
            at++;
            bits += 8;
        }
        bits -= 5;
        out[i] = character_of(pending >> bits & 31);
    }
}

/* Fill `size` bytes from length digits; zero where all are digits and the bits left over zero. */
static uint32_t decode(const char *text, size_t length, uint8_t *out, size_t size) {
    uint32_t pending = 0, wrong = 0;
    unsigned bits = 0;
    size_t at = 0;
    for (size_t i = 0; i < length; i++) {
        uint32_t digit = digit_of((uint8_t)text[i]);
        wrong |= digit & 32;
        pending = (pending << 5 | (digit & 31)) & 0xfff;
        bits += 5;
        if (bits >= 8 && at < size) {
            bits -= 8;
            out[at++] = (uint8_t)(pending >> bits);
        }
    }
    return wrong | (pending & ((1U << bits) - 1));
}

static uint32_t crc32(const char *text, size_t length) {
    uint32_t crc = 0xffffffff;
    for (size_t i = 0; i < length; i++) {
        crc ^= (uint8_t)text[i];
        for (unsigned bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ (0xedb88320 & (0U - (crc & 1)));
    }
    return ~crc;
}

static void checksum(const char *text, char out[CHECKSUM_LENGTH]) {
    uint32_t crc = crc32(text, CHECKSUM_AT - 1);
    uint8_t bytes[4] = {(uint8_t)(crc >> 24), (uint8_t)(crc >> 16), (uint8_t)(crc >> 8),
                        (uint8_t)crc};
    encode(bytes, sizeof bytes, out, CHECKSUM_LENGTH);
}

void apikey_generate(struct apikey *key, char text[APIKEY_SIZE]) {
    uint8_t id[ID_BYTES];
    random_bytes(id, sizeof id);
    random_bytes(key->secret, sizeof key->secret);
    encode(id, sizeof id, key->id, APIKEY_ID_LENGTH);
    key->id[APIKEY_ID_LENGTH] = '\0';
    memcpy(text, "sr_", 3);
    memcpy(text + 3, key->id, APIKEY_ID_LENGTH);
    text[SECRET_AT - 1] = '_';
    encode(key->secret, sizeof key->secret, text + SECRET_AT, SECRET_LENGTH);
    text[CHECKSUM_AT - 1] = '_';
    checksum(text, text + CHECKSUM_AT);
    text[APIKEY_LENGTH] = '\0';
}

bool apikey_id_valid(const char *text, size_t length) {
    uint32_t wrong = length != APIKEY_ID_LENGTH;
    for (size_t i = 0; i < length; i++)
        wrong |= digit_of((uint8_t)text[i]) & 32;
    return !wrong;
}

enum status apikey_parse(const char *text, size_t length, struct apikey *key, struct error *error) {
    struct apikey parsed = {{0}, {0}};
    char expected[CHECKSUM_LENGTH];
    bool ok = length == APIKEY_LENGTH && memcmp(text, "sr_", 3) == 0 &&
              text[SECRET_AT - 1] == '_' && text[CHECKSUM_AT - 1] == '_' &&
              apikey_id_valid(text + 3, APIKEY_ID_LENGTH);
    if (ok) {
        checksum(text, expected);
        ok = secret_equal(text + CHECKSUM_AT, expected, sizeof expected) &&
             decode(text + SECRET_AT, SECRET_LENGTH, parsed.secret, sizeof parsed.secret) == 0;
    }
    if (ok) {
        memcpy(parsed.id, text + 3, APIKEY_ID_LENGTH);
        *key = parsed;
    }
    secret_wipe(&parsed, sizeof parsed);
    return ok ? STATUS_OK
              : status_fail(error, STATUS_UNAUTHENTICATED, "%s",
                            status_text(STATUS_UNAUTHENTICATED));
}

void apikey_hash(const struct apikey *key, uint8_t hash[APIKEY_HASH_SIZE]) {
    uint8_t message[APIKEY_ID_LENGTH + sizeof key->secret];
    memcpy(message, key->id, APIKEY_ID_LENGTH);
    memcpy(message + APIKEY_ID_LENGTH, key->secret, sizeof key->secret);
    hash_blake2b(hash_label, sizeof hash_label - 1, message, sizeof message, hash);
    secret_wipe(message, sizeof message);
}

bool apikey_verify(const struct apikey *key, const uint8_t stored[APIKEY_HASH_SIZE]) {
    uint8_t hash[APIKEY_HASH_SIZE];
    apikey_hash(key, hash);
    bool equal = secret_equal(hash, stored, sizeof hash);
    secret_wipe(hash, sizeof hash);
    return equal;
}

bool apikey_verify_absent(const struct apikey *key) {
    static const uint8_t nobody[APIKEY_HASH_SIZE];
    /* For its cost alone: not even a key that hashed to this would be anyone's. */
    bool unused = apikey_verify(key, nobody);
    (void)unused;
    return false;
}
