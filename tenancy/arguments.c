#include "tenancy/arguments.h"

#include <inttypes.h>
#include <string.h>

enum status arguments_optional_text(const json_t *request, const char *name, const char **text,
                                    struct error *error) {
    const json_t *value = json_object_get(request, name);
    if (value && !json_is_string(value))
        return status_fail(error, STATUS_INVALID, "%s: must be a text", name);
    /* Jansson refuses \u0000 unless told otherwise, so the length is the text's. */
    *text = value ? json_string_value(value) : NULL;
    return STATUS_OK;
}

enum status arguments_text(const json_t *request, const char *name, const char **text,
                           struct error *error) {
    const char *found = NULL;
    enum status status = arguments_optional_text(request, name, &found, error);
    if (status == STATUS_OK && !found)
        status = status_fail(error, STATUS_INVALID, "%s: is missing", name);
    if (status == STATUS_OK)
        *text = found;
    return status;
}

enum status arguments_optional_integer(const json_t *request, const char *name, int64_t low,
                                       int64_t high, int64_t absent, int64_t *value,
                                       struct error *error) {
    const json_t *found = json_object_get(request, name);
    if (!found) {
        *value = absent;
        return STATUS_OK;
    }
    if (!json_is_integer(found) || json_integer_value(found) < low ||
        json_integer_value(found) > high)
        return status_fail(error, STATUS_INVALID,
                           "%s: must be a whole number from %" PRId64 " to %" PRId64, name, low,
                           high);
    *value = json_integer_value(found);
    return STATUS_OK;
}

enum status arguments_copy(const json_t *request, const char *name, char *out, size_t size,
                           struct error *error) {
    const char *text = NULL;
    enum status status = arguments_text(request, name, &text, error);
    if (status != STATUS_OK)
        return status;
    size_t length = strlen(text);
    if (length >= size)
        return status_fail(error, STATUS_INVALID, "%s: %zu bytes, must be at most %zu", name,
                           length, size - 1);
    memcpy(out, text, length + 1);
    return STATUS_OK;
}
