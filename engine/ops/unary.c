/* Functions of one element: activations, exponentials, trigonometry, rounding, signs.
 *
 * float16 and bfloat16 are computed in float and rounded once. double is computed in double. */
#include "engine/ops/real.h"
#include "engine/ops/types.h"

#include <math.h>

#define GRAIN 4096 /* elements: below this, splitting costs more than it gives */

static enum status same_shape(struct op_ctx *c, uint32_t types) {
    enum status s = op_need(c, 0);
    if (s == STATUS_OK)
        s = op_need_dtype(c, 0, types);
    if (s == STATUS_OK)
        s = op_infer_like(c, 0, op_in(c, 0));
    return s;
}

static enum status floats(struct op_ctx *c) {
    return same_shape(c, DT_FLOATS);
}

/* Parameters of an activation, read once a run: two floats cover every one of them. */
struct parameters {
    double a, b;
};

struct job {
    const void *from;
    void *to;
    struct parameters p;
};

struct kernel {
    threads_fn *f32, *f64;
};

static enum status float_run(struct op_ctx *c, const struct kernel *k, struct parameters p) {
    const struct tensor *x = op_in(c, 0);
    struct tensor *y = op_out(c, 0);
    if (!y)
        return STATUS_OK;
    struct job job = {.p = p};
    if (x->dtype == DTYPE_DOUBLE) {
        job.from = x->data;
        job.to = y->data;
        op_parallel(c, (size_t)x->count, GRAIN, k->f64, &job);
        return STATUS_OK;
    }
    const float *from = NULL;
    float *to = NULL;
    enum status s = op_pair_f32(c, &from, &to);
    if (s != STATUS_OK)
        return s;
    job.from = from;
    job.to = to;
    op_parallel(c, (size_t)x->count, GRAIN, k->f32, &job);
    op_out_f32_done(c, 0, to);
    return STATUS_OK;
}

/* LOOP(name, suffix, type, expression of x, a, b): one kernel for one element type. */
#define LOOP(name, suffix, type, expression)                                                       \
    static void name##_##suffix(void *arg, size_t begin, size_t end) {                             \
        const struct job *job = arg;                                                               \
        const type *from = job->from;                                                              \
        type *to = job->to;                                                                        \
        const type a = (type)job->p.a, b = (type)job->p.b;                                         \
        (void)a;                                                                                   \
        (void)b;                                                                                   \
        for (size_t i = begin; i < end; i++) {                                                     \
            const type x = from[i];                                                                \
            to[i] = (expression);                                                                  \
        }                                                                                          \
    }

/* FLOAT_OP(name, expression for float, expression for double, a, b): the operator's run. `a` and
 * `b` are computed with the context c, from attributes. */
#define FLOAT_OP(name, e32, e64, a_value, b_value)                                                 \
    LOOP(name, f32, float, e32)                                                                    \
    LOOP(name, f64, double, e64)                                                                   \
    static enum status name##_run(struct op_ctx *c) {                                              \
        static const struct kernel k = {name##_f32, name##_f64};                                   \
        return float_run(c, &k, (struct parameters){(double)(a_value), (double)(b_value)});        \
    }

FLOAT_OP(exp, expf(x), exp(x), 0, 0)
FLOAT_OP(log, logf(x), log(x), 0, 0)
FLOAT_OP(sqrt, sqrtf(x), sqrt(x), 0, 0)
FLOAT_OP(reciprocal, 1.0f / x, 1.0 / x, 0, 0)
FLOAT_OP(sin, sinf(x), sin(x), 0, 0)
FLOAT_OP(cos, cosf(x), cos(x), 0, 0)
FLOAT_OP(tan, tanf(x), tan(x), 0, 0)
FLOAT_OP(asin, asinf(x), asin(x), 0, 0)
FLOAT_OP(acos, acosf(x), acos(x), 0, 0)
FLOAT_OP(atan, atanf(x), atan(x), 0, 0)
FLOAT_OP(sinh, sinhf(x), sinh(x), 0, 0)
FLOAT_OP(cosh, coshf(x), cosh(x), 0, 0)
FLOAT_OP(asinh, asinhf(x), asinh(x), 0, 0)
FLOAT_OP(acosh, acoshf(x), acosh(x), 0, 0)
FLOAT_OP(atanh, atanhf(x), atanh(x), 0, 0)
FLOAT_OP(erf, erff(x), erf(x), 0, 0)
FLOAT_OP(ceil, ceilf(x), ceil(x), 0, 0)
FLOAT_OP(floor, floorf(x), floor(x), 0, 0)
FLOAT_OP(round, rintf(x), rint(x), 0, 0) /* half to even, as the default rounding mode does */
FLOAT_OP(sigmoid, 1.0f / (1.0f + expf(-x)), 1.0 / (1.0 + exp(-x)), 0, 0)
FLOAT_OP(tanh, tanhf(x), tanh(x), 0, 0)
FLOAT_OP(softplus, x > 0 ? x + log1pf(expf(-x)) : log1pf(expf(x)),
         x > 0 ? x + log1p(exp(-x)) : log1p(exp(x)), 0, 0)
