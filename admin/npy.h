/* NumPy's .npy files (format 1 to 3, numpy.lib.format): one array in, one array out.
 *
 * Read: little-endian, C order; bool, (u)int8 to 64, float16/32/64, and texts of fixed width ("U",
 * "S") as strings. bfloat16 and what else NumPy has no type for is not read, and is written as its
 * bits in uint16 or uint8. Input: untrusted. */
#ifndef ADMIN_NPY_H
#define ADMIN_NPY_H

#include "engine/model/tensor.h"

struct npy {
    struct tensor tensor; /* its data, and its strings', are owned here */
    void *data;
    char *strings;
};

MUST_USE enum status npy_read(const char *path, struct npy *npy, struct error *error);
void npy_free(struct npy *npy);
/* Replaces a file that is there. */
MUST_USE enum status npy_write(const char *path, const struct tensor *tensor, struct error *error);

#endif
