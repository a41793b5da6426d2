/* Multidirectional broadcasting (ONNX, "Broadcasting in ONNX"; numpy's rule): shapes are aligned at
 * the last dimension; dimensions are equal, or one of them is 1.
 *
 *     broadcast_infer(c, count, dtype)            in infer
 *     broadcast_plan(&plan, out, in, count)       in run: strides, dimensions merged where possible
 *     for each "row" of the plan: offsets of every operand, then an inner loop over plan.inner
 *     elements with a stride of 0 or 1 per operand.
 *
 * Pure; the shapes were checked by infer. */
#ifndef ENGINE_OPS_BROADCAST_H
#define ENGINE_OPS_BROADCAST_H

#include "engine/ops/op.h"

#define BROADCAST_MAX 4 /* operands */

/* The shape that `count` shapes broadcast to; the message names both shapes that do not fit. */
MUST_USE enum status broadcast_shapes(struct op_ctx *c, const struct tensor *const *in,
                                      size_t count, int *rank, int64_t *dims);
/* infer for "output 0 has dtype and the shape that inputs 0..count-1 broadcast to". */
MUST_USE enum status broadcast_infer(struct op_ctx *c, size_t count, enum dtype dtype);

struct broadcast {
    int rank;                      /* outer dimensions, after merging */
    int64_t dims[TENSOR_MAX_RANK]; /* outer dimensions */
    int64_t strides[BROADCAST_MAX][TENSOR_MAX_RANK];
    int64_t inner;                       /* elements of the inner loop */
    int64_t inner_stride[BROADCAST_MAX]; /* 0 or 1 */
    int64_t rows;                        /* product of dims */
    size_t operands;
};

/* in[k] broadcasts to out's shape. */
void broadcast_plan(struct broadcast *b, const struct tensor *out, const struct tensor *const *in,
                    size_t count);
/* Element offsets of every operand at the start of row `row` (the output's is row * inner). */
void broadcast_row(const struct broadcast *b, int64_t row, int64_t *offsets);

#endif
