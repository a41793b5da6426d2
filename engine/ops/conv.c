/* Conv: one to three spatial dimensions, groups, dilations, padding of every kind.
 *
 * Depthwise convolution is computed directly. Everything else is a matrix product with the weights
 * on the left, over a bounded tile of im2col's columns at a time (none of it for 1x1 kernels, where
 * the input is that matrix already). Constant float32 weights are packed at load.
 *
 * double is computed in double, directly; float16 and bfloat16 in float. */
#include "engine/ops/conv.h"

#include "engine/kernels/gemm.h"
#include "engine/kernels/gemm_packed.h"

#define TILE_FLOATS ((size_t)128 * 1024) /* im2col's matrix at a time: fits a core's own cache */
#define TILE_LEAST 64                    /* columns: below this the product is slow */

enum status conv_parse(struct op_ctx *c, const struct tensor *x, const struct tensor *w,
                       const struct tensor *b, struct conv *conv) {
    struct conv r;
    enum status s = window_parse(c, x, w, false, &r.w);
    if (s != STATUS_OK)
        return s;
    const int64_t groups = op_attr_int(c, "group", 1);
    if (groups < 1 || groups > INT32_MAX)
        return op_fail(c, "group is %lld, expected at least 1", (long long)groups);
    if (w->dims[0] % groups != 0)
        return op_fail(c, "%lld filters cannot be split into %lld groups", (long long)w->dims[0],
                       (long long)groups);
    if (x->dims[1] % groups != 0 || x->dims[1] / groups != w->dims[1])
        return op_fail(c, "input has %lld channels, the weights take %lld in each of %lld groups",
                       (long long)x->dims[1], (long long)w->dims[1], (long long)groups);
    if (b && (b->rank != 1 || b->dims[0] != w->dims[0]))
        return op_fail(c, "bias must have one dimension of %lld", (long long)w->dims[0]);
    r.batch = (size_t)x->dims[0];
    r.groups = (size_t)groups;
    r.channels = (size_t)w->dims[1];
    r.filters = (size_t)(w->dims[0] / groups);
    *conv = r;
    return STATUS_OK;
}

int conv_out_dims(const struct conv *conv, int64_t dims[TENSOR_MAX_RANK]) {
    dims[0] = (int64_t)conv->batch;
    dims[1] = (int64_t)(conv->groups * conv->filters);
    for (int d = 0; d < conv->w.n; d++)
        dims[2 + d] = conv->w.out[WINDOW_DIMS - conv->w.n + d];
    return 2 + conv->w.n;
}

static enum status conv_infer(struct op_ctx *c) {
    enum status s = op_need_all(c, 2);
    if (s == STATUS_OK)
        s = op_need_dtype(c, 0, DT_FLOATS);
    if (s != STATUS_OK)
        return s;
    const struct tensor *x = op_in(c, 0);
    for (size_t i = 1; i < 3 && s == STATUS_OK; i++)
        s = op_need_same(c, i, 0);
    struct conv conv;
    if (s == STATUS_OK)
        s = conv_parse(c, x, op_in(c, 1), op_in(c, 2), &conv);
    if (s != STATUS_OK)
        return s;
    int64_t dims[TENSOR_MAX_RANK];
    const int rank = conv_out_dims(&conv, dims);
    return op_infer(c, 0, x->dtype, rank, dims);
}

static size_t conv_pack_size(struct op_ctx *c) {
    return conv_weights_size(c, false);
}

static enum status conv_prepare(struct op_ctx *c) {
    return conv_weights_prepare(c, false);
}

struct job {
    const struct conv *conv;
    struct conv_operands o;
    float *columns;          /* NULL: the input is the matrix */
    size_t tile, tiles;      /* columns in a tile, tiles of one image and group */
    size_t slots, slot_size; /* floats of `columns` for each slot */
};

