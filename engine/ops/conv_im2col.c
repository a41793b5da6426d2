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

/* One run along an output row: output positions [from, to), input row `x`, which [first, last)
 * reads inside. */
static void copy_run(const struct window *w, const float *x, int64_t at, int64_t first,
                     int64_t last, int64_t from, int64_t to, float *out) {
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
    struct walk walk = walk_start(w, k, from, count);
    struct run run;
    int64_t first = 0, last = 0;
    inside(w, walk.at[2], &first, &last);
    while (walk_next(&walk, &run)) {
        if (run.input < 0)
            memset(out, 0, (size_t)(run.to - run.from) * sizeof *out);
        else
            copy_run(w, x + run.input, walk.at[2], first, last, run.from, run.to, out);
        out += run.to - run.from;
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
