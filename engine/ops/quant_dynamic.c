/* com.microsoft DynamicQuantizeMatMul and MatMulIntegerToFloat: A, quantised here or already, times
 * a quantised B, as float, plus a bias for each column.
 *
 * Products of zero-point-free integers are what quantised kernels sum, too; here they are summed in
 * float after scaling. A constant B is widened and packed at load. */
#include "engine/ops/delegate.h"
#include "engine/ops/dense.h"
#include "engine/ops/quant.h"

#define NONE SIZE_MAX

struct places {
    size_t a_scale, a_zero, b_scale, b_zero, bias;
};

static const struct places dynamic = {NONE, NONE, 2, 3, 4}, integer = {2, 4, 3, 5, 6};

static enum status one_or(struct op_ctx *c, size_t i, int64_t many) {
    const struct tensor *t = i == NONE ? NULL : op_in(c, i);
    if (t && t->count != 1 && t->count != many)
        return op_fail(c, "input %zu has %lld elements, expected 1 or %lld", i, (long long)t->count,
                       (long long)many);
    return STATUS_OK;
}

static struct tensor as_float(const struct tensor *t, float *data) {
    struct tensor f = *t;
    f.dtype = DTYPE_FLOAT;
    f.bytes = (size_t)t->count * sizeof(float);
    f.data = data;
    return f;
}

static enum status open_product(struct op_ctx *c, struct delegate *d, float *a, float *b) {
    const struct tensor fa = as_float(op_in(c, 0), a), fb = as_float(op_in(c, 1), b);
    enum status s = delegate_open(c, d, "MatMul", 13, 2, 1);
    if (s == STATUS_OK) {
        delegate_in(d, 0, &fa);
        delegate_in(d, 1, &fb);
    }
    return s;
}

static enum status infer(struct op_ctx *c) {
    const struct places *p = op_form(c);
    const bool made_here = p->a_scale == NONE;
    enum status s = op_need_all(c, made_here ? 3 : 4);
    if (s == STATUS_OK)
        s = op_need_dtype(c, 0, made_here ? DT(FLOAT) : QUANT_BYTES);
    if (s == STATUS_OK)
        s = op_need_dtype(c, 1, QUANT_BYTES);
    if (s == STATUS_OK && !made_here)
        s = op_need_dtype(c, p->a_scale, DT(FLOAT));
    if (s == STATUS_OK && !made_here)
        s = op_need_same(c, p->a_zero, 0);
    if (s == STATUS_OK)
        s = op_need_dtype(c, p->b_scale, DT(FLOAT));
    if (s == STATUS_OK)
        s = op_need_same(c, p->b_zero, 1);
    if (s == STATUS_OK)
        s = op_need_dtype(c, p->bias, DT(FLOAT));
    if (s == STATUS_OK)
        s = op_need_rank(c, 0, 1, TENSOR_MAX_RANK);
    if (s == STATUS_OK)
        s = op_need_rank(c, 1, 2, TENSOR_MAX_RANK);
    if (s != STATUS_OK)
        return s;
    const int64_t columns = op_in(c, 1)->dims[op_in(c, 1)->rank - 1];
    s = one_or(c, p->a_scale, 1);
    if (s == STATUS_OK)
        s = one_or(c, p->a_zero, 1);
    if (s == STATUS_OK)
        s = one_or(c, p->b_scale, columns);
    if (s == STATUS_OK)
        s = one_or(c, p->b_zero, columns);
    if (s == STATUS_OK && op_in(c, p->bias) && op_in(c, p->bias)->count != columns)
        return op_fail(c, "the bias has %lld elements, expected %lld",
                       (long long)op_in(c, p->bias)->count, (long long)columns);
    struct delegate d;
    if (s == STATUS_OK)
        s = open_product(c, &d, NULL, NULL);
    if (s == STATUS_OK)
        s = delegate_infer(&d);
    return s == STATUS_OK ? op_infer_like(c, 0, &d.out[0].tensor) : s;
}

static int byte_at(const struct tensor *t, int64_t i) {
    return t->dtype == DTYPE_INT8 ? ((const int8_t *)t->data)[i] : ((const uint8_t *)t->data)[i];
}

/* Input i without its zero point, times its scale. */
static enum status widen(struct op_ctx *c, size_t i, size_t scale, size_t zero, float **out) {
    const struct tensor *t = op_in(c, i), *scales = op_in(c, scale), *zeros = op_in(c, zero);
    *out = op_scratch_array(c, (size_t)t->count, sizeof **out);
    if (!*out)
        return op_no_memory(c);
    const int64_t columns = t->dims[t->rank - 1];
    for (int64_t k = 0; k < t->count; k++) {
        const int64_t column = k % columns;
        const int from = zeros ? byte_at(zeros, zeros->count == 1 ? 0 : column) : 0;
        (*out)[k] = (float)(byte_at(t, k) - from) *
                    ((const float *)scales->data)[scales->count == 1 ? 0 : column];
    }
    return STATUS_OK;
}

