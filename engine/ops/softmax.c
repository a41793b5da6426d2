/* Softmax, LogSoftmax, Hardmax. Before opset 13 the input is one matrix, split at `axis`, and the
 * whole tail is normalised; from 13 on one dimension is.
 *
 * double is computed in double, float16 and bfloat16 in float. */
#include "engine/ops/fast_math.h"
#include "engine/ops/op.h"

#define GRAIN_ELEMENTS 8192

static int64_t axis_of(struct op_ctx *c) {
    return op_attr_int(c, "axis", op_opset(c) < 13 ? 1 : -1);
}

static enum status infer(struct op_ctx *c) {
    enum status s = op_need(c, 0);
    if (s == STATUS_OK)
        s = op_need_dtype(c, 0, DT_FLOATS);
    if (s != STATUS_OK)
        return s;
    const struct tensor *x = op_in(c, 0);
    const int64_t axis = axis_of(c);
    int at = 0;
    /* Before 13, axis == rank was legal: rows of one element. */
    if (!(op_opset(c) < 13 && axis == x->rank) && x->rank > 0) {
        s = op_axis(c, "axis", axis, x->rank, &at);
        if (s != STATUS_OK)
            return s;
    }
    return op_infer_like(c, 0, x);
}

struct job {
    const void *x;
    void *y;
    int64_t n, inner; /* elements normalised together, and the distance between them */
};

static void softmax_row(const float *x, float *y, size_t n) {
    const float scale = 1.0f / fast_exp(x, y, n, fast_max(x, n));
    for (size_t i = 0; i < n; i++)
        y[i] *= scale;
}

/* `count` lines side by side, at most LANES, so that memory is walked in order. */
#define LANES 64
static void softmax_lanes(const float *x, float *y, int64_t n, int64_t step, int64_t count) {
    float top[LANES], sum[LANES] = {0};
    memcpy(top, x, (size_t)count * sizeof *top);
    for (int64_t i = 1; i < n; i++)
        for (int64_t l = 0; l < count; l++)
            top[l] = x[i * step + l] > top[l] ? x[i * step + l] : top[l];
    for (int64_t i = 0; i < n; i++) {
        float *row = y + i * step;
        for (int64_t l = 0; l < count; l++)
            row[l] = x[i * step + l] - top[l];
        (void)fast_exp(row, row, (size_t)count, 0);
        for (int64_t l = 0; l < count; l++)
            sum[l] += row[l];
    }
    for (int64_t i = 0; i < n; i++)
        for (int64_t l = 0; l < count; l++)
            y[i * step + l] /= sum[l];
}

/* LINE(name, suffix, type, body): a kernel over lines; `body` sees n, step, x and y at the start of
 * the line, and `top`, the largest element. */
#define LINE(name, suffix, type, body)                                                             \
    static void name##_##suffix(void *arg, size_t begin, size_t end) {                             \
        const struct job *j = arg;                                                                 \
        const int64_t n = j->n, step = j->inner;                                                   \
        for (size_t line = begin; line < end; line++) {                                            \
            const int64_t outer = (int64_t)line / step,                                            \
                          at = outer * n * step + (int64_t)line % step;                            \
            const type *x = (const type *)j->x + at;                                               \
            type *y = (type *)j->y + at;                                                           \
            int64_t where = 0;                                                                     \
            for (int64_t i = 1; i < n; i++)                                                        \
                if (x[i * step] > x[where * step])                                                 \
                    where = i;                                                                     \
            const type top = x[where * step];                                                      \
            body                                                                                   \
        }                                                                                          \
    }

#define SOFTMAX(type, exp_)                                                                        \
    (void)where;                                                                                   \
    type sum = 0;                                                                                  \
    for (int64_t i = 0; i < n; i++)                                                                \
        sum += y[i * step] = exp_(x[i * step] - top);                                              \
    for (int64_t i = 0; i < n; i++)                                                                \
        y[i * step] /= sum;

