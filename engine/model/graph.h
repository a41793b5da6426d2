/* A model in memory: values, nodes, attributes, subgraphs. Built by model/reader.h; immutable once
 * the session has prepared it.
 *
 * Everything lies in the arenas given to the reader, or points into the model's own bytes (names,
 * strings, tensors that were aligned), which must outlive the graph. Nothing is freed one by one.
 *
 * A value has an index in its graph. A subgraph that reads a value of an outer graph has a value of
 * its own for it, listed in `captures`; the node that owns the subgraph lists the outer values in
 * `implicit`, so that lifetimes see them.
 *
 * Threads: read-only after load. Input: was hostile; indices in here were checked by the reader. */
#ifndef ENGINE_MODEL_GRAPH_H
#define ENGINE_MODEL_GRAPH_H

#include "engine/model/tensor.h"

struct graph;
struct node;
struct op_row;

/* Numbers of AttributeProto.AttributeType. */
enum attr_type {
    ATTR_NONE = 0,
    ATTR_FLOAT = 1,
    ATTR_INT = 2,
    ATTR_STRING = 3,
    ATTR_TENSOR = 4,
    ATTR_GRAPH = 5,
    ATTR_FLOATS = 6,
    ATTR_INTS = 7,
    ATTR_STRINGS = 8,
    ATTR_TENSORS = 9,
    ATTR_GRAPHS = 10,
    ATTR_SPARSE_TENSOR = 11,
    ATTR_TYPE = 13,
};

/* A tensor of the model. Its data points into the model's bytes where they were aligned, else into
 * the arena for weights. */
struct graph_tensor {
    struct str name;
    struct tensor tensor;
};

struct attribute {
    struct str name;
    enum attr_type type;
    int64_t i;
    float f;
    struct str s;
    struct graph *g;
    size_t count; /* of the array below that the type says */
    const int64_t *ints;
    const float *floats;
    const struct str *strings;
    struct graph_tensor *tensors; /* ATTR_TENSOR: count is 1; ATTR_SPARSE_TENSOR: values, indices */
    struct graph **graphs;
    struct type_info *type_info; /* ATTR_TYPE */
};

struct node {
    struct str name, op_type, domain;
    struct graph *graph;
    int32_t index;         /* in graph->nodes */
    const int32_t *inputs; /* value indices, -1 where an optional one is left out */
    const int32_t *outputs;
    size_t input_count, output_count;
    struct attribute *attributes;
    size_t attribute_count;
    const int32_t *implicit; /* outer values that the node's subgraphs read */
    size_t implicit_count;
    int64_t opset;            /* in force for the node's domain; 0: not imported */
    const struct op_row *row; /* set by the session */
    void *state;              /* the operator's own, made by its prepare */
    bool folded;              /* its outputs are constants of the graph: not run */
    bool dead;                /* nobody reads its outputs: not run */
};

struct graph_value {
    struct str name;
    struct type_info type;        /* as declared, if it was */
    struct graph_tensor *initial; /* initialiser, or NULL */
    const struct value *constant; /* known at load: initialiser placed, or folded; else NULL */
    int32_t producer;             /* node index, -1: an input, initialiser or capture */
    int32_t capture;              /* index in captures, -1: none */
    bool is_input, is_output;
};

struct graph_capture {
    int32_t outer; /* value index in the parent graph */
    int32_t local; /* value index here */
};

struct graph {
    struct str name;
    struct graph *parent; /* NULL: the model's main graph */
    struct graph_value *values;
    size_t value_count;
    struct node *nodes; /* in an order in which every value is made before it is read */
    size_t node_count;
    int32_t *inputs, *outputs; /* value indices */
    struct str *output_names;  /* may differ from the value's, behind a function */
    size_t input_count, output_count;
    struct graph_capture *captures;
    size_t capture_count;
    size_t id; /* 0 for the main graph, then in order of reading: index of tables per graph */
};

/* The node's attribute of that name, or NULL. */
const struct attribute *graph_node_attribute(const struct node *n, const char *name);
/* A name of the model for a message: printable ASCII, cut at size - 1; returns text. */
const char *graph_name_text(struct str name, char *text, size_t size);

#endif