/* A through uint8 and back: scale and zero point from its range, as DynamicQuantizeLinear does. */
static enum status through_bytes(struct op_ctx *c, float **out) {
    const struct tensor *t = op_in(c, 0);
    const float *x = t->data;
    float least = 0, most = 0;
    *out = op_scratch_array(c, (size_t)t->count, sizeof **out);
    if (!*out)
        return op_no_memory(c);
    for (int64_t i = 0; i < t->count; i++) {
        least = x[i] < least ? x[i] : least;
        most = x[i] > most ? x[i] : most;
    }
    const float range = (most - least) / 255.0f, scale = range > 0 ? range : 1.0f;
    uint8_t zero = 0, byte = 0;
    quant_store(DTYPE_UINT8, &zero, 0, (double)(0.0f - least / scale), 0);
    for (int64_t i = 0; i < t->count; i++) {
        quant_store(DTYPE_UINT8, &byte, 0, (double)(x[i] / scale), (double)zero);
        (*out)[i] = (float)(byte - zero) * scale;
    }
    return STATUS_OK;
}

/* ---- a constant B ---- */

static bool constant_like(struct op_ctx *c, size_t i, enum dtype dtype, int64_t many) {
    const struct tensor *t = op_in(c, i);
    return op_in_constant(c, i) && t && t->dtype == dtype && (t->count == 1 || t->count == many);
}

static size_t pack_size(struct op_ctx *c) {
    const struct places *p = op_form(c);
    const struct tensor *b = op_in(c, 1);
    if (!op_in_constant(c, 1) || !b || b->rank != 2 || !(QUANT_BYTES >> b->dtype & 1) ||
        !constant_like(c, p->b_scale, DTYPE_FLOAT, b->dims[1]) ||
        (op_in_value(c, p->b_zero) && !constant_like(c, p->b_zero, b->dtype, b->dims[1])))
        return 0;
    return dense_pack_size((size_t)b->dims[0], (size_t)b->dims[1]);
}

static enum status prepare(struct op_ctx *c) {
    const struct places *p = op_form(c);
    const struct tensor *b = op_in(c, 1);
    if (pack_size(c) == 0)
        return STATUS_OK;
    struct dense *w = op_state_new(c, sizeof *w);
    if (!w)
        return op_no_memory(c);
    float *wide = NULL;
    enum status s = widen(c, 1, p->b_scale, p->b_zero, &wide);
    *w = (struct dense){
        .k = (size_t)b->dims[0], .n = (size_t)b->dims[1], .ldw = (size_t)b->dims[1], .plain = wide};
    if (s == STATUS_OK)
        s = dense_pack(c, w);
    w->plain = NULL;
    if (s == STATUS_OK)
        op_packed(c, 1);
    return s;
}

static enum status run(struct op_ctx *c) {
    const struct places *p = op_form(c);
    const struct dense *w = op_state(c);
    const struct tensor *a = op_in(c, 0), *bias = op_in(c, p->bias);
    struct tensor *y = op_out(c, 0);
    float *wide_a = NULL, *wide_b = NULL;
    if (!y || y->count == 0)
        return STATUS_OK;
    enum status s = p->a_scale == NONE ? through_bytes(c, &wide_a)
                                       : widen(c, 0, p->a_scale, p->a_zero, &wide_a);
    if (s == STATUS_OK && w) {
        dense_apply(op_threads(c), w, (size_t)a->count / w->k, wide_a, w->k,
                    bias ? bias->data : NULL, false, y->data, w->n);
        return STATUS_OK;
    }
    if (s == STATUS_OK)
        s = widen(c, 1, p->b_scale, p->b_zero, &wide_b);
    struct delegate d;
    if (s == STATUS_OK)
        s = open_product(c, &d, wide_a, wide_b);
    if (s == STATUS_OK)
        s = delegate_run(&d);
    if (s != STATUS_OK)
        return s;
    const float *from = d.out[0].tensor.data;
    for (int64_t i = 0; i < y->count; i++)
        ((float *)y->data)[i] =
            from[i] + (bias ? ((const float *)bias->data)[i % bias->count] : 0.0f);
    return STATUS_OK;
}

/* ---- DynamicQuantizeLSTM: LSTM over weights that are quantised and stored transposed ---- */

enum { X, W, R, BIASES, LENGTHS, H, C, P, W_SCALE, W_ZERO, R_SCALE, R_ZERO };

/* W or R, [directions, k, 4 * hidden], as LSTM has it: [directions, 4 * hidden, k]. Scales are one
 * for all, one for each direction, or one for each direction and column. */
