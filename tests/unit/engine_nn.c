/* Operators of neural networks, one call at a time: packed and plain weights, one thread and
 * several, must agree with the definition written out; numbers from data are never used unchecked.
 */
#include "engine/call.h"
#include "engine/ops/fast_math.h"
#include "tests/unit/engine_model.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define INPUTS 8
#define OUTPUTS 3
#define ATTRIBUTES 8

struct one {
    struct node node;
    struct attribute attributes[ATTRIBUTES];
    struct value in[INPUTS], out[OUTPUTS];
    const struct value *pointers[INPUTS];
    bool constant[INPUTS];
    int32_t outputs[OUTPUTS];
    struct arena arena, scratch; /* scratch is taken back after every call */
    struct op_env env;
    struct counted counted;
    struct op_ctx c;
    struct error error;
};

static struct str text(const char *s) {
    return (struct str){s, strlen(s)};
}

static void one_init(struct one *o, const char *op, int64_t opset) {
    memset(o, 0, sizeof *o);
    arena_init(&o->arena, model_memory(&o->counted), 1 << 16, (size_t)1 << 28, "test");
    arena_init(&o->scratch, model_memory(&o->counted), 1 << 16, (size_t)1 << 28, "scratch");
    o->node.op_type = text(op);
    o->node.row = op_find(text(""), text(op), opset);
    cr_assert_not_null(o->node.row, "%s", op);
    o->node.attributes = o->attributes;
    o->node.outputs = o->outputs;
    o->c = (struct op_ctx){
        .node = &o->node,
        .in = o->pointers,
        .in_constant = o->constant,
        .out = o->out,
        .out_count = 1,
        .heap = &o->arena,
        .scratch = &o->scratch,
        .weights = &o->arena,
        .graph = &o->arena,
        .env = &o->env,
        .opset = opset,
        .error = &o->error,
    };
}

static void one_free(struct one *o) {
    threads_free(o->env.threads);
    arena_free(&o->scratch);
    arena_free(&o->arena);
    cr_assert_eq(o->counted.live, 0);
}

static struct attribute *attribute(struct one *o, const char *name, enum attr_type type) {
    struct attribute *a = &o->attributes[o->node.attribute_count++];
    cr_assert_leq(o->node.attribute_count, (size_t)ATTRIBUTES);
    a->name = text(name);
    a->type = type;
    return a;
}

static void one_int(struct one *o, const char *name, int64_t v) {
    attribute(o, name, ATTR_INT)->i = v;
}

static void one_ints(struct one *o, const char *name, size_t count, const int64_t *v) {
    struct attribute *a = attribute(o, name, ATTR_INTS);
    a->ints = v;
    a->count = count;
}

static void one_text(struct one *o, const char *name, const char *v) {
    attribute(o, name, ATTR_STRING)->s = text(v);
}

static void one_in(struct one *o, size_t i, enum dtype dtype, int rank, const int64_t *dims,
                   const void *data) {
    struct tensor *t = &o->in[i].tensor;
    cr_assert_eq(tensor_shape(t, dtype, rank, dims, NULL), STATUS_OK);
    t->data = arena_alloc(&o->arena, t->bytes);
    memcpy(t->data, data, t->bytes);
    o->in[i].kind = VALUE_TENSOR;
    o->pointers[i] = &o->in[i];
    o->c.in_count = i + 1 > o->c.in_count ? i + 1 : o->c.in_count;
}

/* Life of a node: prepare, where anything is constant, sees only that; then infer and run. */
static enum status one_run(struct one *o) {
    const struct value *all[INPUTS];
    bool any = false;
    memcpy(all, o->pointers, sizeof all);
    for (size_t i = 0; i < o->c.in_count; i++) {
        any = any || o->constant[i];
        if (all[i] && !o->constant[i])
            o->pointers[i] = &call_unknown;
    }
    enum status s = STATUS_OK;
    if (any) {
        const size_t promised = call_pack_size(&o->c), before = o->arena.used;
        s = call_prepare(&o->c);
        cr_assert_leq(promised, o->arena.used - before, "packs less than it said");
    }
    memcpy(o->pointers, all, sizeof all);
    if (s == STATUS_OK)
        s = call_infer(&o->c);
    if (s == STATUS_OK)
        s = call_allocate(&o->c);
    return s == STATUS_OK ? call_run(&o->c) : s;
}

static unsigned seed = 7;

static float noise(void) {
    seed = seed * 1103515245u + 12345u;
    return (float)(seed >> 8 & 0xffff) / 32768.0f - 1.0f;
}

