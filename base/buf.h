/* Bounded bytes: `struct cursor` reads, `struct buf` writes. All parsing of outside input goes
 * through a cursor; all building of messages through a buf.
 *
 * Neither owns memory: both work on a region that the caller provides, so they never allocate.
 * A failed read or write sets `failed` and consumes nothing more; reads after it give zeros, so a
 * decoder may read a whole message and check once, with cursor_done. Integers are little-endian.
 *
 * Threads: one owner at a time. Input: untrusted. */
#ifndef BASE_BUF_H
#define BASE_BUF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct cursor {
    const uint8_t *data;
    size_t size;   /* bytes in data */
    size_t offset; /* next byte to read, at most size */
    bool failed;
};

struct buf {
    uint8_t *data;
    size_t capacity;
    size_t size; /* bytes written, at most capacity */
    bool failed;
};

struct cursor cursor_of(const void *data, size_t size);
size_t cursor_left(const struct cursor *c);
/* Pointer to the next `size` bytes inside the region, and step over them; NULL on a short one. */
const uint8_t *cursor_take(struct cursor *c, size_t size);
uint8_t cursor_u8(struct cursor *c);
uint16_t cursor_u16(struct cursor *c);
uint32_t cursor_u32(struct cursor *c);
uint64_t cursor_u64(struct cursor *c);
/* Up to the next '\n', which is consumed and not part of the line; false, and failed, where there
 * is none within `max` bytes. */
bool cursor_line(struct cursor *c, size_t max, const uint8_t **line, size_t *length);
/* True where nothing failed and no byte is left. */
bool cursor_done(const struct cursor *c);

struct buf buf_of(void *data, size_t capacity);
/* Room for `size` bytes, to be filled by the caller; NULL, and failed, where they do not fit. */
uint8_t *buf_reserve(struct buf *b, size_t size);
void buf_bytes(struct buf *b, const void *data, size_t size);
void buf_string(struct buf *b, const char *text);
void buf_printf(struct buf *b, const char *format, ...) __attribute__((format(printf, 2, 3)));
void buf_u8(struct buf *b, uint8_t v);
void buf_u16(struct buf *b, uint16_t v);
void buf_u32(struct buf *b, uint32_t v);
void buf_u64(struct buf *b, uint64_t v);

#endif
