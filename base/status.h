/* The one error convention of the project.
 *
 * A function that can fail returns `enum status`, which must be looked at, and takes a
 * `struct error *` (last parameter, may be NULL) that receives a message for people. Outputs are
 * untouched on failure. Categories follow the HTTP statuses that the API answers with, so that a
 * reason travels from a worker to the caller without being translated twice.
 *
 * A message names the field, what was found, and what would be right. It never holds a secret, a
 * payload, a path of the server, a pointer, SQL, or an internal name: it is shown to tenants.
 *
 * Threads: a struct error belongs to one caller at a time; nothing here is global. */
#ifndef BASE_STATUS_H
#define BASE_STATUS_H

#include <stdarg.h>

#define MUST_USE __attribute__((warn_unused_result))
#define PRINTF_LIKE(format_index, first) __attribute__((format(printf, format_index, first)))

/* One row per category: its name here and in records, HTTP status, exit status of the CLI, default
 * message. */
#define STATUS_TABLE(ROW)                                                                          \
    ROW(OK, "ok", 200, 0, "ok")                                                                    \
    ROW(INVALID, "invalid", 400, 2, "bad request")                                                 \
    ROW(UNAUTHENTICATED, "unauthenticated", 401, 3, "a valid API key is required")                 \
    ROW(FORBIDDEN, "forbidden", 403, 3, "not allowed")                                             \
    ROW(NOT_FOUND, "not_found", 404, 4, "not found")                                               \
    ROW(METHOD, "method", 405, 2, "method not allowed")                                            \
    ROW(CONFLICT, "conflict", 409, 5, "already exists")                                            \
    ROW(LENGTH_REQUIRED, "length_required", 411, 2, "Content-Length is required")                  \
    ROW(TOO_LARGE, "too_large", 413, 2, "too large")                                               \
    ROW(ENCODING, "encoding", 415, 2, "unknown encoding")                                          \
    ROW(UNSERVABLE, "unservable", 422, 6, "the model cannot be served")                            \
    ROW(LOCKED, "locked", 423, 3, "locked")                                                        \
    ROW(RATE, "rate", 429, 7, "too many requests")                                                 \
    ROW(INTERNAL, "internal", 500, 1, "internal error")                                            \
    ROW(UNIMPLEMENTED, "unimplemented", 501, 1, "never offered")                                   \
    ROW(UNAVAILABLE, "unavailable", 503, 8, "temporarily unavailable")                             \
    ROW(DEADLINE, "deadline", 504, 8, "deadline exceeded")

enum status {
#define ROW(category, name, http, exit_status, text) STATUS_##category,
    STATUS_TABLE(ROW)
#undef ROW
        STATUS_COUNT
};

/* Long enough for the list of unsupported operators of a real model. */
#define ERROR_MESSAGE_MAX 1024

struct error {
    enum status status;
    char message[ERROR_MESSAGE_MAX];
};

/* Record status and message in `error` (which may be NULL) and return `status`, so that callers
 * write `return status_fail(error, STATUS_INVALID, "...", ...)`. A message that is too long is cut
 * at ERROR_MESSAGE_MAX - 1 bytes. */
enum status status_fail(struct error *error, enum status status, const char *format, ...)
    PRINTF_LIKE(3, 4);
enum status status_vfail(struct error *error, enum status status, const char *format, va_list args)
    PRINTF_LIKE(3, 0);

/* Put text in front of the message already in `error`: "input \"x\": " + old message. Returns the
 * status in `error` (STATUS_INTERNAL where error is NULL). */
enum status status_prefix(struct error *error, const char *format, ...) PRINTF_LIKE(2, 3);

/* HTTP status, CLI exit status and default text of a category; a value outside the enumeration
 * counts as STATUS_INTERNAL. `status_name` gives the name of the category as it stands
 * in audit records and logs: "ok", "not_found". */
int status_http(enum status status);
int status_exit(enum status status);
const char *status_text(enum status status);
const char *status_name(enum status status);

#endif