static float *noise_array(size_t n) {
    float *p = malloc((n + 1) * sizeof *p);
    for (size_t i = 0; i < n; i++)
        p[i] = noise();
    return p;
}

static int64_t product(int rank, const int64_t *dims) {
    int64_t n = 1;
    for (int d = 0; d < rank; d++)
        n *= dims[d];
    return n;
}

/* ---- elementary functions ---- */

static double ulps(float found, double expected) {
    const float rounded = (float)expected;
    return fabs((double)found - expected) /
           ((double)nextafterf(fabsf(rounded), INFINITY) - (double)fabsf(rounded));
}

static double sigmoid(double x) {
    return 1 / (1 + exp(-x));
}

Test(engine_nn, fast_math) {
    for (float x = -87.0f; x < 88.7f; x += 0.00137f)
        cr_assert_leq(ulps(fast_expf(x), exp((double)x)), 2.0, "exp(%g)", (double)x);
    for (float x = -12.0f; x < 12.0f; x += 0.00037f) {
        cr_assert_leq(ulps(fast_tanhf(x), tanh((double)x)), 3.0, "tanh(%g)", (double)x);
        cr_assert_leq(ulps(fast_sigmoidf(x), 1 / (1 + exp(-(double)x))), 4.0, "sigmoid(%g)",
                      (double)x);
    }
    cr_assert(isnan(fast_expf(NAN)) && isnan(fast_tanhf(NAN)));
    cr_assert_eq(fast_expf(INFINITY), INFINITY);
    cr_assert_eq(fast_expf(-INFINITY), 0.0f);
    cr_assert_eq(fast_tanhf(INFINITY), 1.0f);
    cr_assert_eq(fast_tanhf(-INFINITY), -1.0f);
    cr_assert_eq(fast_sigmoidf(-200.0f), 0.0f);
}

/* The array forms, whose kernel depends on the processor, at every length around a vector. */
Test(engine_nn, fast_arrays) {
    float x[40], y[40];
    for (size_t n = 0; n <= 40; n++) {
        double sum = 0;
        float top = -INFINITY;
        for (size_t i = 0; i < n; i++) {
            x[i] = 8.0f * noise();
            top = x[i] > top ? x[i] : top;
            sum += exp((double)x[i] - 1);
        }
        cr_assert_eq(fast_max(x, n), top);
        cr_assert_float_eq((double)fast_exp(x, y, n, 1.0f), sum, 1e-5 * sum);
        for (size_t i = 0; i < n; i++)
            cr_assert_leq(ulps(y[i], exp((double)(x[i] - 1.0f))), 2.0);
        memcpy(y, x, n * sizeof *y);
        fast_tanh(y, n);
        for (size_t i = 0; i < n; i++)
            cr_assert_leq(ulps(y[i], tanh((double)x[i])), 3.0);
        memcpy(y, x, n * sizeof *y);
        fast_sigmoid(y, n);
        for (size_t i = 0; i < n; i++)
            cr_assert_leq(ulps(y[i], sigmoid((double)x[i])), 4.0);
    }
    float special[16] = {NAN, INFINITY, -INFINITY, -200, 200};
    fast_tanh(special, 16);
    cr_assert(isnan(special[0]) && special[1] == 1 && special[2] == -1 && special[3] == -1);
    float powers[16] = {NAN, INFINITY, -INFINITY, -200, 200};
    (void)fast_exp(powers, powers, 16, 0);
    cr_assert(isnan(powers[0]) && isinf(powers[1]) && powers[2] == 0 && powers[3] == 0 &&
              isinf(powers[4]) && powers[5] == 1);
}

/* ---- convolution ---- */

struct conv_case {
    int64_t n, c, h, w, m, kh, kw, group, stride, dilation, pads[4];
};

static const struct conv_case conv_cases[] = {
    {1, 3, 9, 8, 4, 3, 3, 1, 1, 1, {1, 1, 1, 1}},
    {2, 4, 7, 7, 6, 1, 1, 1, 1, 1, {0, 0, 0, 0}},
    {2, 4, 7, 7, 6, 1, 1, 1, 2, 1, {0, 0, 0, 0}},
    {1, 6, 9, 5, 9, 3, 2, 3, 2, 1, {0, 1, 2, 0}},
    {2, 5, 8, 8, 5, 3, 3, 5, 1, 1, {1, 1, 1, 1}},
    {1, 4, 9, 9, 8, 3, 3, 4, 2, 2, {2, 2, 2, 2}},
    {1, 2, 5, 4, 3, 3, 3, 1, 1, 1, {4, 4, 4, 4}},
    {1, 70, 40, 37, 11, 3, 3, 1, 1, 1, {1, 0, 1, 0}},
    /* Depthwise rows long enough for blocks. */
    {1, 4, 6, 40, 4, 3, 3, 4, 1, 1, {1, 1, 1, 1}},
    {2, 3, 7, 53, 6, 3, 5, 3, 2, 1, {1, 2, 1, 0}},
    {1, 2, 5, 41, 2, 1, 3, 2, 1, 2, {0, 2, 0, 2}},
    {1, 2, 5, 70, 2, 3, 3, 2, 3, 1, {1, 1, 1, 1}},
};

