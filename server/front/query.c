#include "server/front/query.h"

#include "base/buf.h"
#include "base/instant.h"

#include <inttypes.h>
#include <string.h>

static int hex(char c) {
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

static enum status decode(const char *from, size_t size, struct query_value *value,
                          struct error *error) {
    size_t n = 0;
    for (size_t i = 0; i < size; i++) {
        int c = (unsigned char)from[i];
        if (c == '%') {
            int high = i + 2 < size ? hex(from[i + 1]) : -1;
            int low = i + 2 < size ? hex(from[i + 2]) : -1;
            if (high < 0 || low < 0)
                return status_fail(error, STATUS_INVALID, "%s: a percent escape is malformed",
                                   value->name);
            c = high * 16 + low;
            i += 2;
        }
        if (c <= 0x20 || c >= 0x7f)
            return status_fail(error, STATUS_INVALID,
                               "%s: only printable characters without spaces are taken",
                               value->name);
        if (n == QUERY_VALUE_MAX)
            return status_fail(error, STATUS_INVALID, "%s: longer than %d characters", value->name,
                               QUERY_VALUE_MAX);
        value->text[n++] = (char)c;
    }
    value->text[n] = '\0';
    if (!n)
        return status_fail(error, STATUS_INVALID, "%s: empty; leave it out instead", value->name);
    value->given = true;
    return STATUS_OK;
}

static enum status unknown(const struct query_value *values, size_t count, struct error *error) {
    char text[256];
    struct buf names = buf_of(text, sizeof text - 1);
    for (size_t i = 0; i < count; i++) {
        buf_string(&names, i ? ", " : "");
        buf_string(&names, values[i].name);
    }
    text[names.size] = '\0';
    return status_fail(error, STATUS_INVALID,
                       "a query parameter is not known here; this path takes %s", text);
}

enum status query_parse(const char *query, struct query_value *values, size_t count,
                        struct error *error) {
    for (size_t i = 0; i < count; i++)
        values[i].given = false;
    for (const char *at = query ? query : ""; *at;) {
        size_t size = strcspn(at, "&"), name = strcspn(at, "=&");
        struct query_value *value = NULL;
        for (size_t i = 0; i < count && !value; i++)
            if (strlen(values[i].name) == name && memcmp(values[i].name, at, name) == 0)
                value = &values[i];
        if (!value)
            return unknown(values, count, error);
        if (value->given)
            return status_fail(error, STATUS_INVALID, "%s: given twice", value->name);
        if (name == size)
            return status_fail(error, STATUS_INVALID, "%s: no value is given", value->name);
        enum status status = decode(at + name + 1, size - name - 1, value, error);
        if (status != STATUS_OK)
            return status;
        at += size;
        if (*at == '&')
            at++;
    }
    return STATUS_OK;
}

enum status query_number(const struct query_value *value, uint64_t low, uint64_t high,
                         uint64_t *out, struct error *error) {
    uint64_t number = 0;
    if (!value->given)
        return STATUS_OK;
    size_t size = strlen(value->text);
    bool good = size <= 18 && strspn(value->text, "0123456789") == size;
    for (size_t i = 0; good && i < size; i++)
        number = number * 10 + (uint64_t)(value->text[i] - '0');
    if (!good || number < low || number > high)
        return status_fail(error, STATUS_INVALID,
                           "%s: found \"%.32s\", expected a number from %" PRIu64 " to %" PRIu64,
                           value->name, value->text, low, high);
    *out = number;
    return STATUS_OK;
}

enum status query_time(const struct query_value *value, uint64_t *out, struct error *error) {
    int64_t time;
    if (!value->given)
        return STATUS_OK;
    if (!instant_parse(value->text, &time))
        return status_fail(error, STATUS_INVALID,
                           "%s: found \"%.32s\", expected a time such as 2026-11-23, "
                           "2026-11-23T12:00:00Z, or microseconds since 1970",
                           value->name, value->text);
    *out = (uint64_t)time;
    return STATUS_OK;
}

enum status query_day(const struct query_value *value, int32_t *out, struct error *error) {
    if (value->given && !instant_parse_day(value->text, out))
        return status_fail(error, STATUS_INVALID,
                           "%s: found \"%.32s\", expected a day such as 2026-11-23", value->name,
                           value->text);
    return STATUS_OK;
}