FLOAT_OP(softsign, x / (1.0f + fabsf(x)), x / (1.0 + fabs(x)), 0, 0)
FLOAT_OP(mish, x *tanhf(x > 0 ? x + log1pf(expf(-x)) : log1pf(expf(x))),
         x *tanh(x > 0 ? x + log1p(exp(-x)) : log1p(exp(x))), 0, 0)
FLOAT_OP(leaky_relu, x < 0 ? a * x : x, x < 0 ? a * x : x, op_attr_float(c, "alpha", 0.01f), 0)
FLOAT_OP(elu, x < 0 ? a * expm1f(x) : x, x < 0 ? a * expm1(x) : x, op_attr_float(c, "alpha", 1), 0)
FLOAT_OP(celu, (x > 0 ? x : 0) + (x < 0 ? a * expm1f(x / a) : 0),
         (x > 0 ? x : 0) + (x < 0 ? a * expm1(x / a) : 0), op_attr_float(c, "alpha", 1), 0)
FLOAT_OP(selu, x > 0 ? b * x : b * a * expm1f(x), x > 0 ? b * x : b * a * expm1(x),
         op_attr_float(c, "alpha", 1.67326319217681884765625f),
         op_attr_float(c, "gamma", 1.05070102214813232421875f))
FLOAT_OP(thresholded_relu, x > a ? x : 0, x > a ? x : 0, op_attr_float(c, "alpha", 1), 0)
FLOAT_OP(hard_sigmoid, fmaxf(0, fminf(1, a *x + b)), fmax(0, fmin(1, a *x + b)),
         op_attr_float(c, "alpha", 0.2f), op_attr_float(c, "beta", 0.5f))
FLOAT_OP(hard_swish, x *fmaxf(0, fminf(1, a *x + b)), x *fmax(0, fmin(1, a *x + b)), 1.0 / 6, 0.5)
FLOAT_OP(swish, x / (1.0f + expf(-a * x)), x / (1.0 + exp(-a * x)), op_attr_float(c, "alpha", 1), 0)

/* Gelu: exact with the error function (a is 0), or the tanh approximation. */
static double gelu_is_tanh(struct op_ctx *c) {
    return str_is(op_attr_str(c, "approximate", "none"), "tanh") ? 1 : 0;
}
FLOAT_OP(gelu,
         a != 0 ? 0.5f * x * (1.0f + tanhf(0.7978845608f * (x + 0.044715f * x * x * x)))
                : 0.5f * x * (1.0f + erff(x * 0.7071067812f)),
         a != 0 ? 0.5 * x * (1.0 + tanh(0.7978845608028654 * (x + 0.044715 * x * x * x)))
                : 0.5 * x * (1.0 + erf(x * 0.7071067811865476)),
         gelu_is_tanh(c), 0)

/* Operators that also take integers: the same expression for every type. */
#define NUMBER_CASE(op, name, type)                                                                \
    case DTYPE_##name: {                                                                           \
        const type *from = x->data;                                                                \
        type *to = y->data;                                                                        \
        for (int64_t i = 0; i < x->count; i++)                                                     \
            to[i] = (type)op(from[i]);                                                             \
        return STATUS_OK;                                                                          \
    }
#define RELU(v) ((v) < 0 ? 0 : (v))
#define SIGN(v) ((v) > 0 ? 1 : (v) < 0 ? -1 : 0)
#define SIGN_UNSIGNED(v) ((v) > 0)
#define KEEP(v) (v)

LOOP(relu, f32, float, x < 0 ? 0 : x)
LOOP(relu, f64, double, x < 0 ? 0 : x)
LOOP(neg, f32, float, -x)
LOOP(neg, f64, double, -x)
LOOP(abs, f32, float, fabsf(x))
LOOP(abs, f64, double, fabs(x))
LOOP(sign, f32, float, x > 0 ? 1 : x < 0 ? -1 : x)
LOOP(sign, f64, double, x > 0 ? 1 : x < 0 ? -1 : x)

