/* ConvTranspose: the product of the weights, transposed, with a bounded tile of the input's
 * columns, added into the output where a convolution over it would have read (col2im). Constant
 * float32 weights are packed at load. double is computed in double, directly. */
#include "engine/kernels/gemm.h"
#include "engine/kernels/gemm_packed.h"
#include "engine/ops/conv.h"

#define TILE_FLOATS ((size_t)256 * 1024)
#define TILE_LEAST 64

/* The convolution of which this is the transpose: w.in is our output, w.out our input; filters are
 * our output channels, channels our input channels, of one group. */
static enum status read_shape(struct op_ctx *c, struct window *w, bool *given) {
    const int64_t *values = NULL;
    const size_t count = op_attr_ints(c, "output_shape", &values);
    *given = count != 0;
    if (count == 0)
        return STATUS_OK;
    /* Batch and channels may stand in front. */
    if (count != (size_t)w->n && count != (size_t)w->n + 2)
        return op_fail(c, "output_shape has %zu numbers, expected %d", count, w->n);
    for (int d = 0; d < w->n; d++) {
        const int64_t size = values[count - (size_t)w->n + (size_t)d];
        if (size < 0 || size > INT32_MAX)
            return op_fail(c, "output_shape holds %lld, expected 0 to %d", (long long)size,
                           INT32_MAX);
        w->in[WINDOW_DIMS - w->n + d] = size;
    }
    return STATUS_OK;
}

static enum status parse_window(struct op_ctx *c, struct window *w) {
    enum status s = window_parse_plain(c, op_in(c, 0), op_in(c, 1), w);
    int64_t extra[WINDOW_DIMS];
    if (s == STATUS_OK)
        s = window_ints(c, "output_padding", w->n, 0, 0, extra);
    if (s != STATUS_OK)
        return s;
    memcpy(w->out, w->in, sizeof w->out);
    w->out_size = w->in_size;
    bool given = false;
    s = read_shape(c, w, &given);
    if (s != STATUS_OK)
        return s;
    const struct str auto_pad = op_attr_str(c, "auto_pad", "NOTSET");
    const bool upper = str_is(auto_pad, "SAME_UPPER");
    const bool same = upper || str_is(auto_pad, "SAME_LOWER");
    const bool valid = str_is(auto_pad, "VALID");
    if (!same && !valid && !str_is(auto_pad, "NOTSET"))
        return op_fail(c, "auto_pad must be NOTSET, VALID, SAME_UPPER or SAME_LOWER");
    for (int d = WINDOW_DIMS - w->n; d < WINDOW_DIMS; d++) {
        const int64_t reach = (w->kernel[d] - 1) * w->dilation[d] + 1;
        int64_t natural = 0;
        if (w->out[d] > INT64_MAX / 4 / w->stride[d])
            return op_fail(c, "the output is too large");
        natural = (w->out[d] - 1) * w->stride[d] + extra[d] + reach;
        if (given || same) {
            if (!given)
                w->in[d] = w->out[d] * w->stride[d];
            const int64_t pad = natural > w->in[d] ? natural - w->in[d] : 0;
            w->begin[d] = upper ? pad / 2 : pad - pad / 2;
        } else {
            if (valid)
                w->begin[d] = w->end[d] = 0;
            w->in[d] = natural - w->begin[d] - w->end[d];
        }
        if (w->in[d] < 0)
            return op_fail(c, "dimension %d of the output would be negative",
                           d - (WINDOW_DIMS - w->n) + 2);
    }
    if (!checked_product(w->in, WINDOW_DIMS, &w->in_size))
        return op_fail(c, "the output is too large");
    return STATUS_OK;
}

