/* An inference response of the Open Inference Protocol v2: JSON, followed by the raw tensors of
 * the outputs that were asked for in binary.
 *
 * The tensors lie in memory shared with the worker: their description comes from a checked private
 * copy, every element is read once, and whatever a worker writes there meanwhile can only change
 * values in its own tenant's answer. Threads: no shared state. Input: a worker's, untrusted. */
#ifndef FRONT_OIP_RESPONSE_H
#define FRONT_OIP_RESPONSE_H

#include "base/buf.h"
#include "base/ring.h"
#include "base/status.h"
#include "server/front/classification.h"
#include "server/front/oip_request.h"
#include "server/front/oip_signature.h"

#include <stddef.h>
#include <stdint.h>

struct oip_response {
    const struct oip_signature *signature;
    const struct oip_request *request;
    const struct ring_response *answer; /* a private copy, offsets inside `data` */
    const uint8_t *data;                /* the slot's data area */
    const char *model;
    const char *version;
    struct classification_rank *ranks; /* room for as many as oip_response_ranks says */
};

/* Does the worker's answer hold exactly the outputs asked for, of the model's types, with sizes
 * that follow from their shapes? On success *bound is enough room for oip_response_write. */
MUST_USE enum status oip_response_check(const struct oip_response *response, size_t *bound,
                                        struct error *error);

/* After oip_response_check: the ranks that outputs asked for as classes need. 0 where there are
 * none; `ranks` is not looked at then. */
size_t oip_response_ranks(const struct oip_response *response);

/* After oip_response_check. *json_size is the length of the JSON part; all of `out` is JSON where
 * no output is binary (*binary false). STATUS_INVALID where an output has no JSON form (NaN,
 * infinity, bytes that are not UTF-8). */
MUST_USE enum status oip_response_write(const struct oip_response *response, struct buf *out,
                                        size_t *json_size, bool *binary, struct error *error);

#endif
