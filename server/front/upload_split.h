/* Splits a sealed model (age v1, binary) into its header and its payload while it streams in: the
 * header, up to and including the line that begins with `--- `, is collected; everything behind it
 * is handed on as it comes.
 *
 * Only the outline is looked at here (first line, length, where the header ends): front holds no
 * key and believes nothing; the worker parses the header strictly. Source: age-encryption.org/v1.
 *
 * Threads: one owner. Input: untrusted. */
#ifndef FRONT_UPLOAD_SPLIT_H
#define FRONT_UPLOAD_SPLIT_H

#include "base/message.h"
#include "base/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct upload_split {
    uint8_t *header; /* MESSAGE_HEADER_MAX bytes, the caller's */
    size_t header_size;
    size_t line; /* where the current line begins */
    bool complete;
};

struct upload_split upload_split_of(uint8_t header[MESSAGE_HEADER_MAX]);

/* Take the next bytes of the file. *payload and *payload_size tell which of them belong to the
 * payload (the tail of `bytes`, perhaps none). */
MUST_USE enum status upload_split_take(struct upload_split *split, const uint8_t *bytes,
                                       size_t size, const uint8_t **payload, size_t *payload_size,
                                       struct error *error);

/* The file has ended: was there a whole header? */
MUST_USE enum status upload_split_end(const struct upload_split *split, struct error *error);

#endif