static enum status parse(struct op_ctx *c, struct conv *v) {
    const struct tensor *x = op_in(c, 0), *w = op_in(c, 1), *b = op_in(c, 2);
    struct conv r = {0};
    enum status s = parse_window(c, &r.w);
    if (s != STATUS_OK)
        return s;
    const int64_t groups = op_attr_int(c, "group", 1);
    if (groups < 1 || groups > INT32_MAX || x->dims[1] % groups != 0)
        return op_fail(c, "%lld channels cannot be split into %lld groups", (long long)x->dims[1],
                       (long long)groups);
    if (w->dims[0] != x->dims[1])
        return op_fail(c, "input has %lld channels, the weights take %lld", (long long)x->dims[1],
                       (long long)w->dims[0]);
    int64_t filters = 0;
    if (__builtin_mul_overflow(w->dims[1], groups, &filters))
        return op_fail(c, "the output is too large");
    if (b && (b->rank != 1 || b->dims[0] != filters))
        return op_fail(c, "bias must have one dimension of %lld", (long long)filters);
    r.batch = (size_t)x->dims[0];
    r.groups = (size_t)groups;
    r.channels = (size_t)(x->dims[1] / groups);
    r.filters = (size_t)w->dims[1];
    *v = r;
    return STATUS_OK;
}

static enum status infer(struct op_ctx *c) {
    enum status s = op_need_all(c, 2);
    if (s == STATUS_OK)
        s = op_need_dtype(c, 0, DT_FLOATS);
    for (size_t i = 1; i < 3 && s == STATUS_OK; i++)
        s = op_need_same(c, i, 0);
    struct conv v;
    if (s == STATUS_OK)
        s = parse(c, &v);
    if (s != STATUS_OK)
        return s;
    int64_t dims[TENSOR_MAX_RANK] = {(int64_t)v.batch, (int64_t)(v.groups * v.filters)};
    for (int d = 0; d < v.w.n; d++)
        dims[2 + d] = v.w.in[WINDOW_DIMS - v.w.n + d];
    return op_infer(c, 0, op_in(c, 0)->dtype, 2 + v.w.n, dims);
}

static size_t pack_size(struct op_ctx *c) {
    return conv_weights_size(c, true);
}

static enum status prepare(struct op_ctx *c) {
    return conv_weights_prepare(c, true);
}

/* ---- run ---- */

struct scatter {
    const struct window *w;
    const float *columns;
    float *y;
    size_t from, count;
};

static void scatter_channels(void *arg, size_t begin, size_t end) {
    const struct scatter *s = arg;
    for (size_t f = begin; f < end; f++)
        conv_col2im(s->w, s->columns + f * (size_t)s->w->kernel_size * s->count, s->from, s->count,
                    s->y + f * (size_t)s->w->in_size);
}

struct job {
    struct conv_operands o;
    float *columns;
    size_t tile;
};

static void run_group(struct op_ctx *c, const struct conv *v, const struct job *j, size_t batch,
                      size_t group) {
    const struct conv_operands *o = &j->o;
    const size_t size = (size_t)v->w.out_size, k = v->channels,
                 m = v->filters * (size_t)v->w.kernel_size;
    const float *x = o->x + (batch * v->groups + group) * k * size;
    float *y = o->y + (batch * v->groups + group) * v->filters * (size_t)v->w.in_size;
    for (size_t from = 0; from < size; from += j->tile) {
        const size_t count = size - from < j->tile ? size - from : j->tile;
        if (o->packed) {
            const struct gemm_packed_shape g = {
                .m = m, .n = count, .k = k, .ld_in = size, .ldc = count};
            gemm_packed_left(op_threads(c), &g, o->packed->packed + group * o->packed->stride,
                             x + from, NULL, j->columns);
        } else {
            const struct gemm_shape g = {.transpose_a = true,
                                         .m = m,
                                         .n = count,
                                         .k = k,
                                         .lda = m,
                                         .ldb = size,
                                         .ldc = count};
            gemm_f32(&g, 1.0f, o->weights + group * m * k, x + from, 0.0f, j->columns);
        }
        struct scatter s = {&v->w, j->columns, y, from, count};
        op_parallel(c, v->filters, 1, scatter_channels, &s);
    }
}

