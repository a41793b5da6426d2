#include "engine/ops/conv.h"
#include "engine/ops/fast_vector.h"

/* y[i] += v * x[i * stride] */
static void add_row(float *restrict y, const float *restrict x, int64_t n, int64_t stride,
                    float v) {
    if (stride == 1) {
        for (int64_t i = 0; i < n; i++)
            y[i] += v * x[i];
    } else if (stride == 2) {
        for (int64_t i = 0; i < n; i++)
            y[i] += v * x[2 * i];
    } else {
        for (int64_t i = 0; i < n; i++)
            y[i] += v * x[i * stride];
    }
}

/* One output row; `weights` is the kernel's row for it. */
static void kernel_row(const struct window *w, const float *x, const float *weights, float *y) {
    const int64_t s = w->stride[2];
    for (int64_t k = 0; k < w->kernel[2]; k++) {
        const int64_t at = k * w->dilation[2] - w->begin[2];
        int64_t first = at < 0 ? (-at + s - 1) / s : 0;
        int64_t last = at >= w->in[2] ? 0 : (w->in[2] - at + s - 1) / s;
        if (last > w->out[2])
            last = w->out[2];
        if (first < last)
            add_row(y + first, x + (first * s + at), last - first, s, weights[k]);
    }
}

/* Output positions [first, last) of a row for which the whole kernel row lies inside the input. */
static void interior(const struct window *w, int64_t *first, int64_t *last) {
    const int64_t s = w->stride[2], reach = (w->kernel[2] - 1) * w->dilation[2];
    *first = (w->begin[2] + s - 1) / s;
    const int64_t room = w->in[2] + w->begin[2] - reach;
    *last = room > 0 ? (room + s - 1) / s : 0;
    *last = *last < w->out[2] ? *last : w->out[2];
    *first = *first < *last ? *first : *last;
}

/* One output row: what is needed of the input and the kernel. */
struct row {
    const struct window *w;
    const float *plane, *weights;
    float bias;
    struct window_span z, y;
    int64_t first, last; /* interior */
    float *out;
};

/* A whole output row by rows of additions: for other strides, and short rows. */
static void rows(const struct row *r) {
    const struct window *w = r->w;
    for (int64_t i = 0; i < w->out[2]; i++)
        r->out[i] = r->bias;
    for (int64_t kz = r->z.first, iz = r->z.at; kz < r->z.last; kz++, iz += w->dilation[0])
        for (int64_t ky = r->y.first, iy = r->y.at; ky < r->y.last; ky++, iy += w->dilation[1])
            kernel_row(w, r->plane + (iz * w->in[1] + iy) * w->in[2],
                       r->weights + (kz * w->kernel[1] + ky) * w->kernel[2], r->out);
}

/* Blocks of outputs kept in registers over the whole kernel, for stride 1 and 2. The last block may
 * overlap the one before it: it computes the same values again. */
#define LOAD_1(v, x) memcpy(&(v), (x), sizeof(v))
/* Every other element of 31, so that nothing past the last one is read. */
#define LOAD_2(v, x)                                                                               \
    do {                                                                                           \
        fast_v even, odd;                                                                          \
        memcpy(&even, (x), sizeof even);                                                           \
        memcpy(&odd, (x) + FAST_LANES - 1, sizeof odd);                                            \
        (v) = __builtin_shufflevector(even, odd, 0, 2, 4, 6, 8, 10, 12, 14, 17, 19, 21, 23, 25,    \
                                      27, 29, 31);                                                 \
    } while (0)

