/* AttributeProto: for model/reader*.c alone. Graphs inside are read by a callback, so that this
 * file knows nothing of graphs. */
#ifndef ENGINE_MODEL_READER_ATTRIBUTE_H
#define ENGINE_MODEL_READER_ATTRIBUTE_H

#include "engine/model/reader_scope.h"

struct reader;

typedef enum status reader_attribute_graph(struct reader *r, struct reader_scope *s,
                                           struct str bytes, struct graph **out);

struct reader_attribute_into {
    struct wire_path *path;
    struct arena *graph, *weights;
    struct reader *reader;
    struct reader_scope *scope;
    reader_attribute_graph *read_graph;
};

/* *ref receives the name of the caller's attribute that this one stands for, inside a function. */
MUST_USE enum status reader_attribute_read(const struct reader_attribute_into *into,
                                           struct str bytes, struct attribute *out,
                                           struct str *ref);
/* Adds what reader_attribute_read takes from the arena for weights, graphs inside left out; those
 * are given to `nested`. */
MUST_USE enum status reader_attribute_measure(struct wire_path *p, struct str bytes, size_t *need,
                                              enum status (*nested)(struct wire_path *p,
                                                                    struct str bytes, size_t depth,
                                                                    size_t *need),
                                              size_t depth);

#endif
