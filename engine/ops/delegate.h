/* An operator that is another one with something before or after: that other one's row is called
 * with inputs of the caller's making, and the node's own attributes or others in their place.
 *
 *     delegate_open(c, &d, "AveragePool", 19, 1, 1)      an operator of ai.onnx
 *     delegate_in(&d, 0, &x)                             data NULL in infer
 *     delegate_int(&d, "axis", -1)                       goes before the node's attribute
 *     delegate_infer(&d)     shapes and types of the outputs: d.out[i].tensor
 *     delegate_run(&d)       infers and runs; the outputs' data is scratch of the caller's
 *
 * All memory is the caller's scratch, so nothing outlives its call of infer or run. The node of the
 * caller must stay. Whatever the other operator refuses, the caller refuses with its message. */
#ifndef ENGINE_OPS_DELEGATE_H
#define ENGINE_OPS_DELEGATE_H

#include "engine/ops/op.h"

#define DELEGATE_ATTRIBUTES 4 /* that delegate_int and delegate_ints may set */

struct delegate {
    struct op_ctx *caller;
    struct op_ctx ctx;
    struct node node;
    struct attribute *attributes; /* DELEGATE_ATTRIBUTES unused ones, then the node's */
    size_t set;
    struct value *values;
    const struct value **in;
    struct value *out;
};

MUST_USE enum status delegate_open(struct op_ctx *c, struct delegate *d, const char *name,
                                   int64_t opset, size_t inputs, size_t outputs);
/* NULL leaves it out. */
void delegate_in(struct delegate *d, size_t i, const struct tensor *t);
void delegate_int(struct delegate *d, const char *name, int64_t value);
void delegate_ints(struct delegate *d, const char *name, const int64_t *values, size_t count);
MUST_USE enum status delegate_infer(struct delegate *d);
MUST_USE enum status delegate_run(struct delegate *d);

/* t with other memory and another order of dimensions: to->dims[i] is t->dims[order[i]]. Where t
 * has no data, only the shape is made. Elements of 1 to 8 bytes. */
MUST_USE enum status delegate_transpose(struct op_ctx *c, const struct tensor *t, const int *order,
                                        struct tensor *to);
/* The same from [batch, spatial..., channels] to [batch, channels, spatial...], and back. */
MUST_USE enum status delegate_channels(struct op_ctx *c, const struct tensor *t, bool first,
                                       struct tensor *to);

#endif
