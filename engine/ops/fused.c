/* com.microsoft FusedConv and FusedGemm: Conv or Gemm, then a sum where one is given, then an
 * activation; and ConvTransposeWithDynamicPads, whose pads are an input. The standard operator's
 * own row does the work, its packed weights included. */
#include "engine/ops/delegate.h"

#include <math.h>

enum activation { NONE, RELU, TANH, SIGMOID, LEAKY_RELU, CLIP, HARD_SIGMOID, HARD_SWISH, ELU };

struct finish {
    enum activation kind;
    float a, b;
};

static bool is_conv(const struct op_ctx *c) {
    return str_is(c->node->op_type, "FusedConv");
}

/* The opset is the newest whose row takes the same inputs and attributes. */
static const struct op_row *inner(const struct op_ctx *c) {
    return is_conv(c) ? op_find((struct str){"", 0}, (struct str){"Conv", 4}, 11)
                      : op_find((struct str){"", 0}, (struct str){"Gemm", 4}, 13);
}

static enum status finish_of(struct op_ctx *c, struct finish *f) {
    static const struct {
        const char *name;
        struct finish f;
        size_t numbers;
    } table[] = {{"", {NONE, 0, 0}, 0},
                 {"Relu", {RELU, 0, 0}, 0},
                 {"Tanh", {TANH, 0, 0}, 0},
                 {"Sigmoid", {SIGMOID, 0, 0}, 0},
                 {"LeakyRelu", {LEAKY_RELU, 0.01f, 0}, 1},
                 {"Clip", {CLIP, -INFINITY, INFINITY}, 2},
                 {"HardSigmoid", {HARD_SIGMOID, 0.2f, 0.5f}, 2},
                 {"HardSwish", {HARD_SWISH, 1.0f / 6, 0.5f}, 2},
                 {"Elu", {ELU, 1, 0}, 1}};
    const struct str name = op_attr_str(c, "activation", "");
    const float *given = NULL;
    const size_t n = is_conv(c) ? op_attr_floats(c, "activation_params", &given) : 0;
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        if (!str_is(name, table[i].name))
            continue;
        *f = table[i].f;
        if (is_conv(c)) {
            if (n != 0 && n != table[i].numbers)
                return op_fail(c, "activation_params has %zu numbers, expected %zu", n,
                               table[i].numbers);
            f->a = n > 0 ? given[0] : f->a;
            f->b = n > 1 ? given[1] : f->b;
        } else {
            f->a = op_attr_float(c, "activation_alpha", f->a);
            f->b = op_attr_float(c, "activation_beta", f->b);
        }
        return STATUS_OK;
    }
    char text[64];
    return op_fail(c, "activation \"%s\" is not served", graph_name_text(name, text, sizeof text));
}

static enum status infer(struct op_ctx *c) {
    struct finish f;
    enum status s = finish_of(c, &f);
    if (s == STATUS_OK)
        s = inner(c)->infer(c);
    if (s != STATUS_OK || !is_conv(c) || !op_in(c, 3))
        return s;
    s = op_need_same(c, 3, 0);
    if (s == STATUS_OK && op_out_wanted(c, 0) && !tensor_same_shape(op_in(c, 3), &c->out[0].tensor))
        return op_fail(c, "Z does not have the shape of the output");
    return s;
}

static size_t pack_size(struct op_ctx *c) {
    const struct op_row *row = inner(c);
    return row->pack_size ? row->pack_size(c) : 0;
}

static enum status prepare(struct op_ctx *c) {
    const struct op_row *row = inner(c);
    return row->prepare ? row->prepare(c) : STATUS_OK;
}

static float activate(const struct finish *f, float x) {
    switch (f->kind) {
    case RELU:
        return x > 0 ? x : 0;
    case TANH:
        return tanhf(x);
    case SIGMOID:
        return 1.0f / (1.0f + expf(-x));
    case LEAKY_RELU:
        return x < 0 ? f->a * x : x;
    case CLIP:
        return fminf(fmaxf(x, f->a), f->b);
    case HARD_SIGMOID:
        return fmaxf(0, fminf(1, f->a * x + f->b));
    case HARD_SWISH:
        return x * fmaxf(0, fminf(1, f->a * x + f->b));
    case ELU:
        return x < 0 ? f->a * expm1f(x) : x;
    case NONE:
        break;
    }
    return x;
}