#define BLOCKS(suffix, attribute, stride)                                                          \
    attribute static void blocks_##stride##_##suffix(const struct row *r) {                        \
        const struct window *w = r->w;                                                             \
        for (int64_t at = r->first; at < r->last; at += FAST_LANES) {                              \
            const int64_t o = at + FAST_LANES <= r->last ? at : r->last - FAST_LANES;              \
            fast_v sum = (fast_v){0} + r->bias;                                                    \
            for (int64_t kz = r->z.first, iz = r->z.at; kz < r->z.last;                            \
                 kz++, iz += w->dilation[0])                                                       \
                for (int64_t ky = r->y.first, iy = r->y.at; ky < r->y.last;                        \
                     ky++, iy += w->dilation[1]) {                                                 \
                    const float *x =                                                               \
                        r->plane + (iz * w->in[1] + iy) * w->in[2] + (o * (stride)-w->begin[2]);   \
                    const float *k = r->weights + (kz * w->kernel[1] + ky) * w->kernel[2];         \
                    for (int64_t i = 0; i < w->kernel[2]; i++, x += w->dilation[2]) {              \
                        fast_v v;                                                                  \
                        LOAD_##stride(v, x);                                                       \
                        sum += k[i] * v;                                                           \
                    }                                                                              \
                }                                                                                  \
            memcpy(r->out + o, &sum, sizeof sum);                                                  \
        }                                                                                          \
    }
#define ALL(suffix, attribute) BLOCKS(suffix, attribute, 1) BLOCKS(suffix, attribute, 2)
FAST_SETS(ALL)

typedef void blocks_fn(const struct row *r);

/* NULL: no stride that the blocks are for. */
static blocks_fn *choose(int64_t stride) {
    if (stride == 1)
        return FAST_CHOOSE(blocks_1);
    return stride == 2 ? FAST_CHOOSE(blocks_2) : NULL;
}

/* Outputs [from, to), where the kernel is cut by the border. */
static void edge(const struct row *r, int64_t from, int64_t to) {
    const struct window *w = r->w;
    for (int64_t o = from; o < to; o++) {
        const struct window_span sx = window_span(w, 2, o);
        float sum = r->bias;
        for (int64_t kz = r->z.first, iz = r->z.at; kz < r->z.last; kz++, iz += w->dilation[0])
            for (int64_t ky = r->y.first, iy = r->y.at; ky < r->y.last;
                 ky++, iy += w->dilation[1]) {
                const float *x = r->plane + (iz * w->in[1] + iy) * w->in[2];
                const float *k = r->weights + (kz * w->kernel[1] + ky) * w->kernel[2];
                for (int64_t i = sx.first, ix = sx.at; i < sx.last; i++, ix += w->dilation[2])
                    sum += k[i] * x[ix];
            }
        r->out[o] = sum;
    }
}

static void channel(const struct window *w, const float *x, const float *weights, float bias,
                    float *y) {
    struct row r = {.w = w, .plane = x, .weights = weights, .bias = bias, .out = y};
    blocks_fn *blocks = choose(w->stride[2]);
    interior(w, &r.first, &r.last);
    const bool wide = blocks && r.last - r.first >= FAST_LANES;
    for (int64_t oz = 0; oz < w->out[0]; oz++) {
        r.z = window_span(w, 0, oz);
        for (int64_t oy = 0; oy < w->out[1]; oy++, r.out += w->out[2]) {
            r.y = window_span(w, 1, oy);
            if (!wide) {
                rows(&r);
                continue;
            }
            edge(&r, 0, r.first);
            blocks(&r);
            edge(&r, r.last, w->out[2]);
        }
    }
}

void conv_depthwise(const struct conv *conv, const float *x, const float *weights,
                    const float *bias, float *y, size_t begin, size_t end) {
    const size_t all = conv->groups * conv->filters;
    for (size_t i = begin; i < end; i++) {
        const size_t filter = i % all, batch = i / all;
        const size_t from = batch * conv->groups + filter / conv->filters;
        channel(&conv->w, x + from * (size_t)conv->w.in_size,
                weights + filter * (size_t)conv->w.kernel_size, bias ? bias[filter] : 0.0f,
                y + i * (size_t)conv->w.out_size);
    }
}
