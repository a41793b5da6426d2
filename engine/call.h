/* Calling the functions of an operator row: with the scratch arena taken back afterwards, attribute
 * errors looked at, and the node named in the message.
 *
 * Threads: one at a time per context. */
#ifndef ENGINE_CALL_H
#define ENGINE_CALL_H

#include "engine/ops/op.h"

/* An input whose value and type are not known: what prepare sees for everything not constant. */
extern const struct value call_unknown;

MUST_USE enum status call_prepare(struct op_ctx *c);
size_t call_pack_size(struct op_ctx *c);
/* Clears the outputs, then infers: c->state tells what is known. */
MUST_USE enum status call_infer(struct op_ctx *c);
/* Outputs shaped by infer must have data. Checks afterwards that every wanted output is there. */
MUST_USE enum status call_run(struct op_ctx *c);
/* Memory from c->heap for outputs that infer shaped. */
MUST_USE enum status call_allocate(struct op_ctx *c);

#endif
