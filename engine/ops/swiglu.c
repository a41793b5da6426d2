/* SwiGLU: Swish of the gate, times the other input, element by element. */
#include "engine/ops/op.h"

#include <math.h>

#define GRAIN 4096

static enum status infer(struct op_ctx *c) {
    enum status s = op_need_all(c, 2);
    if (s == STATUS_OK)
        s = op_need_dtype(c, 0, DT_FLOATS);
    if (s == STATUS_OK)
        s = op_need_same(c, 1, 0);
    if (s == STATUS_OK && !tensor_same_shape(op_in(c, 0), op_in(c, 1)))
        return op_fail(c, "the inputs must have one shape");
    return s == STATUS_OK ? op_infer_like(c, 0, op_in(c, 0)) : s;
}

struct job {
    const void *gate, *by;
    void *to;
    double alpha;
};

#define KERNEL(name, T, exponential)                                                               \
    static void name(void *arg, size_t begin, size_t end) {                                        \
        const struct job *j = arg;                                                                 \
        const T *gate = j->gate, *by = j->by, alpha = (T)j->alpha;                                 \
        T *to = j->to;                                                                             \
        for (size_t i = begin; i < end; i++)                                                       \
            to[i] = gate[i] / (1 + exponential(-alpha * gate[i])) * by[i];                         \
    }
KERNEL(swiglu_f32, float, expf)
KERNEL(swiglu_f64, double, exp)

static enum status run(struct op_ctx *c) {
    struct tensor *y = op_out(c, 0);
    const float *gate = NULL, *by = NULL;
    float *to = NULL;
    struct job j = {.alpha = (double)op_attr_float(c, "alpha", 1.0f)};
    if (!y)
        return STATUS_OK;
    if (y->dtype == DTYPE_DOUBLE) {
        j.gate = op_in(c, 0)->data;
        j.by = op_in(c, 1)->data;
        j.to = y->data;
        op_parallel(c, (size_t)y->count, GRAIN, swiglu_f64, &j);
        return STATUS_OK;
    }
    enum status s = op_pair_f32(c, &gate, &to);
    if (s == STATUS_OK)
        s = op_in_f32(c, 1, &by);
    if (s != STATUS_OK)
        return s;
    j.gate = gate;
    j.by = by;
    j.to = to;
    op_parallel(c, (size_t)y->count, GRAIN, swiglu_f32, &j);
    op_out_f32_done(c, 0, to);
    return STATUS_OK;
}

const struct op_row op_family_swiglu[] = {
    {.name = "SwiGLU", .since = 28, .infer = infer, .run = run, .flags = OP_IN_PLACE},
    OP_END,
};
