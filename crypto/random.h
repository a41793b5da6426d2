/* Random bytes from the kernel's generator (getrandom): for keys, nonces, salts, identifiers. */
#ifndef CRYPTO_RANDOM_H
#define CRYPTO_RANDOM_H

#include <stddef.h>

/* Cannot fail: a kernel without randomness ends the process (crypto_init has tried it first). */
void random_bytes(void *out, size_t size);

#endif
