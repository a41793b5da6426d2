/* tar archives: the POSIX ustar and pax forms (IEEE Std 1003.1, pax, "ustar Interchange Format" and
 * "pax Header Block"), and the headers that GNU tar writes by default.
 *
 * The reader walks an archive that lies in memory; a member's data stays where it is. Only regular
 * files and folders are taken: links, devices, sparse files and GNU's long-name records are refused
 * by name. It is strict: every header's checksum, every number, the zero padding behind each
 * member, the two zero blocks at the end and nothing but zeros after them. Of pax records, path and
 * size are used, those about owners, times and comments are passed over, and any other is refused,
 * since it could change what the member is. Names are unchecked text here (bundle/member.h).
 *
 * The writer makes the headers of an archive of regular files, for streaming.
 *
 * Nothing is allocated. Failure: STATUS_INVALID, naming the member by its number (from 1). Threads:
 * one owner. Input: hostile. */
#ifndef BUNDLE_TAR_H
#define BUNDLE_TAR_H

#include "base/buf.h"
#include "base/status.h"

#define TAR_BLOCK 512
#define TAR_NAME_MAX 255               /* bytes */
#define TAR_HEADER_MAX (3 * TAR_BLOCK) /* with a pax header in front */
#define TAR_END_SIZE (2 * TAR_BLOCK)   /* zero blocks */

struct tar {
    struct cursor at;
    size_t headers; /* read so far */
};

struct tar_member {
    char name[TAR_NAME_MAX + 1];
    size_t name_size;
    bool is_folder;
    const uint8_t *data;
    size_t size;
};

/* Does it begin like one? An ONNX file does not, but by intent. */
bool tar_is(const void *data, size_t size);
struct tar tar_of(const void *data, size_t size);
/* The next member; *more is false at the end, and then the whole archive was well-formed. */
MUST_USE enum status tar_next(struct tar *tar, struct tar_member *member, bool *more,
                              struct error *error);

/* The header of a regular file into out, its length returned: 512 bytes, or 1536 where name or size
 * need a pax header. Owner, time and mode are always the same. `name` has at most TAR_NAME_MAX
 * bytes. The data follows, then zeros up to the next block. */
size_t tar_header(const char *name, uint64_t size, uint8_t out[TAR_HEADER_MAX]);
/* Zeros after `size` bytes of data. */
size_t tar_padding(uint64_t size);

#endif
