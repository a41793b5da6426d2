/* Dropout. As inference has it: the input, and a mask that drops nothing. In training mode (from
 * opset 12 on), each element is dropped with the probability `ratio`, and what is kept is divided
 * by 1 - ratio, so that the mean stays. */
#include "engine/ops/generator.h"
#include "engine/ops/real.h"

static enum status infer(struct op_ctx *c) {
    enum status s = op_need(c, 0);
    if (s == STATUS_OK)
        s = op_need_dtype(c, 0, DT_FLOATS | DT_TINY_FLOATS);
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

static enum status ratio_of(struct op_ctx *c, double *ratio) {
    *ratio = 0.5;
    enum status s = op_in(c, 1) ? op_in_double(c, 1, ratio) : STATUS_OK;
    if (s == STATUS_OK && !(*ratio >= 0 && *ratio < 1))
        return op_fail(c, "the ratio is %g, must be at least 0 and below 1", *ratio);
    return s;
}

static enum status train(struct op_ctx *c, double ratio) {
    const struct tensor *x = op_in(c, 0);
    struct tensor *y = op_out(c, 0), *mask = op_out(c, 1);
    struct generator g;
    enum status s = generator_new(c, &g);
    for (int64_t i = 0; s == STATUS_OK && i < x->count; i++) {
        const bool keep = generator_uniform(&g) >= ratio;
        if (y)
            real_put(y, i, keep ? real_at(x, i) / (1 - ratio) : 0);
        if (mask)
            real_put(mask, i, keep);
    }
    return s;
}

static enum status run(struct op_ctx *c) {
    const struct tensor *training = op_in(c, 2);
    struct tensor *mask = op_out(c, 1);
    if (training && training->count > 0 && *(const uint8_t *)training->data != 0) {
        double ratio = 0;
        enum status s = ratio_of(c, &ratio);
        if (s != STATUS_OK || ratio > 0)
            return s == STATUS_OK ? train(c, ratio) : s;
    }
    for (int64_t i = 0; mask && i < mask->count; i++)
        real_put(mask, i, 1);
    return op_out(c, 0) ? op_view(c, 0, op_in(c, 0)) : STATUS_OK;
}

/* From opset 12 on it may be random, so it is no mere view. */
const struct op_row op_family_dropout[] = {
    {.name = "Dropout", .since = 1, .infer = infer, .run = run, .flags = OP_VIEW},
    {.name = "Dropout", .since = 12, .infer = infer, .run = run, .flags = OP_RANDOM | OP_IN_PLACE},
    OP_END,
};
