#include "crypto/aead.h"

#include <sodium.h>

void aead_seal(const uint8_t key[AEAD_KEY_SIZE], const uint8_t nonce[AEAD_NONCE_SIZE],
               const void *extra, size_t extra_size, const void *in, size_t size, uint8_t *out) {
    crypto_aead_chacha20poly1305_ietf_encrypt(out, NULL, in, size, extra, extra_size, NULL, nonce,
                                              key);
}

bool aead_open(const uint8_t key[AEAD_KEY_SIZE], const uint8_t nonce[AEAD_NONCE_SIZE],
               const void *extra, size_t extra_size, const void *in, size_t size, void *out) {
    return size >= AEAD_TAG_SIZE &&
           crypto_aead_chacha20poly1305_ietf_decrypt(out, NULL, NULL, in, size, extra, extra_size,
                                                     nonce, key) == 0;
}
