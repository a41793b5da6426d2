/* Making a graph ready to run: operator rows looked up, constants folded, dead nodes marked,
 * attributes parsed and weights packed.
 *
 * Threads: none shared. */
#ifndef ENGINE_LOAD_H
#define ENGINE_LOAD_H

#include "engine/model/reader.h"
#include "engine/ops/op.h"
#include "engine/spent.h"

struct load_context {
    struct model *model;
    struct arena *graph, *weights, *scratch;
    const struct op_env *env;
    const char *const *domains; /* as in struct session_options */
    struct error *error;
    spent_discard *discard; /* may be NULL */
    void *discard_ctx;
};

/* STATUS_UNSERVABLE, with every operator that is not served named, or the node that cannot be. */
MUST_USE enum status load_model(const struct load_context *c);

#endif