static enum status run_f32(struct op_ctx *c, const struct conv *v) {
    struct job j = {0};
    enum status s = conv_operands(c, &j.o);
    if (s != STATUS_OK)
        return s;
    conv_fill_bias(v, (size_t)v->w.in_size, j.o.bias, j.o.y);
    const size_t m = v->filters * (size_t)v->w.kernel_size;
    if (v->w.out_size > 0 && v->channels > 0) {
        j.tile = TILE_FLOATS / m < TILE_LEAST ? TILE_LEAST : TILE_FLOATS / m;
        j.tile = j.tile < (size_t)v->w.out_size ? j.tile : (size_t)v->w.out_size;
        j.columns = op_scratch_array(c, m, j.tile * sizeof *j.columns);
        if (!j.columns)
            return op_no_memory(c);
        for (size_t i = 0; i < v->batch * v->groups; i++)
            run_group(c, v, &j, i / v->groups, i % v->groups);
    }
    op_out_f32_done(c, 0, j.o.y);
    return STATUS_OK;
}

/* One output channel of one image, in double: every input value is spread over the kernel. */
static void spread(const struct conv *v, const double *x, const double *w, double *y) {
    const struct window *n = &v->w;
    for (size_t c = 0; c < v->channels; c++, x += n->out_size) {
        const double *kernel = w + c * v->filters * (size_t)n->kernel_size;
        for (int64_t i = 0; i < n->out_size; i++) {
            const struct window_span sx = window_span(n, 2, i % n->out[2]),
                                     sy = window_span(n, 1, i / n->out[2] % n->out[1]),
                                     sz = window_span(n, 0, i / n->out[2] / n->out[1]);
            for (int64_t kz = sz.first, z = sz.at; kz < sz.last; kz++, z += n->dilation[0])
                for (int64_t ky = sy.first, u = sy.at; ky < sy.last; ky++, u += n->dilation[1])
                    for (int64_t kx = sx.first, t = sx.at; kx < sx.last; kx++, t += n->dilation[2])
                        y[(z * n->in[1] + u) * n->in[2] + t] +=
                            x[i] * kernel[(kz * n->kernel[1] + ky) * n->kernel[2] + kx];
        }
    }
}

static void run_f64(struct op_ctx *c, const struct conv *v, struct tensor *out) {
    const size_t size = (size_t)v->w.in_size, filters = v->groups * v->filters;
    const double *bias = op_in(c, 2) ? op_in(c, 2)->data : NULL;
    for (size_t i = 0; i < v->batch * filters; i++) {
        const size_t batch = i / filters, filter = i % filters, group = filter / v->filters;
        double *y = (double *)out->data + i * size;
        for (size_t k = 0; k < size; k++)
            y[k] = bias ? bias[filter] : 0.0;
        spread(v,
               (const double *)op_in(c, 0)->data +
                   (batch * v->groups + group) * v->channels * (size_t)v->w.out_size,
               (const double *)op_in(c, 1)->data +
                   (group * v->channels * v->filters + filter % v->filters) *
                       (size_t)v->w.kernel_size,
               y);
    }
}

static enum status run(struct op_ctx *c) {
    struct tensor *y = op_out(c, 0);
    if (!y || y->count == 0)
        return STATUS_OK;
    struct conv v;
    enum status s = parse(c, &v);
    if (s != STATUS_OK)
        return s;
    if (y->dtype != DTYPE_DOUBLE)
        return run_f32(c, &v);
    run_f64(c, &v, y);
    return STATUS_OK;
}

const struct op_row op_family_conv_transpose[] = {
    {.name = "ConvTranspose",
     .since = 1,
     .infer = infer,
     .run = run,
     .prepare = prepare,
     .pack_size = pack_size},
    OP_END,
};
