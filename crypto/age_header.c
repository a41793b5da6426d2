#include "crypto/age_header.h"

#include <string.h>

#include "crypto/encoding.h"
#include "crypto/hash.h"
#include "crypto/hkdf.h"
#include "crypto/secret.h"

enum { COLUMNS = 64, LINE_BYTES = 48, MAC_LENGTH = 43 };

static const char version[] = "age-encryption.org/v1\n";
static const char end_mark[] = "---";

static enum status refuse(struct error *error, size_t line, const char *why) {
    return status_fail(error, STATUS_INVALID, "age header, line %zu: %s", line, why);
}

static enum status check_version(const uint8_t *bytes, size_t size, struct error *error) {
    size_t n = size < sizeof version - 1 ? size : sizeof version - 1;
    if (n && memcmp(bytes, version, n) != 0)
        return refuse(error, 1, "not a sealed file: \"age-encryption.org/v1\" expected");
    return STATUS_OK;
}

enum status age_header_length(const void *bytes, size_t size, size_t *length, struct error *error) {
    enum status status = check_version(bytes, size, error);
    if (status != STATUS_OK)
        return status;
    /* Only the last line begins with "---": others begin with "->" or are base64. */
    size_t window = size < AGE_HEADER_MAX ? size : AGE_HEADER_MAX;
    struct cursor c = cursor_of(bytes, window);
    const uint8_t *line;
    size_t n;
    while (cursor_line(&c, window, &line, &n))
        if (n >= sizeof end_mark - 1 && memcmp(line, end_mark, sizeof end_mark - 1) == 0) {
            *length = c.offset;
            return STATUS_OK;
        }
    if (size >= AGE_HEADER_MAX)
        return status_fail(error, STATUS_TOO_LARGE, "age header: more than %d bytes without an end",
                           AGE_HEADER_MAX);
    *length = 0;
    return STATUS_OK;
}

/* "-> " has been seen: arguments of visible characters, one space between. */
static bool parse_arguments(struct age_stanza *stanza, const uint8_t *text, size_t length) {
    size_t count = 1;
    bool at_start = true;
    for (size_t i = 0; i < length; i++) {
        bool space = text[i] == ' ';
        if ((space && at_start) || (!space && (text[i] < 0x21 || text[i] > 0x7e)))
            return false;
        count += space;
        at_start = space;
    }
    stanza->arguments = text;
    stanza->arguments_size = length;
    stanza->argument_count = count;
    return !at_start;
}

/* Lines of 64 columns, then one that is shorter and may be empty. */
static bool parse_body(struct age_stanza *stanza, struct cursor *c, size_t *number) {
    stanza->body = c->data + c->offset;
    size_t start = c->offset, decoded = 0;
    for (;;) {
        const uint8_t *line;
        size_t length, got;
        uint8_t bytes[LINE_BYTES];
        ++*number;
        if (!cursor_line(c, COLUMNS + 1, &line, &length) ||
            !encoding_unbase64(line, length, ENCODING_UNPADDED, bytes, sizeof bytes, &got))
            return false;
        decoded += got;
        if (length < COLUMNS)
            break;
    }
    stanza->body_text_size = c->offset - start;
    stanza->body_size = decoded;
    return true;
}

/* "--- " and 43 characters. */
static bool parse_end(struct age_header *header, const uint8_t *base, const uint8_t *line,
                      size_t length) {
    size_t got;
    header->mac_input = base;
    header->mac_input_size = (size_t)(line - base) + sizeof end_mark - 1;
    return length == sizeof end_mark + MAC_LENGTH && line[sizeof end_mark - 1] == ' ' &&
           encoding_unbase64(line + sizeof end_mark, MAC_LENGTH, ENCODING_UNPADDED, header->mac,
                             sizeof header->mac, &got) &&
           got == sizeof header->mac;
}

static enum status parse_lines(struct cursor *c, struct age_header *header, struct error *error) {
    size_t number = 1;
    for (;;) {
        const uint8_t *line;
        size_t length;
        number++;
        if (!cursor_line(c, AGE_HEADER_MAX, &line, &length))
            return refuse(error, number, "the header is cut, or a line has no end");
        if (length >= sizeof end_mark - 1 && memcmp(line, end_mark, sizeof end_mark - 1) == 0) {
            if (!parse_end(header, c->data, line, length))
                return refuse(error, number, "malformed MAC");
            if (header->count == 0)
                return refuse(error, number, "no recipient");
            header->size = c->offset;
            return STATUS_OK;
        }
        if (header->count == AGE_HEADER_STANZAS)
            return status_fail(error, STATUS_TOO_LARGE,
                               "age header: more than %d recipients are not taken",
                               AGE_HEADER_STANZAS);
        struct age_stanza *stanza = &header->stanzas[header->count];
        if (length < 3 || memcmp(line, "-> ", 3) != 0 ||
            !parse_arguments(stanza, line + 3, length - 3))
            return refuse(error, number, "\"-> \" and the arguments of a recipient expected");
        if (!parse_body(stanza, c, &number))
            return refuse(error, number, "malformed body of a recipient");
        header->count++;
    }
}

