#include "engine/ops/conv.h"

#include "engine/kernels/gemm_packed.h"

/* The product of one group, m by k, for constant weights that are worth packing. Depthwise weights
 * are not: with one channel a group, they are read in place. */
static bool packable(struct op_ctx *c, bool transposed, size_t *groups, size_t *m, size_t *k) {
    const struct tensor *w = op_in(c, 1);
    const int64_t g = op_attr_int(c, "group", 1);
    if (!w || !op_in_constant(c, 1) || op_in_constant(c, 0) || w->dtype != DTYPE_FLOAT ||
        w->rank < 3 || w->count == 0 || g < 1 || w->dims[0] % g != 0)
        return false;
    if (!transposed && g > 1 && w->dims[1] == 1)
        return false;
    const size_t rows = (size_t)(w->dims[0] / g), columns = (size_t)(w->count / w->dims[0]);
    *groups = (size_t)g;
    *m = transposed ? columns : rows;
    *k = transposed ? rows : columns;
    return true;
}

size_t conv_weights_size(struct op_ctx *c, bool transposed) {
    size_t groups = 0, m = 0, k = 0, size = 0;
    if (!packable(c, transposed, &groups, &m, &k) ||
        !checked_mul(gemm_packed_left_size(m, k), groups, &size))
        return 0;
    return size;
}

enum status conv_weights_prepare(struct op_ctx *c, bool transposed) {
    size_t groups = 0, m = 0, k = 0;
    const size_t size = conv_weights_size(c, transposed);
    if (size == 0 || !packable(c, transposed, &groups, &m, &k))
        return STATUS_OK;
    struct conv_weights *state = op_state_new(c, sizeof *state);
    if (!state)
        return op_no_memory(c);
    state->packed = op_weights_alloc(c, size);
    if (!state->packed)
        return op_no_memory(c);
    state->stride = size / groups / sizeof(float);
    const float *w = op_in(c, 1)->data;
    for (size_t g = 0; g < groups; g++)
        gemm_packed_left_pack(m, k, w + g * m * k, transposed ? m : k, transposed,
                              state->packed + g * state->stride);
    op_packed(c, 1);
    return STATUS_OK;
}

enum status conv_operands(struct op_ctx *c, struct conv_operands *out) {
    struct conv_operands o = {.packed = op_state(c)};
    enum status s = op_in_f32(c, 0, &o.x);
    if (s == STATUS_OK && !o.packed)
        s = op_in_f32(c, 1, &o.weights);
    if (s == STATUS_OK && op_in(c, 2))
        s = op_in_f32(c, 2, &o.bias);
    if (s == STATUS_OK)
        s = op_out_f32(c, 0, &o.y);
    if (s == STATUS_OK)
        *out = o;
    return s;
}

void conv_fill_bias(const struct conv *v, size_t plane, const float *bias, float *y) {
    const size_t filters = v->groups * v->filters;
    for (size_t i = 0; i < v->batch * filters; i++) {
        const float value = bias ? bias[i % filters] : 0.0f;
        for (size_t k = 0; k < plane; k++)
            y[i * plane + k] = value;
    }
}
