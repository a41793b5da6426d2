/* The parameters of a request, of its inputs and of its outputs: which there are, and what they may
 * be. The protocol defines none; these are Triton's, as far as they can be honoured. Any other is
 * refused, since to ignore it would change what was asked for.
 *
 * `priority` is a hint and may be any whole number: there is one priority. A request is never part
 * of a sequence: sequence_id can only be 0 or "", sequence_start and sequence_end only false.
 *
 * Each function reads one object. STATUS_INVALID with a message that names the parameter.
 * Threads: no shared state. Input: untrusted. */
#ifndef FRONT_OIP_PARAMETERS_H
#define FRONT_OIP_PARAMETERS_H

#include "base/status.h"
#include "server/front/json_reader.h"

#include <stdbool.h>
#include <stdint.h>

#define OIP_CLASSES_MAX 1000000
#define OIP_QUOTED_MAX 96

struct oip_request_parameters {
    uint64_t timeout_us; /* 0: none given */
    bool all_binary;     /* binary_data_output */
};

struct oip_output_parameters {
    bool has_binary, binary;
    uint32_t classes; /* classification; 0: not asked for */
};

MUST_USE enum status oip_parameters_request(struct json_reader *reader,
                                            struct oip_request_parameters *parameters,
                                            struct error *error);
MUST_USE enum status oip_parameters_input(struct json_reader *reader, bool *has_binary_size,
                                          uint64_t *binary_size, struct error *error);
MUST_USE enum status oip_parameters_output(struct json_reader *reader,
                                           struct oip_output_parameters *parameters,
                                           struct error *error);

/* A name of the request for a message, shortened where it is long. */
void oip_parameters_quote(const struct json_text *text, char out[OIP_QUOTED_MAX]);

#endif
