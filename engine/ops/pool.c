/* MaxPool, AveragePool, LpPool and the global ones.
 *
 * Each plane (one channel of one image) is pooled on its own; planes run side by side. The kernel
 * is clipped to the input once per output position, so padding is never read. double is computed in
 * double, float16 and bfloat16 in float. */
#include "engine/ops/window.h"

#include <float.h>
#include <math.h>

/* ---- infer ---- */

static enum status window_of(struct op_ctx *c, struct window *w) {
    return window_parse(c, op_in(c, 0), NULL, true, w);
}

static enum status infer_window(struct op_ctx *c, uint32_t types, bool indices) {
    enum status s = op_need(c, 0);
    if (s == STATUS_OK)
        s = op_need_dtype(c, 0, types);
    struct window w;
    if (s == STATUS_OK)
        s = window_of(c, &w);
    if (s != STATUS_OK)
        return s;
    const struct tensor *x = op_in(c, 0);
    int64_t dims[TENSOR_MAX_RANK] = {x->dims[0], x->dims[1]};
    for (int d = 0; d < w.n; d++)
        dims[2 + d] = w.out[WINDOW_DIMS - w.n + d];
    s = op_infer(c, 0, x->dtype, x->rank, dims);
    if (s == STATUS_OK && indices)
        s = op_infer(c, 1, DTYPE_INT64, x->rank, dims);
    return s;
}

static enum status max_infer(struct op_ctx *c) {
    return infer_window(c, DT_FLOATS | DT(INT8) | DT(UINT8), true);
}

static enum status average_infer(struct op_ctx *c) {
    return infer_window(c, DT_FLOATS, false);
}

static enum status lp_infer(struct op_ctx *c) {
    if (op_attr_int(c, "p", 2) < 1)
        return op_fail(c, "p is %lld, expected at least 1", (long long)op_attr_int(c, "p", 2));
    return infer_window(c, DT_FLOATS, false);
}

static enum status global_infer(struct op_ctx *c) {
    enum status s = op_need(c, 0);
    if (s == STATUS_OK)
        s = op_need_dtype(c, 0, DT_FLOATS);
    if (s == STATUS_OK)
        s = op_need_rank(c, 0, 2, TENSOR_MAX_RANK);
    if (s == STATUS_OK && op_attr_int(c, "p", 2) < 1)
        return op_fail(c, "p is %lld, expected at least 1", (long long)op_attr_int(c, "p", 2));
    if (s != STATUS_OK)
        return s;
    const struct tensor *x = op_in(c, 0);
    int64_t dims[TENSOR_MAX_RANK];
    for (int d = 0; d < x->rank; d++)
        dims[d] = d < 2 ? x->dims[d] : 1;
    return op_infer(c, 0, x->dtype, x->rank, dims);
}

/* ---- windows ---- */

struct job {
    const struct window *w;
    const void *x;
    void *y;
    int64_t *indices; /* MaxPool: where the largest was, or NULL */
    bool by_column;   /* indices count the first spatial dimension fastest */
    bool padded;      /* AveragePool: padding counts in the divisor */
    double p;         /* LpPool */
};

/* Flat position of input element (z, y, x) in its plane as MaxPool reports it. */
static int64_t position(const struct job *j, int64_t z, int64_t y, int64_t x) {
    const struct window *w = j->w;
    if (!j->by_column)
        return (z * w->in[1] + y) * w->in[2] + x;
    /* Missing dimensions in front have size 1 and index 0, so they drop out. */
    return z + w->in[0] * (y + w->in[1] * x);
}

/* Loops over the output positions (o counts them) and, inside, over the kernel positions within the
 * input: `start`, then `step` with input index `at`, then `finish`. */
#define EACH_WINDOW(w, start, step, finish)                                                        \
    for (int64_t oz = 0, o = 0; oz < (w)->out[0]; oz++) {                                          \
        const struct window_span sz = window_span(w, 0, oz);                                       \
        for (int64_t oy = 0; oy < (w)->out[1]; oy++) {                                             \
            const struct window_span sy = window_span(w, 1, oy);                                   \
            for (int64_t ox = 0; ox < (w)->out[2]; ox++, o++) {                                    \
                const struct window_span sx = window_span(w, 2, ox);                               \
                start;                                                                             \
                for (int64_t kz = sz.first, iz = sz.at; kz < sz.last;                              \
                     kz++, iz += (w)->dilation[0])                                                 \
                    for (int64_t ky = sy.first, iy = sy.at; ky < sy.last;                          \
                         ky++, iy += (w)->dilation[1]) {                                           \
                        const int64_t line = (iz * (w)->in[1] + iy) * (w)->in[2];                  \
                        for (int64_t kx = sx.first, ix = sx.at; kx < sx.last;                      \
                             kx++, ix += (w)->dilation[2]) {                                       \
                            const int64_t at = line + ix;                                          \
                            step;                                                                  \
                        }                                                                          \
                    }                                                                              \
                finish;                                                                            \
            }                                                                                      \
        }                                                                                          \
    }

