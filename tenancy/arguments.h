/* Arguments out of a request object: each error names the argument and what it must be.
 *
 * Texts are borrowed from the request. Input: untrusted. */
#ifndef TENANCY_ARGUMENTS_H
#define TENANCY_ARGUMENTS_H

#include <jansson.h>
#include <stdint.h>

#include "base/status.h"

/* A text without zero bytes; an optional one that is absent is NULL. */
MUST_USE enum status arguments_text(const json_t *request, const char *name, const char **text,
                                    struct error *error);
MUST_USE enum status arguments_optional_text(const json_t *request, const char *name,
                                             const char **text, struct error *error);
/* An integer from `low` to `high`; `absent` where it is not there. */
MUST_USE enum status arguments_optional_integer(const json_t *request, const char *name,
                                                int64_t low, int64_t high, int64_t absent,
                                                int64_t *value, struct error *error);
/* Copy a text into a fixed field of `size` bytes. */
MUST_USE enum status arguments_copy(const json_t *request, const char *name, char *out, size_t size,
                                    struct error *error);

#endif
