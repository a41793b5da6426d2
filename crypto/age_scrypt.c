#include "crypto/age_scrypt.h"

#include <sodium.h>
#include <stdio.h>
#include <string.h>

#include "crypto/aead.h"
#include "crypto/encoding.h"
#include "crypto/random.h"
#include "crypto/secret.h"

enum { SALT_SIZE = 16, WRAPPED_SIZE = AGE_FILE_KEY_SIZE + AEAD_TAG_SIZE };

static const char label[] = "age-encryption.org/v1/scrypt";
static const uint8_t zero_nonce[AEAD_NONCE_SIZE]; /* each wrapping key is used once */

static enum status wrapping_key(const char *passphrase, size_t length,
                                const uint8_t salt[SALT_SIZE], unsigned work,
                                uint8_t key[AEAD_KEY_SIZE], struct error *error) {
    uint8_t full[sizeof label - 1 + SALT_SIZE];
    memcpy(full, label, sizeof label - 1);
    memcpy(full + sizeof label - 1, salt, SALT_SIZE);
    if (crypto_pwhash_scryptsalsa208sha256_ll((const uint8_t *)passphrase, length, full,
                                              sizeof full, UINT64_C(1) << work, 8, 1, key,
                                              AEAD_KEY_SIZE) != 0)
        return status_fail(error, STATUS_UNAVAILABLE,
                           "passphrase: %llu MiB of memory needed and not to be had",
                           (1ULL << work) / 1024);
    return STATUS_OK;
}

enum status age_scrypt_wrap(struct buf *out, const char *passphrase, size_t length, unsigned work,
                            const uint8_t file_key[AGE_FILE_KEY_SIZE], struct error *error) {
    if (work < 1 || work > AGE_SCRYPT_WORK_MAX)
        return status_fail(error, STATUS_INVALID, "work factor: %u, must be 1 to %d", work,
                           AGE_SCRYPT_WORK_MAX);
    uint8_t salt[SALT_SIZE], key[AEAD_KEY_SIZE];
    random_bytes(salt, sizeof salt);
    enum status status = wrapping_key(passphrase, length, salt, work, key, error);
    if (status == STATUS_OK) {
        uint8_t wrapped[WRAPPED_SIZE];
        aead_seal(key, zero_nonce, NULL, 0, file_key, AGE_FILE_KEY_SIZE, wrapped);
        char salt_text[ENCODING_BASE64_SIZE(SALT_SIZE)], work_text[12];
        encoding_base64(salt, sizeof salt, ENCODING_UNPADDED, salt_text);
        snprintf(work_text, sizeof work_text, "%u", work);
        age_header_stanza(out, (const char *[]){"scrypt", salt_text, work_text}, 3, wrapped,
                          sizeof wrapped);
    }
    secret_wipe(key, sizeof key);
    return status;
}

/* `[1-9][0-9]*`; 0 for anything else, and a number over every limit where it is long. */
static unsigned parse_work(const uint8_t *text, size_t length) {
    unsigned value = 0;
    for (size_t i = 0; i < length; i++) {
        if (text[i] < '0' || text[i] > '9' || (i == 0 && text[i] == '0'))
            return 0;
        value = value > 1000 ? value : value * 10 + (unsigned)(text[i] - '0');
    }
    return value;
}

enum status age_scrypt_unwrap(const struct age_stanza *stanza, const char *passphrase,
                              size_t length, unsigned max_work, uint8_t file_key[AGE_FILE_KEY_SIZE],
                              struct error *error) {
    if (!age_header_stanza_is(stanza, "scrypt"))
        return status_fail(error, STATUS_FORBIDDEN, "not sealed to a passphrase");
    uint8_t salt[SALT_SIZE], wrapped[WRAPPED_SIZE];
    size_t size = 0, got = 0;
    const uint8_t *text = age_header_argument(stanza, 1, &size);
    if (stanza->argument_count != 3 ||
        !encoding_unbase64(text, size, ENCODING_UNPADDED, salt, sizeof salt, &got) ||
        got != sizeof salt)
        return status_fail(error, STATUS_INVALID,
                           "age header: a scrypt recipient has a salt of 16 bytes and a work "
                           "factor");
    text = age_header_argument(stanza, 2, &size);
    unsigned work = parse_work(text, size);
    if (work < 1 || work > max_work || work > AGE_SCRYPT_WORK_MAX)
        return status_fail(error, STATUS_INVALID,
                           "age header: the scrypt work factor must be 1 to %u",
                           max_work < AGE_SCRYPT_WORK_MAX ? max_work : AGE_SCRYPT_WORK_MAX);
    if (stanza->body_size != sizeof wrapped || !age_header_body(stanza, wrapped, sizeof wrapped))
        return status_fail(error, STATUS_INVALID,
                           "age header: a scrypt recipient wraps %d bytes, found %zu", WRAPPED_SIZE,
                           stanza->body_size);
    uint8_t key[AEAD_KEY_SIZE], opened[AGE_FILE_KEY_SIZE];
    enum status status = wrapping_key(passphrase, length, salt, work, key, error);
    if (status == STATUS_OK &&
        !aead_open(key, zero_nonce, NULL, 0, wrapped, sizeof wrapped, opened))
        status = status_fail(error, STATUS_FORBIDDEN, "the passphrase is not the one");
    if (status == STATUS_OK)
        memcpy(file_key, opened, sizeof opened);
    secret_wipe(key, sizeof key);
    secret_wipe(opened, sizeof opened);
    return status;
}