/* MIXED_OP(name, on signed integers, on unsigned ones): the run of an operator for all numbers. */
#define MIXED_OP(name, SIGNED, UNSIGNED)                                                           \
    static enum status name##_run(struct op_ctx *c) {                                              \
        static const struct kernel k = {name##_f32, name##_f64};                                   \
        const struct tensor *x = op_in(c, 0);                                                      \
        struct tensor *y = op_out(c, 0);                                                           \
        if (!y)                                                                                    \
            return STATUS_OK;                                                                      \
        switch (x->dtype) {                                                                        \
            NUMBER_CASE(SIGNED, INT8, int8_t)                                                      \
            NUMBER_CASE(SIGNED, INT16, int16_t)                                                    \
            NUMBER_CASE(SIGNED, INT32, int32_t)                                                    \
            NUMBER_CASE(SIGNED, INT64, int64_t)                                                    \
            NUMBER_CASE(UNSIGNED, UINT8, uint8_t)                                                  \
            NUMBER_CASE(UNSIGNED, UINT16, uint16_t)                                                \
            NUMBER_CASE(UNSIGNED, UINT32, uint32_t)                                                \
            NUMBER_CASE(UNSIGNED, UINT64, uint64_t)                                                \
        default:                                                                                   \
            return float_run(c, &k, (struct parameters){0, 0});                                    \
        }                                                                                          \
    }
/* -INT_MIN is undefined on the signed type; through the unsigned one it wraps, as in numpy. */
#define NEG(v) (0 - (uint64_t)(v))
#define ABS(v) ((v) < 0 ? 0 - (uint64_t)(v) : (uint64_t)(v))

MIXED_OP(relu, RELU, KEEP)
MIXED_OP(neg, NEG, NEG)
MIXED_OP(abs, ABS, KEEP)
MIXED_OP(sign, SIGN, SIGN_UNSIGNED)

/* ---- results of another type ---- */

static enum status reals(struct op_ctx *c) {
    return same_shape(c, DT_REAL);
}

/* Before opset 13, Erf took integers too: the result is cut to 0 or to 1 with the sign. */
static enum status erf_real_run(struct op_ctx *c) {
    const double *from = NULL;
    double *to = NULL;
    if (!op_out(c, 0) || dtype_is_float(op_in(c, 0)->dtype))
        return erf_run(c);
    enum status s = real_in(c, 0, &from);
    if (s == STATUS_OK)
        s = real_out(c, 0, &to);
    for (int64_t i = 0; s == STATUS_OK && i < op_in(c, 0)->count; i++)
        to[i] = trunc(erf(from[i]));
    if (s == STATUS_OK)
        real_out_done(c, 0, to);
    return s;
}

static enum status to_bool(struct op_ctx *c) {
    enum status s = op_need(c, 0);
    if (s == STATUS_OK)
        s = op_need_dtype(c, 0, DT_FLOATS | DT_TINY_FLOATS);
    if (s == STATUS_OK)
        s = op_infer(c, 0, DTYPE_BOOL, op_in(c, 0)->rank, op_in(c, 0)->dims);
    return s;
}

static enum status is_nan_run(struct op_ctx *c) {
    const struct tensor *x = op_in(c, 0);
    struct tensor *y = op_out(c, 0);
    const double *f = NULL;
    if (!y)
        return STATUS_OK;
    bool *to = y->data;
    enum status s = real_in(c, 0, &f);
    for (int64_t i = 0; s == STATUS_OK && i < x->count; i++)
        to[i] = isnan(f[i]);
    return s;
}

static enum status is_inf_run(struct op_ctx *c) {
    const struct tensor *x = op_in(c, 0);
    struct tensor *y = op_out(c, 0);
    bool negative = op_attr_int(c, "detect_negative", 1) != 0;
    bool positive = op_attr_int(c, "detect_positive", 1) != 0;
    const double *f = NULL;
    if (!y)
        return STATUS_OK;
    bool *to = y->data;
    enum status s = real_in(c, 0, &f);
    for (int64_t i = 0; s == STATUS_OK && i < x->count; i++)
        to[i] = isinf(f[i]) && (f[i] > 0 ? positive : negative);
    return s;
}

static enum status bools(struct op_ctx *c) {
    return same_shape(c, DT(BOOL));
}

static enum status not_run(struct op_ctx *c) {
    const struct tensor *x = op_in(c, 0);
    struct tensor *y = op_out(c, 0);
    for (int64_t i = 0; y && i < x->count; i++)
        ((uint8_t *)y->data)[i] = !((const uint8_t *)x->data)[i];
    return STATUS_OK;
}

