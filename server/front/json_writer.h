/* JSON text into a bounded buffer (base/buf.h): strings escaped, numbers in the shortest form that
 * reads back as the same value. Punctuation is the caller's (buf_string).
 *
 * A buffer that is full sets its `failed`, as everywhere; these functions never write past it.
 * NaN and infinity have no JSON form: those functions return false and write nothing.
 * Threads: one owner of a buffer at a time. */
#ifndef FRONT_JSON_WRITER_H
#define FRONT_JSON_WRITER_H

#include "base/buf.h"
#include "base/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Most characters that one number takes. */
#define JSON_WRITER_NUMBER_MAX 32

/* A quoted string. Bytes that are not UTF-8 become U+FFFD, so the text stays valid JSON. */
void json_writer_string(struct buf *b, const void *text, size_t size);
/* True where text[0..size) is UTF-8 throughout. */
bool json_writer_is_utf8(const void *text, size_t size);

void json_writer_u64(struct buf *b, uint64_t value);
void json_writer_i64(struct buf *b, int64_t value);
MUST_USE bool json_writer_f32(struct buf *b, float value);
MUST_USE bool json_writer_f64(struct buf *b, double value);

#endif
