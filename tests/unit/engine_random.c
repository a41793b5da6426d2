/* Operators that are random by definition: type and shape, that a seed repeats its numbers and its
 * absence does not, and that the numbers follow the distribution that the specification names.
 * Samples are large and bounds at five standard deviations of the statistic, so that a right
 * generator fails once in more than a million runs. */
#include "engine/call.h"
#include "tests/unit/engine_model.h"

#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

#define N 40000
#define ATTRIBUTES 6

struct one {
    struct node node;
    struct attribute attributes[ATTRIBUTES];
    struct value in[3], out[2];
    const struct value *pointers[3];
    int32_t outputs[2];
    struct arena arena, scratch;
    struct op_env env;
    struct counted counted;
    struct op_ctx c;
    struct error error;
};

static struct str text(const char *s) {
    return (struct str){s, strlen(s)};
}

static void one_init(struct one *o, const char *op, int64_t opset, size_t outputs) {
    memset(o, 0, sizeof *o);
    arena_init(&o->arena, model_memory(&o->counted), 1 << 16, (size_t)1 << 28, "test");
    arena_init(&o->scratch, model_memory(&o->counted), 1 << 16, (size_t)1 << 28, "scratch");
    o->node.op_type = text(op);
    o->node.row = op_find(text(""), text(op), opset);
    cr_assert_not_null(o->node.row, "%s", op);
    cr_assert(o->node.row->flags & OP_RANDOM, "%s might be folded", op);
    o->node.attributes = o->attributes;
    o->node.outputs = o->outputs;
    o->c = (struct op_ctx){.node = &o->node,
                           .in = o->pointers,
                           .out = o->out,
                           .out_count = outputs,
                           .heap = &o->arena,
                           .scratch = &o->scratch,
                           .env = &o->env,
                           .opset = opset,
                           .error = &o->error};
}

static void one_free(struct one *o) {
    arena_free(&o->scratch);
    arena_free(&o->arena);
    cr_assert_eq(o->counted.live, 0);
}

static struct attribute *attribute(struct one *o, const char *name, enum attr_type type) {
    struct attribute *a = &o->attributes[o->node.attribute_count++];
    a->name = text(name);
    a->type = type;
    return a;
}

static void one_int(struct one *o, const char *name, int64_t v) {
    attribute(o, name, ATTR_INT)->i = v;
}

static void one_float(struct one *o, const char *name, float v) {
    attribute(o, name, ATTR_FLOAT)->f = v;
}

static void one_shape(struct one *o, const int64_t *dims, size_t rank) {
    struct attribute *a = attribute(o, "shape", ATTR_INTS);
    a->ints = dims;
    a->count = rank;
}

/* Input i: every element is `v`, or row `values` over and over. */
static void one_in(struct one *o, size_t i, int rank, const int64_t *dims, const float *values,
                   size_t count) {
    struct tensor *t = &o->in[i].tensor;
    cr_assert_eq(tensor_shape(t, DTYPE_FLOAT, rank, dims, NULL), STATUS_OK);
    t->data = arena_alloc(&o->arena, t->bytes);
    for (int64_t k = 0; k < t->count; k++)
        ((float *)t->data)[k] = values[(size_t)k % count];
    o->in[i].kind = VALUE_TENSOR;
    o->pointers[i] = &o->in[i];
    o->c.in_count = i + 1;
}

static const struct tensor *one_run(struct one *o) {
    memset(o->out, 0, sizeof o->out);
    enum status s = call_infer(&o->c);
    if (s == STATUS_OK)
        s = call_allocate(&o->c);
    if (s == STATUS_OK)
        s = call_run(&o->c);
    cr_assert_eq(s, STATUS_OK, "%s", o->error.message);
    return &o->out[0].tensor;
}

static double number(const struct tensor *t, int64_t i) {
    switch (t->dtype) {
    case DTYPE_FLOAT:
        return (double)((const float *)t->data)[i];
    case DTYPE_DOUBLE:
        return ((const double *)t->data)[i];
    case DTYPE_FLOAT16:
        return (double)half_to_float(((const uint16_t *)t->data)[i]);
    case DTYPE_BFLOAT16:
        return (double)half_bf16_to_float(((const uint16_t *)t->data)[i]);
    case DTYPE_INT32:
        return ((const int32_t *)t->data)[i];
    case DTYPE_INT64:
        return (double)((const int64_t *)t->data)[i];
    default:
        return ((const uint8_t *)t->data)[i];
    }
}

struct moments {
    double mean, deviation, least, most;
};

static struct moments moments_of(const struct tensor *t) {
    struct moments m = {.least = INFINITY, .most = -INFINITY};
    double sum = 0, squares = 0;
    for (int64_t i = 0; i < t->count; i++) {
        const double v = number(t, i);
        sum += v;
        squares += v * v;
        m.least = fmin(m.least, v);
        m.most = fmax(m.most, v);
    }
    m.mean = sum / (double)t->count;
    m.deviation = sqrt(squares / (double)t->count - m.mean * m.mean);
    return m;
}

