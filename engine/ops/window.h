/* Sliding windows over the spatial dimensions of [N, C, D1..Dn]: what convolution and pooling
 * share.
 *
 * One, two or three spatial dimensions are held as three, missing ones in front with size, kernel,
 * stride and dilation 1 and no padding, so that kernels are written once.
 *
 * Attributes and shapes are hostile; window_parse refuses what does not fit, and what it lets pass
 * cannot overflow: sizes are below 2^62, all other numbers below 2^31. */
#ifndef ENGINE_OPS_WINDOW_H
#define ENGINE_OPS_WINDOW_H

#include "engine/ops/op.h"

#define WINDOW_DIMS 3

struct window {
    int n; /* spatial dimensions of the model, 1 to 3: the last n of these arrays */
    int64_t in[WINDOW_DIMS], out[WINDOW_DIMS];
    int64_t kernel[WINDOW_DIMS], stride[WINDOW_DIMS], dilation[WINDOW_DIMS];
    int64_t begin[WINDOW_DIMS], end[WINDOW_DIMS]; /* padding before and after */
    int64_t in_size, out_size, kernel_size;       /* products */
};

/* Reads kernel_shape, strides, dilations, pads, auto_pad and (where `ceil_mode`) ceil_mode for the
 * input x; `weights` gives the kernel's shape from its dimension 2 on, NULL: from kernel_shape
 * alone. Fills in everything, out included. */
MUST_USE enum status window_parse(struct op_ctx *c, const struct tensor *x,
                                  const struct tensor *weights, bool ceil_mode, struct window *w);
/* The same without `out`, `begin` and `end` being derived: for transposed convolution, which
 * computes them the other way round. pads are as given, 0 where absent. */
MUST_USE enum status window_parse_plain(struct op_ctx *c, const struct tensor *x,
                                        const struct tensor *weights, struct window *w);
/* An integer list attribute with one number for each spatial dimension, `least` to 2^31 - 1, into
 * the last n places of out; the others, and all where it is absent, become `otherwise`. */
MUST_USE enum status window_ints(struct op_ctx *c, const char *name, int n, int64_t least,
                                 int64_t otherwise, int64_t out[WINDOW_DIMS]);

/* The positions of the kernel along dimension d that lie inside the input, for one output position:
 * kernel indices first..last-1, the first of which reads input index `at`. */
struct window_span {
    int64_t first, last, at;
};

static inline struct window_span window_span(const struct window *w, int d, int64_t out) {
    struct window_span s;
    const int64_t start = out * w->stride[d] - w->begin[d], step = w->dilation[d];
    if (step == 1) { /* the common case, without divisions */
        s.first = start < 0 ? -start : 0;
        s.last = start >= w->in[d] ? 0 : w->in[d] - start;
    } else {
        s.first = start < 0 ? (-start + step - 1) / step : 0;
        s.last = start >= w->in[d] ? 0 : (w->in[d] - start + step - 1) / step;
    }
    if (s.last > w->kernel[d])
        s.last = w->kernel[d];
    if (s.first > s.last)
        s.first = s.last;
    s.at = start + s.first * step;
    return s;
}

#endif