#define MAX_POOL(suffix, type, least)                                                              \
    static void max_##suffix(void *arg, size_t begin, size_t end) {                                \
        const struct job *j = arg;                                                                 \
        const struct window *w = j->w;                                                             \
        for (size_t plane = begin; plane < end; plane++) {                                         \
            const type *x = (const type *)j->x + plane * (size_t)w->in_size;                       \
            type *y = (type *)j->y + plane * (size_t)w->out_size;                                  \
            int64_t *index = j->indices ? j->indices + plane * (size_t)w->out_size : NULL;         \
            type best = least;                                                                     \
            int64_t z = 0, v = 0, u = 0;                                                           \
            bool any = false;                                                                      \
            EACH_WINDOW(                                                                           \
                w, (best = least, any = false, z = v = u = 0),                                     \
                if (!any || x[at] > best) {                                                        \
                    any = true;                                                                    \
                    best = x[at];                                                                  \
                    z = iz;                                                                        \
                    v = iy;                                                                        \
                    u = ix;                                                                        \
                },                                                                                 \
                y[o] = best;                                                                       \
                if (index) index[o] = (int64_t)plane * w->in_size + position(j, z, v, u))          \
        }                                                                                          \
    }
MAX_POOL(f32, float, -FLT_MAX)
MAX_POOL(f64, double, -DBL_MAX)
MAX_POOL(i8, int8_t, INT8_MIN)
MAX_POOL(u8, uint8_t, 0)

/* Kernel positions that lie in the input or its padding: with ceil_mode the last window may reach
 * past the padding, and what lies there never counts. */
static int64_t padded_positions(const struct window *w, int64_t oz, int64_t oy, int64_t ox) {
    const int64_t o[WINDOW_DIMS] = {oz, oy, ox};
    int64_t product = 1;
    for (int d = 0; d < WINDOW_DIMS; d++) {
        const int64_t room = w->in[d] + w->end[d] + w->begin[d] - o[d] * w->stride[d];
        const int64_t fit = (room + w->dilation[d] - 1) / w->dilation[d];
        product *= fit < w->kernel[d] ? fit : w->kernel[d];
    }
    return product;
}

#define AVERAGE_POOL(suffix, type)                                                                 \
    static void average_##suffix(void *arg, size_t begin, size_t end) {                            \
        const struct job *j = arg;                                                                 \
        const struct window *w = j->w;                                                             \
        for (size_t plane = begin; plane < end; plane++) {                                         \
            const type *x = (const type *)j->x + plane * (size_t)w->in_size;                       \
            type *y = (type *)j->y + plane * (size_t)w->out_size;                                  \
            type sum = 0;                                                                          \
            int64_t count = 0;                                                                     \
            EACH_WINDOW(w, (sum = 0, count = 0), (sum += x[at], count++),                          \
                        if (j->padded) count = padded_positions(w, oz, oy, ox);                    \
                        y[o] = count > 0 ? sum / (type)count : 0)                                  \
        }                                                                                          \
    }
AVERAGE_POOL(f32, float)
AVERAGE_POOL(f64, double)

#define LP_POOL(suffix, type, fabs_, pow_)                                                         \
    static void lp_##suffix(void *arg, size_t begin, size_t end) {                                 \
        const struct job *j = arg;                                                                 \
        const struct window *w = j->w;                                                             \
        const type p = (type)j->p;                                                                 \
        for (size_t plane = begin; plane < end; plane++) {                                         \
            const type *x = (const type *)j->x + plane * (size_t)w->in_size;                       \
            type *y = (type *)j->y + plane * (size_t)w->out_size;                                  \
            type sum = 0;                                                                          \
            EACH_WINDOW(w, sum = 0, sum += pow_(fabs_(x[at]), p), y[o] = pow_(sum, 1 / p))         \
        }                                                                                          \
    }
LP_POOL(f32, float, fabsf, powf)
LP_POOL(f64, double, fabs, pow)

struct kernels {
    threads_fn *f32, *f64, *i8, *u8;
};

