/* Names while a graph is being read: which value a name stands for, and growing arrays of values,
 * nodes and captures. For model/reader*.c alone.
 *
 * Ownership: everything lies in the arena given; growing leaves the old array behind in it. */
#ifndef ENGINE_MODEL_READER_SCOPE_H
#define ENGINE_MODEL_READER_SCOPE_H

#include "engine/model/reader.h"
#include "engine/model/wire.h"

/* A graph under construction. */
struct reader_graph {
    struct graph *graph;
    size_t value_capacity, node_capacity, capture_capacity;
};

struct reader_name {
    struct str name;
    int32_t value; /* in the scope's graph */
};

/* A set of names. A subgraph and a function body have their own; a function body writes its values
 * and nodes into the caller's graph. */
struct reader_scope {
    struct reader_graph *build;
    struct reader_scope *outer; /* a subgraph sees its names; NULL for main and functions */
    struct reader_name *names;  /* open addressing, capacity a power of two */
    size_t capacity, count;
    const struct opset *opsets;
    size_t opset_count;
    const struct node *call; /* function body: the calling node, for attribute references */
    size_t depth;
};

/* A parameter of a function that its caller left out. */
#define READER_SCOPE_ABSENT (-2)

/* Value -1 where the name is not known; captures from outer scopes are made as needed. */
MUST_USE enum status reader_scope_find(struct wire_path *p, struct arena *a, struct reader_scope *s,
                                       struct str name, int32_t *value);
/* `name` stands for `value` from now on; an error where it already has a meaning here. */
MUST_USE enum status reader_scope_bind(struct wire_path *p, struct arena *a, struct reader_scope *s,
                                       struct str name, int32_t value);
/* A new value of the scope's graph, not bound to a name yet. */
MUST_USE enum status reader_scope_value(struct wire_path *p, struct arena *a,
                                        struct reader_scope *s, struct str name, int32_t *value);
MUST_USE enum status reader_scope_node(struct wire_path *p, struct arena *a, struct reader_scope *s,
                                       const struct node *node);
int64_t reader_scope_opset(const struct reader_scope *s, struct str domain);

#endif
