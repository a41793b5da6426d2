/* Start of the cryptographic library. Call crypto_init once in every process, before anything
 * else of crypto/, before its sandbox is on, and before the first thread. No other folder includes
 * sodium.h. Failure (no source of randomness) is fatal: do not go on. */
#ifndef CRYPTO_CRYPTO_H
#define CRYPTO_CRYPTO_H

#include "base/status.h"

MUST_USE enum status crypto_init(struct error *error);

#endif
