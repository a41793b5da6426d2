/* Tensors of any real type, bool (0 and 1) and the 8-bit and smaller floats as arrays of double:
 * for operators that are rarely the bottleneck, so that each is written once and loses nothing.
 * Values past a type's range are limited to it; to integers, fractions are cut towards zero. int64
 * beyond 2^53 is rounded. */
#ifndef ENGINE_OPS_REAL_H
#define ENGINE_OPS_REAL_H

#include "engine/ops/op.h"

/* The elements of input i: its own data for DOUBLE, else widened into scratch. */
MUST_USE enum status real_in(struct op_ctx *c, size_t i, const double **out);
/* Where to write output i: its own data for DOUBLE, else scratch. NULL: not wanted. */
MUST_USE enum status real_out(struct op_ctx *c, size_t i, double **out);
void real_out_done(struct op_ctx *c, size_t i, const double *values);
/* One element. */
double real_at(const struct tensor *t, int64_t i);
void real_put(struct tensor *t, int64_t i, double v);

#endif
