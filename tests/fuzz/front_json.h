/* The JSON part of the fuzz target front_request: the reader alone, against other readers. */
#ifndef TESTS_FUZZ_FRONT_JSON_H
#define TESTS_FUZZ_FRONT_JSON_H

#include <stddef.h>
#include <stdint.h>

/* `data` is one JSON text, good or bad: Jansson must be of the same mind about it. */
void front_json_text(const uint8_t *data, size_t size);
/* `data` is one number, good or bad: its value must be what the C library makes of it. */
void front_json_number(const uint8_t *data, size_t size);

#endif