/* Hands each plane to the kernel for the input's type. */
static enum status run_planes(struct op_ctx *c, const struct kernels *k, struct job *j,
                              size_t planes) {
    const struct tensor *x = op_in(c, 0);
    struct tensor *y = op_out(c, 0);
    threads_fn *fn = NULL;
    switch (x->dtype) {
    case DTYPE_DOUBLE:
        fn = k->f64;
        break;
    case DTYPE_INT8:
        fn = k->i8;
        break;
    case DTYPE_UINT8:
        fn = k->u8;
        break;
    default:
        break;
    }
    if (fn) {
        if (y)
            j->y = y->data;
        else if (!(j->y =
                       op_scratch_array(c, planes * (size_t)j->w->out_size, dtype_size(x->dtype))))
            return op_no_memory(c);
        j->x = x->data;
        op_parallel(c, planes, 1, fn, j);
        return STATUS_OK;
    }
    const float *from = NULL;
    float *to = NULL;
    enum status s = op_pair_f32(c, &from, &to);
    if (s != STATUS_OK)
        return s;
    j->x = from;
    j->y = to;
    if (!to && !(j->y = op_scratch_array(c, planes * (size_t)j->w->out_size, sizeof(float))))
        return op_no_memory(c);
    /* Planes of a small image are not worth waking anybody for. */
    size_t work = (size_t)(j->w->out_size * j->w->kernel_size) + 1;
    op_parallel(c, planes, OP_SHARED_WORK / work + 1, k->f32, j);
    if (to)
        op_out_f32_done(c, 0, to);
    return STATUS_OK;
}

static enum status run_window(struct op_ctx *c, const struct kernels *k, struct job j) {
    const struct tensor *x = op_in(c, 0);
    struct window w;
    enum status s = window_of(c, &w);
    if (s != STATUS_OK)
        return s;
    j.w = &w;
    const size_t planes = (size_t)tensor_span(x, 0, 2);
    if (planes == 0 || w.out_size == 0)
        return STATUS_OK;
    return run_planes(c, k, &j, planes);
}

/* The largest of each window, a kernel position at a time over whole output rows: no index is kept,
 * so nothing branches. */
static void max_row(const struct window *w, const float *x, float *y) {
    const int64_t s = w->stride[2];
    for (int64_t k = 0; k < w->kernel[2]; k++) {
        const int64_t at = k * w->dilation[2] - w->begin[2];
        /* A division only where the window leaves the input: rows may be short. */
        int64_t first = at < 0 ? (-at + s - 1) / s : 0, last = w->out[2];
        if ((last - 1) * s + at >= w->in[2])
            last = at >= w->in[2] ? 0 : (w->in[2] - at + s - 1) / s;
        for (int64_t o = first; o < last; o++) {
            const float v = x[o * s + at];
            y[o] = v > y[o] ? v : y[o];
        }
    }
}

/* Two by two in one pass over both input rows: what most networks have. */
static void max_row_2x2(const struct window *w, const float *above, float *y) {
    const float *below = above + w->in[2];
    const int64_t s = w->stride[2];
    for (int64_t o = 0; o < w->out[2]; o++, above += s, below += s) {
        float m = above[0] > -FLT_MAX ? above[0] : -FLT_MAX;
        m = above[1] > m ? above[1] : m;
        m = below[0] > m ? below[0] : m;
        y[o] = below[1] > m ? below[1] : m;
    }
}

static void max_rows(const struct window *w, const float *x, const struct window_span *sz,
                     int64_t oy, float *y) {
    const struct window_span sy = window_span(w, 1, oy);
    if (w->kernel[0] == 1 && sz->last == 1 && w->kernel[1] == 2 && sy.first == 0 && sy.last == 2 &&
        w->dilation[1] == 1 && w->kernel[2] == 2 && w->dilation[2] == 1 && w->begin[2] == 0 &&
        (w->out[2] - 1) * w->stride[2] + 1 < w->in[2]) {
        max_row_2x2(w, x + (sz->at * w->in[1] + sy.at) * w->in[2], y);
        return;
    }
    for (int64_t o = 0; o < w->out[2]; o++)
        y[o] = -FLT_MAX;
    for (int64_t kz = sz->first, iz = sz->at; kz < sz->last; kz++, iz += w->dilation[0])
        for (int64_t ky = sy.first, iy = sy.at; ky < sy.last; ky++, iy += w->dilation[1])
            max_row(w, x + (iz * w->in[1] + iy) * w->in[2], y);
}

static void max_rows_f32(void *arg, size_t begin, size_t end) {
    const struct job *j = arg;
    const struct window *w = j->w;
    for (size_t plane = begin; plane < end; plane++) {
        const float *x = (const float *)j->x + plane * (size_t)w->in_size;
        float *y = (float *)j->y + plane * (size_t)w->out_size;
        for (int64_t oz = 0; oz < w->out[0]; oz++) {
            const struct window_span sz = window_span(w, 0, oz);
            for (int64_t oy = 0; oy < w->out[1]; oy++, y += w->out[2])
                max_rows(w, x, &sz, oy, y);
        }
    }
}

static enum status max_run(struct op_ctx *c) {
    static const struct kernels k = {max_f32, max_f64, max_i8, max_u8};
    static const struct kernels values_only = {max_rows_f32, max_f64, max_i8, max_u8};
    struct tensor *indices = op_out(c, 1);
    return run_window(c, indices ? &k : &values_only,
                      (struct job){.indices = indices ? indices->data : NULL,
                                   .by_column = op_attr_int(c, "storage_order", 0) != 0});
}

