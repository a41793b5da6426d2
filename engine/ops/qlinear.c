/* com.microsoft's QLinear operators that work element by element or over windows: the operands are
 * taken out of their quantised form, the standard operator computes in float, and the result is
 * quantised. Each tensor has one scale and one zero point (0 where it is left out). */
#include "engine/ops/delegate.h"
#include "engine/ops/quant.h"

struct form {
    const char *name; /* the standard operator's */
    int64_t opset;
    size_t first, operands; /* operand k is inputs first + 3k to first + 3k + 2; 0: all there are */
    size_t result;          /* scale and zero point of the result */
    bool condition;         /* input 0 goes first, as it is */
};

static const struct form add = {"Add", 14, 0, 2, 6, false};
static const struct form mul = {"Mul", 14, 0, 2, 6, false};
static const struct form concat = {"Concat", 13, 2, 0, 0, false};
static const struct form where = {"Where", 16, 1, 2, 7, true};
static const struct form sigmoid = {"Sigmoid", 13, 0, 1, 3, false};
static const struct form leaky_relu = {"LeakyRelu", 16, 0, 1, 3, false};
static const struct form softmax = {"Softmax", 13, 0, 1, 3, false};
static const struct form average_pool = {"AveragePool", 11, 0, 1, 3, false};
static const struct form global_average_pool = {"GlobalAveragePool", 1, 0, 1, 3, false};
static const struct form reduce_mean = {"ReduceMean", 13, 0, 1, 3, false};

static size_t operands(const struct op_ctx *c, const struct form *f) {
    return f->operands ? f->operands : (op_in_count(c) - f->first) / 3;
}

static enum status need_parameters(struct op_ctx *c, size_t scale, enum dtype dtype) {
    const struct tensor *zero = op_in(c, scale + 1);
    enum status s = op_need(c, scale);
    if (s == STATUS_OK)
        s = op_need_dtype(c, scale, DT(FLOAT));
    if (s == STATUS_OK)
        s = op_need_dtype(c, scale + 1, (uint32_t)1 << dtype);
    if (s == STATUS_OK && (op_in(c, scale)->count != 1 || (zero && zero->count != 1)))
        return op_fail(c, "inputs %zu and %zu must have one element each", scale, scale + 1);
    return s;
}

static enum status check(struct op_ctx *c, const struct form *f) {
    if (f->operands == 0 && (op_in_count(c) < f->first + 3 || (op_in_count(c) - f->first) % 3 != 0))
        return op_fail(c, "%zu inputs are not tensors with a scale and a zero point each",
                       op_in_count(c) - (op_in_count(c) > f->first ? f->first : 0));
    enum status s = op_need(c, f->first);
    if (s == STATUS_OK)
        s = op_need_dtype(c, f->first, QUANT_BYTES);
    if (s != STATUS_OK)
        return s;
    const enum dtype dtype = op_in(c, f->first)->dtype;
    for (size_t k = 0; k < operands(c, f) && s == STATUS_OK; k++) {
        s = op_need(c, f->first + 3 * k);
        if (s == STATUS_OK)
            s = op_need_dtype(c, f->first + 3 * k, (uint32_t)1 << dtype);
        if (s == STATUS_OK)
            s = need_parameters(c, f->first + 3 * k + 1, dtype);
    }
    if (s == STATUS_OK)
        s = need_parameters(c, f->result, dtype);
    if (s == STATUS_OK && f->condition) {
        s = op_need(c, 0);
        if (s == STATUS_OK)
            s = op_need_dtype(c, 0, DT(BOOL));
    }
    return s;
}

static int byte_at(const struct tensor *t, int64_t i) {
    return t->dtype == DTYPE_INT8 ? ((const int8_t *)t->data)[i] : ((const uint8_t *)t->data)[i];
}

/* Operand t as float, or only its shape where it has no data. */
static enum status widen(struct op_ctx *c, const struct tensor *t, size_t scale,
                         struct tensor *to) {
    enum status s = tensor_shape(to, DTYPE_FLOAT, t->rank, t->dims, c->error);
    const struct tensor *by = op_in(c, scale), *zero = op_in(c, scale + 1);
    if (s != STATUS_OK || !t->data || !by->data || (zero && !zero->data))
        return s;
    float *out = op_scratch(c, to->bytes), table[256];
    if (!out)
        return op_no_memory(c);
    for (int i = 0; i < 256; i++) {
        const int v = t->dtype == DTYPE_INT8 ? (int8_t)(uint8_t)i : i;
        table[i] = (float)(v - (zero ? byte_at(zero, 0) : 0)) * *(const float *)by->data;
    }
    for (int64_t i = 0; i < t->count; i++)
        out[i] = table[((const uint8_t *)t->data)[i]];
    to->data = out;
    return STATUS_OK;
}

