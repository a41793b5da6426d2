/* HKDF with SHA-256 (RFC 5869), extract then expand. Output of at most 255 * 32 bytes: more is
 * STATUS_INVALID. A NULL salt of size 0 is the RFC's default (32 zero bytes). */
#ifndef CRYPTO_HKDF_H
#define CRYPTO_HKDF_H

#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

#define HKDF_MAX (255 * 32)

MUST_USE enum status hkdf_sha256(const void *key, size_t key_size, const void *salt,
                                 size_t salt_size, const void *info, size_t info_size, void *out,
                                 size_t out_size, struct error *error);
/* The form that every format here uses: a label as info, 32 bytes out; cannot fail. */
void hkdf_key(const void *key, size_t key_size, const void *salt, size_t salt_size,
              const char *label, uint8_t out[32]);

#endif
