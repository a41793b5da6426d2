#include "crypto/x25519.h"

#include <sodium.h>

#include "crypto/secret.h"

void x25519_public(const uint8_t secret[X25519_SIZE], uint8_t public_key[X25519_SIZE]) {
    crypto_scalarmult_base(public_key, secret);
}

bool x25519_shared(const uint8_t secret[X25519_SIZE], const uint8_t public_key[X25519_SIZE],
                   uint8_t out[X25519_SIZE]) {
    bool ok = crypto_scalarmult(out, secret, public_key) == 0 && !sodium_is_zero(out, X25519_SIZE);
    if (!ok)
        secret_wipe(out, X25519_SIZE);
    return ok;
}
