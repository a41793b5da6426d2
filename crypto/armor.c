#include "crypto/armor.h"

#include <string.h>

#include "base/buf.h"
#include "crypto/encoding.h"

enum { COLUMNS = 64, LINE_BYTES = 48 };

static const char first_line[] = "-----BEGIN AGE ENCRYPTED FILE-----";
static const char last_line[] = "-----END AGE ENCRYPTED FILE-----";

static bool is_space(uint8_t c) {
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static size_t leading_space(const uint8_t *text, size_t length) {
    size_t n = 0;
    while (n < length && n < ARMOR_LEADING_MAX && is_space(text[n]))
        n++;
    return n;
}

bool armor_detect(const void *data, size_t size) {
    size_t start = leading_space(data, size);
    const size_t length = sizeof first_line - 1;
    return size - start >= length && memcmp((const uint8_t *)data + start, first_line, length) == 0;
}

size_t armor_decoded_max(size_t size) {
    return size / 4 * 3;
}

size_t armor_encoded_size(size_t size) {
    size_t characters = (size / 3 + (size % 3 != 0)) * 4;
    size_t lines = characters / COLUMNS + (characters % COLUMNS != 0);
    return sizeof first_line + characters + lines + sizeof last_line;
}

/* A line without its LF or CRLF. The last line of a file may lack one. */
static bool next_line(struct cursor *c, const uint8_t **line, size_t *length) {
    size_t left = cursor_left(c);
    if (left == 0)
        return false;
    const uint8_t *start = c->data + c->offset;
    const uint8_t *end = memchr(start, '\n', left);
    size_t n = end ? (size_t)(end - start) : left;
    (void)cursor_take(c, end ? n + 1 : n);
    if (end && n > 0 && start[n - 1] == '\r')
        n--;
    *line = start;
    *length = n;
    return true;
}

static bool line_is(const uint8_t *line, size_t length, const char *text) {
    return length == strlen(text) && memcmp(line, text, length) == 0;
}

static enum status refuse(struct error *error, size_t number, const char *why) {
    return status_fail(error, STATUS_INVALID, "armor, line %zu: %s", number, why);
}

enum status armor_decode(const void *text, size_t length, uint8_t *out, size_t capacity,
                         size_t *size, struct error *error) {
    struct cursor c = cursor_of(text, length);
    (void)cursor_take(&c, leading_space(text, length));
    const uint8_t *line;
    size_t line_length, number = 1, written = 0;
    if (!next_line(&c, &line, &line_length) || !line_is(line, line_length, first_line))
        return refuse(error, number, "\"-----BEGIN AGE ENCRYPTED FILE-----\" expected");
    bool last = false; /* a line shorter than 64 columns, or one with padding, has been seen */
    for (;;) {
        number++;
        if (!next_line(&c, &line, &line_length))
            return refuse(error, number, "ends before \"-----END AGE ENCRYPTED FILE-----\"");
        if (line_is(line, line_length, last_line))
            break;
        if (last)
            return refuse(error, number, "only the last line may be short");
        if (line_length == 0 || line_length > COLUMNS)
            return refuse(error, number, "1 to 64 columns of base64 expected");
        uint8_t bytes[LINE_BYTES];
        size_t got;
        if (!encoding_unbase64(line, line_length, ENCODING_PADDED, bytes, sizeof bytes, &got))
            return refuse(error, number, "not canonical base64");
        last = got < LINE_BYTES;
        if (got > capacity - written)
            return status_fail(error, STATUS_TOO_LARGE,
                               "armor: more than %zu bytes are not taken here", capacity);
        memcpy(out + written, bytes, got);
        written += got;
    }
    for (size_t left = cursor_left(&c); left > 0; left--)
        if (!is_space(cursor_u8(&c)))
            return refuse(error, number + 1, "nothing but white space may follow the end");
    *size = written;
    return STATUS_OK;
}

void armor_encode(const void *data, size_t size, char *out) {
    struct buf b = buf_of(out, armor_encoded_size(size));
    buf_string(&b, first_line);
    buf_u8(&b, '\n');
    const uint8_t *bytes = data;
    for (size_t at = 0; at < size; at += LINE_BYTES) {
        char line[ENCODING_BASE64_SIZE(LINE_BYTES)];
        size_t n = size - at < LINE_BYTES ? size - at : LINE_BYTES;
        buf_bytes(&b, line, encoding_base64(bytes + at, n, ENCODING_PADDED, line));
        buf_u8(&b, '\n');
    }
    buf_string(&b, last_line);
    buf_u8(&b, '\n');
}
