/* A bounded pull parser for JSON (RFC 8259, strict) over bytes that lie in memory.
 *
 * The caller asks for what it expects next, so no tree is built: tensor data goes from the body
 * straight to where it belongs. Nothing is allocated and nothing recurses; nesting is limited to
 * JSON_DEPTH_MAX. Strings are checked as UTF-8 and for well-formed escapes as they are passed.
 *
 * Every function returns STATUS_INVALID with a message that names the byte offset, what stood
 * there and what would be right; after a failure the reader must not be used further. Messages
 * quote at most one character of the input.
 *
 * Memory: the region stays the caller's; texts point into it. Threads: one owner. Input:
 * untrusted. */
#ifndef FRONT_JSON_READER_H
#define FRONT_JSON_READER_H

#include "base/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define JSON_DEPTH_MAX 32
#define JSON_NUMBER_MAX 512 /* characters of one number */

enum json_kind {
    JSON_NULL,
    JSON_BOOLEAN,
    JSON_NUMBER,
    JSON_STRING,
    JSON_ARRAY,
    JSON_OBJECT,
};

struct json_reader {
    const uint8_t *data;
    size_t size;
    size_t offset;
    unsigned depth;
    uint64_t started; /* bit d: the container at depth d has had an element */
};

/* The inside of a string as it stands in the input; `escaped` where it holds a backslash. */
struct json_text {
    const uint8_t *data;
    size_t size;
    bool escaped;
};

/* A number, split while it was checked: its value is digits * 10^exponent where that is `exact`.
 * Otherwise it has too many digits: `digits` are the first 19 that are not leading zeros. */
struct json_number {
    const uint8_t *text;
    size_t size;
    uint64_t digits;
    int exponent;
    bool negative;
    bool integer; /* no fraction and no exponent */
    bool exact;
};

struct json_reader json_reader_of(const void *data, size_t size);

/* What kind of value begins next; nothing is consumed but white space. */
MUST_USE enum status json_reader_peek(struct json_reader *r, enum json_kind *kind,
                                      struct error *error);

/* `{` or `[`. Then call next_member or next_element before each value, until *more is false, which
 * consumes the closing bracket. */
MUST_USE enum status json_reader_object(struct json_reader *r, struct error *error);
MUST_USE enum status json_reader_array(struct json_reader *r, struct error *error);
MUST_USE enum status json_reader_next_member(struct json_reader *r, struct json_text *name,
                                             bool *more, struct error *error);
MUST_USE enum status json_reader_next_element(struct json_reader *r, bool *more,
                                              struct error *error);

MUST_USE enum status json_reader_string(struct json_reader *r, struct json_text *text,
                                        struct error *error);
MUST_USE enum status json_reader_number(struct json_reader *r, struct json_number *number,
                                        struct error *error);
MUST_USE enum status json_reader_boolean(struct json_reader *r, bool *value, struct error *error);
MUST_USE enum status json_reader_null(struct json_reader *r, struct error *error);
/* Check and pass over one value of any kind. */
MUST_USE enum status json_reader_skip(struct json_reader *r, struct error *error);
/* Only white space is left. */
MUST_USE enum status json_reader_end(struct json_reader *r, struct error *error);

/* A name for messages: "an object", "a number"... */
const char *json_reader_kind_name(enum json_kind kind);

/* True where the decoded text is `literal`. */
bool json_text_is(const struct json_text *text, const char *literal);
/* Decode into `out`; *size is the number of bytes (at most text->size). False where they do not
 * fit, nothing is promised about `out` then. */
MUST_USE bool json_text_decode(const struct json_text *text, uint8_t *out, size_t capacity,
                               size_t *size);

/* Exact conversions: false where the number is not an integer of that range. */
MUST_USE bool json_number_u64(const struct json_number *number, uint64_t *out);
MUST_USE bool json_number_i64(const struct json_number *number, int64_t *out);
/* Nearest value, ties to even; false where it is beyond the largest finite value. */
MUST_USE bool json_number_f64(const struct json_number *number, double *out);
MUST_USE bool json_number_f32(const struct json_number *number, float *out);

#endif
