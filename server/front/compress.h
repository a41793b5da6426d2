/* Compressed bodies: gzip (RFC 1952) and deflate, which in HTTP is the zlib format (RFC 1950), in
 * both directions, by zlib.
 *
 * Payloads pass through here, so zlib gets no memory from the heap: its state and windows lie in a
 * room that the caller gives, which is wiped when the work is done. What comes out goes straight to
 * where it belongs and never beyond the bound that is given: a body of zeros a thousand times its
 * size ends there, with STATUS_TOO_LARGE.
 *
 * Threads: pure; a compress_in has one owner. Input: untrusted. */
#ifndef FRONT_COMPRESS_H
#define FRONT_COMPRESS_H

#include "base/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum compress_coding {
    COMPRESS_IDENTITY,
    COMPRESS_GZIP,
    COMPRESS_DEFLATE,
    COMPRESS_UNKNOWN,
};

/* Bytes that zlib's state takes at most, and room to align it. */
#define COMPRESS_IN_ROOM (80 * 1024)
#define COMPRESS_OUT_ROOM (512 * 1024)
#define COMPRESS_WORTH 1024      /* a smaller answer is not worth the time */
#define COMPRESS_RATIO_MAX 1032u /* no deflate stream expands more */

/* What Content-Encoding says (NULL: nothing). Two codings, one after the other, are unknown. */
enum compress_coding compress_coding_of(const char *content_encoding);
/* What an answer may be sent in, by Accept-Encoding's q-values (RFC 9110, 12.5.3): the coding that
 * is liked best, identity where it is liked better than both or where the field is malformed. */
enum compress_coding compress_accepted(const char *accept_encoding);
/* "gzip" or "deflate". */
const char *compress_name(enum compress_coding coding);

struct compress_in;

/* Where decompressed bytes go, behind the first `used`. `room` of the `capacity` may be written;
 * when it is full `grow` makes it more, or refuses and so ends the work. With `room` equal to
 * `capacity` it is not asked. */
struct compress_sink {
    uint8_t *data;
    size_t used, room, capacity;
    enum status (*grow)(struct compress_sink *sink, struct error *error);
};

/* Begin to decompress. `room`, of COMPRESS_IN_ROOM bytes, is in use until compress_in_close. */
MUST_USE enum status compress_in_begin(void *room, enum compress_coding coding,
                                       struct compress_in **in, struct error *error);
/* Decompress the next bytes. STATUS_INVALID where they are not of the coding, STATUS_TOO_LARGE
 * where the capacity is not enough, or what `grow` says. */
MUST_USE enum status compress_in_take(struct compress_in *in, const uint8_t *bytes, size_t size,
                                      struct compress_sink *sink, struct error *error);
/* All has been taken: STATUS_INVALID where the compressed data end early. */
MUST_USE enum status compress_in_end(const struct compress_in *in, const struct compress_sink *sink,
                                     struct error *error);
/* Wipes the room; safe on NULL. */
void compress_in_close(struct compress_in *in);

/* Compress all of `bytes` into `out`. False where it does not fit into `capacity`. `room`, of
 * COMPRESS_OUT_ROOM bytes, is wiped; `out` is the caller's to wipe, whatever the outcome. */
MUST_USE bool compress_out(void *room, enum compress_coding coding, const uint8_t *bytes,
                           size_t size, uint8_t *out, size_t capacity, size_t *written);

#endif
