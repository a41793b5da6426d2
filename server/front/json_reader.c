#include "server/front/json_reader.h"

#include "server/front/json_scan.h"

#include <string.h>

struct json_reader json_reader_of(const void *data, size_t size) {
    return (struct json_reader){.data = size ? data : "", .size = size};
}

/* The one place that words a syntax error. */
static enum status unexpected(const struct json_reader *r, const char *expected,
                              struct error *error) {
    if (r->offset >= r->size)
        return status_fail(error, STATUS_INVALID, "JSON ends at byte %zu, expected %s", r->size,
                           expected);
    unsigned c = r->data[r->offset];
    if (c > 0x20 && c < 0x7f)
        return status_fail(error, STATUS_INVALID, "JSON at byte %zu: found '%c', expected %s",
                           r->offset, (int)c, expected);
    return status_fail(error, STATUS_INVALID, "JSON at byte %zu: found byte 0x%02x, expected %s",
                       r->offset, c, expected);
}

static inline void skip_space(struct json_reader *r) {
    r->offset = (size_t)(json_scan_space(r->data + r->offset, r->data + r->size) - r->data);
}

enum status json_reader_peek(struct json_reader *r, enum json_kind *kind, struct error *error) {
    skip_space(r);
    if (r->offset >= r->size)
        return unexpected(r, "a value", error);
    switch (r->data[r->offset]) {
    case '{':
        *kind = JSON_OBJECT;
        return STATUS_OK;
    case '[':
        *kind = JSON_ARRAY;
        return STATUS_OK;
    case '"':
        *kind = JSON_STRING;
        return STATUS_OK;
    case 't':
    case 'f':
        *kind = JSON_BOOLEAN;
        return STATUS_OK;
    case 'n':
        *kind = JSON_NULL;
        return STATUS_OK;
    case '-':
    case '0' ... '9':
        *kind = JSON_NUMBER;
        return STATUS_OK;
    default:
        return unexpected(r, "a value", error);
    }
}

static enum status open_container(struct json_reader *r, uint8_t bracket, const char *expected,
                                  struct error *error) {
    skip_space(r);
    if (r->offset >= r->size || r->data[r->offset] != bracket)
        return unexpected(r, expected, error);
    if (r->depth == JSON_DEPTH_MAX)
        return status_fail(error, STATUS_INVALID, "JSON at byte %zu: nested deeper than %d levels",
                           r->offset, JSON_DEPTH_MAX);
    r->offset++;
    r->depth++;
    r->started &= ~(UINT64_C(1) << r->depth);
    return STATUS_OK;
}

enum status json_reader_object(struct json_reader *r, struct error *error) {
    return open_container(r, '{', "an object", error);
}

enum status json_reader_array(struct json_reader *r, struct error *error) {
    return open_container(r, '[', "an array", error);
}

/* The separator before the next value, or the closing bracket. */
static enum status next_value(struct json_reader *r, uint8_t closing, const char *expected,
                              bool *more, struct error *error) {
    uint64_t bit = UINT64_C(1) << r->depth;
    skip_space(r);
    if (r->offset < r->size && r->data[r->offset] == closing) {
        r->offset++;
        r->depth--;
        *more = false;
        return STATUS_OK;
    }
    if (r->started & bit) {
        if (r->offset >= r->size || r->data[r->offset] != ',')
            return unexpected(r, expected, error);
        r->offset++;
        skip_space(r);
    }
    r->started |= bit;
    *more = true;
    return STATUS_OK;
}

enum status json_reader_next_member(struct json_reader *r, struct json_text *name, bool *more,
                                    struct error *error) {
    bool another = false;
    enum status status = next_value(r, '}', "',' or '}'", &another, error);
    if (status != STATUS_OK)
        return status;
    if (another) {
        if (r->offset >= r->size || r->data[r->offset] != '"')
            return unexpected(r, "a member name in quotes", error);
        status = json_reader_string(r, name, error);
        if (status != STATUS_OK)
            return status;
        skip_space(r);
        if (r->offset >= r->size || r->data[r->offset] != ':')
            return unexpected(r, "':'", error);
        r->offset++;
    }
    *more = another;
    return STATUS_OK;
}

enum status json_reader_next_element(struct json_reader *r, bool *more, struct error *error) {
    return next_value(r, ']', "',' or ']'", more, error);
}

