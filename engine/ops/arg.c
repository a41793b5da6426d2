/* ArgMax and ArgMin: where along an axis the largest or smallest element is.
 *
 * NaN counts as more extreme than any number; among equals the first is taken, or the last under
 * select_last_index. */
#include "engine/ops/op.h"
#include "engine/ops/types.h"

#define GRAIN 1024

struct job {
    const void *from;
    int64_t *to;
    size_t dim, inner;
    bool last;
};

static enum status arg_infer(struct op_ctx *c) {
    enum status s = op_need(c, 0);
    if (s == STATUS_OK)
        s = op_need_dtype(c, 0, DT_REAL);
    if (s != STATUS_OK)
        return s;
    const struct tensor *x = op_in(c, 0);
    int axis = 0;
    s = op_axis(c, "axis", op_attr_int(c, "axis", 0), x->rank, &axis);
    if (s != STATUS_OK)
        return s;
    bool keep = op_attr_int(c, "keepdims", 1) != 0;
    int64_t dims[TENSOR_MAX_RANK];
    int rank = 0;
    bool empty = false;
    for (int i = 0; i < x->rank; i++) {
        if (i != axis) {
            empty |= x->dims[i] == 0;
            dims[rank++] = x->dims[i];
        } else if (keep) {
            dims[rank++] = 1;
        }
    }
    if (x->dims[axis] == 0 && !empty)
        return op_fail(c, "dimension %d has no elements to choose from", axis);
    return op_infer(c, 0, DTYPE_INT64, rank, dims);
}

/* SEARCH(name, T, beats): x beats best, or equals it. */
#define SEARCH(name, T, BEATS)                                                                     \
    static void name(void *arg, size_t begin, size_t end) {                                        \
        const struct job *job = arg;                                                               \
        const T *from = job->from;                                                                 \
        for (size_t i = begin; i < end; i++) {                                                     \
            const T *p = from + i / job->inner * job->dim * job->inner + i % job->inner;           \
            T best = p[0];                                                                         \
            size_t at = 0;                                                                         \
            for (size_t k = 1; k < job->dim; k++) {                                                \
                T x = p[k * job->inner];                                                           \
                bool nan = x != x, best_nan = best != best;                                        \
                bool better = nan ? !best_nan : !best_nan && x BEATS best;                         \
                bool same = nan ? best_nan : x == best;                                            \
                if (better || (same && job->last)) {                                               \
                    best = x;                                                                      \
                    at = k;                                                                        \
                }                                                                                  \
            }                                                                                      \
            job->to[i] = (int64_t)at;                                                              \
        }                                                                                          \
    }

#define SEARCHES(name, T) SEARCH(max_##name, T, >) SEARCH(min_##name, T, <)
TYPES_NUMBER(SEARCHES)

static threads_fn *kernel_of(enum dtype dtype, bool max) {
#define CASE(name, T)                                                                              \
    case DTYPE_##name:                                                                             \
        return max ? max_##name : min_##name;
    switch (dtype) {
        TYPES_NUMBER(CASE)
    default: /* float16 and bfloat16 come widened */
        return max ? max_FLOAT : min_FLOAT;
    }
#undef CASE
}

static enum status arg_run(struct op_ctx *c, bool max) {
    const struct tensor *x = op_in(c, 0);
    struct tensor *y = op_out(c, 0);
    if (!y || y->count == 0)
        return STATUS_OK;
    int axis = 0;
    enum status s = op_axis(c, "axis", op_attr_int(c, "axis", 0), x->rank, &axis);
    if (s != STATUS_OK)
        return s;
    struct job job = {.from = x->data,
                      .to = y->data,
                      .dim = (size_t)x->dims[axis],
                      .inner = (size_t)tensor_span(x, axis + 1, x->rank),
                      .last = op_attr_int(c, "select_last_index", 0) != 0};
    if (x->dtype == DTYPE_FLOAT16 || x->dtype == DTYPE_BFLOAT16) {
        const float *wide = NULL;
        s = op_in_f32(c, 0, &wide);
        if (s != STATUS_OK)
            return s;
        job.from = wide;
    }
    op_parallel(c, (size_t)y->count, GRAIN, kernel_of(x->dtype, max), &job);
    return STATUS_OK;
}

static enum status arg_max_run(struct op_ctx *c) {
    return arg_run(c, true);
}
static enum status arg_min_run(struct op_ctx *c) {
    return arg_run(c, false);
}

const struct op_row op_family_arg[] = {
    {.name = "ArgMax", .since = 1, .infer = arg_infer, .run = arg_max_run},
    {.name = "ArgMin", .since = 1, .infer = arg_infer, .run = arg_min_run},
    OP_END,
};
