/* Driver for operators of two inputs that broadcast: a kernel works on a segment, a run of elements
 * where each input goes on by 0 or 1 an element; the driver cuts the output into segments and
 * spreads them over the threads.
 *
 * Threads: kernels run on several at once, on disjoint outputs. */
#ifndef ENGINE_OPS_ELEMENTWISE_H
#define ENGINE_OPS_ELEMENTWISE_H

#include "engine/ops/broadcast.h"

typedef void elementwise_segment(const void *a, int64_t a_step, const void *b, int64_t b_step,
                                 void *out, int64_t n);

/* out (its shape is what a and b broadcast to) = kernel(a, b). The tensors' dtypes give the sizes
 * of elements; their data may be other memory of that type and shape. out may be a or b where that
 * one has the shape of out. */
void elementwise_run(struct op_ctx *c, elementwise_segment *kernel, const struct tensor *a,
                     const struct tensor *b, const struct tensor *out);
/* Before opset 7, B was aligned to an axis of A: attributes `broadcast` and `axis`. *view receives
 * B with the shape that says the same under today's rule. */
MUST_USE enum status elementwise_legacy(struct op_ctx *c, struct tensor *view);
/* B with the shape that aligns its first dimension to dimension `at` of A. */
MUST_USE enum status elementwise_align(struct op_ctx *c, int64_t at, struct tensor *view);
/* infer of such an operator: output 0 of type `out`, inputs of equal type in `mask`. */
MUST_USE enum status elementwise_infer(struct op_ctx *c, uint32_t mask, enum dtype out);

/* A kernel: `expression` of x and z. */
#define ELEMENTWISE_SEGMENT(name, in_type, out_type, expression)                                   \
    static void name(const void *av, int64_t a_step, const void *bv, int64_t b_step, void *yv,     \
                     int64_t n) {                                                                  \
        const in_type *a = av, *b = bv;                                                            \
        out_type *y = yv;                                                                          \
        if (a_step && b_step) {                                                                    \
            for (int64_t i = 0; i < n; i++) {                                                      \
                const in_type x = a[i], z = b[i];                                                  \
                y[i] = (out_type)(expression);                                                     \
            }                                                                                      \
        } else if (a_step) {                                                                       \
            const in_type z = b[0];                                                                \
            for (int64_t i = 0; i < n; i++) {                                                      \
                const in_type x = a[i];                                                            \
                y[i] = (out_type)(expression);                                                     \
            }                                                                                      \
        } else {                                                                                   \
            const in_type x = a[0];                                                                \
            for (int64_t i = 0; i < n; i++) {                                                      \
                const in_type z = b[i * b_step];                                                   \
                y[i] = (out_type)(expression);                                                     \
            }                                                                                      \
        }                                                                                          \
    }

#endif
