/* API keys: sr_<key id>_<secret>_<checksum>, 76 characters.
 *
 *   key id    12 characters, random (60 bits): a name, not secret, what a lookup uses
 *   secret    52 characters, 256 random bits
 *   checksum   7 characters, CRC-32 (ISO-HDLC, as zip and PNG use) of everything before its '_':
 *             catches typing faults before any lookup, and lets scanners of leaked secrets tell a
 *             key from noise; it protects nothing
 * All parts are RFC 4648 base32 in lower case (a-z, 2-7), unpadded, unused bits zero, so '_' and
 * upper case never occur inside one.
 *
 * Stored is a hash: BLAKE2b-256, keyed with the ASCII text "strongroom.dev/api-key v1" (public: it
 * separates domains; 256 random bits need no salt and no stretching), over key id || secret bytes.
 * The stored hash authenticates nothing.
 *
 * Texts from outside are untrusted; a struct apikey holds a secret and is wiped by its owner. */
#ifndef CRYPTO_APIKEY_H
#define CRYPTO_APIKEY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

#define APIKEY_ID_LENGTH 12
#define APIKEY_LENGTH 76
#define APIKEY_SIZE (APIKEY_LENGTH + 1) /* with the NUL */
#define APIKEY_HASH_SIZE 32

struct apikey {
    char id[APIKEY_ID_LENGTH + 1];
    uint8_t secret[32];
};

/* A new key and its text; both are the caller's to wipe. */
void apikey_generate(struct apikey *key, char text[APIKEY_SIZE]);
/* STATUS_UNAUTHENTICATED, with one and the same message whatever is wrong. */
MUST_USE enum status apikey_parse(const char *text, size_t length, struct apikey *key,
                                  struct error *error);
/* True where text[0..length) could be a key id: for lookups and the CLI. */
bool apikey_id_valid(const char *text, size_t length);
void apikey_hash(const struct apikey *key, uint8_t hash[APIKEY_HASH_SIZE]);
/* Hash and compare in constant time. */
MUST_USE bool apikey_verify(const struct apikey *key, const uint8_t stored[APIKEY_HASH_SIZE]);
/* For an id that is not known: costs what apikey_verify costs, and is never true. */
MUST_USE bool apikey_verify_absent(const struct apikey *key);

#endif