static bool channels_last(struct op_ctx *c) {
    return op_attr_int(c, "channels_last", 0) != 0;
}

/* Windows that reach past the padding (ceil_mode) count as whole where padding counts at all: so
 * much padding is added that none does. pads must stay as long as d. */
static enum status whole_windows(struct op_ctx *c, struct delegate *d,
                                 int64_t pads[2 * TENSOR_MAX_RANK]) {
    const int64_t *kernel = NULL, *strides = NULL, *given = NULL;
    const struct tensor *x = &d->values[0].tensor;
    enum status s = delegate_infer(d); /* checks all attributes */
    if (s != STATUS_OK)
        return s;
    (void)op_attr_ints(c, "kernel_shape", &kernel);
    (void)op_attr_ints(c, "strides", &strides);
    const size_t padded = op_attr_ints(c, "pads", &given), n = (size_t)x->rank - 2;
    for (size_t i = 0; i < n; i++) {
        const int64_t out = d->out[0].tensor.dims[2 + i], step = strides ? strides[i] : 1;
        pads[i] = padded ? given[i] : 0;
        pads[n + i] = padded ? given[n + i] : 0;
        const int64_t over = (out - 1) * step + kernel[i] - x->dims[2 + i] - pads[i] - pads[n + i];
        pads[n + i] += over > 0 ? over : 0;
    }
    delegate_ints(d, "pads", pads, 2 * n);
    delegate_int(d, "ceil_mode", 0);
    return STATUS_OK;
}

static enum status open_delegate(struct op_ctx *c, const struct form *f, struct delegate *d,
                                 int64_t pads[2 * TENSOR_MAX_RANK]) {
    const bool old_softmax = f == &softmax && op_attr_int(c, "opset", 13) < 13;
    const size_t before = f->condition ? 1 : 0, count = operands(c, f);
    enum status s = delegate_open(c, d, f->name, old_softmax ? 11 : f->opset, before + count, 1);
    if (s == STATUS_OK && f->condition)
        delegate_in(d, 0, op_in(c, 0));
    for (size_t k = 0; k < count && s == STATUS_OK; k++) {
        const struct tensor *t = op_in(c, f->first + 3 * k);
        struct tensor turned, wide;
        if (channels_last(c)) {
            s = delegate_channels(c, t, true, &turned);
            t = &turned;
        }
        if (s == STATUS_OK)
            s = widen(c, t, f->first + 3 * k + 1, &wide);
        if (s == STATUS_OK)
            delegate_in(d, before + k, &wide);
    }
    if (s == STATUS_OK && f == &softmax)
        delegate_int(d, "axis", op_attr_int(c, "axis", -1));
    if (s == STATUS_OK && f == &average_pool && op_attr_int(c, "ceil_mode", 0) != 0 &&
        op_attr_int(c, "count_include_pad", 0) != 0 &&
        str_is(op_attr_str(c, "auto_pad", "NOTSET"), "NOTSET"))
        s = whole_windows(c, d, pads);
    return s;
}

static enum status infer(struct op_ctx *c) {
    const struct form *f = op_form(c);
    struct delegate d;
    struct tensor turned;
    int64_t pads[2 * TENSOR_MAX_RANK];
    enum status s = check(c, f);
    if (s == STATUS_OK)
        s = open_delegate(c, f, &d, pads);
    if (s == STATUS_OK)
        s = delegate_infer(&d);
    if (s != STATUS_OK)
        return s;
    turned = d.out[0].tensor;
    if (channels_last(c))
        s = delegate_channels(c, &d.out[0].tensor, false, &turned);
    const enum dtype dtype = op_in(c, f->first)->dtype;
    return s == STATUS_OK ? op_infer(c, 0, dtype, turned.rank, turned.dims) : s;
}