enum status age_header_parse(const void *bytes, size_t size, struct age_header *header,
                             struct error *error) {
    enum status status = check_version(bytes, size, error);
    if (status != STATUS_OK)
        return status;
    struct cursor c = cursor_of(bytes, size < AGE_HEADER_MAX ? size : AGE_HEADER_MAX);
    if (!cursor_take(&c, sizeof version - 1))
        return refuse(error, 1, "the header is cut");
    struct age_header parsed = {.count = 0};
    status = parse_lines(&c, &parsed, error);
    if (status == STATUS_OK)
        *header = parsed;
    return status;
}

const uint8_t *age_header_argument(const struct age_stanza *stanza, size_t index, size_t *size) {
    const uint8_t *at = stanza->arguments;
    const uint8_t *end = at + stanza->arguments_size;
    if (index >= stanza->argument_count)
        return NULL;
    for (;;) {
        const uint8_t *space = memchr(at, ' ', (size_t)(end - at));
        if (index-- == 0) {
            *size = (size_t)((space ? space : end) - at);
            return at;
        }
        at = space + 1; /* argument_count says that there is one */
    }
}

bool age_header_stanza_is(const struct age_stanza *stanza, const char *type) {
    size_t size;
    const uint8_t *argument = age_header_argument(stanza, 0, &size);
    return argument && size == strlen(type) && memcmp(argument, type, size) == 0;
}

bool age_header_body(const struct age_stanza *stanza, uint8_t *out, size_t capacity) {
    if (stanza->body_size > capacity)
        return false;
    struct cursor c = cursor_of(stanza->body, stanza->body_text_size);
    const uint8_t *line;
    size_t length, written = 0, got;
    while (cursor_left(&c) > 0 && cursor_line(&c, COLUMNS + 1, &line, &length)) {
        if (!encoding_unbase64(line, length, ENCODING_UNPADDED, out + written, capacity - written,
                               &got))
            return false;
        written += got;
    }
    return written == stanza->body_size;
}

static void compute_mac(const uint8_t *input, size_t size,
                        const uint8_t file_key[AGE_FILE_KEY_SIZE],
                        uint8_t mac[AGE_HEADER_MAC_SIZE]) {
    uint8_t key[32];
    hkdf_key(file_key, AGE_FILE_KEY_SIZE, NULL, 0, "header", key);
    hash_hmac_sha256(key, sizeof key, input, size, mac);
    secret_wipe(key, sizeof key);
}

bool age_header_verify(const struct age_header *header, const uint8_t file_key[AGE_FILE_KEY_SIZE]) {
    uint8_t mac[AGE_HEADER_MAC_SIZE];
    compute_mac(header->mac_input, header->mac_input_size, file_key, mac);
    bool equal = secret_equal(mac, header->mac, sizeof mac);
    secret_wipe(mac, sizeof mac);
    return equal;
}

void age_header_begin(struct buf *out) {
    buf_string(out, version);
}

void age_header_stanza(struct buf *out, const char *const *arguments, size_t count,
                       const uint8_t *body, size_t body_size) {
    buf_string(out, "->");
    for (size_t i = 0; i < count; i++) {
        buf_u8(out, ' ');
        buf_string(out, arguments[i]);
    }
    buf_u8(out, '\n');
    /* <=: a body that fills its last line is followed by an empty one. */
    for (size_t at = 0; at <= body_size; at += LINE_BYTES) {
        char line[ENCODING_BASE64_SIZE(LINE_BYTES)];
        size_t n = body_size - at < LINE_BYTES ? body_size - at : LINE_BYTES;
        buf_bytes(out, line, encoding_base64(body + at, n, ENCODING_UNPADDED, line));
        buf_u8(out, '\n');
    }
}

void age_header_end(struct buf *out, const uint8_t file_key[AGE_FILE_KEY_SIZE]) {
    uint8_t mac[AGE_HEADER_MAC_SIZE];
    char text[ENCODING_BASE64_SIZE(AGE_HEADER_MAC_SIZE)];
    buf_string(out, end_mark);
    compute_mac(out->data, out->size, file_key, mac);
    buf_u8(out, ' ');
    buf_bytes(out, text, encoding_base64(mac, sizeof mac, ENCODING_UNPADDED, text));
    buf_u8(out, '\n');
}
