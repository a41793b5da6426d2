/* What the quantised operators share: zero points and scales as plain arrays, loading of quantised
 * tensors, rounding to a quantised type.
 *
 * Sums of products are made in double, which is exact here: a product is below 2^17, and there are
 * fewer than 2^36 of them in a sum. */
#ifndef ENGINE_OPS_QUANT_H
#define ENGINE_OPS_QUANT_H

#include "engine/ops/op.h"

#define QUANT_BYTES (DT(INT8) | DT(UINT8))
#define QUANT_INTS                                                                                 \
    (QUANT_BYTES | DT(INT16) | DT(UINT16) | DT(INT4) | DT(UINT4) | DT(INT2) | DT(UINT2))
#define QUANT_FLOATS                                                                               \
    (DT(FLOAT8E4M3FN) | DT(FLOAT8E4M3FNUZ) | DT(FLOAT8E5M2) | DT(FLOAT8E5M2FNUZ) |                 \
     DT(FLOAT4E2M1) | DT(FLOAT6E2M3) | DT(FLOAT6E3M2))

/* Elements of a quantised tensor (of the types above, or int32) as numbers. */
void quant_load(enum dtype dtype, const void *from, size_t count, double *to);
/* Zero points of input i as doubles in scratch; `otherwise` many zeros where it is absent. */
MUST_USE enum status quant_zero_points(struct op_ctx *c, size_t i, size_t otherwise,
                                       const double **out, size_t *count);
/* Stores round-half-even(v) + zero, limited to the type's range; to an 8-bit or smaller float, v +
 * zero rounded as that type rounds. */
void quant_store(enum dtype dtype, void *to, size_t at, double v, double zero);

#endif
