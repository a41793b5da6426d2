/* What the vector programs share: where published files are, whole files in memory, hex. These are
 * plain programs: 0 all passed, 1 something failed, 77 the files are not here (ctest shows it as
 * skipped). Not for use outside tests. */
#ifndef TESTS_VECTORS_VECTORS_H
#define TESTS_VECTORS_VECTORS_H

#include <stddef.h>
#include <stdint.h>

#define VECTORS_SKIP 77

/* Value of the variable, or <shared folder>/<inside>, or NULL where that is no readable folder. */
const char *vectors_folder(const char *variable, const char *inside);
/* A whole file, to be freed; NULL where it cannot be read. */
uint8_t *vectors_load(const char *folder, const char *name, size_t *size);
/* Bytes of a hex string, to be freed, never NULL: ends the program on bad hex or no memory. */
uint8_t *vectors_unhex(const char *text, size_t *size);

#endif
