#include "engine/ops/conv.h"

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

static void channel(const struct window *w, const float *x, const float *weights, float bias,
                    float *y) {
    for (int64_t oz = 0; oz < w->out[0]; oz++) {
        const struct window_span z = window_span(w, 0, oz);
        for (int64_t oy = 0; oy < w->out[1]; oy++, y += w->out[2]) {
            const struct window_span v = window_span(w, 1, oy);
            for (int64_t i = 0; i < w->out[2]; i++)
                y[i] = bias;
            for (int64_t kz = z.first, iz = z.at; kz < z.last; kz++, iz += w->dilation[0])
                for (int64_t ky = v.first, iy = v.at; ky < v.last; ky++, iy += w->dilation[1])
                    kernel_row(w, x + (iz * w->in[1] + iy) * w->in[2],
                               weights + (kz * w->kernel[1] + ky) * w->kernel[2], y);
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
