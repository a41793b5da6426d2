/* A plan: one graph for one combination of input types and shapes.
 *
 * Building it walks the nodes in order and infers every type and shape that follows from the
 * inputs' shapes and the constants; what is computable from those alone (shape arithmetic) is
 * computed then and there. Outputs of known shape get an offset in one region, from their
 * lifetimes, in place of an input or as a view of it where the operator allows. A node whose
 * inputs or outputs are known only at run time is marked dynamic: it is inferred again when it is
 * reached, and its outputs come from the run's heap.
 *
 * A plan holds the values themselves, so that a run fills them in without setting anything up; it
 * therefore serves one run at a time. Memory: an arena of its own, of activations (folded values
 * derive from weights and shapes, never from a request).
 *
 * Threads: one at a time. */
#ifndef ENGINE_PLAN_H
#define ENGINE_PLAN_H

#include "engine/ops/op.h"

enum plan_kind {
    PLAN_SKIP,    /* folded at load or here, or dead */
    PLAN_STATIC,  /* shapes known, memory in the region */
    PLAN_DYNAMIC, /* inferred again at run time */
};

struct plan_node {
    const struct node *node;
    enum plan_kind kind;
    const struct value **in;
    const bool *in_constant;
    struct value *out;
};

struct plan_place {
    struct value *value;
    size_t offset;
};

struct plan {
    struct plan *next; /* in the cache, most recently used first */
    const struct graph *graph;
    struct value *signature; /* of inputs, then captures: types and shapes, no data */
    size_t signature_count;
    const struct value **values; /* by value index: where each is held */
    struct value **bound;        /* inputs, then captures: where a run puts them */
    struct plan_node *nodes;
    struct plan_place *places; /* outputs in the region */
    size_t place_count;
    size_t region; /* bytes */
    void *base;    /* the region that the data pointers were last set for */
    size_t static_nodes, dynamic_nodes;
    struct arena arena;
};

struct plan_context {
    struct memory memory;
    size_t budget;         /* bytes of one plan */
    struct arena *scratch; /* for the time of the call */
    const struct op_env *env;
};

/* `values` are the inputs and captures of the graph, in that order. */
MUST_USE enum status plan_build(const struct plan_context *c, const struct graph *g,
                                const struct value *const *values, size_t count, struct plan **out,
                                struct error *error);
void plan_free(struct plan *p);
bool plan_fits(const struct plan *p, const struct value *const *values, size_t count);
/* Set the data pointers of the places for a region at `base`. */
void plan_settle(struct plan *p, void *base);

#endif
