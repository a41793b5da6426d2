/* A writer of small ONNX models for the engine's tests: protobuf wire form, message by message.
 *
 * A message is a growing buffer of fixed capacity; a message inside another is written first and
 * put in with model_put. Overflow aborts: it is the test's own fault. */
#ifndef TESTS_UNIT_ENGINE_MODEL_H
#define TESTS_UNIT_ENGINE_MODEL_H

#include "engine/session.h"

#include <stddef.h>
#include <stdint.h>

struct message {
    uint8_t bytes[8192];
    size_t size;
};

void model_int(struct message *m, uint32_t field, uint64_t value);
void model_bytes(struct message *m, uint32_t field, const void *data, size_t size);
void model_text(struct message *m, uint32_t field, const char *text);
void model_put(struct message *m, uint32_t field, const struct message *inner);

/* NodeProto without attributes; names are separated by spaces, "-" is an omitted one. */
struct message model_node(const char *op, const char *inputs, const char *outputs);
struct message model_node_in(const char *domain, const char *op, const char *inputs,
                             const char *outputs);
void model_attribute_int(struct message *node, const char *name, int64_t value);
void model_attribute_graph(struct message *node, const char *name, const struct message *graph);
/* ValueInfoProto of a tensor; -1 becomes a symbol. */
struct message model_value(const char *name, enum dtype dtype, int rank, const int64_t *dims);
/* TensorProto with raw data. */
struct message model_tensor(const char *name, enum dtype dtype, int rank, const int64_t *dims,
                            const void *data, size_t size);
/* ModelProto of a GraphProto, importing ai.onnx at `opset`. */
struct message model_of(const struct message *graph, int64_t opset);

/* GraphProto fields. */
enum { GRAPH_NODE = 1, GRAPH_INITIALIZER = 5, GRAPH_INPUT = 11, GRAPH_OUTPUT = 12 };

/* malloc as the engine's memory, counting. */
struct counted {
    size_t acquired, live; /* calls of acquire; regions not released */
    size_t refuse_after;   /* refuse from this call on; 0: never */
    void *last;            /* region acquired last, and its size */
    size_t last_size;
};
struct memory model_memory(struct counted *c);
struct str model_str(const struct message *m);

#endif
