/* age's X25519 identities (AGE-SECRET-KEY-1...) and recipients (age1...), and the stanza that wraps
 * a file key for one. Identities stand in secret memory (secret_alloc) and so are passed by
 * pointer; recipients are public. Texts and stanzas from outside are untrusted. */
#ifndef CRYPTO_AGE_X25519_H
#define CRYPTO_AGE_X25519_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/status.h"
#include "crypto/age_header.h"

#define AGE_X25519_RECIPIENT_SIZE 63 /* "age1..." with its NUL */
#define AGE_X25519_IDENTITY_SIZE 75  /* "AGE-SECRET-KEY-1..." with its NUL */

struct age_recipient {
    uint8_t key[32];
};
struct age_identity {
    uint8_t secret[32];
    struct age_recipient recipient;
};

/* A new identity in secret memory, to be freed with secret_free; NULL and the reason in error. */
MUST_USE struct age_identity *age_x25519_generate(struct error *error);
/* Fill an identity whose 32 secret bytes are given, and its recipient. */
void age_x25519_identity(const uint8_t secret[32], struct age_identity *identity);

/* `identity` stands in secret memory of the caller. The error never quotes the text. */
MUST_USE enum status age_x25519_identity_parse(const char *text, size_t length,
                                               struct age_identity *identity, struct error *error);
/* Secret text: out (AGE_X25519_IDENTITY_SIZE bytes) belongs in secret memory too. */
void age_x25519_identity_format(const struct age_identity *identity, char *out);
/* Refuses what is no X25519 recipient, and points of low order. */
MUST_USE enum status age_x25519_recipient_parse(const char *text, size_t length,
                                                struct age_recipient *recipient,
                                                struct error *error);
void age_x25519_recipient_format(const struct age_recipient *recipient,
                                 char out[AGE_X25519_RECIPIENT_SIZE]);

/* Append a stanza; STATUS_INVALID for a recipient of low order. */
MUST_USE enum status age_x25519_wrap(struct buf *out, const struct age_recipient *recipient,
                                     const uint8_t file_key[AGE_FILE_KEY_SIZE],
                                     struct error *error);
/* STATUS_OK with the file key; STATUS_FORBIDDEN where the stanza is not for this identity (also
 * where it is of another type); STATUS_INVALID where it is a malformed X25519 stanza. */
MUST_USE enum status age_x25519_unwrap(const struct age_stanza *stanza,
                                       const struct age_identity *identity,
                                       uint8_t file_key[AGE_FILE_KEY_SIZE], struct error *error);

#endif
