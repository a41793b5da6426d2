/* The innermost arrays of a tensor's JSON data: elements of one type, checked against its range and
 * written as the little-endian binary that a model takes.
 *
 * This is where the time of a JSON request goes, so numbers have a loop of their own for each type;
 * whatever is out of the ordinary is left to the reader, which knows how to word it. Nothing is
 * allocated.
 *
 * STATUS_INVALID for an element that is none of the type's, with its position, what was found and
 * what the type takes; a number that is refused is repeated to the caller, whose own it is, and at
 * most OIP_ROWS_QUOTE_MAX characters of it. STATUS_TOO_LARGE where a string does not fit.
 * Threads: one owner of a sink. Input: untrusted. */
#ifndef FRONT_OIP_ROWS_H
#define FRONT_OIP_ROWS_H

#include "base/status.h"
#include "server/front/json_reader.h"
#include "server/front/oip_type.h"

#include <stdbool.h>
#include <stdint.h>

#define OIP_ROWS_QUOTE_MAX 40

/* Where elements come from and go to. For a type of fixed size, the caller has made sure of room
 * for all elements that it lets in. */
struct oip_sink {
    struct json_reader *reader;
    const struct oip_type *type; /* one that has a JSON form */
    uint8_t *at, *end;
    uint64_t done; /* elements written */
};

/* Read elements of the array that the reader has just entered. *closed: its bracket was passed;
 * otherwise `most` elements were read, and another follows. */
MUST_USE enum status oip_rows_read(struct oip_sink *sink, uint64_t most, bool *closed,
                                   struct error *error);

#endif
