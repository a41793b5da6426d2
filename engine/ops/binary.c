/* Arithmetic, comparison and logic of two inputs that broadcast.
 *
 * Integers wrap. Division of an integer by zero is an error of the request. float16 and bfloat16
 * are computed in float and rounded once. */
#include "engine/ops/elementwise.h"
#include "engine/ops/types.h"

#include <math.h>

/* Kernels by element type; NULL where the operator does not take it. */
struct kernels {
    elementwise_segment *by_type[DTYPE_COUNT];
};

#define SIGNED_SEGMENTS(name, out_type, expression)                                                \
    ELEMENTWISE_SEGMENT(name##_i8, int8_t, out_type(int8_t), expression)                           \
    ELEMENTWISE_SEGMENT(name##_i16, int16_t, out_type(int16_t), expression)                        \
    ELEMENTWISE_SEGMENT(name##_i32, int32_t, out_type(int32_t), expression)                        \
    ELEMENTWISE_SEGMENT(name##_i64, int64_t, out_type(int64_t), expression)
#define UNSIGNED_SEGMENTS(name, out_type, expression)                                              \
    ELEMENTWISE_SEGMENT(name##_u8, uint8_t, out_type(uint8_t), expression)                         \
    ELEMENTWISE_SEGMENT(name##_u16, uint16_t, out_type(uint16_t), expression)                      \
    ELEMENTWISE_SEGMENT(name##_u32, uint32_t, out_type(uint32_t), expression)                      \
    ELEMENTWISE_SEGMENT(name##_u64, uint64_t, out_type(uint64_t), expression)
#define INT_SEGMENTS(name, out_type, expression)                                                   \
    SIGNED_SEGMENTS(name, out_type, expression)                                                    \
    UNSIGNED_SEGMENTS(name, out_type, expression)
#define FLOAT_SEGMENTS(name, out_type, e32, e64)                                                   \
    ELEMENTWISE_SEGMENT(name##_f32, float, out_type(float), e32)                                   \
    ELEMENTWISE_SEGMENT(name##_f64, double, out_type(double), e64)

#define SAME(type) type
#define TRUTH(type) uint8_t

#define UNSIGNED_ROWS(name)                                                                        \
    [DTYPE_UINT8] = name##_u8, [DTYPE_UINT16] = name##_u16, [DTYPE_UINT32] = name##_u32,           \
    [DTYPE_UINT64] = name##_u64
#define INT_ROWS(name)                                                                             \
    [DTYPE_INT8] = name##_i8, [DTYPE_INT16] = name##_i16, [DTYPE_INT32] = name##_i32,              \
    [DTYPE_INT64] = name##_i64, [DTYPE_UINT8] = name##_u8, [DTYPE_UINT16] = name##_u16,            \
    [DTYPE_UINT32] = name##_u32, [DTYPE_UINT64] = name##_u64
#define FLOAT_ROWS(name) [DTYPE_FLOAT] = name##_f32, [DTYPE_DOUBLE] = name##_f64

/* Wrapping arithmetic: through the unsigned 64-bit type, where it is defined. */
INT_SEGMENTS(add, SAME, (uint64_t)x + (uint64_t)z)
INT_SEGMENTS(sub, SAME, (uint64_t)x - (uint64_t)z)
INT_SEGMENTS(mul, SAME, (uint64_t)x *(uint64_t)z)
/* z is not 0; -1 is apart since the least integer has no negative. */
SIGNED_SEGMENTS(div, SAME, z == -1 ? (int64_t)(0 - (uint64_t)x) : (int64_t)(x / z))
UNSIGNED_SEGMENTS(div, SAME, x / z)
#define REMAINDER(x, z) ((z) == -1 ? 0 : (x) % (z))
/* Sign of the divisor, as in Python. */
SIGNED_SEGMENTS(mod, SAME,
                REMAINDER(x, z) != 0 && ((REMAINDER(x, z) < 0) != (z < 0)) ? REMAINDER(x, z) + z
                                                                           : REMAINDER(x, z))
UNSIGNED_SEGMENTS(mod, SAME, x % z)
SIGNED_SEGMENTS(fmod, SAME, REMAINDER(x, z))
UNSIGNED_SEGMENTS(fmod, SAME, x % z)
/* What is shifted out on the left is cut off by the store; a negative amount is as one too large,
 * and what is left then on the right is the sign alone. */
#define TOO_FAR(x, z) ((z) < 0 || (uint64_t)(z) >= 8 * sizeof(x))
SIGNED_SEGMENTS(shift_left, SAME, TOO_FAR(x, z) ? 0 : (uint64_t)x << z)
UNSIGNED_SEGMENTS(shift_left, SAME, z > 63 ? 0 : (uint64_t)x << z)
SIGNED_SEGMENTS(shift_right, SAME, TOO_FAR(x, z) ? (x < 0 ? -1 : 0) : x >> z)
UNSIGNED_SEGMENTS(shift_right, SAME, z > 63 ? 0 : (uint64_t)x >> z)
INT_SEGMENTS(bit_and, SAME, x &z)
INT_SEGMENTS(bit_or, SAME, x | z)
INT_SEGMENTS(bit_xor, SAME, x ^ z)
INT_SEGMENTS(less, TRUTH, x < z)
INT_SEGMENTS(less_equal, TRUTH, x <= z)
INT_SEGMENTS(equal, TRUTH, x == z)
SIGNED_SEGMENTS(prelu, SAME, x < 0 ? (uint64_t)x * (uint64_t)z : (uint64_t)x)
UNSIGNED_SEGMENTS(prelu, SAME, ((void)z, x))
FLOAT_SEGMENTS(add, SAME, x + z, x + z)
FLOAT_SEGMENTS(sub, SAME, x - z, x - z)
FLOAT_SEGMENTS(mul, SAME, x *z, x *z)
FLOAT_SEGMENTS(div, SAME, x / z, x / z)
/* The remainder with the sign of the divisor, zero too; an infinite divisor of the other sign is
 * the remainder itself. */
static double floored(double x, double z) {
    const double r = fmod(x, z);
    if (r == 0)
        return copysign(r, z);
    return (r < 0) != (z < 0) ? r + z : r;
}
FLOAT_SEGMENTS(mod, SAME, (float)floored((double)x, (double)z), floored(x, z))
FLOAT_SEGMENTS(fmod, SAME, fmodf(x, z), fmod(x, z))
FLOAT_SEGMENTS(less, TRUTH, x < z, x < z)
FLOAT_SEGMENTS(less_equal, TRUTH, x <= z, x <= z)
FLOAT_SEGMENTS(equal, TRUTH, x == z, x == z)
FLOAT_SEGMENTS(prelu, SAME, x < 0 ? x * z : x, x < 0 ? x * z : x)

ELEMENTWISE_SEGMENT(and_bool, uint8_t, uint8_t, x &&z)
ELEMENTWISE_SEGMENT(or_bool, uint8_t, uint8_t, x || z)
ELEMENTWISE_SEGMENT(xor_bool, uint8_t, uint8_t, !x != !z)
ELEMENTWISE_SEGMENT(equal_bool, uint8_t, uint8_t, x == z)
ELEMENTWISE_SEGMENT(equal_string, struct str, uint8_t, str_equal(x, z))

static const struct kernels add = {{INT_ROWS(add), FLOAT_ROWS(add)}};
static const struct kernels sub = {{INT_ROWS(sub), FLOAT_ROWS(sub)}};
static const struct kernels mul = {{INT_ROWS(mul), FLOAT_ROWS(mul)}};
static const struct kernels divide = {{INT_ROWS(div), FLOAT_ROWS(div)}};
static const struct kernels mod = {{INT_ROWS(mod), FLOAT_ROWS(mod)}};
static const struct kernels fmods = {{INT_ROWS(fmod), FLOAT_ROWS(fmod)}};
static const struct kernels prelu = {{INT_ROWS(prelu), FLOAT_ROWS(prelu)}};
static const struct kernels less = {{INT_ROWS(less), FLOAT_ROWS(less)}};
static const struct kernels less_equal = {{INT_ROWS(less_equal), FLOAT_ROWS(less_equal)}};
static const struct kernels equal = {
    {INT_ROWS(equal), FLOAT_ROWS(equal), [DTYPE_BOOL] = equal_bool, [DTYPE_STRING] = equal_string}};
static const struct kernels shift_left = {{INT_ROWS(shift_left)}};
static const struct kernels shift_right = {{INT_ROWS(shift_right)}};
static const struct kernels bit_and = {{INT_ROWS(bit_and)}};
static const struct kernels bit_or = {{INT_ROWS(bit_or)}};
static const struct kernels bit_xor = {{INT_ROWS(bit_xor)}};
static const struct kernels logic_and = {{[DTYPE_BOOL] = and_bool}};
static const struct kernels logic_or = {{[DTYPE_BOOL] = or_bool}};
static const struct kernels logic_xor = {{[DTYPE_BOOL] = xor_bool}};

/* ---- runs ---- */

/* Two inputs of the same type; `swap` exchanges them (Greater is Less the other way round). */
static enum status run_views(struct op_ctx *c, const struct kernels *k, bool swap,
                             const struct tensor *second) {
    struct tensor a = *op_in(c, 0), b = *second;
    struct tensor *y = op_out(c, 0);
    const float *wide = NULL;
    float *narrow = NULL;
    enum status s = STATUS_OK;
    if (!y)
        return STATUS_OK;
    struct tensor out = *y;
    bool is_half = a.dtype == DTYPE_FLOAT16 || a.dtype == DTYPE_BFLOAT16;
    for (size_t i = 0; is_half && i < 2; i++) {
        struct tensor *t = i == 0 ? &a : &b;
        s = op_in_f32(c, i, &wide);
        if (s != STATUS_OK)
            return s;
        t->data = (void *)(uintptr_t)wide;
        t->dtype = DTYPE_FLOAT;
    }
    if (is_half && y->dtype != DTYPE_BOOL) {
        s = op_out_f32(c, 0, &narrow);
        if (s != STATUS_OK)
            return s;
        out.data = narrow;
        out.dtype = DTYPE_FLOAT;
    }
    elementwise_segment *kernel = k->by_type[a.dtype];
    if (!kernel)
        return op_fail(c, "type %s is not served here", dtype_name(a.dtype));
    elementwise_run(c, kernel, swap ? &b : &a, swap ? &a : &b, &out);
    if (narrow)
        op_out_f32_done(c, 0, narrow);
    return STATUS_OK;
}

static enum status run(struct op_ctx *c, const struct kernels *k, bool swap) {
    struct tensor b;
    enum status s = elementwise_legacy(c, &b);
    return s == STATUS_OK ? run_views(c, k, swap, &b) : s;
}

static enum status arithmetic(struct op_ctx *c) {
    return elementwise_infer(c, DT_REAL, op_in(c, 0) ? op_in(c, 0)->dtype : DTYPE_NONE);
}

static enum status integer(struct op_ctx *c) {
    return elementwise_infer(c, DT_INTS, op_in(c, 0) ? op_in(c, 0)->dtype : DTYPE_NONE);
}

static enum status unsigned_integer(struct op_ctx *c) {
    return elementwise_infer(c, DT_UNSIGNED, op_in(c, 0) ? op_in(c, 0)->dtype : DTYPE_NONE);
}

static enum status comparison(struct op_ctx *c) {
    return elementwise_infer(c, DT_REAL, DTYPE_BOOL);
}

static enum status equality(struct op_ctx *c) {
    return elementwise_infer(c, DT_REAL | DT(BOOL) | DT(STRING), DTYPE_BOOL);
}

static enum status logic(struct op_ctx *c) {
    return elementwise_infer(c, DT(BOOL), DTYPE_BOOL);
}

#define RUN(name, kernels, swap)                                                                   \
    static enum status name##_run(struct op_ctx *c) {                                              \
        return run(c, &kernels, swap);                                                             \
    }
RUN(add, add, false)
RUN(sub, sub, false)
RUN(mul, mul, false)
RUN(less, less, false)
RUN(less_equal, less_equal, false)
RUN(greater, less, true)
RUN(greater_equal, less_equal, true)
RUN(equal, equal, false)
RUN(and, logic_and, false)
RUN(or, logic_or, false)
RUN(xor, logic_xor, false)
RUN(bit_and, bit_and, false)
RUN(bit_or, bit_or, false)
RUN(bit_xor, bit_xor, false)

static enum status check_divisor(struct op_ctx *c) {
    const struct tensor *b = op_in(c, 1);
    size_t size = dtype_size(b->dtype);
    static const char zero[8] = {0};
    for (int64_t i = 0; dtype_is_integer(b->dtype) && i < b->count; i++)
        if (memcmp((const char *)b->data + (size_t)i * size, zero, size) == 0)
            return op_fail(c, "element %lld of input 1: division by zero", (long long)i);
    return STATUS_OK;
}

static enum status div_run(struct op_ctx *c) {
    enum status s = check_divisor(c);
    return s == STATUS_OK ? run(c, &divide, false) : s;
}

static enum status mod_run(struct op_ctx *c) {
    bool as_c = op_attr_int(c, "fmod", 0) != 0;
    enum status s = check_divisor(c);
    return s == STATUS_OK ? run(c, as_c ? &fmods : &mod, false) : s;
}

static enum status shift_run(struct op_ctx *c) {
    struct str direction = op_attr_str(c, "direction", "");
    if (str_is(direction, "LEFT"))
        return run(c, &shift_left, false);
    if (str_is(direction, "RIGHT"))
        return run(c, &shift_right, false);
    return op_fail(c, "attribute direction must be LEFT or RIGHT");
}

/* PRelu: the slope broadcasts to x, not the other way round. Before opset 7 a slope of one
 * dimension has a value for each channel, dimension 1. */
static enum status slope_view(struct op_ctx *c, struct tensor *view) {
    const struct tensor *x = op_in(c, 0), *slope = op_in(c, 1);
    if (op_opset(c) < 7 && slope->rank == 1 && x->rank > 2 && slope->count > 1)
        return elementwise_align(c, 1, view);
    *view = *slope;
    return STATUS_OK;
}

static enum status prelu_infer(struct op_ctx *c) {
    struct tensor slope;
    int64_t dims[TENSOR_MAX_RANK];
    int rank = 0;
    enum status s = op_need_all(c, 2);
    if (s == STATUS_OK)
        s = op_need_dtype(c, 0, DT_REAL);
    if (s == STATUS_OK)
        s = op_need_same(c, 1, 0);
    if (s == STATUS_OK)
        s = slope_view(c, &slope);
    const struct tensor *in[2] = {op_in(c, 0), &slope};
    if (s == STATUS_OK)
        s = broadcast_shapes(c, in, 2, &rank, dims);
    if (s == STATUS_OK &&
        (rank != in[0]->rank || memcmp(dims, in[0]->dims, (size_t)rank * sizeof *dims) != 0))
        return op_fail(c, "the slope does not broadcast to the shape of input 0");
    return s == STATUS_OK ? op_infer_like(c, 0, in[0]) : s;
}

static enum status prelu_run(struct op_ctx *c) {
    struct tensor slope;
    enum status s = slope_view(c, &slope);
    return s == STATUS_OK ? run_views(c, &prelu, false, &slope) : s;
}

#define ROW(text, opset, rule, function)                                                           \
    { .name = text, .since = opset, .infer = rule, .run = function, .flags = OP_IN_PLACE }

const struct op_row op_family_binary[] = {
    ROW("Add", 1, arithmetic, add_run),
    ROW("Sub", 1, arithmetic, sub_run),
    ROW("Mul", 1, arithmetic, mul_run),
    ROW("Div", 1, arithmetic, div_run),
    ROW("Mod", 10, arithmetic, mod_run),
    ROW("PRelu", 1, prelu_infer, prelu_run),
    ROW("BitShift", 11, unsigned_integer, shift_run),
    ROW("BitShift", 28, integer, shift_run),
    ROW("BitwiseAnd", 18, integer, bit_and_run),
    ROW("BitwiseOr", 18, integer, bit_or_run),
    ROW("BitwiseXor", 18, integer, bit_xor_run),
    ROW("And", 1, logic, and_run),
    ROW("Or", 1, logic, or_run),
    ROW("Xor", 1, logic, xor_run),
    {.name = "Less", .since = 1, .infer = comparison, .run = less_run},
    {.name = "LessOrEqual", .since = 12, .infer = comparison, .run = less_equal_run},
    {.name = "Greater", .since = 1, .infer = comparison, .run = greater_run},
    {.name = "GreaterOrEqual", .since = 12, .infer = comparison, .run = greater_equal_run},
    {.name = "Equal", .since = 1, .infer = equality, .run = equal_run},
    OP_END,
};
