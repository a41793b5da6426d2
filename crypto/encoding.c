#include "crypto/encoding.h"

#include <sodium.h>

void encoding_hex(const void *data, size_t size, char *out) {
    sodium_bin2hex(out, ENCODING_HEX_SIZE(size), data, size);
}

bool encoding_unhex(const char *text, size_t length, void *out, size_t size) {
    size_t got = 0;
    return length == 2 * size && sodium_hex2bin(out, size, text, length, NULL, &got, NULL) == 0 &&
           got == size;
}

static int variant_of(enum encoding_padding padding) {
    return padding == ENCODING_PADDED ? sodium_base64_VARIANT_ORIGINAL
                                      : sodium_base64_VARIANT_ORIGINAL_NO_PADDING;
}

size_t encoding_base64(const void *data, size_t size, enum encoding_padding padding, char *out) {
    size_t with_nul = sodium_base64_encoded_len(size, variant_of(padding));
    sodium_bin2base64(out, with_nul, data, size, variant_of(padding));
    return with_nul - 1;
}

bool encoding_unbase64(const void *text, size_t length, enum encoding_padding padding, void *out,
                       size_t capacity, size_t *size) {
    size_t got = 0;
    /* libsodium 1.0.18 reads every byte above 0x7f as '/', so those are looked for here. */
    uint8_t all = 0;
    for (size_t i = 0; i < length; i++)
        all |= ((const uint8_t *)text)[i];
    if (all & 0x80)
        return false;
    if (sodium_base642bin(out, capacity, text, length, NULL, &got, NULL, variant_of(padding)) != 0)
        return false;
    *size = got;
    return true;
}
