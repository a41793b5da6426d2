/* The header of an age v1 file (https://age-encryption.org/v1): version line, stanzas, MAC line.
 *
 * Parsing is strict and allocates nothing: stanzas point into the caller's bytes, which must
 * outlive the struct. A header is a prefix of a file; `size` says where the payload begins. Sizes
 * are capped here, so that a header is bounded work. Input: untrusted, and not authenticated until
 * age_header_verify with the file key. Malformed is STATUS_INVALID. */
#ifndef CRYPTO_AGE_HEADER_H
#define CRYPTO_AGE_HEADER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/status.h"

#define AGE_HEADER_MAX 65536  /* bytes of a whole header */
#define AGE_HEADER_STANZAS 64 /* stanzas of one header */
#define AGE_FILE_KEY_SIZE 16
#define AGE_HEADER_MAC_SIZE 32

struct age_stanza {
    const uint8_t *arguments; /* all of them, separated by one space, the type first */
    size_t arguments_size;
    size_t argument_count;
    const uint8_t *body; /* base64 lines as they stand */
    size_t body_text_size;
    size_t body_size; /* decoded */
};

struct age_header {
    struct age_stanza stanzas[AGE_HEADER_STANZAS];
    size_t count;
    const uint8_t *mac_input; /* from the version line up to and including "---" */
    size_t mac_input_size;
    uint8_t mac[AGE_HEADER_MAC_SIZE];
    size_t size; /* the whole header with its last newline */
};

/* Where the header ends, for splitting a file while it streams in: *length becomes the size of the
 * header once it is all there, or 0 where more bytes are needed. STATUS_INVALID as soon as the
 * bytes cannot be an age v1 header, STATUS_TOO_LARGE where AGE_HEADER_MAX bytes hold no end of it.
 * Looks at lines only; age_header_parse is the full check. */
MUST_USE enum status age_header_length(const void *bytes, size_t size, size_t *length,
                                       struct error *error);
/* Bytes after the header are left alone. */
MUST_USE enum status age_header_parse(const void *bytes, size_t size, struct age_header *header,
                                      struct error *error);

/* Argument `index` (0 is the type); NULL where there is none. */
const uint8_t *age_header_argument(const struct age_stanza *stanza, size_t index, size_t *size);
bool age_header_stanza_is(const struct age_stanza *stanza, const char *type);
/* Decoded body, at most `capacity` bytes; false where it is longer. */
bool age_header_body(const struct age_stanza *stanza, uint8_t *out, size_t capacity);

/* True where the MAC matches the file key. */
MUST_USE bool age_header_verify(const struct age_header *header,
                                const uint8_t file_key[AGE_FILE_KEY_SIZE]);

/* Writing, in this order: begin, stanzas, end. Overflow shows as out->failed. */
void age_header_begin(struct buf *out);
void age_header_stanza(struct buf *out, const char *const *arguments, size_t count,
                       const uint8_t *body, size_t body_size);
/* out must hold the header from its first byte. */
void age_header_end(struct buf *out, const uint8_t file_key[AGE_FILE_KEY_SIZE]);

#endif
