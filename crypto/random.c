#include "crypto/random.h"

#include <sodium.h>

void random_bytes(void *out, size_t size) {
    randombytes_buf(out, size);
}
