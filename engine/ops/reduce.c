/* Reductions over axes: sums, means, products, extremes and norms.
 *
 * Neighbouring axes of one kind (kept, reduced) are merged first, so that a shape is an alternation
 * of kept and reduced groups. Work is cut into units: one position of the outer kept groups, and up
 * to TILE neighbouring elements of the innermost kept group, each with an accumulator of its own.
 * Where the innermost group is a reduced one, the TILE accumulators are LANES partial results of
 * the one output, combined at the end: that is fast, and more exact than adding in a row.
 *
 * float is accumulated in double; whole numbers in 64 bits, wrapping. An axis of no elements gives
 * the neutral element (sum 0, product 1, max -inf or the least number, ...). */
#include "engine/ops/op.h"
#include "engine/ops/types.h"

#include <math.h>

#define TILE 128
#define LANES 16
#define GROUPS (TENSOR_MAX_RANK / 2 + 1)
#define WORK_GRAIN 16384 /* elements read: below this, splitting costs more than it gives */

enum kind { SUM, MEAN, PROD, MAX, MIN, L1, L2, SUM_SQUARE, LOG_SUM, LOG_SUM_EXP };

struct group {
    size_t dim, stride;
};

struct layout {
    struct group kept[GROUPS], reduced[GROUPS]; /* kept: outer ones; reduced: all */
    int kept_count, reduced_count;
    size_t outer, inner; /* positions of the outer kept groups; size of the innermost kept group */
    size_t tiles;        /* pieces of the innermost kept group */
    size_t reduced_size; /* elements that become one */
    bool run;            /* the innermost group is reduced: inner is 1 */
};

struct job {
    const void *from;
    void *to;
    struct layout l;
    enum kind kind;
    bool logical; /* elements are bool */
};

/* ---- axes ---- */

/* Marks the axes that are reduced. `none` says that the operator leaves its input as it is. */
static enum status axes_marked(struct op_ctx *c, bool by_input, bool *marked, bool *none) {
    int rank = op_in(c, 0)->rank;
    int64_t list[TENSOR_MAX_RANK];
    size_t n = 0;
    for (int i = 0; i < rank; i++)
        marked[i] = false;
    *none = false;
    if (by_input) {
        if (op_in(c, 1)) {
            enum status s = op_in_ints(c, 1, list, TENSOR_MAX_RANK, &n);
            if (s != STATUS_OK)
                return s;
        }
        *none = n == 0 && op_attr_int(c, "noop_with_empty_axes", 0) != 0;
    } else {
        const int64_t *axes = NULL;
        n = op_attr_ints(c, "axes", &axes);
        if (n > TENSOR_MAX_RANK)
            return op_fail(c, "attribute \"axes\" has %zu values, more than the %d dimensions", n,
                           rank);
        for (size_t i = 0; i < n; i++)
            list[i] = axes[i];
    }
    if (n == 0 && !*none)
        for (int i = 0; i < rank; i++)
            marked[i] = true;
    for (size_t i = 0; i < n; i++) {
        int axis = 0;
        enum status s = op_axis(c, "axes", list[i], rank, &axis);
        if (s != STATUS_OK)
            return s;
        if (marked[axis])
            return op_fail(c, "axes name dimension %d twice", axis);
        marked[axis] = true;
    }
    return STATUS_OK;
}

static enum status reduce_infer(struct op_ctx *c, bool by_input, uint32_t types) {
    enum status s = op_need(c, 0);
    if (s == STATUS_OK)
        s = op_need_dtype(c, 0, types);
    if (s != STATUS_OK)
        return s;
    const struct tensor *x = op_in(c, 0);
    if (by_input && op_in(c, 1) && !op_in(c, 1)->data)
        return op_infer_later(c);
    bool marked[TENSOR_MAX_RANK], none = false;
    s = axes_marked(c, by_input, marked, &none);
    if (s != STATUS_OK)
        return s;
    bool keep = op_attr_int(c, "keepdims", 1) != 0;
    int64_t dims[TENSOR_MAX_RANK];
    int rank = 0;
    for (int i = 0; i < x->rank; i++) {
        if (!marked[i])
            dims[rank++] = x->dims[i];
        else if (keep)
            dims[rank++] = 1;
    }
    return op_infer(c, 0, x->dtype, rank, dims);
}

