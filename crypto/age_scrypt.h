/* age's scrypt stanza: a file key under a passphrase. Takes 128 * 8 * 2^work bytes of ordinary
 * memory and seconds of time by design, so the work factor of a file from outside is capped, and
 * processes that answer others refuse the stanza altogether (see age.h). */
#ifndef CRYPTO_AGE_SCRYPT_H
#define CRYPTO_AGE_SCRYPT_H

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/status.h"
#include "crypto/age_header.h"

#define AGE_SCRYPT_WORK_DEFAULT 18 /* 256 MiB, about a second */
#define AGE_SCRYPT_WORK_MAX 22     /* the highest accepted from a file: 4 GiB, as age does */

/* work: 1 to AGE_SCRYPT_WORK_MAX. STATUS_UNAVAILABLE where the memory cannot be had. */
MUST_USE enum status age_scrypt_wrap(struct buf *out, const char *passphrase, size_t length,
                                     unsigned work, const uint8_t file_key[AGE_FILE_KEY_SIZE],
                                     struct error *error);
/* As age_x25519_unwrap. max_work: 1 to AGE_SCRYPT_WORK_MAX; a higher one in the stanza is
 * STATUS_INVALID. */
MUST_USE enum status age_scrypt_unwrap(const struct age_stanza *stanza, const char *passphrase,
                                       size_t length, unsigned max_work,
                                       uint8_t file_key[AGE_FILE_KEY_SIZE], struct error *error);

#endif
