/* Triton's classification extension: instead of an output's tensor, its highest values, each as the
 * string "value:index", or "value:index:label" where the model has labels.
 *
 * Values compare in the tensor's own type; of equal ones the lower index comes first, and NaN comes
 * last. An output whose first dimension is variable is a batch: its classes are chosen for each
 * row. Other outputs are one row. Values are written in the shortest form that reads back the same.
 *
 * Every element is read once, so what a worker changes meanwhile cannot make the parts of an answer
 * disagree. Source: Triton's extension_classification.md. Threads: pure. Input: a worker's. */
#ifndef FRONT_CLASSIFICATION_H
#define FRONT_CLASSIFICATION_H

#include "base/buf.h"
#include "base/ring.h"
#include "base/status.h"
#include "server/front/oip_signature.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CLASSIFICATION_NUMBER_MAX 48 /* characters of value, colons and index */

/* An element: `key` orders as the values do. */
struct classification_rank {
    uint64_t key;
    uint64_t index;
};

struct classification_shape {
    bool batch;
    size_t rows, row_size; /* of the tensor */
    size_t kept;           /* of each row: at most row_size */
};

/* Whether values of this type can be ranked: whole numbers, FP32 and FP64. */
bool classification_takes(uint32_t onnx);

/* How `tensor`, whose bytes are known to follow from its shape, falls into rows. */
MUST_USE bool classification_shape_of(const struct oip_port *port, const struct ring_tensor *tensor,
                                      uint32_t wanted, struct classification_shape *shape);

/* The shape.rows * shape.kept highest of the tensor at `data`, row by row. */
void classification_rank(const struct classification_shape *shape, uint32_t onnx,
                         const uint8_t *data, struct classification_rank *ranks);

/* "value:index[:label]"; at most CLASSIFICATION_NUMBER_MAX bytes and the label. */
void classification_text(const struct oip_port *port, const struct classification_rank *rank,
                         struct buf *out);

#endif