static double conv_at(const struct conv_case *k, const float *x, const float *w, int64_t b,
                      int64_t m, int64_t oy, int64_t ox) {
    const int64_t channels = k->c / k->group, group = m / (k->m / k->group);
    double sum = 0;
    for (int64_t c = 0; c < channels; c++)
        for (int64_t y = 0; y < k->kh; y++)
            for (int64_t u = 0; u < k->kw; u++) {
                const int64_t iy = oy * k->stride - k->pads[0] + y * k->dilation;
                const int64_t ix = ox * k->stride - k->pads[1] + u * k->dilation;
                if (iy >= 0 && iy < k->h && ix >= 0 && ix < k->w)
                    sum += (double)x[((b * k->c + group * channels + c) * k->h + iy) * k->w + ix] *
                           (double)w[((m * channels + c) * k->kh + y) * k->kw + u];
            }
    return sum;
}

static void check_conv(const struct conv_case *k, bool constant, size_t threads) {
    struct one o;
    const int64_t xd[] = {k->n, k->c, k->h, k->w}, wd[] = {k->m, k->c / k->group, k->kh, k->kw};
    const int64_t strides[] = {k->stride, k->stride}, dilations[] = {k->dilation, k->dilation};
    float *x = noise_array((size_t)product(4, xd)), *w = noise_array((size_t)product(4, wd));
    float *bias = noise_array((size_t)k->m);
    one_init(&o, "Conv", 11);
    cr_assert_eq(threads_new(threads, &o.env.threads, NULL), STATUS_OK);
    one_in(&o, 0, DTYPE_FLOAT, 4, xd, x);
    one_in(&o, 1, DTYPE_FLOAT, 4, wd, w);
    one_in(&o, 2, DTYPE_FLOAT, 1, &k->m, bias);
    o.constant[1] = constant;
    one_int(&o, "group", k->group);
    one_ints(&o, "strides", 2, strides);
    one_ints(&o, "dilations", 2, dilations);
    one_ints(&o, "pads", 4, k->pads);
    cr_assert_eq(one_run(&o), STATUS_OK, "%s", o.error.message);
    const struct tensor *y = &o.out[0].tensor;
    const int64_t oh = (k->h + k->pads[0] + k->pads[2] - (k->kh - 1) * k->dilation - 1) / k->stride;
    const int64_t ow = (k->w + k->pads[1] + k->pads[3] - (k->kw - 1) * k->dilation - 1) / k->stride;
    cr_assert_eq(y->dims[2], oh + 1);
    cr_assert_eq(y->dims[3], ow + 1);
    const float *found = y->data;
    for (int64_t i = 0; i < y->count; i++) {
        const int64_t ox = i % (ow + 1), oy = i / (ow + 1) % (oh + 1);
        const int64_t m = i / ((ow + 1) * (oh + 1)) % k->m, b = i / ((ow + 1) * (oh + 1) * k->m);
        const double expected = conv_at(k, x, w, b, m, oy, ox) + (double)bias[m];
        cr_assert_float_eq((double)found[i], expected, 1e-4,
                           "case %d, %s weights, %zu threads, element %lld: found %g, expected %g",
                           (int)(k - conv_cases), constant ? "constant" : "varying", threads,
                           (long long)i, (double)found[i], expected);
    }
    one_free(&o);
    free(x);
    free(w);
    free(bias);
}

Test(engine_nn, conv) {
    for (size_t i = 0; i < sizeof conv_cases / sizeof *conv_cases; i++)
        for (size_t threads = 1; threads < 4; threads += 2) {
            check_conv(&conv_cases[i], true, threads);
            check_conv(&conv_cases[i], false, threads);
        }
}

