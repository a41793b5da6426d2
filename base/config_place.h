/* Where in a YAML text a setting stands: libcyaml tells lines of what it refuses, and forgets those
 * of what it takes. Threads: pure. Input: any bytes. */
#ifndef BASE_CONFIG_PLACE_H
#define BASE_CONFIG_PLACE_H

#include <stddef.h>

#include "base/status.h"

struct config_place {
    unsigned line, column; /* from 1; 0 where there is none */
};

/* Where the value of the key stands (named as below). */
struct config_place config_place_value(const void *bytes, size_t size, const char *setting);
/* Line, from 1, of the key `name` ("data") or `group.name` ("tls.key"); 0 where there is none.
 * *column, unless NULL, becomes its column, from 1. */
unsigned config_place_line(const void *bytes, size_t size, const char *setting, unsigned *column);

/* libcyaml reads one document, passing over what follows, and takes a text up to its first zero
 * byte. STATUS_INVALID, the message beginning with `what`, where that would drop something that
 * stands there, and where a key is a list or mapping, of which libcyaml says "internal error"; text
 * that is no YAML is left to libcyaml. */
MUST_USE enum status config_place_whole(const void *bytes, size_t size, const char *what,
                                        struct error *error);

#endif
