/* Names that come from outside: tenants, models, keys' labels. */
#ifndef BASE_NAME_H
#define BASE_NAME_H

#include <stdbool.h>
#include <stddef.h>

#define NAME_MAX_LENGTH 64

/* True where text[0..length) is `[A-Za-z0-9][A-Za-z0-9._-]{0,63}`. */
bool name_valid(const char *text, size_t length);

/* True where the text is 32 lower-case hexadecimal digits, as uids are. No tenant is given such a
 * name, so that where either may stand there is no doubt which it is. */
bool name_is_uid(const char *text);

#endif