static enum status lstm_weights(struct op_ctx *c, size_t i, size_t scale, size_t zero,
                                struct tensor *to) {
    const struct tensor *t = op_in(c, i), *scales = op_in(c, scale), *zeros = op_in(c, zero);
    const int64_t dirs = t->dims[0], rows = t->dims[1], columns = t->dims[2];
    const int64_t counts[2] = {scales->count, zeros->count};
    for (size_t n = 0; n < 2; n++)
        if (counts[n] != 1 && counts[n] != dirs && counts[n] != dirs * columns)
            return op_fail(c, "input %zu has %lld elements, expected %lld or %lld",
                           n ? zero : scale, (long long)counts[n], (long long)dirs,
                           (long long)(dirs * columns));
    enum status s = tensor_shape(to, DTYPE_FLOAT, 3, (int64_t[]){dirs, columns, rows}, c->error);
    if (s != STATUS_OK || !t->data || !scales->data || !zeros->data)
        return s;
    float *out = op_scratch(c, to->bytes);
    if (!out)
        return op_no_memory(c);
    for (int64_t d = 0; d < dirs; d++)
        for (int64_t k = 0; k < columns; k++) {
            const int64_t line = d * columns + k;
            const int64_t at_s = counts[0] == 1 ? 0 : counts[0] == dirs ? d : line;
            const int64_t at_z = counts[1] == 1 ? 0 : counts[1] == dirs ? d : line;
            for (int64_t r = 0; r < rows; r++)
                out[line * rows + r] =
                    (float)(byte_at(t, (d * rows + r) * columns + k) - byte_at(zeros, at_z)) *
                    ((const float *)scales->data)[at_s];
        }
    to->data = out;
    return STATUS_OK;
}

static enum status open_lstm(struct op_ctx *c, struct delegate *d, const float *x) {
    struct tensor w, r, input = *op_in(c, X);
    enum status s = lstm_weights(c, W, W_SCALE, W_ZERO, &w);
    if (s == STATUS_OK)
        s = lstm_weights(c, R, R_SCALE, R_ZERO, &r);
    if (s == STATUS_OK)
        s = delegate_open(c, d, "LSTM", 7, 8, 3);
    if (s != STATUS_OK)
        return s;
    if (x)
        input.data = (void *)(uintptr_t)x;
    delegate_in(d, X, &input);
    delegate_in(d, W, &w);
    delegate_in(d, R, &r);
    for (size_t i = BIASES; i <= P; i++)
        delegate_in(d, i, op_in(c, i));
    return STATUS_OK;
}

static enum status lstm_infer(struct op_ctx *c) {
    static const size_t needed[] = {X, W, R, W_SCALE, W_ZERO, R_SCALE, R_ZERO};
    enum status s = STATUS_OK;
    for (size_t i = 0; i < sizeof needed / sizeof *needed && s == STATUS_OK; i++)
        s = op_need(c, needed[i]);
    if (s == STATUS_OK)
        s = op_need_dtype(c, X, DT(FLOAT));
    for (size_t i = W; i <= R && s == STATUS_OK; i++) {
        s = op_need_dtype(c, i, QUANT_BYTES);
        if (s == STATUS_OK)
            s = op_need_rank(c, i, 3, 3);
    }
    for (size_t i = W_SCALE; i <= R_ZERO && s == STATUS_OK; i++)
        s = i % 2 == W_SCALE % 2 ? op_need_dtype(c, i, DT(FLOAT))
                                 : op_need_same(c, i, i == W_ZERO ? W : R);
    struct delegate d;
    if (s == STATUS_OK)
        s = open_lstm(c, &d, NULL);
    if (s == STATUS_OK)
        s = delegate_infer(&d);
    for (size_t i = 0; i < 3 && s == STATUS_OK; i++)
        s = op_infer_like(c, i, &d.out[i].tensor);
    return s;
}

static enum status lstm_run(struct op_ctx *c) {
    float *x = NULL;
    struct delegate d;
    enum status s = through_bytes(c, &x);
    if (s == STATUS_OK)
        s = open_lstm(c, &d, x);
    if (s == STATUS_OK)
        s = delegate_run(&d);
    for (size_t i = 0; i < 3 && s == STATUS_OK; i++)
        s = op_view(c, i, &d.out[i].tensor);
    return s;
}

#define MICROSOFT "com.microsoft"

const struct op_row op_family_quant_dynamic[] = {
    {.domain = MICROSOFT,
     .name = "DynamicQuantizeMatMul",
     .since = 1,
     .infer = infer,
     .run = run,
     .prepare = prepare,
     .pack_size = pack_size,
     .form = &dynamic},
    {.domain = MICROSOFT,
     .name = "MatMulIntegerToFloat",
     .since = 1,
     .infer = infer,
     .run = run,
     .prepare = prepare,
     .pack_size = pack_size,
     .form = &integer},
    {.domain = MICROSOFT,
     .name = "DynamicQuantizeLSTM",
     .since = 1,
     .infer = lstm_infer,
     .run = lstm_run},
    OP_END,
};
