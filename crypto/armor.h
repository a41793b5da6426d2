/* age's ASCII armor: strict PEM (RFC 7468) with the label "AGE ENCRYPTED FILE", 64 columns, padded
 * base64, LF or CRLF. White space is allowed before and after the armor and nowhere else. Works on
 * whole buffers that the caller provides. Input: untrusted. */
#ifndef CRYPTO_ARMOR_H
#define CRYPTO_ARMOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

/* White space tolerated before the first line. */
#define ARMOR_LEADING_MAX 1024

/* True where the bytes, after white space, begin as armor does. */
bool armor_detect(const void *data, size_t size);
/* Largest possible result of decoding `size` bytes of text; result of encoding `size` bytes. */
size_t armor_decoded_max(size_t size);
size_t armor_encoded_size(size_t size);
/* out may not overlap. STATUS_INVALID on anything that age refuses; STATUS_TOO_LARGE where it does
 * not fit in `capacity`. */
MUST_USE enum status armor_decode(const void *text, size_t length, uint8_t *out, size_t capacity,
                                  size_t *size, struct error *error);
/* Exactly armor_encoded_size(size) bytes into out; no NUL. */
void armor_encode(const void *data, size_t size, char *out);

#endif