static enum status infer_attribute(struct op_ctx *c) {
    return reduce_infer(c, false, DT_REAL);
}
static enum status infer_input(struct op_ctx *c) {
    return reduce_infer(c, true, DT_REAL);
}
static enum status infer_extreme_attribute(struct op_ctx *c) {
    return reduce_infer(c, false, DT_REAL | DT(BOOL));
}
static enum status infer_extreme_input(struct op_ctx *c) {
    return reduce_infer(c, true, DT_REAL | DT(BOOL));
}

/* ---- layout ---- */

static struct layout layout_of(const struct tensor *x, const bool *marked) {
    struct layout l = {.outer = 1, .inner = 1, .reduced_size = 1};
    struct group all[TENSOR_MAX_RANK];
    bool is_reduced[TENSOR_MAX_RANK];
    int n = 0;
    size_t stride = 1;
    for (int i = x->rank - 1; i >= 0; i--) { /* innermost first */
        size_t dim = (size_t)x->dims[i];
        if (dim == 1)
            continue;
        if (n > 0 && is_reduced[n - 1] == marked[i]) {
            all[n - 1].dim *= dim;
        } else {
            all[n] = (struct group){dim, stride};
            is_reduced[n++] = marked[i];
        }
        stride *= dim;
    }
    l.run = n == 0 || is_reduced[0];
    for (int i = n - 1; i >= 0; i--) { /* outermost first */
        if (is_reduced[i]) {
            l.reduced[l.reduced_count++] = all[i];
            l.reduced_size *= all[i].dim;
        } else if (i == 0) {
            l.inner = all[i].dim;
        } else {
            l.kept[l.kept_count++] = all[i];
            l.outer *= all[i].dim;
        }
    }
    if (l.reduced_count == 0) /* one "reduced" position: the last loop needs a group */
        l.reduced[l.reduced_count++] = (struct group){1, 1};
    l.tiles = l.inner / TILE + (l.inner % TILE != 0);
    return l;
}

static size_t outer_offset(const struct layout *l, size_t position) {
    size_t offset = 0;
    for (int i = l->kept_count - 1; i >= 0; i--) {
        offset += position % l->kept[i].dim * l->kept[i].stride;
        position /= l->kept[i].dim;
    }
    return offset;
}

/* Steps through the reduced groups but the last. Starts at all zeros; false when through. */
static bool odometer(const struct layout *l, size_t *at, size_t *offset) {
    for (int i = l->reduced_count - 2; i >= 0; i--) {
        *offset += l->reduced[i].stride;
        if (++at[i] < l->reduced[i].dim)
            return true;
        *offset -= l->reduced[i].dim * l->reduced[i].stride;
        at[i] = 0;
    }
    return false;
}

/* WALK(T, STEP): applies STEP(accumulator index k, element x) to every element that unit `u`
 * covers. Where the last reduced group is contiguous it fills lanes, else one accumulator for each
 * of the w neighbouring outputs. */
#define WALK(T, STEP)                                                                              \
    do {                                                                                           \
        size_t at_[GROUPS] = {0}, offset_ = start;                                                 \
        const struct group last_ = l->reduced[l->reduced_count - 1];                               \
        if (l->reduced_size == 0)                                                                  \
            break;                                                                                 \
        do {                                                                                       \
            const T *p_ = from + offset_;                                                          \
            if (l->run) {                                                                          \
                size_t i_ = 0;                                                                     \
                for (; i_ + LANES <= last_.dim; i_ += LANES)                                       \
                    for (size_t k = 0; k < LANES; k++) {                                           \
                        const T x = p_[i_ + k];                                                    \
                        STEP;                                                                      \
                    }                                                                              \
                for (size_t k = 0; i_ < last_.dim; i_++, k++) {                                    \
                    const T x = p_[i_];                                                            \
                    STEP;                                                                          \
                }                                                                                  \
            } else {                                                                               \
                for (size_t i_ = 0; i_ < last_.dim; i_++, p_ += last_.stride)                      \
                    for (size_t k = 0; k < w; k++) {                                               \
                        const T x = p_[k];                                                         \
                        STEP;                                                                      \
                    }                                                                              \
            }                                                                                      \
        } while (odometer(l, at_, &offset_));                                                      \
    } while (0)

