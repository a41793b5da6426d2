#include "tests/fuzz/front_jansson.h"

#include <jansson.h>

#include "tests/fuzz/fuzz.h"

struct front_jansson front_jansson_load(const uint8_t *data, size_t size) {
    struct front_jansson made = {0};
    json_error_t error;
    json_t *value = json_loadb((const char *)data, size,
                               JSON_DECODE_ANY | JSON_ALLOW_NUL | JSON_DECODE_INT_AS_REAL, &error);
    made.accepted = value != NULL;
    if (!value) {
        enum json_error_code code = json_error_code(&error);
        made.at_limit = code == json_error_numeric_overflow || code == json_error_stack_overflow ||
                        code == json_error_null_byte_in_key;
    } else if (json_is_string(value)) {
        made.size = json_string_length(value);
        made.string = fuzz_text(json_string_value(value), made.size);
    }
    json_decref(value);
    return made;
}
