/* A file of the disk, mapped to be read. An empty one is a valid pointer to nothing. */
#ifndef ADMIN_MAPPED_H
#define ADMIN_MAPPED_H

#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

struct mapped {
    const char *data;
    size_t size;
};

/* STATUS_NOT_FOUND, STATUS_FORBIDDEN, or STATUS_INVALID where it is not a regular file. */
MUST_USE enum status mapped_open(const char *path, struct mapped *mapped, struct error *error);
/* The same for a file beneath an open folder: neither ".." nor a symbolic link leads anywhere. */
MUST_USE enum status mapped_beneath(int folder, const char *name, struct mapped *mapped,
                                    struct error *error);
void mapped_close(struct mapped *mapped);
/* The pages from `offset` on need not stay in memory; they are read again where they are needed. */
void mapped_forget(const struct mapped *mapped, size_t offset, size_t size);

#endif