struct job {
    struct finish f;
    const float *z;
    float *y;
};

static void finish_some(void *arg, size_t begin, size_t end) {
    const struct job *j = arg;
    if (j->z)
        for (size_t i = begin; i < end; i++)
            j->y[i] += j->z[i];
    if (j->f.kind == RELU)
        for (size_t i = begin; i < end; i++)
            j->y[i] = j->y[i] > 0 ? j->y[i] : 0;
    else if (j->f.kind != NONE)
        for (size_t i = begin; i < end; i++)
            j->y[i] = activate(&j->f, j->y[i]);
}

static enum status run(struct op_ctx *c) {
    struct job j = {.z = NULL};
    enum status s = finish_of(c, &j.f);
    if (s == STATUS_OK)
        s = inner(c)->run(c);
    struct tensor *y = op_out(c, 0);
    if (s != STATUS_OK || !y || y->count == 0)
        return s;
    if (is_conv(c) && op_in(c, 3))
        s = op_in_f32(c, 3, &j.z);
    if (s == STATUS_OK && y->dtype == DTYPE_FLOAT) {
        j.y = y->data;
    } else if (s == STATUS_OK) {
        j.y = op_scratch_array(c, (size_t)y->count, sizeof *j.y);
        if (!j.y)
            return op_no_memory(c);
        half_widen(y->dtype, y->data, j.y, (size_t)y->count);
    }
    if (s != STATUS_OK)
        return s;
    op_parallel(c, (size_t)y->count, 16384, finish_some, &j);
    op_out_f32_done(c, 0, j.y);
    return STATUS_OK;
}

static enum status fused_infer(struct op_ctx *c) {
    enum status s = op_need_all(c, 2);
    if (s == STATUS_OK)
        s = op_need_dtype(c, 0, DT(FLOAT) | DT(FLOAT16) | DT(BFLOAT16));
    return s == STATUS_OK ? infer(c) : s;
}

/* ---- ConvTransposeWithDynamicPads: X, W, Pads, B ---- */

static enum status open_transposed(struct op_ctx *c, struct delegate *d, int64_t *pads) {
    size_t n = 0;
    enum status s = STATUS_OK;
    if (op_in(c, 2))
        s = op_in_ints(c, 2, pads, 2 * TENSOR_MAX_RANK, &n);
    if (s == STATUS_OK)
        s = delegate_open(c, d, "ConvTranspose", 11, 3, 1);
    if (s != STATUS_OK)
        return s;
    if (op_in(c, 2))
        delegate_ints(d, "pads", pads, n);
    delegate_in(d, 0, op_in(c, 0));
    delegate_in(d, 1, op_in(c, 1));
    delegate_in(d, 2, op_in(c, 3));
    return STATUS_OK;
}

static enum status transposed_infer(struct op_ctx *c) {
    int64_t pads[2 * TENSOR_MAX_RANK];
    struct delegate d;
    enum status s = op_need_all(c, 2);
    if (s == STATUS_OK && op_in(c, 2) && !op_in(c, 2)->data)
        return op_infer_later(c);
    if (s == STATUS_OK)
        s = open_transposed(c, &d, pads);
    if (s == STATUS_OK)
        s = delegate_infer(&d);
    return s == STATUS_OK ? op_infer_like(c, 0, &d.out[0].tensor) : s;
}

static enum status transposed_run(struct op_ctx *c) {
    int64_t pads[2 * TENSOR_MAX_RANK];
    struct delegate d;
    enum status s = open_transposed(c, &d, pads);
    if (s == STATUS_OK)
        s = delegate_run(&d);
    return s == STATUS_OK ? op_view(c, 0, &d.out[0].tensor) : s;
}

#define MICROSOFT "com.microsoft"

const struct op_row op_family_fused[] = {
    {.domain = MICROSOFT,
     .name = "FusedConv",
     .since = 1,
     .infer = fused_infer,
     .run = run,
     .prepare = prepare,
     .pack_size = pack_size},
    {.domain = MICROSOFT,
     .name = "FusedGemm",
     .since = 1,
     .infer = fused_infer,
     .run = run,
     .prepare = prepare,
     .pack_size = pack_size},
    {.domain = MICROSOFT,
     .name = "ConvTransposeWithDynamicPads",
     .since = 1,
     .infer = transposed_infer,
     .run = transposed_run},
    OP_END,
};
