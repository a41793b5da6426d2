/* An inference request of the Open Inference Protocol v2 (REST), with Triton's binary tensor data
 * extension: parsed, checked against the model's signature, and its tensors written to a slot.
 *
 *   {id?, parameters?, inputs: [{name, shape, datatype, parameters?, data?}], outputs?: [...]}
 *
 * Members come in any order. Data are decoded where they stand once name, datatype and shape are
 * known, otherwise their place is remembered and they are decoded at the object's end. A member,
 * input or output that is repeated, missing or unknown is refused. For parameters see
 * oip_parameters.h.
 *
 * Source: open-inference-protocol, specification/protocol/inference_rest.md; Triton's
 * extension_binary_data.md, extension_classification.md, extension_parameters.md. On failure
 * nothing in `request` or the area may be used. Threads: no shared state. Input: untrusted. */
#ifndef FRONT_OIP_REQUEST_H
#define FRONT_OIP_REQUEST_H

#include "base/ring.h"
#include "base/status.h"
#include "server/front/json_reader.h"
#include "server/front/oip_data.h"
#include "server/front/oip_signature.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define OIP_ID_MAX 256 /* bytes of a request's id */

/* What the header Inference-Header-Content-Length said. */
#define OIP_JSON_ONLY SIZE_MAX /* absent: the whole body is JSON */

struct oip_output {
    uint32_t index; /* in the signature */
    bool binary;
    uint32_t classes; /* so many of its highest values instead of the tensor; 0: the tensor */
};

struct oip_request {
    char id[OIP_ID_MAX];
    size_t id_size;
    bool has_id;
    /* KServe's client repeats them in the body; data is NULL where it does not. Views into it. */
    struct json_text model_name, model_version;
    uint64_t timeout_us; /* 0: none given */
    uint32_t input_count;
    uint32_t output_count;
    struct ring_tensor inputs[RING_TENSORS_MAX]; /* in the signature's order */
    struct oip_output outputs[RING_TENSORS_MAX]; /* in the order asked for */
};

/* `json_size` is the length of the JSON part, OIP_JSON_ONLY, or 0 for the raw form (the body is
 * the one input's data, batch 1; outputs then come in binary). */
MUST_USE enum status oip_request_parse(const struct oip_signature *signature, const uint8_t *body,
                                       size_t size, size_t json_size, struct oip_area *area,
                                       struct oip_request *request, struct error *error);

/* STATUS_INVALID where the body names another model or version than the path did. */
MUST_USE enum status oip_request_check_model(const struct oip_request *request, const char *model,
                                             const char *version, struct error *error);

/* Bit i: output i of the signature is wanted. */
uint64_t oip_request_wanted(const struct oip_request *request);

#endif
