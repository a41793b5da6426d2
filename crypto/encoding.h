/* Hexadecimal and base64 (RFC 4648, section 4), strict in reading: no white space, no characters
 * outside the alphabet, canonical (unused bits zero), padding exactly as asked for. The time taken
 * depends on lengths and not on the bytes, so keys may pass through.
 *
 * Encoders write a terminating NUL and need room for it; decoders write at most `capacity` bytes,
 * and nothing is promised about them where they return false. Input: untrusted. */
#ifndef CRYPTO_ENCODING_H
#define CRYPTO_ENCODING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ENCODING_HEX_SIZE(n) (2 * (n) + 1)                        /* with the NUL */
#define ENCODING_BASE64_SIZE(n) (4 * (((size_t)(n) + 2) / 3) + 1) /* padded, with the NUL */

enum encoding_padding { ENCODING_PADDED, ENCODING_UNPADDED };

/* Lower case; out has room for ENCODING_HEX_SIZE(size). */
void encoding_hex(const void *data, size_t size, char *out);
/* Exactly 2 * size digits, either case. */
bool encoding_unhex(const char *text, size_t length, void *out, size_t size);

/* out has room for ENCODING_BASE64_SIZE(size). Returns the length without the NUL. */
size_t encoding_base64(const void *data, size_t size, enum encoding_padding padding, char *out);
bool encoding_unbase64(const void *text, size_t length, enum encoding_padding padding, void *out,
                       size_t capacity, size_t *size);

#endif
