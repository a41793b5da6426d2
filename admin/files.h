/* Small files of the operator: keys, certificates, sealed identities.
 *
 * What may be secret is read straight into memory from secret_alloc and written straight from it,
 * with read(2) and write(2). New files are made, never replaced, with the mode given. */
#ifndef ADMIN_FILES_H
#define ADMIN_FILES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/status.h"

/* A whole file of at most `max` bytes into secret memory, to be freed with secret_free. `what`
 * names it in errors: "root identity". */
MUST_USE enum status files_read_secret(const char *path, const char *what, size_t max,
                                       uint8_t **bytes, size_t *size, struct error *error);
/* Make a file and bring it to the disk. STATUS_CONFLICT where it is there already. */
MUST_USE enum status files_write_new(const char *path, const void *bytes, size_t size, mode_t mode,
                                     struct error *error);
MUST_USE enum status files_write_all(int fd, const void *bytes, size_t size, struct error *error);
/* Make a folder of mode 0700; one that is there is fine where `exists_ok`. */
MUST_USE enum status files_make_folder(const char *path, bool exists_ok, struct error *error);
/* "dir/name" from malloc; NULL, and the reason in `error`. */
MUST_USE char *files_join(const char *dir, const char *name, struct error *error);

#endif