#define LOG_SOFTMAX(type, exp_, log_)                                                              \
    (void)where;                                                                                   \
    type sum = 0;                                                                                  \
    for (int64_t i = 0; i < n; i++)                                                                \
        sum += exp_(x[i * step] - top);                                                            \
    const type log_sum = log_(sum);                                                                \
    for (int64_t i = 0; i < n; i++)                                                                \
        y[i * step] = x[i * step] - top - log_sum;

#define HARDMAX                                                                                    \
    (void)top;                                                                                     \
    for (int64_t i = 0; i < n; i++)                                                                \
        y[i * step] = i == where;

LINE(softmax, f64, double, SOFTMAX(double, exp))
LINE(log_softmax, f32, float, LOG_SOFTMAX(float, expf, logf))
LINE(log_softmax, f64, double, LOG_SOFTMAX(double, exp, log))
LINE(hardmax, f32, float, HARDMAX)
LINE(hardmax, f64, double, HARDMAX)

static void softmax_f32(void *arg, size_t begin, size_t end) {
    const struct job *j = arg;
    const float *x = j->x;
    float *y = j->y;
    const int64_t n = j->n, step = j->inner;
    for (int64_t line = (int64_t)begin; line < (int64_t)end;) {
        const int64_t at = line / step * n * step + line % step;
        if (step == 1) {
            softmax_row(x + at, y + at, (size_t)n);
            line++;
            continue;
        }
        int64_t count = step - line % step < LANES ? step - line % step : LANES;
        count = (int64_t)end - line < count ? (int64_t)end - line : count;
        softmax_lanes(x + at, y + at, n, step, count);
        line += count;
    }
}

struct kernels {
    threads_fn *f32, *f64;
};

static const struct kernels softmax = {softmax_f32, softmax_f64};
static const struct kernels log_softmax = {log_softmax_f32, log_softmax_f64};
static const struct kernels hardmax = {hardmax_f32, hardmax_f64};

static enum status run(struct op_ctx *c) {
    const struct kernels *kernels = op_form(c);
    const struct tensor *x = op_in(c, 0);
    struct tensor *y = op_out(c, 0);
    if (!y || x->count == 0)
        return STATUS_OK;
    const bool flat = op_opset(c) < 13;
    int64_t axis = axis_of(c);
    int at = x->rank;
    enum status s = STATUS_OK;
    if (axis != x->rank && x->rank > 0)
        s = op_axis(c, "axis", axis, x->rank, &at);
    struct job j = {.n = 1, .inner = 1};
    if (at < x->rank) {
        j.n = flat ? tensor_span(x, at, x->rank) : x->dims[at];
        j.inner = flat ? 1 : tensor_span(x, at + 1, x->rank);
    }
    const size_t lines = (size_t)(x->count / j.n);
    const size_t grain = GRAIN_ELEMENTS / (size_t)j.n + 1;
    if (s != STATUS_OK)
        return s;
    if (x->dtype == DTYPE_DOUBLE) {
        j.x = x->data;
        j.y = y->data;
        op_parallel(c, lines, grain, kernels->f64, &j);
        return STATUS_OK;
    }
    const float *from = NULL;
    float *to = NULL;
    s = op_pair_f32(c, &from, &to);
    if (s != STATUS_OK)
        return s;
    j.x = from;
    j.y = to;
    op_parallel(c, lines, grain, kernels->f32, &j);
    op_out_f32_done(c, 0, to);
    return STATUS_OK;
}

const struct op_row op_family_softmax[] = {
    {.name = "Softmax", .since = 1, .infer = infer, .run = run, .form = &softmax},
    {.name = "LogSoftmax", .since = 1, .infer = infer, .run = run, .form = &log_softmax},
    {.name = "Hardmax", .since = 1, .infer = infer, .run = run, .form = &hardmax},
    OP_END,
};