/* The largest gap between the sample's distribution and `below`, by Kolmogorov and Smirnov; a right
 * sample of n is past 2.7 / sqrt(n) once in a million. */
static void check_distribution(const struct tensor *t, double (*below)(double), double from,
                               double to) {
    enum { BINS = 200 };
    double counts[BINS + 1] = {0}, seen = 0;
    for (int64_t i = 0; i < t->count; i++) {
        const double at = (number(t, i) - from) / (to - from) * BINS;
        counts[at < 0 ? 0 : at >= BINS ? BINS : (int)at]++;
    }
    for (int b = 0; b < BINS; b++) {
        seen += counts[b] / (double)t->count;
        const double want = below(from + (to - from) * (b + 1) / BINS);
        cr_assert_lt(fabs(seen - want), 2.7 / sqrt((double)t->count), "bin %d: %g, not %g", b, seen,
                     want);
    }
}

static double normal_below(double x) { /* mean 3, deviation 2 */
    return 0.5 * erfc(-(x - 3) / 2 / sqrt(2));
}

static double uniform_below(double x) { /* from -1 to 4 */
    return x < -1 ? 0 : x > 4 ? 1 : (x + 1) / 5;
}

static const int64_t plane[2] = {200, 200};
static const enum dtype floats[] = {DTYPE_FLOAT, DTYPE_DOUBLE, DTYPE_FLOAT16, DTYPE_BFLOAT16};

static void run_normal(const char *op, enum dtype dtype, bool like) {
    struct one o;
    one_init(&o, op, 22, 1);
    one_float(&o, "mean", 3);
    one_float(&o, "scale", 2);
    one_int(&o, "dtype", dtype);
    if (like)
        one_in(&o, 0, 2, plane, (float[]){0}, 1);
    else
        one_shape(&o, plane, 2);
    const struct tensor *y = one_run(&o);
    cr_assert_eq(y->dtype, dtype);
    cr_assert(y->rank == 2 && y->dims[0] == 200 && y->dims[1] == 200);
    const struct moments m = moments_of(y);
    /* Narrow types round to steps of up to 2^-5 here, to both sides alike. */
    cr_assert_lt(fabs(m.mean - 3), 5 * 2 / sqrt(N), "%s mean %g", op, m.mean);
    cr_assert_lt(fabs(m.deviation - 2), 5 * 2 / sqrt(2.0 * N), "%s deviation %g", op, m.deviation);
    if (dtype == DTYPE_FLOAT || dtype == DTYPE_DOUBLE)
        check_distribution(y, normal_below, -5, 11);
    one_free(&o);
}

Test(random, normal) {
    for (size_t i = 0; i < sizeof floats / sizeof *floats; i++) {
        run_normal("RandomNormal", floats[i], false);
        run_normal("RandomNormalLike", floats[i], true);
    }
}

static void run_uniform(const char *op, enum dtype dtype, bool like) {
    struct one o;
    one_init(&o, op, 22, 1);
    one_float(&o, "low", -1);
    one_float(&o, "high", 4);
    one_int(&o, "dtype", dtype);
    if (like)
        one_in(&o, 0, 2, plane, (float[]){0}, 1);
    else
        one_shape(&o, plane, 2);
    const struct tensor *y = one_run(&o);
    cr_assert_eq(y->dtype, dtype);
    cr_assert(y->rank == 2 && y->dims[0] == 200 && y->dims[1] == 200);
    const struct moments m = moments_of(y);
    cr_assert(m.least >= -1 && m.most <= 4, "%s from %g to %g", op, m.least, m.most);
    cr_assert_lt(fabs(m.mean - 1.5), 5 * 5 / sqrt(12.0 * N), "%s mean %g", op, m.mean);
    cr_assert_lt(fabs(m.deviation - 5 / sqrt(12)), 0.02, "%s deviation %g", op, m.deviation);
    if (dtype == DTYPE_FLOAT || dtype == DTYPE_DOUBLE)
        check_distribution(y, uniform_below, -1, 4);
    one_free(&o);
}

Test(random, uniform) {
    for (size_t i = 0; i < sizeof floats / sizeof *floats; i++) {
        run_uniform("RandomUniform", floats[i], false);
        run_uniform("RandomUniformLike", floats[i], true);
    }
}

/* Half of the elements have the probability 0.2, the others 0.9: each half keeps to its own. */
Test(random, bernoulli) {
    const enum dtype types[] = {DTYPE_FLOAT, DTYPE_BOOL, DTYPE_INT32, DTYPE_UINT8, DTYPE_DOUBLE};
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        struct one o;
        double ones[2] = {0, 0};
        one_init(&o, "Bernoulli", 22, 1);
        one_int(&o, "dtype", types[i]);
        one_in(&o, 0, 2, plane, (float[]){0.2f, 0.9f}, 2);
        const struct tensor *y = one_run(&o);
        cr_assert(y->dtype == types[i] && y->rank == 2 && y->count == N);
        for (int64_t k = 0; k < y->count; k++) {
            const double v = number(y, k);
            cr_assert(v == 0 || v == 1);
            ones[k % 2] += v;
        }
        cr_assert_lt(fabs(ones[0] / (N / 2) - 0.2), 5 * sqrt(0.2 * 0.8 / (N / 2)));
        cr_assert_lt(fabs(ones[1] / (N / 2) - 0.9), 5 * sqrt(0.9 * 0.1 / (N / 2)));
        one_free(&o);
    }
}

