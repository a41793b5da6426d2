#include "engine/ops/window.h"

#define NUMBER_MAX INT32_MAX

enum status window_ints(struct op_ctx *c, const char *name, int n, int64_t least, int64_t otherwise,
                        int64_t out[WINDOW_DIMS]) {
    for (int d = 0; d < WINDOW_DIMS; d++)
        out[d] = otherwise;
    const int64_t *values = NULL;
    const size_t count = op_attr_ints(c, name, &values);
    if (count == 0)
        return STATUS_OK;
    if (count != (size_t)n)
        return op_fail(c, "%s has %zu numbers, expected %d, one for each spatial dimension", name,
                       count, n);
    for (int d = 0; d < n; d++) {
        if (values[d] < least || values[d] > NUMBER_MAX)
            return op_fail(c, "%s holds %lld, expected %lld to %d", name, (long long)values[d],
                           (long long)least, NUMBER_MAX);
        out[WINDOW_DIMS - n + d] = values[d];
    }
    return STATUS_OK;
}

static enum status parse_pads(struct op_ctx *c, struct window *w) {
    const int64_t *values = NULL;
    const size_t count = op_attr_ints(c, "pads", &values);
    if (count == 0)
        return STATUS_OK;
    if (count != 2 * (size_t)w->n)
        return op_fail(c, "pads has %zu numbers, expected %d, two for each spatial dimension",
                       count, 2 * w->n);
    for (int d = 0; d < 2 * w->n; d++)
        if (values[d] < 0 || values[d] > NUMBER_MAX)
            return op_fail(c, "pads holds %lld, expected 0 to %d", (long long)values[d],
                           NUMBER_MAX);
    for (int d = 0; d < w->n; d++) {
        w->begin[WINDOW_DIMS - w->n + d] = values[d];
        w->end[WINDOW_DIMS - w->n + d] = values[w->n + d];
    }
    return STATUS_OK;
}

static enum status parse_kernel(struct op_ctx *c, const struct tensor *weights, struct window *w) {
    enum status s = window_ints(c, "kernel_shape", w->n, 1, weights ? 0 : 1, w->kernel);
    if (s != STATUS_OK)
        return s;
    if (!weights) {
        if (!op_attr_has(c, "kernel_shape"))
            return op_fail(c, "kernel_shape is required");
        return STATUS_OK;
    }
    for (int d = 0; d < w->n; d++) {
        const int64_t size = weights->dims[2 + d];
        int64_t *kernel = &w->kernel[WINDOW_DIMS - w->n + d];
        if (size < 1 || size > NUMBER_MAX)
            return op_fail(c, "weights have a kernel dimension of %lld, expected 1 to %d",
                           (long long)size, NUMBER_MAX);
        if (*kernel != 0 && *kernel != size)
            return op_fail(c, "kernel_shape says %lld where the weights have %lld",
                           (long long)*kernel, (long long)size);
        *kernel = size;
    }
    for (int d = 0; d < WINDOW_DIMS - w->n; d++)
        w->kernel[d] = 1;
    return STATUS_OK;
}

enum status window_parse_plain(struct op_ctx *c, const struct tensor *x,
                               const struct tensor *weights, struct window *w) {
    struct window r = {.n = x->rank - 2};
    if (r.n < 1 || r.n > WINDOW_DIMS)
        return op_fail(c, "input has %d dimensions, expected 3 to %d", x->rank, 2 + WINDOW_DIMS);
    if (weights && weights->rank != x->rank)
        return op_fail(c, "weights have %d dimensions, the input has %d", weights->rank, x->rank);
    enum status s = parse_kernel(c, weights, &r);
    if (s == STATUS_OK)
        s = window_ints(c, "strides", r.n, 1, 1, r.stride);
    if (s == STATUS_OK)
        s = window_ints(c, "dilations", r.n, 1, 1, r.dilation);
    if (s == STATUS_OK)
        s = parse_pads(c, &r);
    if (s != STATUS_OK)
        return s;
    for (int d = 0; d < WINDOW_DIMS; d++) {
        const int from = d - (WINDOW_DIMS - r.n);
        r.in[d] = from < 0 ? 1 : x->dims[2 + from];
    }
    /* tensor_shape allows large dimensions beside a zero; their products are of no use then. */
    if (!checked_product(r.in, WINDOW_DIMS, &r.in_size) ||
        !checked_product(r.kernel, WINDOW_DIMS, &r.kernel_size))
        return op_fail(c, "spatial dimensions or kernel_shape are too large");
    *w = r;
    return STATUS_OK;
}

static enum status output_size(struct op_ctx *c, struct window *w, int d, struct str auto_pad,
                               bool round_up) {
    const int64_t in = w->in[d], stride = w->stride[d];
    const int64_t reach = (w->kernel[d] - 1) * w->dilation[d] + 1;
    const bool upper = str_is(auto_pad, "SAME_UPPER");
    if (upper || str_is(auto_pad, "SAME_LOWER")) {
        w->out[d] = in / stride + (in % stride != 0);
        int64_t pad = w->out[d] > 0 ? (w->out[d] - 1) * stride + reach - in : 0;
        pad = pad < 0 ? 0 : pad;
        w->begin[d] = upper ? pad / 2 : pad - pad / 2;
        w->end[d] = pad - w->begin[d];
        return STATUS_OK;
    }
    if (str_is(auto_pad, "VALID"))
        w->begin[d] = w->end[d] = 0;
    const int64_t room = in + w->begin[d] + w->end[d] - reach;
    if (room < 0)
        return op_fail(c, "a window of %lld does not fit an input of %lld with padding %lld",
                       (long long)reach, (long long)in, (long long)(w->begin[d] + w->end[d]));
    w->out[d] = room / stride + 1;
    if (round_up && room % stride != 0) {
        /* A window that would start in the padding at the end is left out. */
        if (w->out[d] * stride < in + w->begin[d])
            w->out[d]++;
    }
    return STATUS_OK;
}

enum status window_parse(struct op_ctx *c, const struct tensor *x, const struct tensor *weights,
                         bool ceil_mode, struct window *w) {
    struct window r;
    enum status s = window_parse_plain(c, x, weights, &r);
    if (s != STATUS_OK)
        return s;
    const struct str auto_pad = op_attr_str(c, "auto_pad", "NOTSET");
    if (!str_is(auto_pad, "NOTSET") && !str_is(auto_pad, "VALID") &&
        !str_is(auto_pad, "SAME_UPPER") && !str_is(auto_pad, "SAME_LOWER"))
        return op_fail(c, "auto_pad must be NOTSET, VALID, SAME_UPPER or SAME_LOWER");
    const bool round_up = ceil_mode && op_attr_int(c, "ceil_mode", 0) != 0;
    for (int d = 0; d < WINDOW_DIMS && s == STATUS_OK; d++)
        s = output_size(c, &r, d, auto_pad, round_up);
    if (s != STATUS_OK)
        return s;
    if (!checked_product(r.out, WINDOW_DIMS, &r.out_size))
        return op_fail(c, "the output is too large");
    *w = r;
    return STATUS_OK;
}
