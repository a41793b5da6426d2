/* ChaCha20-Poly1305 (RFC 8439) with a tag of 16 bytes behind the ciphertext. A nonce is used once
 * with a key: the caller sees to it. Opening verifies before it writes a byte of plaintext, and on
 * failure `out` is untouched or zero. in and out may be the same. */
#ifndef CRYPTO_AEAD_H
#define CRYPTO_AEAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define AEAD_KEY_SIZE 32
#define AEAD_NONCE_SIZE 12
#define AEAD_TAG_SIZE 16

/* out: size + AEAD_TAG_SIZE bytes. */
void aead_seal(const uint8_t key[AEAD_KEY_SIZE], const uint8_t nonce[AEAD_NONCE_SIZE],
               const void *extra, size_t extra_size, const void *in, size_t size, uint8_t *out);
/* size counts the tag; out: size - AEAD_TAG_SIZE bytes. False where it does not verify. */
__attribute__((warn_unused_result)) bool aead_open(const uint8_t key[AEAD_KEY_SIZE],
                                                   const uint8_t nonce[AEAD_NONCE_SIZE],
                                                   const void *extra, size_t extra_size,
                                                   const void *in, size_t size, void *out);

#endif
