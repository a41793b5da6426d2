/* Ed25519 (RFC 8032). `secret` is the 64 bytes seed || public key, in secret memory. */
#ifndef CRYPTO_ED25519_H
#define CRYPTO_ED25519_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ED25519_SEED_SIZE 32
#define ED25519_PUBLIC_SIZE 32
#define ED25519_SECRET_SIZE 64
#define ED25519_SIGNATURE_SIZE 64

void ed25519_from_seed(const uint8_t seed[ED25519_SEED_SIZE], uint8_t secret[ED25519_SECRET_SIZE],
                       uint8_t public_key[ED25519_PUBLIC_SIZE]);
void ed25519_sign(const uint8_t secret[ED25519_SECRET_SIZE], const void *message, size_t size,
                  uint8_t signature[ED25519_SIGNATURE_SIZE]);
/* Refuses non-canonical signatures and public keys of small order. */
__attribute__((warn_unused_result)) bool
ed25519_verify(const uint8_t public_key[ED25519_PUBLIC_SIZE], const void *message, size_t size,
               const uint8_t signature[ED25519_SIGNATURE_SIZE]);

#endif
