/* QuantizeLinear, DequantizeLinear, DynamicQuantizeLinear.
 *
 * One scale for the tensor, for each slice along an axis, or for each block along an axis. The
 * quotient is rounded to float before it is rounded to an integer, as in float arithmetic. */
#include "engine/ops/quant.h"
#include "engine/ops/real.h"

#include <math.h>

/* The tensor as [outer, size, inner]; scale number (o * blocks + d / block) * stride + i * step. */
struct layout {
    int64_t outer, size, inner;
    int64_t block, blocks; /* rows that share scales; blocks in an outer slice */
    int64_t outer_scales;  /* scales between outer slices: 0 unless blocked */
    int64_t stride, step;  /* scales between blocks and between inner elements */
};

static enum status layout_of(struct op_ctx *c, struct layout *l) {
    const struct tensor *x = op_in(c, 0), *scale = op_in(c, 1);
    *l = (struct layout){.outer = 1, .size = 1, .inner = x->count, .block = 1, .blocks = 1};
    if (scale->rank == 0 || (scale->rank == 1 && scale->count == 1))
        return STATUS_OK;
    int axis = 0;
    enum status s = op_axis(c, "axis", op_attr_int(c, "axis", 1), x->rank, &axis);
    if (s != STATUS_OK)
        return s;
    l->outer = tensor_span(x, 0, axis);
    l->size = x->dims[axis];
    l->inner = tensor_span(x, axis + 1, x->rank);
    if (scale->rank == 1) {
        if (scale->dims[0] != l->size)
            return op_fail(c, "there are %lld scales for %lld slices along axis %d",
                           (long long)scale->dims[0], (long long)l->size, axis);
        l->blocks = l->size;
        l->stride = 1;
        return STATUS_OK;
    }
    l->block = op_attr_int(c, "block_size", 0);
    if (l->block == 0 && scale->rank == x->rank && scale->dims[axis] > 0)
        l->block = (l->size + scale->dims[axis] - 1) / scale->dims[axis];
    if (l->block < 1)
        return op_fail(c, "block_size is %lld, expected at least 1", (long long)l->block);
    l->blocks = l->size / l->block + (l->size % l->block != 0);
    bool same = scale->rank == x->rank;
    for (int d = 0; same && d < x->rank; d++)
        same = scale->dims[d] == (d == axis ? l->blocks : x->dims[d]);
    if (!same)
        return op_fail(c, "scales do not have the shape of the input in blocks of %lld",
                       (long long)l->block);
    l->stride = l->inner;
    l->step = 1;
    l->outer_scales = l->blocks * l->inner;
    return STATUS_OK;
}

static enum status check_zero_point(struct op_ctx *c) {
    const struct tensor *scale = op_in(c, 1), *zero = op_in(c, 2);
    if (zero && zero->count != scale->count)
        return op_fail(c, "there are %lld zero points for %lld scales", (long long)zero->count,
                       (long long)scale->count);
    return STATUS_OK;
}

static enum dtype output_dtype(struct op_ctx *c, enum dtype otherwise) {
    const int64_t asked = op_attr_int(c, "output_dtype", 0);
    if (asked > 0 && asked < DTYPE_COUNT)
        return (enum dtype)asked;
    return asked == 0 ? otherwise : DTYPE_NONE;
}

static enum status quantize_infer(struct op_ctx *c) {
    enum status s = op_need_all(c, 2);
    if (s == STATUS_OK)
        s = op_need_dtype(c, 0, DT_FLOATS | DT(INT32));
    if (s == STATUS_OK)
        s = op_need_dtype(c, 1, DT_FLOATS | DT(INT32) | DT(FLOAT8E8M0));
    if (s == STATUS_OK)
        s = op_need_dtype(c, 2, QUANT_INTS | QUANT_FLOATS);
    struct layout l;
    if (s == STATUS_OK)
        s = layout_of(c, &l);
    if (s == STATUS_OK)
        s = check_zero_point(c);
    if (s != STATUS_OK)
        return s;
    const struct tensor *x = op_in(c, 0), *zero = op_in(c, 2);
    const enum dtype out = output_dtype(c, zero ? zero->dtype : DTYPE_UINT8);
    if (!(((uint32_t)1 << out) & (QUANT_INTS | QUANT_FLOATS)) || (zero && zero->dtype != out))
        return op_fail(c, "output_dtype is %lld, which does not fit the zero point",
                       (long long)op_attr_int(c, "output_dtype", 0));
    return op_infer(c, 0, out, x->rank, x->dims);
}

