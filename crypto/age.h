/* age v1 files, whole and in the pieces that different processes do.
 *
 *   keeper  age_file_key: header bytes and an identity -> the 16-byte file key
 *   worker  stream.h:     file key and payload         -> plaintext
 *   anyone  age_header_length (age_header.h): where a file splits into header and payload
 * Header and payload are nothing but a split of one age file: `cat header payload | age -d -i key`
 * opens what is written here, and what age writes is opened here.
 *
 * File keys, identities and passphrases stand in secret memory of the caller; wrapping keys live
 * on the stack for the length of a call and are wiped before it returns. Input: untrusted.
 *
 * Failure: STATUS_INVALID for a malformed header, stanza or armor; STATUS_FORBIDDEN where no
 * identity given opens it; STATUS_UNSERVABLE where the header's MAC or the payload does not verify
 * (altered or cut); STATUS_TOO_LARGE past a cap. */
#ifndef CRYPTO_AGE_H
#define CRYPTO_AGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/status.h"
#include "crypto/age_header.h"
#include "crypto/age_keyfile.h"
#include "crypto/age_scrypt.h"
#include "crypto/age_x25519.h"
#include "crypto/stream.h"

/* With what to open: identities, or a passphrase, or both. */
struct age_keys {
    const struct age_identity *identities;
    size_t count;
    const char *passphrase; /* NULL: scrypt stanzas are refused with STATUS_INVALID */
    size_t passphrase_size;
    unsigned max_work;  /* 0 means AGE_SCRYPT_WORK_MAX */
    size_t max_stanzas; /* 0 means AGE_HEADER_STANZAS */
};

/* Unwrap and check the header's MAC. `bytes` is the header; bytes after it are an error unless
 * `payload_follows`. file_key is untouched on failure. */
MUST_USE enum status age_file_key(const void *bytes, size_t size, bool payload_follows,
                                  const struct age_keys *keys, uint8_t file_key[AGE_FILE_KEY_SIZE],
                                  struct error *error);

/* To whom to seal: recipients, or a passphrase alone (age allows no mixture). */
struct age_to {
    const struct age_recipient *recipients;
    size_t count;
    const char *passphrase; /* NULL for recipients */
    size_t passphrase_size;
    unsigned work; /* 0 means AGE_SCRYPT_WORK_DEFAULT */
};

/* Append a header that wraps this file key; rewrapping is age_file_key and then this. */
MUST_USE enum status age_wrap(struct buf *out, const struct age_to *to,
                              const uint8_t file_key[AGE_FILE_KEY_SIZE], struct error *error);

/* A whole binary file from plaintext, under a fresh file key. */
MUST_USE enum status age_encrypt(const struct age_to *to, stream_read read, void *read_context,
                                 stream_write write, void *write_context, struct error *error);
/* The plaintext of a whole binary file (armored ones: armor.h first). */
MUST_USE enum status age_decrypt(const struct age_keys *keys, stream_read read, void *read_context,
                                 stream_write write, void *write_context, struct error *error);

/* The same for small files in memory, such as a wrapped identity. Decrypting takes armored files
 * too; `out` must be secret memory then. *size is what was written to out. STATUS_TOO_LARGE where
 * it does not fit. */
MUST_USE enum status age_encrypt_bytes(const struct age_to *to, const void *plain,
                                       size_t plain_size, uint8_t *out, size_t capacity,
                                       size_t *size, struct error *error);
MUST_USE enum status age_decrypt_bytes(const struct age_keys *keys, const void *file,
                                       size_t file_size, uint8_t *out, size_t capacity,
                                       size_t *size, struct error *error);

#endif
