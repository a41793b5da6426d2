/* CumSum, CumProd: running sums and products along an axis, forwards or backwards, with or without
 * the element itself. */
#include "engine/ops/op.h"

struct job {
    const void *from;
    void *to;
    size_t dim, inner;
    bool exclusive, reverse;
};

/* float is summed in double. Whole numbers wrap: they are summed unsigned. */
#define RUNNING(name, T, A, first, operator)                                                       \
    static void name(void *arg, size_t begin, size_t end) {                                        \
        const struct job *job = arg;                                                               \
        for (size_t row = begin; row < end; row++) {                                               \
            size_t base = row / job->inner * job->dim * job->inner + row % job->inner;             \
            const T *from = (const T *)job->from + base;                                           \
            T *to = (T *)job->to + base;                                                           \
            A total = (first);                                                                     \
            for (size_t k = 0; k < job->dim; k++) {                                                \
                size_t at = (job->reverse ? job->dim - 1 - k : k) * job->inner;                    \
                A before = total;                                                                  \
                total operator(A) from[at];                                                        \
                to[at] = (T)(job->exclusive ? before : total);                                     \
            }                                                                                      \
        }                                                                                          \
    }

struct kernels {
    threads_fn *f32, *f64, *i32, *i64;
};

#define FAMILY(name, first, operator)                                                              \
    RUNNING(name##_f32, float, double, first, operator)                                            \
    RUNNING(name##_f64, double, double, first, operator)                                           \
    RUNNING(name##_i32, uint32_t, uint32_t, first, operator)                                       \
    RUNNING(name##_i64, uint64_t, uint64_t, first, operator)                                       \
    static const struct kernels name = {name##_f32, name##_f64, name##_i32, name##_i64};

FAMILY(sums, 0, +=)
FAMILY(products, 1, *=)

#define CUMSUM_TYPES (DT_FLOATS | DT(INT32) | DT(INT64) | DT(UINT32) | DT(UINT64))

static enum status cumsum_axis(struct op_ctx *c, int *axis) {
    int64_t value = 0;
    enum status s = op_in_int(c, 1, &value);
    return s == STATUS_OK ? op_axis(c, "axis", value, op_in(c, 0)->rank, axis) : s;
}

static enum status cumsum_infer(struct op_ctx *c) {
    enum status s = op_need_all(c, 2);
    if (s == STATUS_OK)
        s = op_need_dtype(c, 0, CUMSUM_TYPES);
    if (s == STATUS_OK)
        s = op_need_dtype(c, 1, DT(INT32) | DT(INT64));
    if (s == STATUS_OK)
        s = op_infer_like(c, 0, op_in(c, 0));
    return s;
}

static enum status cumsum_run(struct op_ctx *c) {
    const struct tensor *x = op_in(c, 0);
    struct tensor *y = op_out(c, 0);
    const struct kernels *k = op_form(c);
    int axis = 0;
    enum status s = cumsum_axis(c, &axis);
    if (s != STATUS_OK || !y || y->count == 0)
        return s;
    struct job job = {.from = x->data,
                      .to = y->data,
                      .dim = (size_t)x->dims[axis],
                      .inner = (size_t)tensor_span(x, axis + 1, x->rank),
                      .exclusive = op_attr_int(c, "exclusive", 0) != 0,
                      .reverse = op_attr_int(c, "reverse", 0) != 0};
    size_t rows = (size_t)x->count / job.dim, grain = 8192 / job.dim + 1;
    switch (x->dtype) {
    case DTYPE_DOUBLE:
        op_parallel(c, rows, grain, k->f64, &job);
        break;
    case DTYPE_INT32:
    case DTYPE_UINT32:
        op_parallel(c, rows, grain, k->i32, &job);
        break;
    case DTYPE_INT64:
    case DTYPE_UINT64:
        op_parallel(c, rows, grain, k->i64, &job);
        break;
    default: {
        const float *from = NULL;
        float *to = NULL;
        s = op_pair_f32(c, &from, &to);
        if (s != STATUS_OK)
            return s;
        job.from = from;
        job.to = to;
        op_parallel(c, rows, grain, k->f32, &job);
        op_out_f32_done(c, 0, to);
    }
    }
    return STATUS_OK;
}

const struct op_row op_family_cumsum[] = {
    {.name = "CumSum", .since = 11, .infer = cumsum_infer, .run = cumsum_run, .form = &sums},
    {.name = "CumProd", .since = 26, .infer = cumsum_infer, .run = cumsum_run, .form = &products},
    OP_END,
};
