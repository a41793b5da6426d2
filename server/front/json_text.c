/* Decoding of the JSON reader's strings, which it has checked. */
#include "server/front/json_reader.h"

#include <string.h>

/* Four hexadecimal digits that the reader has checked. */
static uint32_t unit_of(const uint8_t *at) {
    uint32_t value = 0;
    for (int i = 0; i < 4; i++) {
        uint8_t c = at[i];
        value = value * 16 + (uint32_t)(c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10);
    }
    return value;
}

/* One character of a checked text as UTF-8 into `out` (up to four bytes). */
static size_t decode_one(const uint8_t *data, size_t *offset, uint8_t out[4]) {
    uint8_t c = data[*offset];
    if (c != '\\') {
        *offset += 1;
        out[0] = c;
        return 1;
    }
    uint8_t e = data[*offset + 1];
    if (e != 'u') {
        *offset += 2;
        out[0] = e == 'b'   ? '\b'
                 : e == 'f' ? '\f'
                 : e == 'n' ? '\n'
                 : e == 'r' ? '\r'
                 : e == 't' ? '\t'
                            : e;
        return 1;
    }
    uint32_t code = unit_of(data + *offset + 2);
    *offset += 6;
    if (code >= 0xd800 && code <= 0xdbff) {
        uint32_t low = unit_of(data + *offset + 2);
        *offset += 6;
        code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
    }
    if (code < 0x80) {
        out[0] = (uint8_t)code;
        return 1;
    }
    if (code < 0x800) {
        out[0] = (uint8_t)(0xc0 | code >> 6);
        out[1] = (uint8_t)(0x80 | (code & 0x3f));
        return 2;
    }
    if (code < 0x10000) {
        out[0] = (uint8_t)(0xe0 | code >> 12);
        out[1] = (uint8_t)(0x80 | (code >> 6 & 0x3f));
        out[2] = (uint8_t)(0x80 | (code & 0x3f));
        return 3;
    }
    out[0] = (uint8_t)(0xf0 | code >> 18);
    out[1] = (uint8_t)(0x80 | (code >> 12 & 0x3f));
    out[2] = (uint8_t)(0x80 | (code >> 6 & 0x3f));
    out[3] = (uint8_t)(0x80 | (code & 0x3f));
    return 4;
}

bool json_text_decode(const struct json_text *text, uint8_t *out, size_t capacity, size_t *size) {
    if (!text->escaped) {
        if (text->size > capacity)
            return false;
        if (text->size)
            memcpy(out, text->data, text->size);
        *size = text->size;
        return true;
    }
    size_t written = 0;
    for (size_t offset = 0; offset < text->size;) {
        uint8_t one[4];
        size_t length = decode_one(text->data, &offset, one);
        if (capacity - written < length)
            return false;
        memcpy(out + written, one, length);
        written += length;
    }
    *size = written;
    return true;
}

bool json_text_is(const struct json_text *text, const char *literal_text) {
    size_t wanted = strlen(literal_text);
    if (!text->escaped)
        return text->size == wanted && memcmp(text->data, literal_text, wanted) == 0;
    size_t matched = 0;
    for (size_t offset = 0; offset < text->size;) {
        uint8_t one[4];
        size_t length = decode_one(text->data, &offset, one);
        if (wanted - matched < length || memcmp(literal_text + matched, one, length) != 0)
            return false;
        matched += length;
    }
    return matched == wanted;
}
