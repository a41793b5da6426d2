/* What Jansson makes of a JSON text; in a file of its own because its names and those of the
 * project's reader meet. */
#ifndef TESTS_FUZZ_FRONT_JANSSON_H
#define TESTS_FUZZ_FRONT_JANSSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct front_jansson {
    bool accepted;
    bool at_limit; /* refused for a limit of its own: a number's range, nesting, U+0000 in a name */
    char *string;  /* the text, decoded, where it is one string; freed by the caller */
    size_t size;
};

struct front_jansson front_jansson_load(const uint8_t *data, size_t size);

#endif