Test(engine_nn, conv_refuses) {
    static const float zeros[64];
    static const int64_t xd[] = {1, 2, 4, 4}, wd[] = {2, 2, 3, 3}, huge[] = {INT64_MAX, 1},
                         negative[] = {0, 0, -1, 0}, three[] = {1, 1, 1};
    for (int bad = 0; bad < 5; bad++) {
        struct one o;
        one_init(&o, "Conv", 11);
        one_in(&o, 0, DTYPE_FLOAT, 4, xd, zeros);
        one_in(&o, 1, DTYPE_FLOAT, 4, wd, zeros);
        if (bad == 0)
            one_ints(&o, "strides", 2, huge);
        else if (bad == 1)
            one_ints(&o, "pads", 4, negative);
        else if (bad == 2)
            one_ints(&o, "dilations", 3, three);
        else if (bad == 3)
            one_int(&o, "group", 0);
        else
            one_text(&o, "auto_pad", "SOMEHOW");
        cr_assert_eq(one_run(&o), STATUS_INVALID, "%d", bad);
        cr_assert(strstr(o.error.message, "Conv: "));
        one_free(&o);
    }
}

/* ---- LSTM: directions, lengths and packing against the equations ---- */

enum { SEQ = 5, BATCH = 3, IN = 4, HIDDEN = 6, DIRS = 2 };

/* One direction of one batch entry, y[t * HIDDEN + k]. */
static void lstm_expected(const float *x, const float *w, const float *r, const float *b,
                          int length, bool reverse, size_t entry, double *y) {
    double h[HIDDEN] = {0}, cell[HIDDEN] = {0}, gate[4 * HIDDEN];
    for (int s = 0; s < length; s++) {
        const int t = reverse ? length - 1 - s : s;
        for (int g = 0; g < 4 * HIDDEN; g++) {
            gate[g] = (double)b[g] + (double)b[4 * HIDDEN + g];
            for (int i = 0; i < IN; i++)
                gate[g] +=
                    (double)x[((size_t)t * BATCH + entry) * IN + (size_t)i] * (double)w[g * IN + i];
            for (int i = 0; i < HIDDEN; i++)
                gate[g] += h[i] * (double)r[g * HIDDEN + i];
        }
        for (int k = 0; k < HIDDEN; k++) {
            cell[k] = sigmoid(gate[2 * HIDDEN + k]) * cell[k] +
                      sigmoid(gate[k]) * tanh(gate[3 * HIDDEN + k]);
            y[t * HIDDEN + k] = h[k] = sigmoid(gate[HIDDEN + k]) * tanh(cell[k]);
        }
    }
}

static void check_lstm(bool constant, size_t threads, const int32_t *lengths) {
    static const int64_t xd[] = {SEQ, BATCH, IN}, wd[] = {DIRS, 4 * HIDDEN, IN},
                         rd[] = {DIRS, 4 * HIDDEN, HIDDEN}, bd[] = {DIRS, 8 * HIDDEN},
                         ld[] = {BATCH};
    float *x = noise_array(SEQ * BATCH * IN), *w = noise_array(DIRS * 4 * HIDDEN * IN);
    float *r = noise_array(DIRS * 4 * HIDDEN * HIDDEN), *b = noise_array(DIRS * 8 * HIDDEN);
    struct one o;
    one_init(&o, "LSTM", 14);
    cr_assert_eq(threads_new(threads, &o.env.threads, NULL), STATUS_OK);
    one_in(&o, 0, DTYPE_FLOAT, 3, xd, x);
    one_in(&o, 1, DTYPE_FLOAT, 3, wd, w);
    one_in(&o, 2, DTYPE_FLOAT, 3, rd, r);
    one_in(&o, 3, DTYPE_FLOAT, 2, bd, b);
    one_in(&o, 4, DTYPE_INT32, 1, ld, lengths);
    o.constant[1] = o.constant[2] = constant;
    one_text(&o, "direction", "bidirectional");
    one_int(&o, "hidden_size", HIDDEN);
    cr_assert_eq(one_run(&o), STATUS_OK, "%s", o.error.message);
    const float *y = o.out[0].tensor.data;
    for (size_t d = 0; d < DIRS; d++)
        for (size_t entry = 0; entry < BATCH; entry++) {
            double expected[SEQ * HIDDEN] = {0};
            lstm_expected(x, w + d * 4 * HIDDEN * IN, r + d * 4 * HIDDEN * HIDDEN,
                          b + d * 8 * HIDDEN, lengths[entry], d == 1, entry, expected);
            for (size_t t = 0; t < SEQ; t++)
                for (size_t k = 0; k < HIDDEN; k++)
                    cr_assert_float_eq((double)y[((t * DIRS + d) * BATCH + entry) * HIDDEN + k],
                                       expected[t * HIDDEN + k], 1e-5);
        }
    one_free(&o);
    free(x);
    free(w);
    free(r);
    free(b);
}