Test(random, bernoulli_certain) {
    struct one o;
    one_init(&o, "Bernoulli", 22, 1);
    one_in(&o, 0, 2, plane, (float[]){0, 1}, 2);
    const struct tensor *y = one_run(&o);
    for (int64_t k = 0; k < y->count; k++)
        cr_assert_eq(number(y, k), k % 2);
    one_free(&o);
}

/* Logarithms of weights 1, 2, 5, 0 in one row, 4, 3, 2, 1 in the other. */
Test(random, multinomial) {
    const enum dtype types[] = {DTYPE_INT32, DTYPE_INT64};
    const float weights[2][4] = {{1, 2, 5, 0}, {4, 3, 2, 1}};
    const double sums[2] = {8, 10};
    for (size_t i = 0; i < 2; i++) {
        struct one o;
        float logs[8];
        double seen[2][4] = {{0}};
        for (size_t k = 0; k < 8; k++)
            logs[k] = logf(weights[k / 4][k % 4]) + 3;
        one_init(&o, "Multinomial", 22, 1);
        one_int(&o, "sample_size", N);
        one_int(&o, "dtype", types[i]);
        one_in(&o, 0, 2, (int64_t[]){2, 4}, logs, 8);
        const struct tensor *y = one_run(&o);
        cr_assert(y->dtype == types[i] && y->rank == 2 && y->dims[0] == 2 && y->dims[1] == N);
        for (int64_t k = 0; k < y->count; k++) {
            const int class = (int)number(y, k);
            cr_assert(class >= 0 && class < 4);
            seen[k / N][class]++;
        }
        for (size_t row = 0; row < 2; row++)
            for (size_t class = 0; class < 4; class ++) {
                const double p = (double)weights[row][class] / sums[row];
                cr_assert_leq(fabs(seen[row][class] / N - p), 5 * sqrt(p * (1 - p) / N));
            }
        one_free(&o);
    }
}

static void training(struct one *o, float ratio, float input) {
    static uint8_t yes = 1;
    one_init(o, "Dropout", 22, 2);
    o->outputs[1] = 1;
    one_in(o, 0, 2, plane, &input, 1);
    one_in(o, 1, 0, NULL, &ratio, 1);
    struct tensor *t = &o->in[2].tensor;
    cr_assert_eq(tensor_shape(t, DTYPE_BOOL, 0, NULL, NULL), STATUS_OK);
    t->data = &yes;
    o->in[2].kind = VALUE_TENSOR;
    o->pointers[2] = &o->in[2];
    o->c.in_count = 3;
}

/* What is kept is scaled up, what is dropped is zero, and the mask says which. */
Test(random, dropout) {
    struct one o;
    double kept = 0;
    training(&o, 0.75f, 3);
    const struct tensor *y = one_run(&o), *mask = &o.out[1].tensor;
    cr_assert(y->dtype == DTYPE_FLOAT && y->count == N);
    cr_assert(mask->dtype == DTYPE_BOOL && mask->count == N);
    for (int64_t k = 0; k < N; k++) {
        cr_assert_eq(number(y, k), number(mask, k) != 0 ? 12 : 0);
        kept += number(mask, k);
    }
    cr_assert_lt(fabs(kept / N - 0.25), 5 * sqrt(0.25 * 0.75 / N));
    one_free(&o);
}

Test(random, dropout_without_chance) {
    struct one o;
    training(&o, 0, 3);
    const struct tensor *y = one_run(&o);
    for (int64_t k = 0; k < N; k++)
        cr_assert(number(y, k) == 3 && number(&o.out[1].tensor, k) == 1);
    one_free(&o);
}

Test(random, dropout_refuses_a_ratio_of_one) {
    struct one o;
    training(&o, 1, 3);
    cr_assert_eq(call_infer(&o.c), STATUS_OK);
    cr_assert_eq(call_allocate(&o.c), STATUS_OK);
    cr_assert_eq(call_run(&o.c), STATUS_INVALID);
    one_free(&o);
}

/* The same seed, the same numbers; another seed, or none, others. */
Test(random, seeds) {
    float runs[4][N];
    const float seeds[2] = {5, 6};
    for (size_t i = 0; i < 4; i++) {
        struct one o;
        one_init(&o, "RandomNormal", 22, 1);
        one_shape(&o, plane, 2);
        if (i < 3)
            one_float(&o, "seed", seeds[i == 2]);
        memcpy(runs[i], one_run(&o)->data, sizeof runs[i]);
        one_free(&o);
    }
    cr_assert_eq(memcmp(runs[0], runs[1], sizeof runs[0]), 0);
    for (size_t i = 2; i < 4; i++) {
        size_t same = 0;
        for (size_t k = 0; k < N; k++)
            same += runs[0][k] == runs[i][k];
        cr_assert_lt(same, (size_t)10);
    }
}
