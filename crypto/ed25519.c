#include "crypto/ed25519.h"

#include <sodium.h>

_Static_assert(ED25519_SECRET_SIZE == crypto_sign_SECRETKEYBYTES, "seed and public key");

void ed25519_from_seed(const uint8_t seed[ED25519_SEED_SIZE], uint8_t secret[ED25519_SECRET_SIZE],
                       uint8_t public_key[ED25519_PUBLIC_SIZE]) {
    crypto_sign_seed_keypair(public_key, secret, seed);
}

void ed25519_sign(const uint8_t secret[ED25519_SECRET_SIZE], const void *message, size_t size,
                  uint8_t signature[ED25519_SIGNATURE_SIZE]) {
    crypto_sign_detached(signature, NULL, message, size, secret);
}

bool ed25519_verify(const uint8_t public_key[ED25519_PUBLIC_SIZE], const void *message, size_t size,
                    const uint8_t signature[ED25519_SIGNATURE_SIZE]) {
    return crypto_sign_verify_detached(signature, message, size, public_key) == 0;
}
