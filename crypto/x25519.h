/* X25519 (RFC 7748). Secrets are 32 random bytes and stand in secret memory. */
#ifndef CRYPTO_X25519_H
#define CRYPTO_X25519_H

#include <stdbool.h>
#include <stdint.h>

#define X25519_SIZE 32

void x25519_public(const uint8_t secret[X25519_SIZE], uint8_t public_key[X25519_SIZE]);
/* False, and out zero, where the result is all zero (a point of low order): never use that. */
__attribute__((warn_unused_result)) bool x25519_shared(const uint8_t secret[X25519_SIZE],
                                                       const uint8_t public_key[X25519_SIZE],
                                                       uint8_t out[X25519_SIZE]);

#endif
