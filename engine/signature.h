/* Types of outputs that a model leaves undeclared: found by planning for two sizes of every
 * dimension that varies, and taking for varying what differs.
 *
 * A hint for callers, not a promise: where planning does not reach an output (its shape hangs on
 * values, or the sizes tried do not suit the model), it stays undeclared.
 *
 * Threads: as the executor. */
#ifndef ENGINE_SIGNATURE_H
#define ENGINE_SIGNATURE_H

#include "engine/executor.h"

/* inputs, outputs: the declared types in the graph's order; outputs that have no shape get one. */
MUST_USE enum status signature_complete(struct executor *e, const struct graph *g,
                                        const struct type_info *const *inputs,
                                        struct type_info *const *outputs, struct error *error);

#endif