Test(engine_nn, lstm) {
    static const int32_t full[BATCH] = {SEQ, SEQ, SEQ}, mixed[BATCH] = {2, SEQ, 0};
    for (size_t threads = 1; threads < 4; threads += 2)
        for (int constant = 0; constant < 2; constant++) {
            check_lstm(constant != 0, threads, full);
            check_lstm(constant != 0, threads, mixed);
        }
}

/* ---- numbers from data ---- */

static void expect_refusal(struct one *o, const char *word) {
    cr_assert_eq(one_run(o), STATUS_INVALID);
    cr_assert(strstr(o->error.message, word), "%s", o->error.message);
    one_free(o);
}

Test(engine_nn, max_unpool_index) {
    static const float x[4] = {1, 2, 3, 4};
    static const int64_t dims[] = {1, 1, 2, 2}, two[] = {2, 2};
    static const int64_t bad[] = {16, -1, INT64_MAX, INT64_MIN};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        const int64_t indices[4] = {0, 3, bad[i], 5};
        struct one o;
        one_init(&o, "MaxUnpool", 11);
        one_in(&o, 0, DTYPE_FLOAT, 4, dims, x);
        one_in(&o, 1, DTYPE_INT64, 4, dims, indices);
        one_ints(&o, "kernel_shape", 2, two);
        one_ints(&o, "strides", 2, two);
        expect_refusal(&o, "index");
    }
}

Test(engine_nn, roi_batch_index) {
    static const float image[16], roi[4] = {0, 0, 2, 2};
    static const int64_t xd[] = {1, 1, 4, 4}, rd[] = {1, 4}, id[] = {1};
    static const int64_t bad[] = {1, -1, INT64_MAX};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct one o;
        one_init(&o, "RoiAlign", 16);
        one_in(&o, 0, DTYPE_FLOAT, 4, xd, image);
        one_in(&o, 1, DTYPE_FLOAT, 2, rd, roi);
        one_in(&o, 2, DTYPE_INT64, 1, id, &bad[i]);
        expect_refusal(&o, "batch index");
    }
}

Test(engine_nn, rotary_position) {
    static const float x[8], cache[4];
    static const int64_t xd[] = {1, 2, 4}, cd[] = {2, 2}, pd[] = {1, 2};
    static const int64_t bad[][2] = {{0, 2}, {-1, 0}, {INT64_MIN, 1}};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct one o;
        one_init(&o, "RotaryEmbedding", 23);
        one_in(&o, 0, DTYPE_FLOAT, 3, xd, x);
        one_in(&o, 1, DTYPE_FLOAT, 2, cd, cache);
        one_in(&o, 2, DTYPE_FLOAT, 2, cd, cache);
        one_in(&o, 3, DTYPE_INT64, 2, pd, bad[i]);
        one_int(&o, "num_heads", 1);
        expect_refusal(&o, "position");
    }
}

Test(engine_nn, sequence_length) {
    static const float zeros[64];
    static const int64_t xd[] = {2, 1, 1}, wd[] = {1, 1, 1}, ld[] = {1};
    static const int32_t bad[] = {3, -1, INT32_MAX};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct one o;
        one_init(&o, "RNN", 14);
        one_in(&o, 0, DTYPE_FLOAT, 3, xd, zeros);
        one_in(&o, 1, DTYPE_FLOAT, 3, wd, zeros);
        one_in(&o, 2, DTYPE_FLOAT, 3, wd, zeros);
        one_in(&o, 4, DTYPE_INT32, 1, ld, &bad[i]);
        one_int(&o, "hidden_size", 1);
        expect_refusal(&o, "sequence_lens");
    }
}

/* A grid of numbers that are no places must read nothing outside, and give zeros. */
Test(engine_nn, grid_without_place) {
    static const float x[4] = {1, 2, 3, 4};
    const float grid[8] = {NAN, 0, INFINITY, INFINITY, 1e30f, -1e30f, -INFINITY, NAN};
    static const int64_t xd[] = {1, 1, 2, 2}, gd[] = {1, 1, 4, 2};
    static const char *modes[] = {"bilinear", "nearest", "bicubic"};
    for (size_t m = 0; m < 3; m++) {
        struct one o;
        one_init(&o, "GridSample", 16);
        one_in(&o, 0, DTYPE_FLOAT, 4, xd, x);
        one_in(&o, 1, DTYPE_FLOAT, 4, gd, grid);
        one_text(&o, "mode", modes[m]);
        cr_assert_eq(one_run(&o), STATUS_OK, "%s", o.error.message);
        for (int i = 0; i < 4; i++)
            cr_assert_eq(((const float *)o.out[0].tensor.data)[i], 0.0f);
        one_free(&o);
    }
}
