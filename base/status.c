#include "base/status.h"

#include <stdio.h>
#include <string.h>

struct category {
    int http;
    int exit_status;
    const char *text;
    const char *name;
};

static const struct category categories[STATUS_COUNT] = {
#define ROW(category, name, http, exit_status, text)                                               \
    [STATUS_##category] = {http, exit_status, text, name},
    STATUS_TABLE(ROW)
#undef ROW
};

static const struct category *category_of(enum status status) {
    if ((unsigned)status >= STATUS_COUNT)
        status = STATUS_INTERNAL;
    return &categories[status];
}

enum status status_vfail(struct error *error, enum status status, const char *format,
                         va_list args) {
    if (error) {
        error->status = status;
        vsnprintf(error->message, sizeof error->message, format, args);
    }
    return status;
}

enum status status_fail(struct error *error, enum status status, const char *format, ...) {
    va_list args;
    va_start(args, format);
    status_vfail(error, status, format, args);
    va_end(args);
    return status;
}

enum status status_prefix(struct error *error, const char *format, ...) {
    if (!error)
        return STATUS_INTERNAL;
    char old[ERROR_MESSAGE_MAX];
    memcpy(old, error->message, sizeof old);
    va_list args;
    va_start(args, format);
    int n = vsnprintf(error->message, sizeof error->message, format, args);
    va_end(args);
    if (n >= 0 && (size_t)n < sizeof error->message)
        snprintf(error->message + n, sizeof error->message - (size_t)n, "%s", old);
    return error->status;
}

int status_http(enum status status) {
    return category_of(status)->http;
}

int status_exit(enum status status) {
    return category_of(status)->exit_status;
}

const char *status_text(enum status status) {
    return category_of(status)->text;
}

const char *status_name(enum status status) {
    return category_of(status)->name;
}
