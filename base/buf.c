#include "base/buf.h"

#include <endian.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

struct cursor cursor_of(const void *data, size_t size) {
    return (struct cursor){.data = data, .size = size};
}

size_t cursor_left(const struct cursor *c) {
    return c->failed ? 0 : c->size - c->offset;
}

const uint8_t *cursor_take(struct cursor *c, size_t size) {
    if (c->failed || size > c->size - c->offset) {
        c->failed = true;
        return NULL;
    }
    const uint8_t *p = c->data + c->offset;
    c->offset += size;
    return p;
}

uint8_t cursor_u8(struct cursor *c) {
    const uint8_t *p = cursor_take(c, 1);
    return p ? *p : 0;
}

uint16_t cursor_u16(struct cursor *c) {
    uint16_t v = 0;
    const uint8_t *p = cursor_take(c, sizeof v);
    if (p)
        memcpy(&v, p, sizeof v);
    return le16toh(v);
}

uint32_t cursor_u32(struct cursor *c) {
    uint32_t v = 0;
    const uint8_t *p = cursor_take(c, sizeof v);
    if (p)
        memcpy(&v, p, sizeof v);
    return le32toh(v);
}

uint64_t cursor_u64(struct cursor *c) {
    uint64_t v = 0;
    const uint8_t *p = cursor_take(c, sizeof v);
    if (p)
        memcpy(&v, p, sizeof v);
    return le64toh(v);
}

bool cursor_line(struct cursor *c, size_t max, const uint8_t **line, size_t *length) {
    size_t left = cursor_left(c);
    size_t window = left < max ? left : max;
    const uint8_t *start = c->data + c->offset;
    const uint8_t *end = window ? memchr(start, '\n', window) : NULL;
    if (!end) {
        c->failed = true;
        return false;
    }
    *line = start;
    *length = (size_t)(end - start);
    c->offset += *length + 1;
    return true;
}

bool cursor_done(const struct cursor *c) {
    return !c->failed && c->offset == c->size;
}

struct buf buf_of(void *data, size_t capacity) {
    return (struct buf){.data = data, .capacity = capacity};
}

uint8_t *buf_reserve(struct buf *b, size_t size) {
    if (b->failed || size > b->capacity - b->size) {
        b->failed = true;
        return NULL;
    }
    uint8_t *p = b->data + b->size;
    b->size += size;
    return p;
}

void buf_bytes(struct buf *b, const void *data, size_t size) {
    uint8_t *p = buf_reserve(b, size);
    if (p && size)
        memcpy(p, data, size);
}

void buf_string(struct buf *b, const char *text) {
    buf_bytes(b, text, strlen(text));
}

void buf_printf(struct buf *b, const char *format, ...) {
    if (b->failed)
        return;
    size_t room = b->capacity - b->size;
    va_list args;
    va_start(args, format);
    /* vsnprintf wants a byte for its terminator, which is not counted as written. */
    int n = vsnprintf((char *)b->data + b->size, room, format, args);
    va_end(args);
    if (n < 0 || (size_t)n >= room)
        b->failed = true;
    else
        b->size += (size_t)n;
}

void buf_u8(struct buf *b, uint8_t v) {
    buf_bytes(b, &v, sizeof v);
}

void buf_u16(struct buf *b, uint16_t v) {
    v = htole16(v);
    buf_bytes(b, &v, sizeof v);
}

void buf_u32(struct buf *b, uint32_t v) {
    v = htole32(v);
    buf_bytes(b, &v, sizeof v);
}

void buf_u64(struct buf *b, uint64_t v) {
    v = htole64(v);
    buf_bytes(b, &v, sizeof v);
}
