/* Optional, OptionalHasElement, OptionalGetElement. An optional that holds something is that
 * something; an empty one is a value of kind VALUE_NONE. */
#include "engine/ops/op.h"

static bool holds(struct op_ctx *c) {
    const struct value *v = op_in_count(c) > 0 ? op_in_value(c, 0) : NULL;
    return v && v->kind != VALUE_NONE;
}

static enum status make_run(struct op_ctx *c) {
    struct value none = {.kind = VALUE_NONE};
    op_out_value(c, 0, holds(c) ? op_in_value(c, 0) : &none);
    return STATUS_OK;
}

static enum status has_run(struct op_ctx *c) {
    struct tensor *y = NULL;
    enum status s = op_out_new(c, 0, DTYPE_BOOL, 0, NULL, &y);
    if (s == STATUS_OK && y)
        *(uint8_t *)y->data = holds(c);
    return s;
}

static enum status get_run(struct op_ctx *c) {
    if (!holds(c))
        return op_fail(c, "the optional is empty");
    op_out_value(c, 0, op_in_value(c, 0));
    return STATUS_OK;
}

const struct op_row op_family_optional[] = {
    {.name = "Optional",
     .since = 15,
     .infer = op_infer_in_run,
     .run = make_run,
     .flags = OP_SEQUENCE},
    {.name = "OptionalHasElement",
     .since = 15,
     .infer = op_infer_in_run,
     .run = has_run,
     .flags = OP_SEQUENCE},
    {.name = "OptionalGetElement",
     .since = 15,
     .infer = op_infer_in_run,
     .run = get_run,
     .flags = OP_SEQUENCE},
    OP_END,
};
