#include "engine/ops/elementwise.h"

#define GRAIN 8192 /* elements */

struct job {
    const struct broadcast *plan;
    elementwise_segment *kernel;
    const char *a, *b;
    char *out;
    size_t in_size, b_size, out_size;
};

static void rows(void *arg, size_t begin, size_t end) {
    const struct job *j = arg;
    const struct broadcast *p = j->plan;
    for (size_t row = begin; row < end; row++) {
        int64_t at[BROADCAST_MAX];
        broadcast_row(p, (int64_t)row, at);
        j->kernel(j->a + (size_t)at[0] * j->in_size, p->inner_stride[0],
                  j->b + (size_t)at[1] * j->b_size, p->inner_stride[1],
                  j->out + row * (size_t)p->inner * j->out_size, p->inner);
    }
}

/* One row only: cut inside it. */
static void elements(void *arg, size_t begin, size_t end) {
    const struct job *j = arg;
    const struct broadcast *p = j->plan;
    j->kernel(j->a + begin * (size_t)p->inner_stride[0] * j->in_size, p->inner_stride[0],
              j->b + begin * (size_t)p->inner_stride[1] * j->b_size, p->inner_stride[1],
              j->out + begin * j->out_size, (int64_t)(end - begin));
}

void elementwise_run(struct op_ctx *c, elementwise_segment *kernel, const struct tensor *a,
                     const struct tensor *b, const struct tensor *out) {
    const struct tensor *in[2] = {a, b};
    struct broadcast plan;
    if (out->count == 0)
        return;
    broadcast_plan(&plan, out, in, 2);
    struct job j = {&plan,
                    kernel,
                    a->data,
                    b->data,
                    out->data,
                    dtype_size(a->dtype),
                    dtype_size(b->dtype),
                    dtype_size(out->dtype)};
    if (plan.rows == 1)
        op_parallel(c, (size_t)plan.inner, GRAIN, elements, &j);
    else
        op_parallel(c, (size_t)plan.rows, GRAIN / (size_t)plan.inner + 1, rows, &j);
}

enum status elementwise_legacy(struct op_ctx *c, struct tensor *view) {
    const struct tensor *b = op_in(c, 1);
    *view = *b;
    if (op_opset(c) >= 7 || !op_attr_has(c, "axis"))
        return STATUS_OK;
    return elementwise_align(c, op_attr_int(c, "axis", 0), view);
}

enum status elementwise_align(struct op_ctx *c, int64_t at, struct tensor *view) {
    const struct tensor *a = op_in(c, 0), *b = op_in(c, 1);
    int axis = 0;
    *view = *b;
    enum status s = op_axis(c, "axis", at, a->rank, &axis);
    if (s != STATUS_OK)
        return s;
    if (axis + b->rank > a->rank)
        return op_fail(c, "input 1 with %d dimensions does not fit at axis %d", b->rank, axis);
    view->rank = a->rank - axis;
    for (int d = b->rank; d < view->rank; d++)
        view->dims[d] = 1;
    return STATUS_OK;
}

enum status elementwise_infer(struct op_ctx *c, uint32_t mask, enum dtype out) {
    int64_t dims[TENSOR_MAX_RANK];
    int rank = 0;
    struct tensor b;
    enum status s = op_need_all(c, 2);
    if (s == STATUS_OK)
        s = op_need_dtype(c, 0, mask);
    if (s != STATUS_OK)
        return s;
    const struct tensor *in[2] = {op_in(c, 0), &b};
    if (in[0]->dtype != op_in(c, 1)->dtype)
        return op_fail(c, "the inputs have types %s and %s, they must be the same",
                       dtype_name(in[0]->dtype), dtype_name(op_in(c, 1)->dtype));
    s = elementwise_legacy(c, &b);
    if (s == STATUS_OK)
        s = broadcast_shapes(c, in, 2, &rank, dims);
    return s == STATUS_OK ? op_infer(c, 0, out, rank, dims) : s;
}