/* One tile of columns of one group of one image. */
static void one_tile(const struct job *j, size_t index, float *columns) {
    const struct conv *v = j->conv;
    const size_t tile = index % j->tiles, group = index / j->tiles % v->groups,
                 batch = index / j->tiles / v->groups;
    const size_t all = (size_t)v->w.out_size, from = tile * j->tile;
    const size_t count = all - from < j->tile ? all - from : j->tile;
    const size_t k = v->channels * (size_t)v->w.kernel_size;
    const float *x = j->o.x + (batch * v->groups + group) * v->channels * (size_t)v->w.in_size;
    const float *b = x + from;
    size_t ld = all;
    if (columns) {
        conv_im2col(&v->w, v->channels, x, from, count, columns);
        b = columns;
        ld = count;
    }
    float *y = j->o.y + (batch * v->groups + group) * v->filters * all + from;
    const float *bias = j->o.bias ? j->o.bias + group * v->filters : NULL;
    if (j->o.packed) {
        const struct gemm_packed_shape g = {
            .m = v->filters, .n = count, .k = k, .ld_in = ld, .ldc = all};
        gemm_packed_left(NULL, &g, j->o.packed->packed + group * j->o.packed->stride, b, bias, y);
        return;
    }
    const struct gemm_shape g = {
        .m = v->filters, .n = count, .k = k, .lda = k, .ldb = ld, .ldc = all};
    gemm_f32(&g, 1.0f, j->o.weights + group * v->filters * k, b, 0.0f, y);
    if (bias)
        for (size_t f = 0; f < v->filters; f++)
            for (size_t i = 0; i < count; i++)
                y[f * all + i] += bias[f];
}

/* A slot is a share of the tiles with columns of its own, so that slots run side by side. */
static void run_slots(void *arg, size_t begin, size_t end) {
    const struct job *j = arg;
    const size_t total = j->tiles * j->conv->groups * j->conv->batch;
    for (size_t slot = begin; slot < end; slot++)
        for (size_t i = slot; i < total; i += j->slots)
            one_tile(j, i, j->columns ? j->columns + slot * j->slot_size : NULL);
}

static void run_depthwise(void *arg, size_t begin, size_t end) {
    const struct job *j = arg;
    conv_depthwise(j->conv, j->o.x, j->o.weights, j->o.bias, j->o.y, begin, end);
}

static size_t slot_count(struct op_ctx *c, size_t work) {
    struct threads *pool = op_threads(c);
    const size_t count = pool ? threads_count(pool) : 1;
    return work < count ? work : count;
}

static enum status run_product(struct op_ctx *c, struct job *j) {
    const struct conv *v = j->conv;
    const size_t all = (size_t)v->w.out_size;
    const size_t k = v->channels * (size_t)v->w.kernel_size;
    bool pointwise = v->w.kernel_size == 1 && v->w.in_size == v->w.out_size;
    for (int d = 0; d < WINDOW_DIMS; d++)
        pointwise = pointwise && v->w.stride[d] == 1 && v->w.begin[d] == 0;
    /* A product too small to share is not worth waking anybody for. */
    const bool small = v->batch * v->groups * v->filters * k * all < OP_SHARED_WORK;
    j->slots = small ? 1 : slot_count(c, SIZE_MAX);
    j->tile = TILE_FLOATS / k < TILE_LEAST ? TILE_LEAST : TILE_FLOATS / k / 16 * 16;
    if (pointwise || v->batch * v->groups < j->slots) {
        /* Enough tiles for every thread. */
        const size_t share = (all + j->slots - 1) / j->slots;
        const size_t least = (share + 15) / 16 * 16;
        j->tile = j->tile < least ? j->tile : least;
    }
    j->tile = j->tile < all ? j->tile : all;
    j->tiles = (all + j->tile - 1) / j->tile;
    j->slots = small ? 1 : slot_count(c, j->tiles * v->groups * v->batch);
    if (!pointwise) {
        if (!checked_mul(k, j->tile, &j->slot_size))
            return op_no_memory(c);
        j->slot_size = (j->slot_size + 15) / 16 * 16;
        j->columns = op_scratch_array(c, j->slots, j->slot_size * sizeof(float));
        if (!j->columns)
            return op_no_memory(c);
    }
    op_parallel(c, j->slots, 1, run_slots, j);
    return STATUS_OK;
}

