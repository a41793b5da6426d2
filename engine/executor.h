/* Runs graphs by their plans: the main graph, and subgraphs within it.
 *
 * Each depth of nesting has a heap of its own for the region and for values whose size shows only
 * at run time. A subgraph's heap is taken back, wiped, when the subgraph returns; its outputs are
 * copied to the heap of the node that called it. Plans are cached per graph; the oldest goes first.
 *
 * Threads: one run at a time per executor. Deadlines are looked at between operators. */
#ifndef ENGINE_EXECUTOR_H
#define ENGINE_EXECUTOR_H

#include "engine/model/limits.h"
#include "engine/model/reader.h"
#include "engine/plan.h"

#define EXECUTOR_DEPTH (LIMITS_GRAPH_DEPTH + 1)

struct executor_options {
    struct memory memory;
    size_t budget;      /* bytes of activations, of one heap */
    size_t plans;       /* cached for each graph */
    uint64_t max_trips; /* iterations of one Loop or Scan */
    struct threads *threads;
};

struct executor {
    struct executor_options options;
    struct op_env env;
    struct arena heaps[EXECUTOR_DEPTH];
    struct arena scratch;
    struct plan **plans; /* by graph id: a list, most recently used first */
    size_t graph_count;
    size_t depth;      /* of the graph that runs now */
    uint64_t deadline; /* CLOCK_MONOTONIC, ns; 0: none */
    const struct plan *running[EXECUTOR_DEPTH];
    uint64_t plans_built;
};

/* *e is filled in; `keep` holds its tables for as long as it lives. */
MUST_USE enum status executor_init(struct executor *e, const struct executor_options *options,
                                   const struct model *model, struct arena *keep,
                                   struct error *error);
void executor_free(struct executor *e);

/* Run the main graph. inputs: one for each of its inputs. outputs: one for each of its outputs;
 * they stay valid until executor_reset. */
MUST_USE enum status executor_run(struct executor *e, const struct graph *g,
                                  const struct value *inputs, size_t input_count, uint64_t deadline,
                                  struct value *outputs, struct error *error);
/* Wipe everything of the last run, keeping the memory for the next. */
void executor_reset(struct executor *e);
/* A plan for these inputs, as executor_run would use: for inspection. */
MUST_USE enum status executor_plan(struct executor *e, const struct graph *g,
                                   const struct value *inputs, size_t input_count,
                                   const struct plan **out, struct error *error);

#endif
