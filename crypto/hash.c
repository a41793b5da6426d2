#include "crypto/hash.h"

#include <sodium.h>

#include "crypto/secret.h"

_Static_assert(sizeof(crypto_hash_sha256_state) <= sizeof(struct hash_state),
               "the library's state fits in ours");

/* The library's functions take no NULL, not even for nothing. */
static const unsigned char *bytes_of(const void *data) {
    static const unsigned char none[1];
    return data ? data : none;
}

void hash_sha256(const void *data, size_t size, uint8_t out[HASH_SIZE]) {
    crypto_hash_sha256(out, bytes_of(data), size);
}

void hash_blake2b(const void *key, size_t key_size, const void *data, size_t size,
                  uint8_t out[HASH_SIZE]) {
    crypto_generichash_blake2b(out, HASH_SIZE, bytes_of(data), size, key_size ? key : NULL,
                               key_size);
}

void hash_hmac_sha256(const void *key, size_t key_size, const void *data, size_t size,
                      uint8_t out[HASH_SIZE]) {
    crypto_auth_hmacsha256_state state;
    crypto_auth_hmacsha256_init(&state, bytes_of(key), key_size);
    crypto_auth_hmacsha256_update(&state, bytes_of(data), size);
    crypto_auth_hmacsha256_final(&state, out);
    secret_wipe(&state, sizeof state);
}

bool hash_hmac_sha256_verify(const void *key, size_t key_size, const void *data, size_t size,
                             const uint8_t tag[HASH_SIZE]) {
    uint8_t expected[HASH_SIZE];
    hash_hmac_sha256(key, key_size, data, size, expected);
    bool equal = secret_equal(expected, tag, sizeof expected);
    secret_wipe(expected, sizeof expected);
    return equal;
}

static crypto_hash_sha256_state *inner(struct hash_state *state) {
    return (crypto_hash_sha256_state *)(void *)state->opaque;
}

void hash_start(struct hash_state *state) {
    crypto_hash_sha256_init(inner(state));
}

void hash_update(struct hash_state *state, const void *data, size_t size) {
    crypto_hash_sha256_update(inner(state), bytes_of(data), size);
}

void hash_final(struct hash_state *state, uint8_t out[HASH_SIZE]) {
    crypto_hash_sha256_final(inner(state), out);
    secret_wipe(state, sizeof *state);
}
