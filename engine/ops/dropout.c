/* Dropout as inference has it: the input, and a mask that drops nothing. In training mode (from
 * opset 12 on) with a ratio above 0 the result would be random; that is refused. */
#include "engine/ops/op.h"

static enum status infer(struct op_ctx *c) {
    enum status s = op_need(c, 0);
    if (s == STATUS_OK)
        s = op_need_dtype(c, 0, DT_FLOATS);
    if (s != STATUS_OK)
        return s;
    const struct tensor *x = op_in(c, 0);
    s = op_need_dtype(c, 2, DT(BOOL));
    if (s == STATUS_OK)
        s = op_infer_like(c, 0, x);
    /* Before opset 10 the mask had the type of the data. */
    const enum dtype mask = op_opset(c) < 10 ? x->dtype : DTYPE_BOOL;
    return s == STATUS_OK ? op_infer(c, 1, mask, x->rank, x->dims) : s;
}

static void fill_ones(struct tensor *mask) {
    const float one = 1.0f;
    const size_t size = dtype_size(mask->dtype);
    for (int64_t i = 0; i < mask->count; i++) {
        char *at = (char *)mask->data + (size_t)i * size;
        if (mask->dtype == DTYPE_BOOL)
            *at = 1;
        else if (mask->dtype == DTYPE_DOUBLE)
            *(double *)(void *)at = 1.0;
        else
            half_narrow(mask->dtype, &one, at, 1);
    }
}

static enum status run(struct op_ctx *c) {
    const struct tensor *training = op_in(c, 2);
    if (training && training->count > 0 && *(const uint8_t *)training->data != 0) {
        double ratio = 0.5;
        if (op_in(c, 1)) {
            enum status s = op_in_double(c, 1, &ratio);
            if (s != STATUS_OK)
                return s;
        }
        if (ratio != 0)
            return op_fail(c, "training_mode with a ratio of %g is random; only inference is run",
                           ratio);
    }
    if (op_out(c, 1))
        fill_ones(op_out(c, 1));
    return op_out(c, 0) ? op_view(c, 0, op_in(c, 0)) : STATUS_OK;
}

const struct op_row op_family_dropout[] = {
    {.name = "Dropout", .since = 1, .infer = infer, .run = run, .flags = OP_VIEW},
    OP_END,
};
