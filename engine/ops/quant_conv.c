/* ConvInteger and QLinearConv: a convolution of quantised tensors, exact, then stored as int32 or
 * scaled back. The input's zero point is taken off first, so that padding is zero; weights have one
 * zero point and scale, or one for each filter. */
#include "engine/kernels/gemm.h"
#include "engine/ops/conv.h"
#include "engine/ops/quant.h"
#include "engine/ops/real.h"

#define TILE_ELEMENTS ((size_t)128 * 1024)
#define TILE_LEAST 64

/* Where the inputs are; NONE for one that the operator does not have. */
#define NONE SIZE_MAX
struct places {
    size_t x, w, x_zero, w_zero, x_scale, w_scale, y_scale, y_zero, bias;
};

static const struct places integer = {0, 1, 2, 3, NONE, NONE, NONE, NONE, NONE};
static const struct places linear = {0, 3, 2, 5, 1, 4, 6, 7, 8};

static enum status need_count(struct op_ctx *c, size_t i, int64_t many) {
    const struct tensor *t = i == NONE ? NULL : op_in(c, i);
    if (!t || t->count == 1 || t->count == many)
        return STATUS_OK;
    return op_fail(c, "input %zu has %lld elements, expected %lld", i, (long long)t->count,
                   (long long)many);
}

static enum status infer(struct op_ctx *c) {
    const struct places *p = op_form(c);
    enum status s = op_need_all(c, p->y_zero == NONE ? 2 : 8);
    if (s == STATUS_OK)
        s = op_need_dtype(c, p->x, QUANT_BYTES);
    if (s == STATUS_OK)
        s = op_need_dtype(c, p->w, QUANT_BYTES);
    if (s == STATUS_OK)
        s = op_need_same(c, p->x_zero, p->x);
    if (s == STATUS_OK)
        s = op_need_same(c, p->w_zero, p->w);
    struct conv v;
    if (s == STATUS_OK)
        s = conv_parse(c, op_in(c, p->x), op_in(c, p->w),
                       p->bias == NONE ? NULL : op_in(c, p->bias), &v);
    if (s != STATUS_OK)
        return s;
    const int64_t filters = (int64_t)(v.groups * v.filters);
    s = need_count(c, p->x_zero, 1);
    if (s == STATUS_OK)
        s = need_count(c, p->w_zero, filters);
    int64_t dims[TENSOR_MAX_RANK];
    const int rank = conv_out_dims(&v, dims);
    if (s != STATUS_OK || p->y_zero == NONE)
        return s == STATUS_OK ? op_infer(c, 0, DTYPE_INT32, rank, dims) : s;
    const size_t scales[3] = {p->x_scale, p->w_scale, p->y_scale};
    for (size_t i = 0; i < 3 && s == STATUS_OK; i++) {
        s = op_need_dtype(c, scales[i], DT(FLOAT));
        if (s == STATUS_OK)
            s = need_count(c, scales[i], i == 1 ? filters : 1);
    }
    if (s == STATUS_OK)
        s = op_need_dtype(c, p->y_zero, QUANT_BYTES);
    if (s == STATUS_OK)
        s = need_count(c, p->y_zero, 1);
    if (s == STATUS_OK)
        s = op_need_dtype(c, p->bias, DT(INT32));
    return s == STATUS_OK ? op_infer(c, 0, op_in(c, p->y_zero)->dtype, rank, dims) : s;
}

struct job {
    struct conv v;
    const float *x; /* minus the zero point */
    double *w;      /* minus the zero points */
    float *columns; /* one tile, and the same as double */
    double *wide, *sums;
    size_t tile;
    double *scale; /* per filter; NULL: int32 */
    const int32_t *bias;
    double y_zero;
    struct tensor *y;
};

static enum status load_operands(struct op_ctx *c, const struct places *p, struct job *j) {
    const struct tensor *x = op_in(c, p->x), *w = op_in(c, p->w);
    const double *x_zero = NULL, *w_zero = NULL;
    size_t xn = 0, wn = 0;
    enum status s = quant_zero_points(c, p->x_zero, 1, &x_zero, &xn);
    if (s == STATUS_OK)
        s = quant_zero_points(c, p->w_zero, 1, &w_zero, &wn);
    if (s != STATUS_OK)
        return s;
    float *from = op_scratch_array(c, (size_t)x->count, sizeof *from);
    j->w = op_scratch_array(c, (size_t)w->count, sizeof *j->w);
    if (!from || !j->w)
        return op_no_memory(c);
    for (int64_t i = 0; i < x->count; i++) {
        const int v =
            x->dtype == DTYPE_INT8 ? ((const int8_t *)x->data)[i] : ((const uint8_t *)x->data)[i];
        from[i] = (float)v - (float)x_zero[0];
    }
    quant_load(w->dtype, w->data, (size_t)w->count, j->w);
    const int64_t each = w->dims[0] > 0 ? w->count / w->dims[0] : 1;
    for (int64_t i = 0; i < w->count; i++)
        j->w[i] -= w_zero[wn == 1 ? 0 : i / each];
    j->x = from;
    return STATUS_OK;
}

