#include "crypto/hkdf.h"

#include <sodium.h>
#include <string.h>

#include "crypto/hash.h"
#include "crypto/secret.h"

/* Sizes are checked by the callers. */
static void expand(const uint8_t pseudorandom[HASH_SIZE], const void *info, size_t info_size,
                   uint8_t *out, size_t out_size) {
    uint8_t block[HASH_SIZE];
    size_t previous = 0; /* bytes of the block before: none for the first */
    crypto_auth_hmacsha256_state state;
    for (uint8_t counter = 1; out_size > 0; counter++) {
        crypto_auth_hmacsha256_init(&state, pseudorandom, HASH_SIZE);
        crypto_auth_hmacsha256_update(&state, block, previous);
        if (info_size)
            crypto_auth_hmacsha256_update(&state, info, info_size);
        crypto_auth_hmacsha256_update(&state, &counter, 1);
        crypto_auth_hmacsha256_final(&state, block);
        previous = sizeof block;
        size_t n = out_size < sizeof block ? out_size : sizeof block;
        memcpy(out, block, n);
        out += n;
        out_size -= n;
    }
    secret_wipe(&state, sizeof state);
    secret_wipe(block, sizeof block);
}

enum status hkdf_sha256(const void *key, size_t key_size, const void *salt, size_t salt_size,
                        const void *info, size_t info_size, void *out, size_t out_size,
                        struct error *error) {
    if (out_size > HKDF_MAX)
        return status_fail(error, STATUS_INVALID,
                           "key derivation: %zu bytes asked for, at most %d can be derived",
                           out_size, HKDF_MAX);
    /* HMAC pads its key with zeros, so that no salt is the RFC's default of 32 zero bytes. */
    uint8_t pseudorandom[HASH_SIZE];
    hash_hmac_sha256(salt, salt_size, key, key_size, pseudorandom);
    expand(pseudorandom, info, info_size, out, out_size);
    secret_wipe(pseudorandom, sizeof pseudorandom);
    return STATUS_OK;
}

void hkdf_key(const void *key, size_t key_size, const void *salt, size_t salt_size,
              const char *label, uint8_t out[32]) {
    /* 32 bytes is within the limit, the only failure there is. */
    enum status status =
        hkdf_sha256(key, key_size, salt, salt_size, label, strlen(label), out, 32, NULL);
    (void)status;
}