/* One output value, in double. */
static double direct_value(const struct conv *v, const double *x, const double *w, int64_t out) {
    const struct window *n = &v->w;
    const struct window_span sx = window_span(n, 2, out % n->out[2]),
                             sy = window_span(n, 1, out / n->out[2] % n->out[1]),
                             sz = window_span(n, 0, out / n->out[2] / n->out[1]);
    double sum = 0;
    for (size_t c = 0; c < v->channels; c++, x += n->in_size, w += n->kernel_size)
        for (int64_t kz = sz.first, z = sz.at; kz < sz.last; kz++, z += n->dilation[0])
            for (int64_t ky = sy.first, y = sy.at; ky < sy.last; ky++, y += n->dilation[1])
                for (int64_t kx = sx.first, i = sx.at; kx < sx.last; kx++, i += n->dilation[2])
                    sum += x[(z * n->in[1] + y) * n->in[2] + i] *
                           w[(kz * n->kernel[1] + ky) * n->kernel[2] + kx];
    return sum;
}

struct direct_job {
    const struct conv *conv;
    const double *x, *weights, *bias;
    double *y;
};

static void run_direct(void *arg, size_t begin, size_t end) {
    const struct direct_job *j = arg;
    const struct conv *v = j->conv;
    const size_t filters = v->groups * v->filters;
    for (size_t i = begin; i < end; i++) {
        const size_t filter = i % filters, group = filter / v->filters, batch = i / filters;
        const double *x = j->x + (batch * v->groups + group) * v->channels * (size_t)v->w.in_size;
        const double *w = j->weights + filter * v->channels * (size_t)v->w.kernel_size;
        for (int64_t o = 0; o < v->w.out_size; o++)
            j->y[(int64_t)i * v->w.out_size + o] =
                direct_value(v, x, w, o) + (j->bias ? j->bias[filter] : 0.0);
    }
}

static enum status run_double(struct op_ctx *c, const struct conv *conv, struct tensor *y) {
    struct direct_job j = {
        .conv = conv,
        .x = op_in(c, 0)->data,
        .weights = op_in(c, 1)->data,
        .bias = op_in(c, 2) ? op_in(c, 2)->data : NULL,
        .y = y->data,
    };
    op_parallel(c, conv->batch * conv->groups * conv->filters, 1, run_direct, &j);
    return STATUS_OK;
}

static enum status conv_run(struct op_ctx *c) {
    struct tensor *y = op_out(c, 0);
    if (!y || y->count == 0)
        return STATUS_OK;
    struct conv conv;
    enum status s = conv_parse(c, op_in(c, 0), op_in(c, 1), op_in(c, 2), &conv);
    if (s != STATUS_OK)
        return s;
    if (y->dtype == DTYPE_DOUBLE)
        return run_double(c, &conv, y);
    struct job j = {.conv = &conv};
    s = conv_operands(c, &j.o);
    if (s != STATUS_OK)
        return s;
    if (conv.channels == 0)
        conv_fill_bias(&conv, (size_t)conv.w.out_size, j.o.bias, j.o.y);
    else if (conv.channels == 1 && conv.groups > 1)
        op_parallel(c, conv.batch * conv.groups * conv.filters,
                    OP_SHARED_WORK / 2 / ((size_t)(conv.w.out_size * conv.w.kernel_size) + 1) + 1,
                    run_depthwise, &j);
    else
        s = run_product(c, &j);
    if (s == STATUS_OK)
        op_out_f32_done(c, 0, j.o.y);
    return s;
}

const struct op_row op_family_conv[] = {
    {.name = "Conv",
     .since = 1,
     .infer = conv_infer,
     .run = conv_run,
     .prepare = conv_prepare,
     .pack_size = conv_pack_size},
    OP_END,
};
