/* What ledger records of a sealed model, so that another file cannot be put in its place: age does
 * not authenticate who sealed a file.
 *
 *   HKDF-SHA-256(key = file key, salt = payload nonce,
 *                info = "strongroom.dev/model-commitment v1"), 32 bytes
 *
 * File key and nonce together determine the payload key, and with it every chunk that verifies; a
 * rewrapped header leaves both, and so the commitment, unchanged. The value is not secret. */
#ifndef CRYPTO_COMMITMENT_H
#define CRYPTO_COMMITMENT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/status.h"

#define COMMITMENT_SIZE 32

void commitment_compute(const uint8_t file_key[16], const uint8_t nonce[16],
                        uint8_t out[COMMITMENT_SIZE]);
/* Constant time. */
bool commitment_equal(const uint8_t a[COMMITMENT_SIZE], const uint8_t b[COMMITMENT_SIZE]);

/* For stream_decrypt_parallel's `check`: fills `found`, and refuses with STATUS_UNSERVABLE a
 * payload whose commitment is not `expected`. */
struct commitment_expectation {
    const uint8_t *file_key; /* 16 bytes */
    const uint8_t *expected; /* COMMITMENT_SIZE bytes; NULL at the first opening, to be recorded */
    uint8_t found[COMMITMENT_SIZE];
};
enum status commitment_check(void *expectation, const uint8_t nonce[16], struct error *error);

#endif
