#include "crypto/crypto.h"

#include <sodium.h>

enum status crypto_init(struct error *error) {
    if (sodium_init() < 0)
        return status_fail(error, STATUS_INTERNAL,
                           "the cryptographic library found no source of randomness");
    return STATUS_OK;
}