static void store_tile(const struct job *j, size_t batch, size_t group, size_t from, size_t count) {
    const struct conv *v = &j->v;
    const size_t all = (size_t)v->w.out_size;
    for (size_t f = 0; f < v->filters; f++) {
        const size_t filter = group * v->filters + f;
        const size_t to = (batch * v->groups * v->filters + filter) * all + from;
        for (size_t i = 0; i < count; i++) {
            const double sum = j->sums[f * count + i];
            if (!j->scale) {
                ((int32_t *)j->y->data)[to + i] = (int32_t)(uint32_t)(int64_t)sum;
                continue;
            }
            const double biased = sum + (j->bias ? (double)j->bias[filter] : 0.0);
            quant_store(j->y->dtype, j->y->data, to + i, (double)(float)(biased * j->scale[filter]),
                        j->y_zero);
        }
    }
}

static void run_group(const struct job *j, size_t batch, size_t group) {
    const struct conv *v = &j->v;
    const size_t k = v->channels * (size_t)v->w.kernel_size, all = (size_t)v->w.out_size;
    const float *x = j->x + (batch * v->groups + group) * v->channels * (size_t)v->w.in_size;
    for (size_t from = 0; from < all; from += j->tile) {
        const size_t count = all - from < j->tile ? all - from : j->tile;
        conv_im2col(&v->w, v->channels, x, from, count, j->columns);
        for (size_t i = 0; i < k * count; i++)
            j->wide[i] = (double)j->columns[i];
        const struct gemm_shape g = gemm_shape_of(v->filters, count, k, false, false);
        gemm_f64(&g, 1.0, j->w + group * v->filters * k, j->wide, 0.0, j->sums);
        store_tile(j, batch, group, from, count);
    }
}

static enum status load_scales(struct op_ctx *c, const struct places *p, struct job *j) {
    const double *zero = NULL;
    size_t n = 0;
    enum status s = quant_zero_points(c, p->y_zero, 1, &zero, &n);
    if (s != STATUS_OK)
        return s;
    const size_t filters = j->v.groups * j->v.filters;
    const float *x = op_in(c, p->x_scale)->data, *w = op_in(c, p->w_scale)->data,
                *y = op_in(c, p->y_scale)->data;
    j->scale = op_scratch_array(c, filters, sizeof *j->scale);
    if (!j->scale)
        return op_no_memory(c);
    for (size_t f = 0; f < filters; f++)
        j->scale[f] =
            (double)x[0] * (double)w[op_in(c, p->w_scale)->count == 1 ? 0 : f] / (double)y[0];
    j->bias = op_in(c, p->bias) ? op_in(c, p->bias)->data : NULL;
    j->y_zero = zero[0];
    return STATUS_OK;
}

static enum status run(struct op_ctx *c) {
    const struct places *p = op_form(c);
    struct job j = {.y = op_out(c, 0)};
    if (!j.y || j.y->count == 0)
        return STATUS_OK;
    enum status s = conv_parse(c, op_in(c, p->x), op_in(c, p->w), NULL, &j.v);
    if (s == STATUS_OK)
        s = load_operands(c, p, &j);
    if (s == STATUS_OK && p->y_zero != NONE)
        s = load_scales(c, p, &j);
    if (s != STATUS_OK)
        return s;
    const size_t k = j.v.channels * (size_t)j.v.w.kernel_size, all = (size_t)j.v.w.out_size;
    j.tile = k == 0 || TILE_ELEMENTS / k < TILE_LEAST ? TILE_LEAST : TILE_ELEMENTS / k;
    j.tile = j.tile < all ? j.tile : all;
    j.columns = op_scratch_array(c, k, j.tile * sizeof *j.columns);
    j.wide = op_scratch_array(c, k, j.tile * sizeof *j.wide);
    j.sums = op_scratch_array(c, j.v.filters, j.tile * sizeof *j.sums);
    if (!j.columns || !j.wide || !j.sums)
        return op_no_memory(c);
    for (size_t i = 0; i < j.v.batch * j.v.groups; i++)
        run_group(&j, i / j.v.groups, i % j.v.groups);
    return STATUS_OK;
}

const struct op_row op_family_quant_conv[] = {
    {.name = "ConvInteger", .since = 10, .infer = infer, .run = run, .form = &integer},
    {.name = "QLinearConv", .since = 10, .infer = infer, .run = run, .form = &linear},
    OP_END,
};
