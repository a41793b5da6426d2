/* SHA-256, HMAC-SHA-256 and BLAKE2b-256 over libsodium. They cannot fail. Inputs may be anything,
 * `data` may be NULL where its size is 0; outputs must not overlap inputs. */
#ifndef CRYPTO_HASH_H
#define CRYPTO_HASH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HASH_SIZE 32

void hash_sha256(const void *data, size_t size, uint8_t out[HASH_SIZE]);
/* BLAKE2b with 32 bytes of output; key of 0 to 64 bytes. */
void hash_blake2b(const void *key, size_t key_size, const void *data, size_t size,
                  uint8_t out[HASH_SIZE]);
/* RFC 2104; key of any length. */
void hash_hmac_sha256(const void *key, size_t key_size, const void *data, size_t size,
                      uint8_t out[HASH_SIZE]);
bool hash_hmac_sha256_verify(const void *key, size_t key_size, const void *data, size_t size,
                             const uint8_t tag[HASH_SIZE]);

/* Incremental SHA-256. The state is wiped by hash_final; start again before reuse. */
struct hash_state {
    _Alignas(16) uint8_t opaque[128];
};
void hash_start(struct hash_state *state);
void hash_update(struct hash_state *state, const void *data, size_t size);
void hash_final(struct hash_state *state, uint8_t out[HASH_SIZE]);

#endif
