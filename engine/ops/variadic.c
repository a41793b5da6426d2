/* Min, Max, Sum, Mean of any number of inputs; Pow, whose inputs differ in type; Clip and Where. */
#include "engine/ops/convert.h"
#include "engine/ops/elementwise.h"
#include "engine/ops/types.h"

#include <math.h>

/* NaN wins, as in numpy's maximum and minimum. */
#define MAX_OF(x, z) ((x) > (z) || (x) != (x) ? (x) : (z))
#define MIN_OF(x, z) ((x) < (z) || (x) != (x) ? (x) : (z))

#define BOTH(name, type)                                                                           \
    ELEMENTWISE_SEGMENT(max_##name, type, type, MAX_OF(x, z))                                      \
    ELEMENTWISE_SEGMENT(min_##name, type, type, MIN_OF(x, z))
TYPES_NUMBER(BOTH)
ELEMENTWISE_SEGMENT(sum_FLOAT, float, float, x + z)
ELEMENTWISE_SEGMENT(sum_DOUBLE, double, double, x + z)

#define MAX_ROW(name, type) [DTYPE_##name] = max_##name,
#define MIN_ROW(name, type) [DTYPE_##name] = min_##name,
static elementwise_segment *const max_kernels[DTYPE_COUNT] = {TYPES_NUMBER(MAX_ROW)};
static elementwise_segment *const min_kernels[DTYPE_COUNT] = {TYPES_NUMBER(MIN_ROW)};
static elementwise_segment *const sum_kernels[DTYPE_COUNT] = {
    [DTYPE_FLOAT] = sum_FLOAT, [DTYPE_DOUBLE] = sum_DOUBLE};

static enum status infer(struct op_ctx *c, uint32_t mask) {
    int64_t dims[TENSOR_MAX_RANK];
    int rank = 0;
    size_t n = op_in_count(c);
    enum status s = n == 0 ? op_fail(c, "at least one input is needed") : op_need_all(c, n);
    if (s == STATUS_OK)
        s = op_need_dtype(c, 0, mask);
    if (s != STATUS_OK)
        return s;
    struct tensor so_far = *op_in(c, 0);
    for (size_t i = 1; i < n; i++) {
        const struct tensor *in[2] = {&so_far, op_in(c, i)};
        if (in[1]->dtype != so_far.dtype)
            return op_fail(c, "input %zu has type %s, input 0 has %s", i, dtype_name(in[1]->dtype),
                           dtype_name(so_far.dtype));
        s = broadcast_shapes(c, in, 2, &rank, dims);
        if (s == STATUS_OK)
            s = tensor_shape(&so_far, so_far.dtype, rank, dims, c->error);
        if (s != STATUS_OK)
            return s;
    }
    return op_infer_like(c, 0, &so_far);
}

static enum status numbers(struct op_ctx *c) {
    return infer(c, DT_REAL);
}

static enum status floats(struct op_ctx *c) {
    return infer(c, DT_FLOATS);
}

/* Input i as the type that is computed in. */
static enum status input(struct op_ctx *c, size_t i, struct tensor *out) {
    *out = *op_in(c, i);
    if (out->dtype != DTYPE_FLOAT16 && out->dtype != DTYPE_BFLOAT16)
        return STATUS_OK;
    const float *wide = NULL;
    enum status s = op_in_f32(c, i, &wide);
    out->data = (void *)(uintptr_t)wide;
    out->dtype = DTYPE_FLOAT;
    return s;
}

ELEMENTWISE_SEGMENT(first_1, uint8_t, uint8_t, ((void)z, x))
ELEMENTWISE_SEGMENT(first_2, uint16_t, uint16_t, ((void)z, x))
ELEMENTWISE_SEGMENT(first_4, uint32_t, uint32_t, ((void)z, x))
ELEMENTWISE_SEGMENT(first_8, uint64_t, uint64_t, ((void)z, x))

static elementwise_segment *first_of(enum dtype t) {
    size_t size = dtype_size(t);
    return size == 1 ? first_1 : size == 2 ? first_2 : size == 4 ? first_4 : first_8;
}

static enum status run(struct op_ctx *c, elementwise_segment *const *kernels, bool mean) {
    struct tensor a, b, *y = op_out(c, 0);
    float *narrow = NULL;
    size_t n = op_in_count(c);
    if (!y)
        return STATUS_OK;
    struct tensor out = *y;
    enum status s = input(c, 0, &a);
    if (s == STATUS_OK && a.dtype != y->dtype) {
        s = op_out_f32(c, 0, &narrow);
        out.data = narrow;
        out.dtype = DTYPE_FLOAT;
    }
    if (s != STATUS_OK)
        return s;
    elementwise_segment *kernel = kernels[out.dtype];
    if (!kernel)
        return op_fail(c, "type %s is not served here", dtype_name(out.dtype));
    if (n == 1)
        elementwise_run(c, first_of(out.dtype), &a, &a, &out);
    for (size_t i = 1; i < n; i++) {
        s = input(c, i, &b);
        if (s != STATUS_OK)
            return s;
        elementwise_run(c, kernel, i == 1 ? &a : &out, &b, &out);
    }
    for (int64_t i = 0; mean && i < out.count; i++) {
        if (out.dtype == DTYPE_FLOAT)
            ((float *)out.data)[i] /= (float)n;
        else
            ((double *)out.data)[i] /= (double)n;
    }
    if (narrow)
        op_out_f32_done(c, 0, narrow);
    return STATUS_OK;
}

static enum status max_run(struct op_ctx *c) {
    return run(c, max_kernels, false);
}
static enum status min_run(struct op_ctx *c) {
    return run(c, min_kernels, false);
}
static enum status sum_run(struct op_ctx *c) {
    return run(c, sum_kernels, false);
}
static enum status mean_run(struct op_ctx *c) {
    return run(c, sum_kernels, true);
}

/* ---- Pow ---- */

static uint64_t integer_power(uint64_t x, int64_t n) {
    if (n < 0)
        return x == 1 ? 1 : x == UINT64_MAX ? (n & 1 ? UINT64_MAX : 1) : 0;
    uint64_t r = 1;
    for (; n > 0; n >>= 1, x *= x)
        if (n & 1)
            r *= x;
    return r;
}

ELEMENTWISE_SEGMENT(pow_f32, float, float, z == 2 ? x * x : z == 0.5f ? sqrtf(x) : powf(x, z))
ELEMENTWISE_SEGMENT(pow_f64, double, double, z == 2 ? x * x : pow(x, z))
ELEMENTWISE_SEGMENT(pow_i64, int64_t, int64_t, (int64_t)integer_power((uint64_t)x, z))

static enum status pow_infer(struct op_ctx *c) {
    enum status s = op_need_all(c, 2);
    if (s == STATUS_OK)
        s = op_need_dtype(c, 0, DT_REAL);
    if (s == STATUS_OK)
        s = op_need_dtype(c, 1, DT_REAL);
    if (s != STATUS_OK)
        return s;
    struct tensor b;
    int64_t dims[TENSOR_MAX_RANK];
    int rank = 0;
    const struct tensor *in[2] = {op_in(c, 0), &b};
    s = elementwise_legacy(c, &b);
    if (s == STATUS_OK)
        s = broadcast_shapes(c, in, 2, &rank, dims);
    return s == STATUS_OK ? op_infer(c, 0, in[0]->dtype, rank, dims) : s;
}

/* `t` as another type, in scratch where it has another. */
static enum status as_type(struct op_ctx *c, struct tensor *t, enum dtype dtype) {
    if (t->dtype == dtype)
        return STATUS_OK;
    void *data = op_scratch_array(c, (size_t)t->count, dtype_size(dtype));
    if (!data)
        return op_no_memory(c);
    convert_elements(t->dtype, t->data, dtype, data, (size_t)t->count, true);
    t->data = data;
    t->dtype = dtype;
    return STATUS_OK;
}

static enum status pow_run(struct op_ctx *c) {
    struct tensor a = *op_in(c, 0), b, *y = op_out(c, 0);
    if (!y)
        return STATUS_OK;
    enum status s = elementwise_legacy(c, &b);
    if (s != STATUS_OK)
        return s;
    bool integers = dtype_is_integer(a.dtype) && dtype_is_integer(b.dtype);
    bool narrow = a.dtype == DTYPE_FLOAT || a.dtype == DTYPE_FLOAT16 || a.dtype == DTYPE_BFLOAT16;
    enum dtype in = integers ? DTYPE_INT64 : narrow ? DTYPE_FLOAT : DTYPE_DOUBLE;
    struct tensor out = *y;
    s = as_type(c, &a, in);
    if (s == STATUS_OK)
        s = as_type(c, &b, in);
    if (s == STATUS_OK && y->dtype != in) {
        out.dtype = in;
        out.data = op_scratch_array(c, (size_t)y->count, dtype_size(in));
        if (!out.data)
            s = op_no_memory(c);
    }
    if (s != STATUS_OK)
        return s;
    elementwise_run(c, integers ? pow_i64 : narrow ? pow_f32 : pow_f64, &a, &b, &out);
    if (out.data != y->data)
        convert_elements(in, out.data, y->dtype, y->data, (size_t)y->count, true);
    return STATUS_OK;
}

/* ---- Clip: bounds are attributes before opset 11, then inputs ---- */

static enum status clip_infer(struct op_ctx *c) {
    enum status s = op_need(c, 0);
    if (s == STATUS_OK)
        s = op_need_dtype(c, 0, DT_REAL);
    for (size_t i = 1; s == STATUS_OK && i < 3; i++) {
        const struct tensor *t = op_in(c, i);
        if (t && (t->dtype != op_in(c, 0)->dtype || t->count != 1))
            return op_fail(c, "input %zu must be one %s", i, dtype_name(op_in(c, 0)->dtype));
    }
    return s == STATUS_OK ? op_infer_like(c, 0, op_in(c, 0)) : s;
}

/* NaN stays; where the bounds cross, the upper one wins (specified so since opset 13). */
#define CLIP(name, type)                                                                           \
    ELEMENTWISE_SEGMENT(clip_low_##name, type, type, x < z ? z : x)                                \
    ELEMENTWISE_SEGMENT(clip_high_##name, type, type, x > z ? z : x)
TYPES_NUMBER(CLIP)
#define LOW_ROW(name, type) [DTYPE_##name] = clip_low_##name,
#define HIGH_ROW(name, type) [DTYPE_##name] = clip_high_##name,
static elementwise_segment *const low_kernels[DTYPE_COUNT] = {TYPES_NUMBER(LOW_ROW)};
static elementwise_segment *const high_kernels[DTYPE_COUNT] = {TYPES_NUMBER(HIGH_ROW)};

/* The bound as a scalar of the type that is computed in; false where there is none. */
static bool bound(struct op_ctx *c, size_t i, const char *attribute, enum dtype dtype,
                  struct tensor *out, double *room) {
    memset(out, 0, sizeof *out);
    out->dtype = dtype;
    out->count = 1;
    out->data = room;
    if (op_in(c, i)) {
        convert_elements(op_in(c, i)->dtype, op_in(c, i)->data, dtype, room, 1, true);
        return true;
    }
    if (op_opset(c) >= 11 || !op_attr_has(c, attribute))
        return false;
    float f = op_attr_float(c, attribute, 0);
    convert_elements(DTYPE_FLOAT, &f, dtype, room, 1, true);
    return true;
}

static enum status clip_run(struct op_ctx *c) {
    struct tensor x, low, high, *y = op_out(c, 0);
    double rooms[2] = {0};
    float *narrow = NULL;
    if (!y)
        return STATUS_OK;
    struct tensor out = *y;
    enum status s = input(c, 0, &x);
    if (s == STATUS_OK && x.dtype != y->dtype) {
        s = op_out_f32(c, 0, &narrow);
        out.data = narrow;
        out.dtype = DTYPE_FLOAT;
    }
    if (s != STATUS_OK)
        return s;
    /* Both bounds are read before anything is written: the output may lie on one of them. */
    bool has_low = bound(c, 1, "min", x.dtype, &low, &rooms[0]);
    bool has_high = bound(c, 2, "max", x.dtype, &high, &rooms[1]);
    if (has_low)
        elementwise_run(c, low_kernels[x.dtype], &x, &low, &out);
    if (has_high)
        elementwise_run(c, high_kernels[x.dtype], has_low ? &out : &x, &high, &out);
    bool done = has_low || has_high;
    if (!done && out.data != x.data)
        memcpy(out.data, x.data, out.count > 0 ? (size_t)out.count * dtype_size(out.dtype) : 0);
    if (narrow)
        op_out_f32_done(c, 0, narrow);
    return STATUS_OK;
}

/* ---- Where ---- */

static enum status where_infer(struct op_ctx *c) {
    enum status s = op_need_all(c, 3);
    if (s == STATUS_OK)
        s = op_need_dtype(c, 0, DT(BOOL));
    if (s != STATUS_OK)
        return s;
    if (op_in(c, 1)->dtype != op_in(c, 2)->dtype)
        return op_fail(c, "inputs 1 and 2 have types %s and %s, they must be the same",
                       dtype_name(op_in(c, 1)->dtype), dtype_name(op_in(c, 2)->dtype));
    return broadcast_infer(c, 3, op_in(c, 1)->dtype);
}

#define WHERE(type)                                                                                \
    {                                                                                              \
        type *to = (type *)y->data + row * b.inner;                                                \
        const type *from_x = (const type *)in[1]->data + at[1];                                    \
        const type *from_z = (const type *)in[2]->data + at[2];                                    \
        for (int64_t i = 0; i < b.inner; i++)                                                      \
            to[i] = test[i * b.inner_stride[0]] ? from_x[i * b.inner_stride[1]]                    \
                                                : from_z[i * b.inner_stride[2]];                   \
        break;                                                                                     \
    }

struct sixteen {
    uint64_t low, high;
};

static enum status where_run(struct op_ctx *c) {
    const struct tensor *in[3] = {op_in(c, 0), op_in(c, 1), op_in(c, 2)};
    struct tensor *y = op_out(c, 0);
    struct broadcast b;
    if (!y || y->count == 0)
        return STATUS_OK;
    broadcast_plan(&b, y, in, 3);
    for (int64_t row = 0; row < b.rows; row++) {
        int64_t at[BROADCAST_MAX];
        broadcast_row(&b, row, at);
        const uint8_t *test = (const uint8_t *)in[0]->data + at[0];
        switch (dtype_size(y->dtype)) {
        case 1:
            WHERE(uint8_t)
        case 2:
            WHERE(uint16_t)
        case 4:
            WHERE(uint32_t)
        case 8:
            WHERE(uint64_t)
        default:
            WHERE(struct sixteen)
        }
    }
    return STATUS_OK;
}

const struct op_row op_family_variadic[] = {
    {.name = "Max", .since = 1, .infer = numbers, .run = max_run},
    {.name = "Min", .since = 1, .infer = numbers, .run = min_run},
    {.name = "Sum", .since = 1, .infer = floats, .run = sum_run},
    {.name = "Mean", .since = 1, .infer = floats, .run = mean_run},
    {.name = "Pow", .since = 1, .infer = pow_infer, .run = pow_run},
    {.name = "Clip", .since = 1, .infer = clip_infer, .run = clip_run, .flags = OP_IN_PLACE},
    {.name = "Where", .since = 9, .infer = where_infer, .run = where_run},
    OP_END,
};
