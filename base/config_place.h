/* Where in a YAML text a setting stands: libcyaml tells lines of what it refuses, and forgets those
 * of what it takes. Threads: pure. Input: any bytes. */
#ifndef BASE_CONFIG_PLACE_H
#define BASE_CONFIG_PLACE_H

#include <stddef.h>

struct config_place {
    unsigned line, column; /* from 1; 0 where there is none */
};

/* Where the value of the key stands (named as below). */
struct config_place config_place_value(const void *bytes, size_t size, const char *setting);
/* Line, from 1, of the key `name` ("data") or `group.name` ("tls.key"); 0 where there is none.
 * *column, unless NULL, becomes its column, from 1. */
unsigned config_place_line(const void *bytes, size_t size, const char *setting, unsigned *column);

#endif
