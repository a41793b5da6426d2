/* Between the ring's tensors and the engine's values.
 *
 * Inputs are copied out of the shared memory before anything looks at them: front could change the
 * bytes while the engine reads them, and what was checked must be what is used. Strings are checked
 * from the copy. Outputs are written behind the inputs, each aligned, in the same slot. */
#ifndef SERVER_WORKER_TENSORS_H
#define SERVER_WORKER_TENSORS_H

#include "base/ring.h"
#include "engine/model/memory.h"
#include "engine/session.h"

/* values[0..count) of the session's inputs, from the request; copies lie in `arena`. Those that the
 * request does not name stay VALUE_NONE. STATUS_INVALID names the input. */
MUST_USE enum status tensors_in(const struct session *session, const struct ring_request *request,
                                const uint8_t *data, struct arena *arena, struct value *values,
                                size_t count, struct error *error);

struct tensors_out {
    const struct session *session;
    const uint32_t *outputs; /* the session's index of each output of the signature */
    size_t output_count;
    uint64_t wanted;   /* bits by signature */
    uint8_t *data;     /* of the slot */
    uint64_t start;    /* where the inputs end */
    uint64_t capacity; /* of the slot */
};
/* values are the session's outputs. Fills outputs, output_count and output_end of the response;
 * STATUS_TOO_LARGE where they do not fit the slot. On failure output_end tells how far the slot was
 * written. */
MUST_USE enum status tensors_out(const struct tensors_out *to, const struct value *values,
                                 struct ring_response *response, struct error *error);

#endif
