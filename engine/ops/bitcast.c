/* BitCast: the same bits under another type of the same width.
 *
 * The 4-bit and 2-bit integers are held one element a byte, the signed ones with their sign
 * extended, so between those the upper bits are made anew. What becomes a bool is true where any
 * bit is set: the engine's bools are 0 and 1. */
#include "engine/ops/op.h"

#define DT_CASTABLE (DT_ANY & ~DT(STRING))

static unsigned bits_of(enum dtype t) {
    const unsigned packed = dtype_packed_bits(t);
    return packed ? packed : (unsigned)dtype_size(t) * 8;
}

static enum status infer(struct op_ctx *c) {
    enum dtype to = DTYPE_NONE;
    enum status s = op_need(c, 0);
    if (s == STATUS_OK)
        s = op_need_dtype(c, 0, DT_CASTABLE);
    if (s == STATUS_OK)
        s = op_attr_dtype(c, "to", DTYPE_NONE, DT_CASTABLE, &to);
    if (s != STATUS_OK)
        return s;
    const struct tensor *x = op_in(c, 0);
    if (bits_of(x->dtype) != bits_of(to))
        return op_fail(c, "%s has %u bits, %s has %u: must be as many", dtype_name(x->dtype),
                       bits_of(x->dtype), dtype_name(to), bits_of(to));
    return op_infer(c, 0, to, x->rank, x->dims);
}

static uint8_t recast(enum dtype to, uint8_t v) {
    switch (to) {
    case DTYPE_BOOL:
        return v != 0;
    case DTYPE_INT4:
        return (uint8_t)(v & 8 ? v | 0xf0 : v & 15);
    case DTYPE_INT2:
        return (uint8_t)(v & 2 ? v | 0xfc : v & 3);
    default:
        return (uint8_t)(v & ((1u << bits_of(to)) - 1));
    }
}

static enum status run(struct op_ctx *c) {
    const struct tensor *x = op_in(c, 0);
    struct tensor *y = op_out(c, 0);
    if (!y || dtype_size(x->dtype) > 1)
        return y ? op_view(c, 0, x) : STATUS_OK;
    for (int64_t i = 0; i < x->count; i++)
        ((uint8_t *)y->data)[i] = recast(y->dtype, ((const uint8_t *)x->data)[i]);
    return STATUS_OK;
}

const struct op_row op_family_bitcast[] = {
    {.name = "BitCast", .since = 26, .infer = infer, .run = run, .flags = OP_IN_PLACE},
    OP_END,
};