static int hex_digit(uint8_t c) {
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

/* Four hexadecimal digits, or -1. */
static int unit_of(const uint8_t *at, size_t left) {
    if (left < 4)
        return -1;
    int value = 0;
    for (int i = 0; i < 4; i++) {
        int digit = hex_digit(at[i]);
        if (digit < 0)
            return -1;
        value = value * 16 + digit;
    }
    return value;
}

/* Length of the well-formed UTF-8 sequence of two to four bytes at `at` (Unicode 15, table 3-7),
 * or 0. */
static size_t sequence_length(const uint8_t *at, size_t left) {
    uint8_t first = at[0];
    size_t length = first >= 0xc2 && first <= 0xdf ? 2 : (first & 0xf0) == 0xe0 ? 3 : 4;
    if (first < 0xc2 || first > 0xf4 || left < length)
        return 0;
    uint8_t low = 0x80, high = 0xbf;
    if (first == 0xe0)
        low = 0xa0;
    else if (first == 0xed)
        high = 0x9f;
    else if (first == 0xf0)
        low = 0x90;
    else if (first == 0xf4)
        high = 0x8f;
    if (at[1] < low || at[1] > high)
        return 0;
    for (size_t i = 2; i < length; i++)
        if (at[i] < 0x80 || at[i] > 0xbf)
            return 0;
    return length;
}

/* Pass one escape; r->offset stands on the backslash. */
static enum status pass_escape(struct json_reader *r, struct error *error) {
    const uint8_t *at = r->data + r->offset;
    size_t left = r->size - r->offset;
    if (left < 2)
        return status_fail(error, STATUS_INVALID, "JSON ends at byte %zu inside a string", r->size);
    if (at[1] != 'u') {
        if (!at[1] || !strchr("\"\\/bfnrt", at[1]))
            return status_fail(error, STATUS_INVALID, "JSON at byte %zu: unknown escape",
                               r->offset);
        r->offset += 2;
        return STATUS_OK;
    }
    int unit = unit_of(at + 2, left - 2);
    if (unit < 0)
        return status_fail(error, STATUS_INVALID,
                           "JSON at byte %zu: \\u needs four hexadecimal digits", r->offset);
    size_t length = 6;
    if (unit >= 0xd800 && unit <= 0xdfff) {
        int second = unit <= 0xdbff && left >= 12 && at[6] == '\\' && at[7] == 'u'
                         ? unit_of(at + 8, left - 8)
                         : -1;
        if (second < 0xdc00 || second > 0xdfff)
            return status_fail(error, STATUS_INVALID, "JSON at byte %zu: half of a surrogate pair",
                               r->offset);
        length = 12;
    }
    r->offset += length;
    return STATUS_OK;
}

enum status json_reader_string(struct json_reader *r, struct json_text *text, struct error *error) {
    skip_space(r);
    if (r->offset >= r->size || r->data[r->offset] != '"')
        return unexpected(r, "a string", error);
    r->offset++;
    size_t begin = r->offset;
    bool escaped = false;
    for (;;) {
        r->offset = (size_t)(json_scan_plain(r->data + r->offset, r->data + r->size) - r->data);
        if (r->offset >= r->size)
            return status_fail(error, STATUS_INVALID, "JSON ends at byte %zu inside a string",
                               r->size);
        uint8_t c = r->data[r->offset];
        if (c == '"')
            break;
        if (c == '\\') {
            escaped = true;
            enum status status = pass_escape(r, error);
            if (status != STATUS_OK)
                return status;
            continue;
        }
        if (c < 0x20)
            return status_fail(error, STATUS_INVALID,
                               "JSON at byte %zu: control characters in a string are escaped",
                               r->offset);
        size_t length = sequence_length(r->data + r->offset, r->size - r->offset);
        if (!length)
            return status_fail(error, STATUS_INVALID, "JSON at byte %zu: not UTF-8", r->offset);
        r->offset += length;
    }
    *text = (struct json_text){r->data + begin, r->offset - begin, escaped};
    r->offset++;
    return STATUS_OK;
}

/* `number` is what json_scan_number left; r stands at its first byte. */
static enum status refuse_number(struct json_reader *r, const struct json_number *number,
                                 struct error *error) {
    const uint8_t *begin = r->data + r->offset;
    size_t at = number->size;
    r->offset += at;
    if (at && r->offset < r->size && begin[at - 1] == '0' && (at == 1 || begin[at - 2] == '-') &&
        r->data[r->offset] >= '0' && r->data[r->offset] <= '9')
        return status_fail(error, STATUS_INVALID,
                           "JSON at byte %zu: a number does not begin with a needless 0",
                           r->offset - 1);
    return unexpected(r, at ? "a digit" : "a number", error);
}

enum status json_reader_number(struct json_reader *r, struct json_number *number,
                               struct error *error) {
    skip_space(r);
    struct json_number n;
    const uint8_t *begin = r->data + r->offset;
    const uint8_t *at = json_scan_number(begin, r->data + r->size, &n);
    if (!at)
        return refuse_number(r, &n, error);
    if (n.size > JSON_NUMBER_MAX)
        return status_fail(error, STATUS_INVALID,
                           "JSON at byte %zu: a number longer than %d characters", r->offset,
                           JSON_NUMBER_MAX);
    r->offset += n.size;
    *number = n;
    return STATUS_OK;
}

static enum status literal(struct json_reader *r, const char *word, struct error *error) {
    size_t size = strlen(word);
    if (r->size - r->offset < size || memcmp(r->data + r->offset, word, size) != 0)
        return unexpected(r, word, error);
    r->offset += size;
    return STATUS_OK;
}

enum status json_reader_boolean(struct json_reader *r, bool *value, struct error *error) {
    skip_space(r);
    bool is_true = r->offset < r->size && r->data[r->offset] == 't';
    if (!is_true && (r->offset >= r->size || r->data[r->offset] != 'f'))
        return unexpected(r, "true or false", error);
    enum status status = literal(r, is_true ? "true" : "false", error);
    if (status == STATUS_OK)
        *value = is_true;
    return status;
}

enum status json_reader_null(struct json_reader *r, struct error *error) {
    skip_space(r);
    return literal(r, "null", error);
}

static enum status skip_scalar(struct json_reader *r, enum json_kind kind, struct error *error) {
    struct json_text text;
    struct json_number number;
    bool value;
    switch (kind) {
    case JSON_STRING:
        return json_reader_string(r, &text, error);
    case JSON_NUMBER:
        return json_reader_number(r, &number, error);
    case JSON_BOOLEAN:
        return json_reader_boolean(r, &value, error);
    default:
        return json_reader_null(r, error);
    }
}

static bool pass_number(const struct json_number *number, size_t size, uint8_t *out) {
    (void)number;
    (void)size;
    (void)out;
    return true;
}

enum status json_reader_skip(struct json_reader *r, struct error *error) {
    unsigned base = r->depth;
    uint64_t objects = 0; /* bit d: the container at depth d is an object */
    do {
        bool more = true;
        enum status status = STATUS_OK;
        if (r->depth > base) {
            struct json_text name;
            status = objects >> r->depth & 1 ? json_reader_next_member(r, &name, &more, error)
                                             : json_reader_next_element(r, &more, error);
        }
        if (status != STATUS_OK)
            return status;
        if (!more)
            continue;
        enum json_kind kind;
        status = json_reader_peek(r, &kind, error);
        if (status != STATUS_OK)
            return status;
        if (kind == JSON_OBJECT || kind == JSON_ARRAY) {
            status =
                kind == JSON_OBJECT ? json_reader_object(r, error) : json_reader_array(r, error);
            objects &= ~(UINT64_C(1) << r->depth);
            objects |= (uint64_t)(kind == JSON_OBJECT) << r->depth;
            /* Nearly all that is ever skipped is tensor data that come before their type. */
            uint8_t nowhere;
            if (kind == JSON_ARRAY && status == STATUS_OK)
                (void)json_scan_numbers(r, UINT64_MAX, pass_number, 0, &nowhere);
        } else {
            status = skip_scalar(r, kind, error);
        }
        if (status != STATUS_OK)
            return status;
    } while (r->depth > base);
    return STATUS_OK;
}

enum status json_reader_end(struct json_reader *r, struct error *error) {
    skip_space(r);
    if (r->offset < r->size)
        return unexpected(r, "nothing more", error);
    return STATUS_OK;
}

const char *json_reader_kind_name(enum json_kind kind) {
    static const char *const names[] = {"null",     "a boolean", "a number",
                                        "a string", "an array",  "an object"};
    return (unsigned)kind < sizeof names / sizeof *names ? names[kind] : "a value";
}