static enum status dequantize_infer(struct op_ctx *c) {
    enum status s = op_need_all(c, 2);
    if (s == STATUS_OK)
        s = op_need_dtype(c, 0, QUANT_INTS | QUANT_FLOATS | DT(INT32));
    if (s == STATUS_OK)
        s = op_need_dtype(c, 1, DT_FLOATS | DT(FLOAT8E8M0));
    if (s == STATUS_OK)
        s = op_need_same(c, 2, 0);
    struct layout l;
    if (s == STATUS_OK)
        s = layout_of(c, &l);
    if (s == STATUS_OK)
        s = check_zero_point(c);
    if (s != STATUS_OK)
        return s;
    const struct tensor *x = op_in(c, 0);
    const enum dtype scale = op_in(c, 1)->dtype;
    const enum dtype out = output_dtype(c, scale == DTYPE_FLOAT8E8M0 ? DTYPE_FLOAT : scale);
    if (!(((uint32_t)1 << out) & DT_FLOATS))
        return op_fail(c, "output_dtype must be a floating point type");
    return op_infer(c, 0, out, x->rank, x->dims);
}

struct job {
    struct layout l;
    const double *x, *scale, *zero;
    enum dtype out;
    void *y;
    double *wide; /* dequantising: where results go */
    bool saturate;
};

/* Rows are (outer, size) pairs of `inner` elements. */
static void quantize_rows(void *arg, size_t begin, size_t end) {
    const struct job *j = arg;
    const struct layout *l = &j->l;
    const bool narrow_float = (((uint32_t)1 << j->out) & QUANT_FLOATS) != 0;
    for (size_t r = begin; r < end; r++) {
        const int64_t o = (int64_t)r / l->size, d = (int64_t)r % l->size;
        const int64_t first = o * l->outer_scales + d / l->block * l->stride;
        for (int64_t i = 0; i < l->inner; i++) {
            const size_t at = r * (size_t)l->inner + (size_t)i;
            const int64_t k = first + i * l->step;
            const float q = (float)(j->x[at] / j->scale[k]);
            if (narrow_float)
                ((uint8_t *)j->y)[at] =
                    half_f8_from_float(j->out, q + (float)j->zero[k], j->saturate);
            else
                quant_store(j->out, j->y, at, (double)q, j->zero[k]);
        }
    }
}

static void dequantize_rows(void *arg, size_t begin, size_t end) {
    const struct job *j = arg;
    const struct layout *l = &j->l;
    for (size_t r = begin; r < end; r++) {
        const int64_t o = (int64_t)r / l->size, d = (int64_t)r % l->size;
        const int64_t first = o * l->outer_scales + d / l->block * l->stride;
        for (int64_t i = 0; i < l->inner; i++) {
            const size_t at = r * (size_t)l->inner + (size_t)i;
            const int64_t k = first + i * l->step;
            j->wide[at] = (j->x[at] - j->zero[k]) * j->scale[k];
        }
    }
}

/* A single slice is cut into rows so that threads have something to share. */
static void split_plain(struct layout *l) {
    if (l->size == 1 && l->outer == 1 && l->inner > 4096 && l->inner % 4096 == 0) {
        l->size = l->inner / 4096;
        l->inner = 4096;
        l->block = l->size;
    }
}

static enum status open_job(struct op_ctx *c, struct job *j) {
    size_t zeros = 0;
    enum status s = layout_of(c, &j->l);
    if (s == STATUS_OK)
        s = real_in(c, 1, &j->scale);
    if (s == STATUS_OK)
        s = quant_zero_points(c, 2, (size_t)op_in(c, 1)->count, &j->zero, &zeros);
    split_plain(&j->l);
    j->out = op_out(c, 0)->dtype;
    j->y = op_out(c, 0)->data;
    return s;
}

