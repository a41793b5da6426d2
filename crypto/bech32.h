/* Bech32 (BIP 173), without its limit of 90 characters, as age uses it. All upper or all lower
 * case; the checksum is over the lower-case form. Input: untrusted. Time does not depend on the
 * data part, since secret identities pass through; failures do not quote it either. */
#ifndef CRYPTO_BECH32_H
#define CRYPTO_BECH32_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

/* Length of the text, with its NUL, for a human-readable part of `hrp` bytes and `size` of data. */
#define BECH32_SIZE(hrp, size) ((hrp) + 1 + ((size_t)(size)*8 + 4) / 5 + 6 + 1)

/* hrp in lower case. out: BECH32_SIZE bytes. */
void bech32_encode(const char *hrp, const void *data, size_t size, bool upper, char *out);
/* The text must have this human-readable part (given in lower case) and exactly `size` bytes of
 * data. STATUS_INVALID otherwise. */
MUST_USE enum status bech32_decode(const char *text, size_t length, const char *hrp, void *out,
                                   size_t size, struct error *error);

#endif
