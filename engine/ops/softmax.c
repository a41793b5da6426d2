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

static void softmax_row(const float *x, float *y, int64_t n) {
    float top = x[0];
    for (int64_t i = 1; i < n; i++)
        top = x[i] > top ? x[i] : top;
    for (int64_t i = 0; i < n; i++)
        y[i] = fast_expf(x[i] - top);
    const float scale = 1.0f / fast_sumf(y, n);
    for (int64_t i = 0; i < n; i++)
        y[i] *= scale;
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

LINE(softmax_strided, f32, float, SOFTMAX(float, expf))
LINE(softmax, f64, double, SOFTMAX(double, exp))
LINE(log_softmax, f32, float, LOG_SOFTMAX(float, expf, logf))
LINE(log_softmax, f64, double, LOG_SOFTMAX(double, exp, log))
LINE(hardmax, f32, float, HARDMAX)
LINE(hardmax, f64, double, HARDMAX)

static void softmax_f32(void *arg, size_t begin, size_t end) {
    const struct job *j = arg;
    if (j->inner != 1) {
        softmax_strided_f32(arg, begin, end);
        return;
    }
    for (size_t line = begin; line < end; line++)
        softmax_row((const float *)j->x + (int64_t)line * j->n,
                    (float *)j->y + (int64_t)line * j->n, j->n);
}

static enum status run(struct op_ctx *c, threads_fn *f32, threads_fn *f64) {
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
        op_parallel(c, lines, grain, f64, &j);
        return STATUS_OK;
    }
    const float *from = NULL;
    float *to = NULL;
    s = op_in_f32(c, 0, &from);
    if (s == STATUS_OK)
        s = op_out_f32(c, 0, &to);
    if (s != STATUS_OK)
        return s;
    j.x = from;
    j.y = to;
    op_parallel(c, lines, grain, f32, &j);
    op_out_f32_done(c, 0, to);
    return STATUS_OK;
}

static enum status softmax_run(struct op_ctx *c) {
    return run(c, softmax_f32, softmax_f64);
}

static enum status log_softmax_run(struct op_ctx *c) {
    return run(c, log_softmax_f32, log_softmax_f64);
}

static enum status hardmax_run(struct op_ctx *c) {
    return run(c, hardmax_f32, hardmax_f64);
}

const struct op_row op_family_softmax[] = {
    {.name = "Softmax", .since = 1, .infer = infer, .run = softmax_run},
    {.name = "LogSoftmax", .since = 1, .infer = infer, .run = log_softmax_run},
    {.name = "Hardmax", .since = 1, .infer = infer, .run = hardmax_run},
    OP_END,
};
