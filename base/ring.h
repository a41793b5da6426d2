/* The tensor ring: shared memory between front and one worker, in which tensors travel without a
 * copy through the kernel. A fixed number of slots; ledger reserves a slot for a request, front
 * fills and submits it, the worker answers in the same slot, front wipes it.
 *
 *   front: ring_fill_begin -> write header and tensors -> ring_submit -> ring_wait -> read
 *          outputs -> ring_wipe
 *   worker: ring_next -> ring_take (one copy of the header, validated) -> compute -> ring_outputs
 *          -> ring_complete
 *
 * Trust: neither side believes the other. A header is copied once, validated, and only the copy
 * is used; tensor bytes may change under the reader, so the worker copies what it will index with.
 * Slot numbers and sizes come from launch, not from the shared memory. The memory's size is
 * sealed, so a side cannot shrink it under the other.
 *
 * Waiting is by futex on words of the ring: a side that has nothing to do sleeps. */
#ifndef BASE_RING_H
#define BASE_RING_H

#include "base/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RING_SLOTS_MAX 256
#define RING_TENSORS_MAX 64 /* inputs, and outputs, of one request */
#define RING_RANK_MAX 12
#define RING_ALIGN 64 /* of tensor data, in bytes */

struct ring;

struct ring_tensor {
    uint32_t index; /* position in the model's signature */
    uint32_t type;  /* ONNX TensorProto.DataType */
    uint32_t rank;
    uint32_t reserved;
    int64_t dims[RING_RANK_MAX];
    uint64_t offset; /* from the start of the slot's data, a multiple of RING_ALIGN */
    uint64_t bytes;  /* strings: each a u32 length (little-endian) and its bytes */
};

struct ring_request {
    uint64_t model;          /* handle of the model, as in LOAD */
    uint64_t deadline_ns;    /* CLOCK_MONOTONIC; 0: none */
    uint64_t outputs_wanted; /* bit i: output i of the signature */
    uint32_t input_count;
    uint32_t reserved;
    uint64_t input_end; /* bytes of the data area that inputs take; outputs come after */
    struct ring_tensor inputs[RING_TENSORS_MAX];
};

struct ring_response {
    uint32_t status; /* enum status */
    uint32_t output_count;
    uint64_t compute_us;
    uint64_t output_end; /* bytes of the data area in use */
    char message[ERROR_MESSAGE_MAX];
    struct ring_tensor outputs[RING_TENSORS_MAX];
};

/* Size of the memory for `slots` slots with `slot_bytes` of tensor data each. */
MUST_USE enum status ring_size(uint32_t slots, uint64_t slot_bytes, size_t *size,
                               struct error *error);

/* Make the shared memory (sparse, sealed in size); returns its descriptor, owned by the caller. */
MUST_USE enum status ring_create(uint32_t slots, uint64_t slot_bytes, int *descriptor,
                                 struct error *error);

/* Map it: excluded from dumps and from children, and locked on first use where `lock`. The
 * descriptor stays the caller's and may be closed. ring_free(NULL) is safe. */
MUST_USE enum status ring_attach(int descriptor, uint32_t slots, uint64_t slot_bytes, bool lock,
                                 struct ring **ring, struct error *error);
void ring_free(struct ring *ring);
uint32_t ring_slots(const struct ring *ring);
uint64_t ring_slot_bytes(const struct ring *ring);

/* The data area of a slot: ring_slot_bytes() bytes, aligned to a page. */
uint8_t *ring_data(struct ring *ring, uint32_t slot);

/* --- front --------------------------------------------------------------------------------- */

/* The request header of a slot that ledger reserved for the caller, to be written in place. */
struct ring_request *ring_request_of(struct ring *ring, uint32_t slot);
void ring_submit(struct ring *ring, uint32_t slot);
/* Wait for the answer and copy its header (checked: offsets and sizes lie inside the slot).
 * STATUS_DEADLINE where `until_ns` (CLOCK_MONOTONIC) passed and the slot is still the worker's;
 * STATUS_UNAVAILABLE where the worker is gone (ring_worker_gone). */
MUST_USE enum status ring_wait(struct ring *ring, uint32_t slot, uint64_t until_ns,
                               struct ring_response *response, struct error *error);
/* Zero what the request used and give large slots' pages back. */
void ring_wipe(struct ring *ring, uint32_t slot, uint64_t used_bytes);
/* The worker died: wake every waiter, and fail every later ring_wait. */
void ring_worker_gone(struct ring *ring);

/* --- worker -------------------------------------------------------------------------------- */

/* The next submitted slot; false after `timeout_ms` without one, and at once after ring_stop.
 * Several threads of the worker may wait. */
bool ring_next(struct ring *ring, int timeout_ms, uint32_t *slot);
/* This process takes nothing more from the ring: its threads in ring_next return false. */
void ring_stop(struct ring *ring);
/* Copy the request's header and validate the copy: counts, ranks, offsets, sizes. */
MUST_USE enum status ring_take(struct ring *ring, uint32_t slot, struct ring_request *request,
                               struct error *error);
/* Publish the answer: the header is copied into the slot, front is woken. */
void ring_complete(struct ring *ring, uint32_t slot, const struct ring_response *response);

#endif
