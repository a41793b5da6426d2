/* Names that come from outside: tenants, models, keys' labels. */
#ifndef BASE_NAME_H
#define BASE_NAME_H

#include <stdbool.h>
#include <stddef.h>

#define NAME_MAX_LENGTH 64

/* True where text[0..length) is `[A-Za-z0-9][A-Za-z0-9._-]{0,63}`. */
bool name_valid(const char *text, size_t length);

#endif
