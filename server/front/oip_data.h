/* Tensor data of a request, JSON or binary, into an area of memory (a slot of the ring).
 *
 * The area is shared with a worker, so it is written once and never read back. Each tensor begins
 * at a multiple of RING_ALIGN. A BYTES element is a u32 length, little-endian, and its bytes.
 *
 * What must be wiped afterwards is area->touched bytes, whatever the outcome.
 *
 * STATUS_INVALID for data that do not fit type or shape, STATUS_TOO_LARGE where the area is full;
 * messages do not repeat values. Threads: one owner of an area. Input: untrusted. */
#ifndef FRONT_OIP_DATA_H
#define FRONT_OIP_DATA_H

#include "base/ring.h"
#include "base/status.h"
#include "server/front/json_reader.h"

#include <stddef.h>
#include <stdint.h>

struct oip_area {
    uint8_t *data; /* aligned to RING_ALIGN */
    size_t capacity;
    size_t used;
    size_t touched; /* bytes that may hold something, also of a tensor that failed half-way */
};

/* `tensor` has type, rank and dims (each at least 0); offset and bytes are set. The reader stands
 * before an array: flat, or nested exactly as the shape says. */
MUST_USE enum status oip_data_json(struct json_reader *reader, struct ring_tensor *tensor,
                                   struct oip_area *area, struct error *error);

MUST_USE enum status oip_data_binary(const uint8_t *bytes, size_t size, struct ring_tensor *tensor,
                                     struct oip_area *area, struct error *error);

/* Count everything before `end` as touched. */
void oip_data_touch(struct oip_area *area, size_t end);

#endif