static enum status quantize_run(struct op_ctx *c) {
    if (!op_out(c, 0) || op_in(c, 0)->count == 0)
        return STATUS_OK;
    struct job j = {.saturate = op_attr_int(c, "saturate", 1) != 0};
    enum status s = open_job(c, &j);
    if (s == STATUS_OK)
        s = real_in(c, 0, &j.x);
    if (s != STATUS_OK)
        return s;
    op_parallel(c, (size_t)(j.l.outer * j.l.size), 4096 / (size_t)j.l.inner + 1, quantize_rows, &j);
    return STATUS_OK;
}

static enum status dequantize_run(struct op_ctx *c) {
    const struct tensor *x = op_in(c, 0);
    if (!op_out(c, 0) || x->count == 0)
        return STATUS_OK;
    struct job j = {.saturate = true};
    enum status s = open_job(c, &j);
    double *from = op_scratch_array(c, (size_t)x->count, sizeof *from);
    if (s == STATUS_OK)
        s = real_out(c, 0, &j.wide);
    if (s != STATUS_OK || !from)
        return s != STATUS_OK ? s : op_no_memory(c);
    quant_load(x->dtype, x->data, (size_t)x->count, from);
    j.x = from;
    op_parallel(c, (size_t)(j.l.outer * j.l.size), 4096 / (size_t)j.l.inner + 1, dequantize_rows,
                &j);
    real_out_done(c, 0, j.wide);
    return STATUS_OK;
}

/* ---- DynamicQuantizeLinear: uint8, scale and zero point from the input's range ---- */

static enum status dynamic_infer(struct op_ctx *c) {
    enum status s = op_need(c, 0);
    if (s == STATUS_OK)
        s = op_need_dtype(c, 0, DT(FLOAT));
    if (s == STATUS_OK)
        s = op_infer(c, 0, DTYPE_UINT8, op_in(c, 0)->rank, op_in(c, 0)->dims);
    if (s == STATUS_OK)
        s = op_infer(c, 1, DTYPE_FLOAT, 0, NULL);
    return s == STATUS_OK ? op_infer(c, 2, DTYPE_UINT8, 0, NULL) : s;
}

static enum status dynamic_run(struct op_ctx *c) {
    const struct tensor *x = op_in(c, 0);
    const float *from = x->data;
    float least = 0, most = 0;
    for (int64_t i = 0; i < x->count; i++) {
        least = from[i] < least ? from[i] : least;
        most = from[i] > most ? from[i] : most;
    }
    const float range = (most - least) / 255.0f, scale = range > 0 ? range : 1.0f;
    uint8_t zero = 0;
    quant_store(DTYPE_UINT8, &zero, 0, (double)(0.0f - least / scale), 0);
    if (op_out(c, 0))
        for (int64_t i = 0; i < x->count; i++)
            quant_store(DTYPE_UINT8, op_out(c, 0)->data, (size_t)i, (double)(from[i] / scale),
                        (double)zero);
    if (op_out(c, 1))
        *(float *)op_out(c, 1)->data = scale;
    if (op_out(c, 2))
        *(uint8_t *)op_out(c, 2)->data = zero;
    return STATUS_OK;
}

#define MICROSOFT "com.microsoft"

const struct op_row op_family_quantize[] = {
    {.name = "QuantizeLinear", .since = 10, .infer = quantize_infer, .run = quantize_run},
    {.name = "DequantizeLinear", .since = 10, .infer = dequantize_infer, .run = dequantize_run},
    {.name = "DynamicQuantizeLinear", .since = 11, .infer = dynamic_infer, .run = dynamic_run},
    {.domain = MICROSOFT,
     .name = "QuantizeLinear",
     .since = 1,
     .infer = quantize_infer,
     .run = quantize_run},
    {.domain = MICROSOFT,
     .name = "DequantizeLinear",
     .since = 1,
     .infer = dequantize_infer,
     .run = dequantize_run},
    OP_END,
};
