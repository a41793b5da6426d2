#include "crypto/age_x25519.h"

#include <string.h>

#include "crypto/aead.h"
#include "crypto/bech32.h"
#include "crypto/encoding.h"
#include "crypto/hkdf.h"
#include "crypto/random.h"
#include "crypto/secret.h"
#include "crypto/x25519.h"

static const char label[] = "age-encryption.org/v1/X25519";
static const char recipient_prefix[] = "age";
static const char identity_prefix[] = "age-secret-key-";
static const uint8_t zero_nonce[AEAD_NONCE_SIZE]; /* each wrapping key is used once */

_Static_assert(BECH32_SIZE(sizeof recipient_prefix - 1, 32) == AGE_X25519_RECIPIENT_SIZE, "");
_Static_assert(BECH32_SIZE(sizeof identity_prefix - 1, 32) == AGE_X25519_IDENTITY_SIZE, "");

enum { WRAPPED_SIZE = AGE_FILE_KEY_SIZE + AEAD_TAG_SIZE };

void age_x25519_identity(const uint8_t secret[32], struct age_identity *identity) {
    memcpy(identity->secret, secret, sizeof identity->secret);
    x25519_public(identity->secret, identity->recipient.key);
}

struct age_identity *age_x25519_generate(struct error *error) {
    struct age_identity *identity = secret_alloc(sizeof *identity, error);
    if (!identity)
        return NULL;
    random_bytes(identity->secret, sizeof identity->secret);
    x25519_public(identity->secret, identity->recipient.key);
    return identity;
}

enum status age_x25519_identity_parse(const char *text, size_t length,
                                      struct age_identity *identity, struct error *error) {
    uint8_t secret[32];
    /* Bech32 takes either case; an identity is written in capitals only. */
    if (length > 0 && text[0] != 'A')
        return status_fail(error, STATUS_INVALID, "does not begin with \"AGE-SECRET-KEY-1\"");
    enum status status = bech32_decode(text, length, identity_prefix, secret, sizeof secret, error);
    if (status == STATUS_OK)
        age_x25519_identity(secret, identity);
    secret_wipe(secret, sizeof secret);
    return status;
}

void age_x25519_identity_format(const struct age_identity *identity, char *out) {
    bech32_encode(identity_prefix, identity->secret, sizeof identity->secret, true, out);
}

/* The shared secret with a point of low order is zero, whatever the other side's secret is. */
static bool low_order(const uint8_t point[X25519_SIZE]) {
    static const uint8_t any[X25519_SIZE] = {1};
    uint8_t out[X25519_SIZE];
    return !x25519_shared(any, point, out);
}

enum status age_x25519_recipient_parse(const char *text, size_t length,
                                       struct age_recipient *recipient, struct error *error) {
    struct age_recipient parsed;
    if (length > 0 && text[0] != 'a')
        return status_fail(error, STATUS_INVALID, "recipient: does not begin with \"age1\"");
    enum status status =
        bech32_decode(text, length, recipient_prefix, parsed.key, sizeof parsed.key, error);
    if (status != STATUS_OK)
        return error ? status_prefix(error, "recipient: ") : status;
    if (low_order(parsed.key))
        return status_fail(error, STATUS_INVALID, "recipient: a point of low order is no key");
    *recipient = parsed;
    return STATUS_OK;
}

void age_x25519_recipient_format(const struct age_recipient *recipient,
                                 char out[AGE_X25519_RECIPIENT_SIZE]) {
    bech32_encode(recipient_prefix, recipient->key, sizeof recipient->key, false, out);
}

static void wrapping_key(const uint8_t shared[X25519_SIZE], const uint8_t share[X25519_SIZE],
                         const struct age_recipient *recipient, uint8_t key[AEAD_KEY_SIZE]) {
    uint8_t salt[2 * X25519_SIZE];
    memcpy(salt, share, X25519_SIZE);
    memcpy(salt + X25519_SIZE, recipient->key, X25519_SIZE);
    hkdf_key(shared, X25519_SIZE, salt, sizeof salt, label, key);
}

enum status age_x25519_wrap(struct buf *out, const struct age_recipient *recipient,
                            const uint8_t file_key[AGE_FILE_KEY_SIZE], struct error *error) {
    enum status status = STATUS_OK;
    uint8_t ephemeral[X25519_SIZE], share[X25519_SIZE], shared[X25519_SIZE], key[AEAD_KEY_SIZE];
    random_bytes(ephemeral, sizeof ephemeral);
    x25519_public(ephemeral, share);
    if (!x25519_shared(ephemeral, recipient->key, shared)) {
        status = status_fail(error, STATUS_INVALID, "recipient: a point of low order is no key");
        goto out;
    }
    wrapping_key(shared, share, recipient, key);
    uint8_t wrapped[WRAPPED_SIZE];
    aead_seal(key, zero_nonce, NULL, 0, file_key, AGE_FILE_KEY_SIZE, wrapped);
    char share_text[ENCODING_BASE64_SIZE(X25519_SIZE)];
    encoding_base64(share, sizeof share, ENCODING_UNPADDED, share_text);
    age_header_stanza(out, (const char *[]){"X25519", share_text}, 2, wrapped, sizeof wrapped);
out:
    secret_wipe(ephemeral, sizeof ephemeral);
    secret_wipe(shared, sizeof shared);
    secret_wipe(key, sizeof key);
    return status;
}

enum status age_x25519_unwrap(const struct age_stanza *stanza, const struct age_identity *identity,
                              uint8_t file_key[AGE_FILE_KEY_SIZE], struct error *error) {
    if (!age_header_stanza_is(stanza, "X25519"))
        return status_fail(error, STATUS_FORBIDDEN, "not sealed to this identity");
    enum status status = STATUS_OK;
    uint8_t share[X25519_SIZE], shared[X25519_SIZE], key[AEAD_KEY_SIZE], wrapped[WRAPPED_SIZE];
    uint8_t opened[AGE_FILE_KEY_SIZE];
    size_t text_size = 0, got = 0;
    const uint8_t *text = age_header_argument(stanza, 1, &text_size);
    if (stanza->argument_count != 2 ||
        !encoding_unbase64(text, text_size, ENCODING_UNPADDED, share, sizeof share, &got) ||
        got != sizeof share)
        return status_fail(error, STATUS_INVALID,
                           "age header: an X25519 recipient has one share of 32 bytes");
    /* The length is checked before decryption: else one stanza could fit several keys. */
    if (stanza->body_size != sizeof wrapped || !age_header_body(stanza, wrapped, sizeof wrapped))
        return status_fail(error, STATUS_INVALID,
                           "age header: an X25519 recipient wraps %d bytes, found %zu",
                           WRAPPED_SIZE, stanza->body_size);
    if (!x25519_shared(identity->secret, share, shared)) {
        status = status_fail(error, STATUS_INVALID,
                             "age header: an X25519 share of low order is refused");
        goto out;
    }
    wrapping_key(shared, share, &identity->recipient, key);
    if (!aead_open(key, zero_nonce, NULL, 0, wrapped, sizeof wrapped, opened)) {
        status = status_fail(error, STATUS_FORBIDDEN, "not sealed to this identity");
        goto out;
    }
    memcpy(file_key, opened, sizeof opened);
out:
    secret_wipe(shared, sizeof shared);
    secret_wipe(key, sizeof key);
    secret_wipe(opened, sizeof opened);
    return status;
}
