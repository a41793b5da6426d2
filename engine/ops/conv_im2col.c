#include "engine/ops/conv.h"

/* A row of the matrix (one kernel position), taken in runs along the last dimension. */
struct walk {
    const struct window *w;
    int64_t at[WINDOW_DIMS]; /* kernel index times dilation, minus padding */
    int64_t out[WINDOW_DIMS];
    int64_t left; /* output positions still to come */
};

struct run {
    int64_t from, to; /* output positions along the last dimension */
    int64_t input;    /* offset of the input row that they read; -1: it is padding */
};

static struct walk walk_start(const struct window *w, const int64_t k[WINDOW_DIMS], size_t from,
                              size_t count) {
    struct walk walk = {.w = w, .left = (int64_t)count};
    int64_t rest = (int64_t)from;
    for (int d = WINDOW_DIMS - 1; d >= 0; d--) {
        walk.at[d] = k[d] * w->dilation[d] - w->begin[d];
        if (rest) { /* small images are one tile: their rows are too short for a division each */
            walk.out[d] = rest % w->out[d];
            rest /= w->out[d];
        }
    }
    return walk;
}

static inline bool walk_next(struct walk *walk, struct run *run) {
    const struct window *w = walk->w;
    int64_t *out = walk->out;
    if (walk->left == 0)
        return false;
    run->from = out[2];
    run->to = w->out[2] - out[2] > walk->left ? out[2] + walk->left : w->out[2];
    walk->left -= run->to - run->from;
    const int64_t z = out[0] * w->stride[0] + walk->at[0], y = out[1] * w->stride[1] + walk->at[1];
    const bool inside = z >= 0 && z < w->in[0] && y >= 0 && y < w->in[1];
    run->input = inside ? (z * w->in[1] + y) * w->in[2] : -1;
    out[2] = 0;
    if (++out[1] == w->out[1]) {
        out[1] = 0;
        out[0]++;
    }
    return true;
}

/* Output positions [first, last) along the last dimension for which kernel offset `at` (kernel
 * index times dilation, minus padding) reads inside the input. */
static void inside(const struct window *w, int64_t at, int64_t *first, int64_t *last) {
    const int64_t s = w->stride[2], in = w->in[2];
    *first = at < 0 ? -at : 0;
    *last = at >= in ? 0 : in - at;
    if (s != 1) {
        *first = (*first + s - 1) / s;
        *last = (*last + s - 1) / s;
    }
}

/* Runs are often shorter than the call of a library's copy is worth. */
static inline void copy_floats(float *to, const float *from, int64_t count) {
    if (count > 32) {
        memcpy(to, from, (size_t)count * sizeof *to);
        return;
    }
    for (; count >= 4; count -= 4, to += 4, from += 4)
        __builtin_memcpy(to, from, 4 * sizeof *to);
    for (; count > 0; count--)
        *to++ = *from++;
}

static inline void zero_floats(float *to, int64_t count) {
    if (count > 8)
        memset(to, 0, (size_t)count * sizeof *to);
    else
        for (; count > 0; count--)
            *to++ = 0.0f;
}

/* One run along an output row: output positions [from, to), input row `x`, which [first, last)
 * reads inside. */
static inline void copy_run(const struct window *w, const float *x, int64_t at, int64_t first,
                            int64_t last, int64_t from, int64_t to, float *out) {
    first = first < from ? from : first > to ? to : first;
    last = last < first ? first : last > to ? to : last;
    zero_floats(out, first - from);
    if (w->stride[2] == 1) {
        copy_floats(out + (first - from), x + (first + at), last - first);
    } else {
        const int64_t stride = w->stride[2];
        for (int64_t i = first; i < last; i++)
            out[i - from] = x[i * stride + at];
    }
    zero_floats(out + (last - from), to - last);
}

/* One kernel position: its rows of the matrix, one for each of some channels, `step` apart. Where
 * the runs are is the same for all channels. */
