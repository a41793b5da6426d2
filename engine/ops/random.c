/* RandomNormal, RandomUniform (and -Like), Bernoulli, Multinomial. */
#include "engine/ops/generator.h"
#include "engine/ops/indices.h"
#include "engine/ops/real.h"

#include <math.h>

/* ---- types and shapes ---- */

static enum status shaped_infer(struct op_ctx *c) {
    const int64_t *shape = NULL;
    size_t rank = op_attr_ints(c, "shape", &shape);
    enum dtype type = DTYPE_NONE;
    if (rank > TENSOR_MAX_RANK)
        return op_fail(c, "attribute \"shape\" has %zu dimensions", rank);
    enum status s = op_attr_dtype(c, "dtype", DTYPE_FLOAT, DT_FLOATS, &type);
    return s == STATUS_OK ? op_infer(c, 0, type, (int)rank, shape) : s;
}

static enum status like(struct op_ctx *c, uint32_t mask) {
    enum dtype type = DTYPE_NONE;
    enum status s = op_need(c, 0);
    if (s == STATUS_OK)
        s = op_attr_dtype(c, "dtype", op_in(c, 0)->dtype, mask, &type);
    if (s == STATUS_OK)
        s = op_infer(c, 0, type, op_in(c, 0)->rank, op_in(c, 0)->dims);
    return s;
}

static enum status like_infer(struct op_ctx *c) {
    return like(c, DT_FLOATS);
}

static enum status bernoulli_infer(struct op_ctx *c) {
    enum status s = op_need(c, 0);
    if (s == STATUS_OK)
        s = op_need_dtype(c, 0, DT_FLOATS);
    return s == STATUS_OK ? like(c, DT_REAL | DT(BOOL)) : s;
}

static enum status multinomial_infer(struct op_ctx *c) {
    enum dtype type = DTYPE_NONE;
    enum status s = op_need(c, 0);
    if (s == STATUS_OK)
        s = op_need_dtype(c, 0, DT_FLOATS);
    if (s == STATUS_OK)
        s = op_need_rank(c, 0, 2, 2);
    if (s == STATUS_OK)
        s = op_attr_dtype(c, "dtype", DTYPE_INT32, INDEX_TYPES, &type);
    if (s != STATUS_OK)
        return s;
    int64_t n = op_attr_int(c, "sample_size", 1);
    if (n < 0 || op_in(c, 0)->dims[1] == 0)
        return op_fail(c, "%lld samples of %lld classes cannot be drawn", (long long)n,
                       (long long)op_in(c, 0)->dims[1]);
    return op_infer(c, 0, type, 2, (int64_t[]){op_in(c, 0)->dims[0], n});
}

/* ---- numbers ---- */

static enum status normal_run(struct op_ctx *c) {
    struct tensor *y = op_out(c, 0);
    struct generator g;
    double mean = (double)op_attr_float(c, "mean", 0), scale = (double)op_attr_float(c, "scale", 1);
    enum status s = generator_new(c, &g);
    for (int64_t i = 0; s == STATUS_OK && y && i < y->count; i++)
        real_put(y, i, mean + scale * generator_normal(&g));
    return s;
}

static enum status uniform_run(struct op_ctx *c) {
    struct tensor *y = op_out(c, 0);
    struct generator g;
    double low = (double)op_attr_float(c, "low", 0), high = (double)op_attr_float(c, "high", 1);
    enum status s = generator_new(c, &g);
    for (int64_t i = 0; s == STATUS_OK && y && i < y->count; i++)
        real_put(y, i, low + (high - low) * generator_uniform(&g));
    return s;
}

static enum status bernoulli_run(struct op_ctx *c) {
    struct tensor *y = op_out(c, 0);
    struct generator g;
    enum status s = generator_new(c, &g);
    for (int64_t i = 0; s == STATUS_OK && y && i < y->count; i++)
        real_put(y, i, generator_uniform(&g) < real_at(op_in(c, 0), i) ? 1 : 0);
    return s;
}

/* Inputs are logarithms of weights, up to a constant: draw by the running sum. */
static enum status multinomial_run(struct op_ctx *c) {
    const struct tensor *x = op_in(c, 0);
    struct tensor *y = op_out(c, 0);
    struct generator g;
    enum status s = generator_new(c, &g);
    if (s != STATUS_OK || !y)
        return s;
    int64_t classes = x->dims[1], samples = y->dims[1];
    double *sums = op_scratch_array(c, (size_t)classes, sizeof *sums);
    if (!sums)
        return op_no_memory(c);
    for (int64_t row = 0; row < x->dims[0]; row++) {
        double top = -INFINITY, total = 0;
        for (int64_t k = 0; k < classes; k++)
            top = fmax(top, real_at(x, row * classes + k));
        for (int64_t k = 0; k < classes; k++)
            sums[k] = total += exp(real_at(x, row * classes + k) - top);
        if (!(total > 0) || !isfinite(total))
            return op_fail(c, "row %lld has no weights to draw by", (long long)row);
        for (int64_t i = 0; i < samples; i++) {
            double at = generator_uniform(&g) * total;
            int64_t k = 0;
            while (k < classes - 1 && sums[k] <= at)
                k++;
            real_put(y, row * samples + i, (double)k);
        }
    }
    return STATUS_OK;
}

#define ROW(op, from, infer_, run_)                                                                \
    { .name = op, .since = from, .infer = infer_, .run = run_, .flags = OP_RANDOM }

const struct op_row op_family_random[] = {
    ROW("RandomNormal", 1, shaped_infer, normal_run),
    ROW("RandomUniform", 1, shaped_infer, uniform_run),
    ROW("RandomNormalLike", 1, like_infer, normal_run),
    ROW("RandomUniformLike", 1, like_infer, uniform_run),
    ROW("Bernoulli", 15, bernoulli_infer, bernoulli_run),
    ROW("Multinomial", 7, multinomial_infer, multinomial_run),
    OP_END,
};
