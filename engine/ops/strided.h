/* Copying where the source goes by strides: what Transpose, Slice, Tile and their kin come to.
 *
 * Threads: uses the session's pool. Strides were computed from checked shapes; every element that
 * they reach lies inside the source. */
#ifndef ENGINE_OPS_STRIDED_H
#define ENGINE_OPS_STRIDED_H

#include "engine/ops/op.h"

/* out[i0, i1, ...] = from[i0 * strides[0] + i1 * strides[1] + ...], for a contiguous `out` with
 * `rank` dimensions (at most 2 * TENSOR_MAX_RANK) of elements of `size` bytes. Strides are in
 * elements and may be 0 or negative. */
void strided_copy(struct op_ctx *c, const void *from, void *out, int rank, const int64_t *dims,
                  const int64_t *strides, size_t size);
/* Strides of a contiguous tensor. */
void strided_steps(const struct tensor *t, int64_t *strides);

#endif
