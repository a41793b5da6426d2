/* age's payload: a nonce of 16 bytes, then STREAM (ChaCha20-Poly1305 in chunks of 64 KiB, the last
 * one flagged) under a key derived from file key and nonce.
 *
 * Plaintext passes through secret memory only. A chunk is released once it has verified; that the
 * payload is whole is known only when the call returns STATUS_OK, so callers act on nothing
 * before. A payload that was altered, cut, extended or reordered is STATUS_UNSERVABLE, one too
 * short to be any payload too. Other statuses come from the callbacks or from memory. */
#ifndef CRYPTO_STREAM_H
#define CRYPTO_STREAM_H

#include <stddef.h>
#include <stdint.h>

#include "base/status.h"
#include "crypto/age_header.h"

#define STREAM_NONCE_SIZE 16
#define STREAM_CHUNK_SIZE 65536
#define STREAM_TAG_SIZE 16

/* Fill `data` with up to `size` bytes; *got short of size only at the end of the input. */
typedef enum status (*stream_read)(void *context, void *data, size_t size, size_t *got,
                                   struct error *error);
typedef enum status (*stream_write)(void *context, const void *data, size_t size,
                                    struct error *error);
/* Fill `data` with exactly `size` bytes from `offset` of the payload (offset 0 is the nonce).
 * Called from several threads at once. */
typedef enum status (*stream_read_at)(void *context, uint64_t offset, void *data, size_t size,
                                      struct error *error);

/* Size of the plaintext of a payload of `size` bytes, nonce counted; STATUS_UNSERVABLE where no
 * payload has that size. And the reverse. */
MUST_USE enum status stream_plain_size(uint64_t size, uint64_t *plain, struct error *error);
uint64_t stream_sealed_size(uint64_t plain);

/* Nonce and chunks from `read`, plaintext to `write`, in order, in the calling thread. */
MUST_USE enum status stream_decrypt(const uint8_t file_key[AGE_FILE_KEY_SIZE], stream_read read,
                                    void *read_context, stream_write write, void *write_context,
                                    struct error *error);
/* A fresh nonce, then chunks, to `write`. A file key is used for one payload. */
MUST_USE enum status stream_encrypt(const uint8_t file_key[AGE_FILE_KEY_SIZE], stream_read read,
                                    void *read_context, stream_write write, void *write_context,
                                    struct error *error);

/* Decrypt a payload of known size straight into `out` (secret memory, exactly the size that
 * stream_plain_size gives, else STATUS_INVALID), chunks in any order on up to `threads` threads
 * (0 and 1: the caller alone, and no thread is made; where a thread cannot be made, fewer do the
 * work). On failure `out` is wiped. `check` is asked, with the payload's nonce, before a byte is
 * decrypted: the place to compare the commitment. */
typedef enum status (*stream_check)(void *context, const uint8_t nonce[STREAM_NONCE_SIZE],
                                    struct error *error);
struct stream_source {
    stream_read_at read_at;
    void *context;      /* of read_at */
    uint64_t size;      /* of the payload, nonce counted */
    stream_check check; /* may be NULL */
    void *check_context;
};
MUST_USE enum status stream_decrypt_parallel(const uint8_t file_key[AGE_FILE_KEY_SIZE],
                                             const struct stream_source *source, void *out,
                                             size_t out_size, unsigned threads,
                                             struct error *error);

/* A source for stream_decrypt_parallel: `context` is a `struct stream_bytes`. And one for
 * stream_read and stream_write over memory, which count in `offset`. */
struct stream_bytes {
    uint8_t *data;
    size_t size;
    size_t offset;
};
enum status stream_bytes_read_at(void *context, uint64_t offset, void *data, size_t size,
                                 struct error *error);
enum status stream_bytes_read(void *context, void *data, size_t size, size_t *got,
                              struct error *error);
/* STATUS_TOO_LARGE where it does not fit in `size`. */
enum status stream_bytes_write(void *context, const void *data, size_t size, struct error *error);

#endif