/* UNITS(...): the frame of every kernel. BODY leaves w results in acc[0..w). */
#define UNITS(T, BODY)                                                                             \
    const struct job *job = arg;                                                                   \
    const struct layout *l = &job->l;                                                              \
    const T *from = job->from;                                                                     \
    T *to = job->to;                                                                               \
    for (size_t u = begin; u < end; u++) {                                                         \
        size_t position = u / l->tiles, tile = u % l->tiles * TILE;                                \
        size_t w = l->inner - tile < TILE ? l->inner - tile : TILE;                                \
        size_t start = outer_offset(l, position) + tile;                                           \
        size_t lanes = l->run ? LANES : w;                                                         \
        T *out = to + position * l->inner + tile;                                                  \
        BODY                                                                                       \
    }

#define FOLD(COMBINE)                                                                              \
    if (l->run)                                                                                    \
        for (size_t k = 1; k < LANES; k++) {                                                       \
            acc[0] = COMBINE(acc[0], acc[k]);                                                      \
        }

#define ADD(a, b) ((a) + (b))
#define MULTIPLY(a, b) ((a) * (b))
/* NaN wins: it is not less than anything, nor equal to itself. */
#define LARGER(a, b) ((b) > (a) || (b) != (b) ? (b) : (a))
#define SMALLER(a, b) ((b) < (a) || (b) != (b) ? (b) : (a))

/* ACCUMULATE(name, T, A, init, step, combine, finish) */
#define ACCUMULATE(name, T, A, INIT, STEP, COMBINE, FINISH)                                        \
    static void name(void *arg, size_t begin, size_t end) {                                        \
        UNITS(T, {                                                                                 \
            A acc[TILE];                                                                           \
            for (size_t k = 0; k < lanes; k++)                                                     \
                acc[k] = (A)(INIT);                                                                \
            WALK(T, STEP);                                                                         \
            FOLD(COMBINE)                                                                          \
            for (size_t k = 0; k < w; k++)                                                         \
                out[k] = (T)FINISH(job, acc[k]);                                                   \
        })                                                                                         \
    }

/* log(sum(exp(x))) in two walks: the largest first, so that nothing overflows. A largest value that
 * is not finite needs no shift: the sum is then inf, 0 or NaN by itself. */
#define LOG_SUM_EXP_KERNEL(name, T, FINISH)                                                        \
    static void name(void *arg, size_t begin, size_t end) {                                        \
        UNITS(T, {                                                                                 \
            double top[TILE];                                                                      \
            double acc[TILE];                                                                      \
            for (size_t k = 0; k < lanes; k++)                                                     \
                top[k] = -INFINITY;                                                                \
            WALK(T, top[k] = (double)x > top[k] ? (double)x : top[k]);                             \
            if (l->run)                                                                            \
                for (size_t k = 1; k < LANES; k++)                                                 \
                    top[0] = top[k] > top[0] ? top[k] : top[0];                                    \
            for (size_t k = 0; k < lanes; k++) {                                                   \
                top[k] = l->run ? top[0] : top[k];                                                 \
                top[k] = isfinite(top[k]) ? top[k] : 0;                                            \
                acc[k] = 0;                                                                        \
            }                                                                                      \
            WALK(T, acc[k] += exp((double)x - top[k]));                                            \
            FOLD(ADD)                                                                              \
            for (size_t k = 0; k < w; k++)                                                         \
                out[k] = FINISH(log(acc[k]) + top[k]);                                             \
        })                                                                                         \
    }

static double finish_real(const struct job *job, double v) {
    switch (job->kind) {
    case MEAN:
        return v / (double)job->l.reduced_size;
    case L2:
        return sqrt(v);
    case LOG_SUM:
        return log(v);
    default:
        return v;
    }
}

/* A whole number nearest to zero from v, within 64 bits; NaN gives 0. */
static int64_t whole(double v) {
    if (v >= 9223372036854775807.0)
        return INT64_MAX;
    if (v <= -9223372036854775808.0)
        return INT64_MIN;
    return v == v ? (int64_t)v : 0;
}

