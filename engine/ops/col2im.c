/* Col2Im: columns of sliding blocks added back into images, over one to three spatial dimensions.
 */
#include "engine/ops/real.h"
#include "engine/ops/window.h"

#define NUMBER_MAX INT32_MAX

/* One list of sizes: input i with n numbers from 1 on, into the last places of out. */
static enum status read_sizes(struct op_ctx *c, size_t i, int *n, int64_t out[WINDOW_DIMS]) {
    int64_t values[TENSOR_MAX_RANK];
    size_t count = 0;
    enum status s = op_in_ints(c, i, values, TENSOR_MAX_RANK, &count);
    if (s != STATUS_OK)
        return s;
    if (count < 1 || count > WINDOW_DIMS || (*n != 0 && count != (size_t)*n))
        return op_fail(c, "input %zu has %zu numbers, expected one for each of 1 to %d dimensions",
                       i, count, WINDOW_DIMS);
    *n = (int)count;
    for (int d = 0; d < WINDOW_DIMS; d++)
        out[d] = 1;
    for (size_t d = 0; d < count; d++) {
        if (values[d] < 1 || values[d] > NUMBER_MAX)
            return op_fail(c, "input %zu holds %lld, expected 1 to %d", i, (long long)values[d],
                           NUMBER_MAX);
        out[WINDOW_DIMS - count + d] = values[d];
    }
    return STATUS_OK;
}

static enum status read_pads(struct op_ctx *c, struct window *w) {
    const int64_t *pads = NULL;
    const size_t count = op_attr_ints(c, "pads", &pads);
    if (count != 0 && count != 2 * (size_t)w->n)
        return op_fail(c, "pads has %zu numbers, expected %d", count, 2 * w->n);
    for (size_t d = 0; d < count; d++) {
        if (pads[d] < 0 || pads[d] > NUMBER_MAX)
            return op_fail(c, "pads holds %lld, expected 0 to %d", (long long)pads[d], NUMBER_MAX);
        const bool begin = d < (size_t)w->n;
        const size_t at = WINDOW_DIMS - (size_t)w->n + (begin ? d : d - (size_t)w->n);
        *(begin ? &w->begin[at] : &w->end[at]) = pads[d];
    }
    return STATUS_OK;
}

/* The window that slides over the image: in is the image, out the number of blocks. */
static enum status parse(struct op_ctx *c, struct window *w) {
    const struct tensor *x = op_in(c, 0);
    *w = (struct window){0};
    enum status s = read_sizes(c, 1, &w->n, w->in);
    if (s == STATUS_OK)
        s = read_sizes(c, 2, &w->n, w->kernel);
    if (s == STATUS_OK)
        s = window_ints(c, "strides", w->n, 1, 1, w->stride);
    if (s == STATUS_OK)
        s = window_ints(c, "dilations", w->n, 1, 1, w->dilation);
    if (s == STATUS_OK)
        s = read_pads(c, w);
    if (s != STATUS_OK)
        return s;
    for (int d = 0; d < WINDOW_DIMS; d++) {
        const int64_t room =
            w->in[d] + w->begin[d] + w->end[d] - (w->kernel[d] - 1) * w->dilation[d] - 1;
        if (room < 0)
            return op_fail(c, "a block does not fit an image of %lld", (long long)w->in[d]);
        w->out[d] = room / w->stride[d] + 1;
    }
    if (!checked_product(w->in, WINDOW_DIMS, &w->in_size) ||
        !checked_product(w->out, WINDOW_DIMS, &w->out_size) ||
        !checked_product(w->kernel, WINDOW_DIMS, &w->kernel_size))
        return op_fail(c, "the image is too large");
    if (x->dims[1] % w->kernel_size != 0 || x->dims[2] != w->out_size)
        return op_fail(c, "input is %lld by %lld, expected a multiple of %lld by %lld",
                       (long long)x->dims[1], (long long)x->dims[2], (long long)w->kernel_size,
                       (long long)w->out_size);
    return STATUS_OK;
}

static enum status infer(struct op_ctx *c) {
    enum status s = op_need_all(c, 3);
    if (s == STATUS_OK)
        s = op_need_dtype(c, 0, DT_REAL);
    if (s == STATUS_OK)
        s = op_need_rank(c, 0, 3, 3);
    if (s != STATUS_OK)
        return s;
    if (!op_in(c, 1)->data || !op_in(c, 2)->data)
        return op_infer_later(c);
    struct window w;
    s = parse(c, &w);
    if (s != STATUS_OK)
        return s;
    const struct tensor *x = op_in(c, 0);
    int64_t dims[TENSOR_MAX_RANK] = {x->dims[0], x->dims[1] / w.kernel_size};
    for (int d = 0; d < w.n; d++)
        dims[2 + d] = w.in[WINDOW_DIMS - w.n + d];
    return op_infer(c, 0, x->dtype, 2 + w.n, dims);
}

struct job {
    struct window w;
    const double *x;
    double *y;
};

static void planes(void *arg, size_t begin, size_t end) {
    const struct job *j = arg;
    const struct window *w = &j->w;
    for (size_t p = begin; p < end; p++) {
        const double *x = j->x + p * (size_t)(w->kernel_size * w->out_size);
        double *y = j->y + p * (size_t)w->in_size;
        memset(y, 0, (size_t)w->in_size * sizeof *y);
        for (int64_t o = 0; o < w->out_size; o++) {
            const struct window_span sx = window_span(w, 2, o % w->out[2]),
                                     sy = window_span(w, 1, o / w->out[2] % w->out[1]),
                                     sz = window_span(w, 0, o / w->out[2] / w->out[1]);
            for (int64_t kz = sz.first, z = sz.at; kz < sz.last; kz++, z += w->dilation[0])
                for (int64_t ky = sy.first, v = sy.at; ky < sy.last; ky++, v += w->dilation[1])
                    for (int64_t kx = sx.first, u = sx.at; kx < sx.last; kx++, u += w->dilation[2])
                        y[(z * w->in[1] + v) * w->in[2] + u] +=
                            x[((kz * w->kernel[1] + ky) * w->kernel[2] + kx) * w->out_size + o];
        }
    }
}

static enum status run(struct op_ctx *c) {
    struct job j;
    if (!op_out(c, 0) || op_out(c, 0)->count == 0)
        return STATUS_OK;
    enum status s = parse(c, &j.w);
    if (s == STATUS_OK)
        s = real_in(c, 0, &j.x);
    if (s == STATUS_OK)
        s = real_out(c, 0, &j.y);
    if (s != STATUS_OK)
        return s;
    op_parallel(c, (size_t)(op_out(c, 0)->count / j.w.in_size), 1, planes, &j);
    real_out_done(c, 0, j.y);
    return STATUS_OK;
}

const struct op_row op_family_col2im[] = {
    {.name = "Col2Im", .since = 18, .infer = infer, .run = run},
    OP_END,
};