static enum status average_run(struct op_ctx *c) {
    static const struct kernels k = {.f32 = average_f32, .f64 = average_f64};
    return run_window(c, &k, (struct job){.padded = op_attr_int(c, "count_include_pad", 0) != 0});
}

static enum status lp_run(struct op_ctx *c) {
    static const struct kernels k = {.f32 = lp_f32, .f64 = lp_f64};
    return run_window(c, &k, (struct job){.p = (double)op_attr_int(c, "p", 2)});
}

/* ---- global: one output per plane ---- */

/* Four sums side by side: short chains of additions, and a smaller rounding error. */
#define GLOBAL_AVERAGE(suffix, type)                                                               \
    static void global_average_##suffix(void *arg, size_t begin, size_t end) {                     \
        const struct job *j = arg;                                                                 \
        const int64_t n = j->w->in_size;                                                           \
        for (size_t plane = begin; plane < end; plane++) {                                         \
            const type *x = (const type *)j->x + plane * (size_t)n;                                \
            type sum[4] = {0};                                                                     \
            int64_t i = 0;                                                                         \
            for (; i + 4 <= n; i += 4)                                                             \
                for (int l = 0; l < 4; l++)                                                        \
                    sum[l] += x[i + l];                                                            \
            for (; i < n; i++)                                                                     \
                sum[0] += x[i];                                                                    \
            ((type *)j->y)[plane] = ((sum[0] + sum[1]) + (sum[2] + sum[3])) / (type)n;             \
        }                                                                                          \
    }
GLOBAL_AVERAGE(f32, float)
GLOBAL_AVERAGE(f64, double)

#define GLOBAL_FOLD(name, suffix, type, start, step, finish)                                       \
    static void name##_##suffix(void *arg, size_t begin, size_t end) {                             \
        const struct job *j = arg;                                                                 \
        const int64_t n = j->w->in_size;                                                           \
        const type p = (type)j->p;                                                                 \
        (void)p;                                                                                   \
        for (size_t plane = begin; plane < end; plane++) {                                         \
            const type *x = (const type *)j->x + plane * (size_t)n;                                \
            type r = start;                                                                        \
            for (int64_t i = 0; i < n; i++)                                                        \
                step;                                                                              \
            ((type *)j->y)[plane] = finish;                                                        \
        }                                                                                          \
    }
GLOBAL_FOLD(global_max, f32, float, -INFINITY, r = x[i] > r ? x[i] : r, r)
GLOBAL_FOLD(global_max, f64, double, -(double)INFINITY, r = x[i] > r ? x[i] : r, r)
GLOBAL_FOLD(global_lp, f32, float, 0, r += powf(fabsf(x[i]), p), powf(r, 1 / p))
GLOBAL_FOLD(global_lp, f64, double, 0, r += pow(fabs(x[i]), p), pow(r, 1 / p))

static enum status run_global(struct op_ctx *c, const struct kernels *k, double p) {
    const struct tensor *x = op_in(c, 0);
    const struct tensor *y = op_out(c, 0);
    if (!y || y->count == 0)
        return STATUS_OK;
    const struct window w = {.in_size = tensor_span(x, 2, x->rank), .out_size = 1};
    struct job j = {.w = &w, .p = p};
    return run_planes(c, k, &j, (size_t)tensor_span(x, 0, 2));
}

static enum status global_average_run(struct op_ctx *c) {
    static const struct kernels k = {.f32 = global_average_f32, .f64 = global_average_f64};
    return run_global(c, &k, 0);
}

static enum status global_max_run(struct op_ctx *c) {
    static const struct kernels k = {.f32 = global_max_f32, .f64 = global_max_f64};
    return run_global(c, &k, 0);
}

static enum status global_lp_run(struct op_ctx *c) {
    static const struct kernels k = {.f32 = global_lp_f32, .f64 = global_lp_f64};
    return run_global(c, &k, (double)op_attr_int(c, "p", 2));
}

const struct op_row op_family_pool[] = {
    {.name = "MaxPool", .since = 1, .infer = max_infer, .run = max_run},
    {.name = "AveragePool", .since = 1, .infer = average_infer, .run = average_run},
    {.name = "LpPool", .since = 1, .infer = lp_infer, .run = lp_run},
    {.name = "GlobalAveragePool", .since = 1, .infer = global_infer, .run = global_average_run},
    {.name = "GlobalMaxPool", .since = 1, .infer = global_infer, .run = global_max_run},
    {.name = "GlobalLpPool", .since = 1, .infer = global_infer, .run = global_lp_run},
    OP_END,
};
