#include "crypto/commitment.h"

#include "crypto/hkdf.h"
#include "crypto/secret.h"

void commitment_compute(const uint8_t file_key[16], const uint8_t nonce[16],
                        uint8_t out[COMMITMENT_SIZE]) {
    hkdf_key(file_key, 16, nonce, 16, "strongroom.dev/model-commitment v1", out);
}

bool commitment_equal(const uint8_t a[COMMITMENT_SIZE], const uint8_t b[COMMITMENT_SIZE]) {
    return secret_equal(a, b, COMMITMENT_SIZE);
}

enum status commitment_check(void *expectation, const uint8_t nonce[16], struct error *error) {
    struct commitment_expectation *e = expectation;
    commitment_compute(e->file_key, nonce, e->found);
    if (e->expected && !commitment_equal(e->found, e->expected))
        return status_fail(error, STATUS_UNSERVABLE,
                           "sealed payload: not the model that was recorded at its upload");
    return STATUS_OK;
}