static enum status integers(struct op_ctx *c) {
    return same_shape(c, DT_INTS);
}

static enum status bitwise_not_run(struct op_ctx *c) {
    const struct tensor *x = op_in(c, 0);
    struct tensor *y = op_out(c, 0);
    for (size_t i = 0; y && i < x->bytes; i++)
        ((uint8_t *)y->data)[i] = (uint8_t) ~((const uint8_t *)x->data)[i];
    return STATUS_OK;
}

/* Shrink: lambd and bias, on every type of number, computed in double. */
static enum status shrink_run(struct op_ctx *c) {
    const struct tensor *x = op_in(c, 0);
    struct tensor *y = op_out(c, 0);
    const double lambd = (double)op_attr_float(c, "lambd", 0.5f);
    const double bias = (double)op_attr_float(c, "bias", 0.0f);
    const float *wide = NULL;
    float *narrow = NULL;
    if (!y)
        return STATUS_OK;
#define SHRINK(v)                                                                                  \
    ((double)(v) < -lambd ? (double)(v) + bias : (double)(v) > lambd ? (double)(v)-bias : 0)
#define CASE(name, type) NUMBER_CASE(SHRINK, name, type)
    switch (x->dtype) {
        TYPES_NUMBER(CASE)
    default:
        break;
    }
#undef CASE
    enum status s = op_pair_f32(c, &wide, &narrow);
    for (int64_t i = 0; s == STATUS_OK && i < x->count; i++)
        narrow[i] = (float)SHRINK(wide[i]);
    if (s == STATUS_OK)
        op_out_f32_done(c, 0, narrow);
    return s;
}

static enum status numbers(struct op_ctx *c) {
    return same_shape(c, DT_REAL);
}

#define ROW(text, opset, rule, function)                                                           \
    { .name = text, .since = opset, .infer = rule, .run = function, .flags = OP_IN_PLACE }

const struct op_row op_family_unary[] = {
    ROW("Exp", 1, floats, exp_run),
    ROW("Log", 1, floats, log_run),
    ROW("Sqrt", 1, floats, sqrt_run),
    ROW("Reciprocal", 1, floats, reciprocal_run),
    ROW("Sin", 7, floats, sin_run),
    ROW("Cos", 7, floats, cos_run),
    ROW("Tan", 7, floats, tan_run),
    ROW("Asin", 7, floats, asin_run),
    ROW("Acos", 7, floats, acos_run),
    ROW("Atan", 7, floats, atan_run),
    ROW("Sinh", 9, floats, sinh_run),
    ROW("Cosh", 9, floats, cosh_run),
    ROW("Asinh", 9, floats, asinh_run),
    ROW("Acosh", 9, floats, acosh_run),
    ROW("Atanh", 9, floats, atanh_run),
    ROW("Erf", 9, reals, erf_real_run),
    ROW("Erf", 13, floats, erf_run),
    ROW("Ceil", 1, floats, ceil_run),
    ROW("Floor", 1, floats, floor_run),
    ROW("Round", 11, floats, round_run),
    ROW("Sigmoid", 1, floats, sigmoid_run),
    ROW("Tanh", 1, floats, tanh_run),
    ROW("Softplus", 1, floats, softplus_run),
    ROW("Softsign", 1, floats, softsign_run),
    ROW("Mish", 18, floats, mish_run),
    ROW("LeakyRelu", 1, floats, leaky_relu_run),
    ROW("Elu", 1, floats, elu_run),
    ROW("Celu", 12, floats, celu_run),
    ROW("Selu", 1, floats, selu_run),
    ROW("ThresholdedRelu", 10, floats, thresholded_relu_run),
    ROW("HardSigmoid", 1, floats, hard_sigmoid_run),
    ROW("HardSwish", 14, floats, hard_swish_run),
    ROW("Swish", 24, floats, swish_run),
    ROW("Gelu", 20, floats, gelu_run),
    ROW("Relu", 1, numbers, relu_run),
    ROW("Neg", 1, numbers, neg_run),
    ROW("Abs", 1, numbers, abs_run),
    ROW("Sign", 9, numbers, sign_run),
    ROW("Shrink", 9, numbers, shrink_run),
    ROW("Not", 1, bools, not_run),
    ROW("BitwiseNot", 18, integers, bitwise_not_run),
    {.name = "IsNaN", .since = 9, .infer = to_bool, .run = is_nan_run},
    {.name = "IsInf", .since = 10, .infer = to_bool, .run = is_inf_run},
    OP_END,
};