static enum status run(struct op_ctx *c) {
    const struct form *f = op_form(c);
    struct tensor *y = op_out(c, 0), turned;
    if (!y || y->count == 0)
        return STATUS_OK;
    struct delegate d;
    int64_t pads[2 * TENSOR_MAX_RANK];
    enum status s = open_delegate(c, f, &d, pads);
    if (s == STATUS_OK)
        s = delegate_run(&d);
    if (s != STATUS_OK)
        return s;
    turned = d.out[0].tensor;
    if (channels_last(c))
        s = delegate_channels(c, &d.out[0].tensor, false, &turned);
    const float by = *(const float *)op_in(c, f->result)->data, *from = turned.data;
    const struct tensor *zero = op_in(c, f->result + 1);
    const double add_zero = zero ? (double)byte_at(zero, 0) : 0;
    for (int64_t i = 0; i < y->count && s == STATUS_OK; i++)
        quant_store(y->dtype, y->data, (size_t)i, (double)(from[i] / by), add_zero);
    return s;
}

/* ---- operators that the standard has, over [batch, spatial..., channels] ---- */

/* QLinearConv is the standard one's, NhwcMaxPool is MaxPool over bytes. */
static bool is_pool(const struct op_ctx *c) {
    return str_is(c->node->op_type, "NhwcMaxPool");
}

static enum status open_turned(struct op_ctx *c, struct delegate *d, bool *turn) {
    const struct tensor *x = op_in(c, 0);
    struct tensor turned = *x;
    const size_t count = is_pool(c) ? 1 : 9;
    *turn = is_pool(c) || channels_last(c);
    enum status s = *turn ? delegate_channels(c, x, true, &turned) : STATUS_OK;
    if (s == STATUS_OK)
        s = delegate_open(c, d, is_pool(c) ? "MaxPool" : "QLinearConv", is_pool(c) ? 12 : 10, count,
                          1);
    for (size_t i = 1; i < count && s == STATUS_OK; i++)
        delegate_in(d, i, op_in(c, i));
    if (s == STATUS_OK)
        delegate_in(d, 0, &turned);
    return s;
}

static enum status turned_infer(struct op_ctx *c) {
    struct delegate d;
    bool turn = false;
    enum status s = op_need(c, 0);
    if (s == STATUS_OK)
        s = op_need_dtype(c, 0, QUANT_BYTES);
    if (s == STATUS_OK)
        s = open_turned(c, &d, &turn);
    if (s == STATUS_OK)
        s = delegate_infer(&d);
    struct tensor back = s == STATUS_OK ? d.out[0].tensor : (struct tensor){.rank = 0};
    if (s == STATUS_OK && turn)
        s = delegate_channels(c, &d.out[0].tensor, false, &back);
    return s == STATUS_OK ? op_infer_like(c, 0, &back) : s;
}

static enum status turned_run(struct op_ctx *c) {
    struct delegate d;
    bool turn = false;
    enum status s = open_turned(c, &d, &turn);
    if (s == STATUS_OK)
        s = delegate_run(&d);
    if (s != STATUS_OK)
        return s;
    struct tensor back = d.out[0].tensor;
    if (turn)
        s = delegate_channels(c, &d.out[0].tensor, false, &back);
    return s == STATUS_OK ? op_view(c, 0, &back) : s;
}

#define ROW(text, infer_fn, run_fn, form_of)                                                       \
    {                                                                                              \
        .domain = "com.microsoft", .name = text, .since = 1, .infer = infer_fn, .run = run_fn,     \
        .form = form_of,                                                                           \
    }

const struct op_row op_family_qlinear[] = {
    ROW("QLinearAdd", infer, run, &add),
    ROW("QLinearMul", infer, run, &mul),
    ROW("QLinearConcat", infer, run, &concat),
    ROW("QLinearWhere", infer, run, &where),
    ROW("QLinearSigmoid", infer, run, &sigmoid),
    ROW("QLinearLeakyRelu", infer, run, &leaky_relu),
    ROW("QLinearSoftmax", infer, run, &softmax),
    ROW("QLinearAveragePool", infer, run, &average_pool),
    ROW("QLinearGlobalAveragePool", infer, run, &global_average_pool),
    ROW("QLinearReduceMean", infer, run, &reduce_mean),
    ROW("QLinearConv", turned_infer, turned_run, NULL),
    ROW("NhwcMaxPool", turned_infer, turned_run, NULL),
    OP_END,
};
