#include "engine/ops/conv.h"

/* Output positions [first, last) along the last dimension for which kernel offset `at` (kernel
 * index times dilation, minus padding) reads inside the input. */
static void inside(const struct window *w, int64_t at, int64_t *first, int64_t *last) {
    const int64_t s = w->stride[2], in = w->in[2];
    *first = at < 0 ? (-at + s - 1) / s : 0;
    *last = at >= in ? 0 : (in - at + s - 1) / s;
}

/* One run along an output row: output positions [from, to), input row `x`. */
static void copy_run(const struct window *w, const float *x, int64_t at, int64_t from, int64_t to,
                     float *out) {
    int64_t first = 0, last = 0;
    inside(w, at, &first, &last);
    first = first < from ? from : first > to ? to : first;
    last = last < first ? first : last > to ? to : last;
    memset(out, 0, (size_t)(first - from) * sizeof *out);
    if (w->stride[2] == 1) {
        if (last > first)
            memcpy(out + (first - from), x + (first + at), (size_t)(last - first) * sizeof *out);
    } else {
        const int64_t stride = w->stride[2];
        for (int64_t i = first; i < last; i++)
            out[i - from] = x[i * stride + at];
    }
    memset(out + (last - from), 0, (size_t)(to - last) * sizeof *out);
}

/* One row of the matrix: one channel, one kernel position. */
static void row(const struct window *w, const float *x, const int64_t k[WINDOW_DIMS], size_t from,
                size_t count, float *out) {
    int64_t at[WINDOW_DIMS], o[WINDOW_DIMS];
    int64_t rest = (int64_t)from;
    for (int d = WINDOW_DIMS - 1; d >= 0; d--) {
        at[d] = k[d] * w->dilation[d] - w->begin[d];
        o[d] = rest % w->out[d];
        rest /= w->out[d];
    }
    while (count > 0) {
        int64_t end = w->out[2];
        if ((uint64_t)(end - o[2]) > count)
            end = o[2] + (int64_t)count;
        const size_t run = (size_t)(end - o[2]);
        const int64_t z = o[0] * w->stride[0] + at[0], y = o[1] * w->stride[1] + at[1];
        if (z < 0 || z >= w->in[0] || y < 0 || y >= w->in[1])
            memset(out, 0, run * sizeof *out);
        else
            copy_run(w, x + (z * w->in[1] + y) * w->in[2], at[2], o[2], end, out);
        out += run;
        count -= run;
        o[2] = 0;
        if (++o[1] == w->out[1]) {
            o[1] = 0;
            o[0]++;
        }
    }
}

void conv_im2col(const struct window *w, size_t channels, const float *x, size_t from, size_t count,
                 float *out) {
    int64_t k[WINDOW_DIMS];
    for (size_t c = 0; c < channels; c++, x += w->in_size)
        for (k[0] = 0; k[0] < w->kernel[0]; k[0]++)
            for (k[1] = 0; k[1] < w->kernel[1]; k[1]++)
                for (k[2] = 0; k[2] < w->kernel[2]; k[2]++, out += count)
                    row(w, x, k, from, count, out);
}

static void add_run(const struct window *w, const float *columns, int64_t at, int64_t from,
                    int64_t to, float *x) {
    int64_t first = 0, last = 0;
    inside(w, at, &first, &last);
    first = first < from ? from : first;
    last = last > to ? to : last;
    for (int64_t i = first; i < last; i++)
        x[i * w->stride[2] + at] += columns[i - from];
}

static void add_row(const struct window *w, const float *columns, const int64_t k[WINDOW_DIMS],
                    size_t from, size_t count, float *x) {
    int64_t at[WINDOW_DIMS], o[WINDOW_DIMS];
    int64_t rest = (int64_t)from;
    for (int d = WINDOW_DIMS - 1; d >= 0; d--) {
        at[d] = k[d] * w->dilation[d] - w->begin[d];
        o[d] = rest % w->out[d];
        rest /= w->out[d];
    }
    while (count > 0) {
        int64_t end = w->out[2];
        if ((uint64_t)(end - o[2]) > count)
            end = o[2] + (int64_t)count;
        const int64_t z = o[0] * w->stride[0] + at[0], y = o[1] * w->stride[1] + at[1];
        if (z >= 0 && z < w->in[0] && y >= 0 && y < w->in[1])
            add_run(w, columns, at[2], o[2], end, x + (z * w->in[1] + y) * w->in[2]);
        columns += end - o[2];
        count -= (size_t)(end - o[2]);
        o[2] = 0;
        if (++o[1] == w->out[1]) {
            o[1] = 0;
            o[0]++;
        }
    }
}

void conv_col2im(const struct window *w, const float *columns, size_t from, size_t count,
                 float *x) {
    int64_t k[WINDOW_DIMS];
    for (k[0] = 0; k[0] < w->kernel[0]; k[0]++)
        for (k[1] = 0; k[1] < w->kernel[1]; k[1]++)
            for (k[2] = 0; k[2] < w->kernel[2]; k[2]++, columns += count)
                add_row(w, columns, k, from, count, x);
}
