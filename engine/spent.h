/* Constants whose bytes nobody reads again, because the operators that read them have packed them.
 *
 * Before packing, every place of a live node (an input, a tensor attribute) and every graph output
 * that has constant bytes is listed; where one is packed, it is struck out, and bytes that no other
 * entry overlaps are given to `discard`, each once. Constants may share bytes (folded views, tied
 * weights), so entries are compared by address.
 *
 * Where there is no memory for the list, nothing is discarded. Threads: none shared. */
#ifndef ENGINE_SPENT_H
#define ENGINE_SPENT_H

#include "engine/model/graph.h"
#include "engine/model/memory.h"

typedef void spent_discard(void *ctx, const void *data, size_t size);

struct spent_entry {
    const char *start;
    size_t size;
    bool packed;
};

struct spent {
    spent_discard *discard; /* NULL: nobody asks, and the list is empty */
    void *ctx;
    struct spent_entry
        *entries; /* inputs in the order of graphs, nodes and inputs; then the rest */
    size_t count;
    size_t *sorted;    /* by address, then by place in `entries` */
    const char **ends; /* the furthest end of sorted[0..i] */
    size_t next;       /* first entry of the node that is prepared next */
};

/* `graphs`: all of the model, in the order in which they will be prepared. The list lies in
 * `arena`. */
void spent_list(struct spent *s, struct arena *arena, struct graph *const *graphs, size_t count);
/* For each live node in that order: which of its inputs were packed (NULL: none). */
void spent_node(struct spent *s, const struct node *n, const bool *packed);

#endif