static int64_t finish_signed(const struct job *job, uint64_t v) {
    int64_t n = (int64_t)v;
    switch (job->kind) {
    case MEAN:
        return job->l.reduced_size ? (int64_t)(n / (int64_t)job->l.reduced_size) : 0;
    case L2:
        return whole(sqrt((double)n));
    case LOG_SUM:
        return whole(log((double)n));
    default:
        return n;
    }
}

static uint64_t finish_unsigned(const struct job *job, uint64_t v) {
    switch (job->kind) {
    case MEAN:
        return job->l.reduced_size ? v / job->l.reduced_size : 0;
    case L2:
        return (uint64_t)whole(sqrt((double)v));
    case LOG_SUM:
        return (uint64_t)whole(log((double)v));
    default:
        return v;
    }
}

#define FINISH_EXTREME(job, v) ((job)->logical ? (v) != 0 : (v))
#define FINISH_FLOAT_EXTREME(job, v) (v)

#define FLOAT_KERNELS(name, T)                                                                     \
    ACCUMULATE(sum_##name, T, double, 0, acc[k] += (double)x, ADD, finish_real)                    \
    ACCUMULATE(prod_##name, T, double, 1, acc[k] *= (double)x, MULTIPLY, finish_real)              \
    ACCUMULATE(l1_##name, T, double, 0, acc[k] += fabs((double)x), ADD, finish_real)               \
    ACCUMULATE(square_##name, T, double, 0, acc[k] += (double)x * (double)x, ADD, finish_real)     \
    ACCUMULATE(max_##name, T, T, -INFINITY, acc[k] = LARGER(acc[k], x), LARGER,                    \
               FINISH_FLOAT_EXTREME)                                                               \
    ACCUMULATE(min_##name, T, T, INFINITY, acc[k] = SMALLER(acc[k], x), SMALLER,                   \
               FINISH_FLOAT_EXTREME)                                                               \
    LOG_SUM_EXP_KERNEL(lse_##name, T, (T))

#define INT_KERNELS(name, T, WIDE, LEAST, MOST, FINISH)                                            \
    ACCUMULATE(sum_##name, T, uint64_t, 0, acc[k] += (uint64_t)(WIDE)x, ADD, FINISH)               \
    ACCUMULATE(prod_##name, T, uint64_t, 1, acc[k] *= (uint64_t)(WIDE)x, MULTIPLY, FINISH)         \
    ACCUMULATE(l1_##name, T, uint64_t, 0, acc[k] += magnitude((uint64_t)(WIDE)x, x < 1), ADD,      \
               FINISH)                                                                             \
    ACCUMULATE(square_##name, T, uint64_t, 0, acc[k] += (uint64_t)(WIDE)x * (uint64_t)(WIDE)x,     \
               ADD, FINISH)                                                                        \
    ACCUMULATE(max_##name, T, T, LEAST, acc[k] = LARGER(acc[k], x), LARGER, FINISH_EXTREME)        \
    ACCUMULATE(min_##name, T, T, MOST, acc[k] = SMALLER(acc[k], x), SMALLER, FINISH_EXTREME)       \
    LOG_SUM_EXP_KERNEL(lse_##name, T, (T)whole)

static inline uint64_t magnitude(uint64_t v, bool negative) {
    return negative ? (uint64_t)0 - v : v;
}

FLOAT_KERNELS(FLOAT, float)
FLOAT_KERNELS(DOUBLE, double)
INT_KERNELS(INT8, int8_t, int64_t, INT8_MIN, INT8_MAX, finish_signed)
INT_KERNELS(INT16, int16_t, int64_t, INT16_MIN, INT16_MAX, finish_signed)
INT_KERNELS(INT32, int32_t, int64_t, INT32_MIN, INT32_MAX, finish_signed)
INT_KERNELS(INT64, int64_t, int64_t, INT64_MIN, INT64_MAX, finish_signed)
INT_KERNELS(UINT8, uint8_t, uint64_t, 0, UINT8_MAX, finish_unsigned)
INT_KERNELS(UINT16, uint16_t, uint64_t, 0, UINT16_MAX, finish_unsigned)
INT_KERNELS(UINT32, uint32_t, uint64_t, 0, UINT32_MAX, finish_unsigned)
INT_KERNELS(UINT64, uint64_t, uint64_t, 0, UINT64_MAX, finish_unsigned)

/* ---- choice ---- */

static threads_fn *kernel_of(enum dtype dtype, enum kind kind) {
#define CASE(name, type)                                                                           \
    case DTYPE_##name:                                                                             \
        return kind == PROD                       ? prod_##name                                    \
               : kind == MAX                      ? max_##name                                     \
               : kind == MIN                      ? min_##name                                     \
               : kind == L1                       ? l1_##name                                      \
               : kind == L2 || kind == SUM_SQUARE ? square_##name                                  \
               : kind == LOG_SUM_EXP              ? lse_##name                                     \
                                                  : sum_##name;
    switch (dtype) {
        TYPES_NUMBER(CASE)
    default:
        return kind == MAX ? max_UINT8 : min_UINT8; /* bool: only the extremes take it */
    }
#undef CASE
}

static enum status reduce_run(struct op_ctx *c, enum kind kind, int input_from) {
    const struct tensor *x = op_in(c, 0);
    struct tensor *y = op_out(c, 0);
    if (!y || y->count == 0)
        return STATUS_OK;
    bool marked[TENSOR_MAX_RANK], none = false;
    enum status s = axes_marked(c, op_opset(c) >= input_from, marked, &none);
    if (s != STATUS_OK)
        return s;
    if (none) {
        memcpy(y->data, x->data, x->bytes);
        return STATUS_OK;
    }
    struct job job = {.l = layout_of(x, marked), .kind = kind, .logical = x->dtype == DTYPE_BOOL};
    bool narrow = x->dtype == DTYPE_FLOAT16 || x->dtype == DTYPE_BFLOAT16;
    const float *from = NULL;
    float *to = NULL;
    if (narrow) {
        s = op_pair_f32(c, &from, &to);
        if (s != STATUS_OK)
            return s;
    }
    job.from = narrow ? (const void *)from : x->data;
    job.to = narrow ? (void *)to : y->data;
    size_t unit = job.l.reduced_size * (job.l.inner < TILE ? job.l.inner : TILE);
    op_parallel(c, job.l.outer * job.l.tiles, unit >= WORK_GRAIN ? 1 : WORK_GRAIN / (unit + 1) + 1,
                kernel_of(narrow ? DTYPE_FLOAT : x->dtype, kind), &job);
    if (narrow)
        op_out_f32_done(c, 0, to);
    return STATUS_OK;
}

#define REDUCE(name, kind, from)                                                                   \
    static enum status name##_run(struct op_ctx *c) {                                              \
        return reduce_run(c, kind, from);                                                          \
    }

REDUCE(sum, SUM, 13)
REDUCE(mean, MEAN, 18)
REDUCE(prod, PROD, 18)
REDUCE(max, MAX, 18)
REDUCE(min, MIN, 18)
REDUCE(l1, L1, 18)
REDUCE(l2, L2, 18)
REDUCE(sum_square, SUM_SQUARE, 18)
REDUCE(log_sum, LOG_SUM, 18)
REDUCE(log_sum_exp, LOG_SUM_EXP, 18)

/* Axes were an attribute up to opset 17 (ReduceSum: up to 12), an input from then on. */
#define ROWS(op, run_, at, attribute_, input_)                                                     \
    {.name = op, .since = 1, .infer = attribute_, .run = run_}, {                                  \
        .name = op, .since = at, .infer = input_, .run = run_                                      \
    }

const struct op_row op_family_reduce[] = {
    ROWS("ReduceSum", sum_run, 13, infer_attribute, infer_input),
    ROWS("ReduceMean", mean_run, 18, infer_attribute, infer_input),
    ROWS("ReduceProd", prod_run, 18, infer_attribute, infer_input),
    ROWS("ReduceMax", max_run, 18, infer_extreme_attribute, infer_extreme_input),
    ROWS("ReduceMin", min_run, 18, infer_extreme_attribute, infer_extreme_input),
    ROWS("ReduceL1", l1_run, 18, infer_attribute, infer_input),
    ROWS("ReduceL2", l2_run, 18, infer_attribute, infer_input),
    ROWS("ReduceSumSquare", sum_square_run, 18, infer_attribute, infer_input),
    ROWS("ReduceLogSum", log_sum_run, 18, infer_attribute, infer_input),
    ROWS("ReduceLogSumExp", log_sum_exp_run, 18, infer_attribute, infer_input),
    OP_END,
};