static void rows(const struct window *w, size_t channels, const float *x,
                 const int64_t k[WINDOW_DIMS], size_t from, size_t count, float *out, size_t step) {
    struct walk walk = walk_start(w, k, from, count);
    struct run run;
    int64_t first = 0, last = 0;
    inside(w, walk.at[2], &first, &last);
    while (walk_next(&walk, &run)) {
        const int64_t length = run.to - run.from;
        for (size_t c = 0; c < channels; c++) {
            float *to = out + c * step;
            if (run.input < 0)
                zero_floats(to, length);
            else
                copy_run(w, x + c * (size_t)w->in_size + run.input, walk.at[2], first, last,
                         run.from, run.to, to);
        }
        out += length;
    }
}

/* Small planes, read with a step of one: a channel is laid once inside its padding, and its rows
 * are then whole runs without a look at where the image ends. Most of a small convolution is this.
 */
#define SMALL_PLANE 1024 /* floats of a plane with its padding */

static bool small_plane(const struct window *w, size_t from, size_t count) {
    const int64_t height = w->begin[1] + w->in[1] + w->end[1],
                  width = w->begin[2] + w->in[2] + w->end[2];
    return w->out[0] == 1 && w->kernel[0] == 1 && w->in[0] == 1 && w->begin[0] == 0 &&
           w->stride[1] == 1 && w->stride[2] == 1 && from == 0 && count == (size_t)w->out_size &&
           height <= SMALL_PLANE && width <= SMALL_PLANE && height * width <= SMALL_PLANE &&
           (w->kernel[1] - 1) * w->dilation[1] + w->out[1] <= height &&
           (w->kernel[2] - 1) * w->dilation[2] + w->out[2] <= width;
}

/* Whole runs of a length known to the compiler are one or two moves each. */
static inline float *small_rows(float *out, const float *from, int64_t count, int64_t width,
                                int64_t length) {
    for (int64_t y = 0; y < count; y++, out += length, from += width)
        __builtin_memcpy(out, from, (size_t)length * sizeof *out);
    return out;
}

static void im2col_small(const struct window *w, size_t channels, const float *x, float *out) {
    float plane[SMALL_PLANE];
    const int64_t width = w->begin[2] + w->in[2] + w->end[2], rows = w->out[1], run = w->out[2];
    const size_t size = (size_t)(width * (w->begin[1] + w->in[1] + w->end[1]));
    memset(plane, 0, size * sizeof *plane);
    for (size_t c = 0; c < channels; c++, x += w->in_size) {
        float *inner = plane + w->begin[1] * width + w->begin[2];
        for (int64_t y = 0; y < w->in[1]; y++)
            copy_floats(inner + y * width, x + y * w->in[2], w->in[2]);
        for (int64_t ky = 0; ky < w->kernel[1]; ky++)
            for (int64_t kx = 0; kx < w->kernel[2]; kx++) {
                const float *from = plane + ky * w->dilation[1] * width + kx * w->dilation[2];
                if (run == 4)
                    out = small_rows(out, from, rows, width, 4);
                else if (run == 8)
                    out = small_rows(out, from, rows, width, 8);
                else if (run == 16)
                    out = small_rows(out, from, rows, width, 16);
                else
                    for (int64_t y = 0; y < rows; y++, out += run, from += width)
                        copy_floats(out, from, run);
            }
    }
    explicit_bzero(plane, size * sizeof *plane);
}

/* Channels in blocks: few enough that what is written at once stays close. */
#define BLOCK 8

void conv_im2col(const struct window *w, size_t channels, const float *x, size_t from, size_t count,
                 float *out) {
    if (small_plane(w, from, count)) {
        im2col_small(w, channels, x, out);
        return;
    }
    const size_t step = (size_t)w->kernel_size * count;
    int64_t k[WINDOW_DIMS];
    for (size_t c = 0; c < channels; c += BLOCK, x += BLOCK * w->in_size) {
        const size_t block = channels - c < BLOCK ? channels - c : BLOCK;
        float *to = out + c * step;
        for (k[0] = 0; k[0] < w->kernel[0]; k[0]++)
            for (k[1] = 0; k[1] < w->kernel[1]; k[1]++)
                for (k[2] = 0; k[2] < w->kernel[2]; k[2]++, to += count)
                    rows(w, block, x, k, from, count, to, step);
    }
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
    struct walk walk = walk_start(w, k, from, count);
    struct run run;
    while (walk_next(&walk, &run)) {
        if (run.input >= 0)
            add_run(w, columns, walk.at[2], run.from, run.to, x + run.input);
        columns += run.to - run.from;
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
