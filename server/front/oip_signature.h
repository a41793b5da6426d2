/* What a model takes and gives, as its worker told it: names, types, shapes (-1 for a variable
 * dimension). Parsed once when the model is loaded, then only read.
 *
 * Input: a worker's, so checked like any other (a worker that was broken into may send anything);
 * what callers see is written from the parsed values, never passed on. */
#ifndef FRONT_OIP_SIGNATURE_H
#define FRONT_OIP_SIGNATURE_H

#include "base/buf.h"
#include "base/message.h"
#include "base/ring.h"
#include "base/status.h"

#include <stddef.h>
#include <stdint.h>

#define OIP_NAME_MAX 255
#define OIP_LABELS_MAX 65536 /* of one output */
#define OIP_LABEL_MAX 255    /* bytes of one */
#define OIP_DOCUMENTATION_MAX 4096
#define OIP_SHAPE_TEXT_MAX 300 /* a shape in words: "[-1,3,224,224]" */

/* Names of an output's classes, by index: one text, and where each ends in it. */
struct oip_labels {
    size_t count;
    size_t longest;
    uint32_t *ends;
    char *text;
};

struct oip_port {
    char name[OIP_NAME_MAX + 1];
    uint32_t type; /* ONNX, one that oip_type_of knows */
    uint32_t rank;
    int64_t dims[RING_RANK_MAX]; /* -1: any */
    struct oip_labels labels;    /* of an output, where the model has them */
};

struct oip_signature {
    size_t input_count, output_count;
    struct oip_port *inputs, *outputs;
    char *documentation; /* NULL: the model has none */
};

/* Parse `{"platform"?, "documentation"?, "inputs": [{"name", "datatype", "shape"}], "outputs":
 * [...]}`; an output may have "labels", an array of strings. The result is the caller's, freed with
 * oip_signature_free. */
MUST_USE enum status oip_signature_parse(const void *json, size_t size,
                                         struct oip_signature **signature, struct error *error);
void oip_signature_free(struct oip_signature *signature);

/* The answer to GET /v2/models/{name}; `versions` is an array, as JSON. */
void oip_signature_write(const struct oip_signature *signature, const char *name,
                         struct bytes versions, struct buf *out);

/* A shape for messages; every shape fits. */
void oip_signature_shape_text(const int64_t *dims, size_t rank, char out[OIP_SHAPE_TEXT_MAX]);

#endif
