/* Normalisations that share nothing with the fast ones: GroupNormalization, LpNormalization,
 * MeanVarianceNormalization, LRN. Computed in double for every type. */
#include "engine/ops/real.h"

#include <math.h>

static enum status same_as_input(struct op_ctx *c, int least_rank) {
    enum status s = op_need(c, 0);
    if (s == STATUS_OK)
        s = op_need_dtype(c, 0, DT_FLOATS);
    if (s == STATUS_OK)
        s = op_need_rank(c, 0, least_rank, TENSOR_MAX_RANK);
    return s == STATUS_OK ? op_infer_like(c, 0, op_in(c, 0)) : s;
}

struct job {
    const struct tensor *t;
    const double *x, *scale, *bias;
    double *y;
    int64_t groups; /* GroupNormalization */
    bool each_channel;
    double epsilon, alpha, beta, k; /* LRN: alpha / size, beta, bias */
    int64_t before, after;          /* LRN: channels on either side */
    int64_t p, n, inner;            /* LpNormalization */
};

/* Opens input 0 and output 0; skips the run where there is nothing to do. */
static enum status open_data(struct op_ctx *c, struct job *j, bool *nothing) {
    j->t = op_in(c, 0);
    *nothing = !op_out(c, 0) || j->t->count == 0;
    if (*nothing)
        return STATUS_OK;
    enum status s = real_in(c, 0, &j->x);
    return s == STATUS_OK ? real_out(c, 0, &j->y) : s;
}

/* ---- GroupNormalization: [N, groups, channels of the group and space] ---- */

static enum status group_infer(struct op_ctx *c) {
    enum status s = op_need_all(c, 3);
    if (s == STATUS_OK)
        s = same_as_input(c, 2);
    if (s != STATUS_OK)
        return s;
    const int64_t channels = op_in(c, 0)->dims[1], groups = op_attr_int(c, "num_groups", 0);
    if (groups < 1 || channels % groups != 0)
        return op_fail(c, "num_groups is %lld for %lld channels", (long long)groups,
                       (long long)channels);
    /* Up to opset 20 a group has one scale, from 21 on each channel has. */
    const int64_t expected = op_opset(c) < 21 ? groups : channels;
    for (size_t i = 1; i < 3 && s == STATUS_OK; i++) {
        s = op_need_dtype(c, i, DT_FLOATS);
        if (s == STATUS_OK && op_in(c, i)->count != expected)
            s = op_fail(c, "input %zu has %lld elements, expected %lld", i,
                        (long long)op_in(c, i)->count, (long long)expected);
    }
    return s;
}

static void group_rows(void *arg, size_t begin, size_t end) {
    const struct job *j = arg;
    const int64_t channels = j->t->dims[1] / j->groups, space = tensor_span(j->t, 2, j->t->rank);
    const int64_t n = channels * space;
    for (size_t r = begin; r < end; r++) {
        const double *x = j->x + (int64_t)r * n;
        double *y = j->y + (int64_t)r * n, sum = 0, square = 0;
        const int64_t group = (int64_t)r % j->groups;
        for (int64_t i = 0; i < n; i++)
            sum += x[i];
        const double mean = sum / (double)n;
        for (int64_t i = 0; i < n; i++)
            square += (x[i] - mean) * (x[i] - mean);
        const double inverse = 1 / sqrt(square / (double)n + j->epsilon);
        for (int64_t i = 0; i < n; i++) {
            const int64_t at = j->each_channel ? group * channels + i / space : group;
            y[i] = (x[i] - mean) * inverse * j->scale[at] + j->bias[at];
        }
    }
}

static enum status group_run(struct op_ctx *c) {
    struct job j = {.groups = op_attr_int(c, "num_groups", 1),
                    .each_channel = op_opset(c) >= 21,
                    .epsilon = (double)op_attr_float(c, "epsilon", 1e-5f)};
    bool nothing = false;
    enum status s = open_data(c, &j, &nothing);
    if (s == STATUS_OK && !nothing)
        s = real_in(c, 1, &j.scale);
    if (s == STATUS_OK && !nothing)
        s = real_in(c, 2, &j.bias);
    if (s != STATUS_OK || nothing)
        return s;
    op_parallel(c, (size_t)(j.t->dims[0] * j.groups), 1, group_rows, &j);
    real_out_done(c, 0, j.y);
    return STATUS_OK;
}

/* ---- LpNormalization ---- */

static enum status lp_infer(struct op_ctx *c) {
    enum status s = same_as_input(c, 1);
    int axis = 0;
    if (s == STATUS_OK)
        s = op_axis(c, "axis", op_attr_int(c, "axis", -1), op_in(c, 0)->rank, &axis);
    const int64_t p = op_attr_int(c, "p", 2);
    if (s == STATUS_OK && p != 1 && p != 2)
        return op_fail(c, "p is %lld, expected 1 or 2", (long long)p);
    return s;
}

static void lp_lines(void *arg, size_t begin, size_t end) {
    const struct job *j = arg;
    for (size_t line = begin; line < end; line++) {
        const int64_t l = (int64_t)line, at = l / j->inner * j->inner * j->n + l % j->inner;
        double norm = 0;
        for (int64_t i = 0; i < j->n; i++) {
            const double v = j->x[at + i * j->inner];
            norm += j->p == 1 ? fabs(v) : v * v;
        }
        norm = j->p == 1 ? norm : sqrt(norm);
        for (int64_t i = 0; i < j->n; i++)
            j->y[at + i * j->inner] = norm == 0 ? 0 : j->x[at + i * j->inner] / norm;
    }
}

static enum status lp_run(struct op_ctx *c) {
    struct job j = {.p = op_attr_int(c, "p", 2)};
    bool nothing = false;
    int axis = 0;
    enum status s = open_data(c, &j, &nothing);
    if (s == STATUS_OK)
        s = op_axis(c, "axis", op_attr_int(c, "axis", -1), j.t->rank, &axis);
    if (s != STATUS_OK || nothing)
        return s;
    j.n = j.t->dims[axis];
    j.inner = tensor_span(j.t, axis + 1, j.t->rank);
    op_parallel(c, (size_t)(j.t->count / j.n), 64, lp_lines, &j);
    real_out_done(c, 0, j.y);
    return STATUS_OK;
}

/* ---- LRN: over neighbouring channels ---- */

static enum status lrn_infer(struct op_ctx *c) {
    const int64_t size = op_attr_int(c, "size", 0);
    if (size < 1 || size > INT32_MAX)
        return op_fail(c, "size is %lld, expected at least 1", (long long)size);
    return same_as_input(c, 2);
}

static void lrn_planes(void *arg, size_t begin, size_t end) {
    const struct job *j = arg;
    const int64_t channels = j->t->dims[1], space = tensor_span(j->t, 2, j->t->rank);
    for (size_t plane = begin; plane < end; plane++) {
        const int64_t ch = (int64_t)plane % channels;
        const int64_t from = ch > j->before ? ch - j->before : 0;
        const int64_t to = channels - 1 - ch > j->after ? ch + j->after : channels - 1;
        const double *image = j->x + (int64_t)plane / channels * channels * space;
        for (int64_t i = 0; i < space; i++) {
            double sum = 0;
            for (int64_t k = from; k <= to; k++)
                sum += image[k * space + i] * image[k * space + i];
            j->y[(int64_t)plane * space + i] =
                image[ch * space + i] / pow(j->k + j->alpha * sum, j->beta);
        }
    }
}

static enum status lrn_run(struct op_ctx *c) {
    const int64_t size = op_attr_int(c, "size", 1);
    struct job j = {.alpha = (double)op_attr_float(c, "alpha", 1e-4f) / (double)size,
                    .beta = (double)op_attr_float(c, "beta", 0.75f),
                    .k = (double)op_attr_float(c, "bias", 1.0f),
                    .before = (size - 1) / 2,
                    .after = size / 2};
    bool nothing = false;
    enum status s = open_data(c, &j, &nothing);
    if (s != STATUS_OK || nothing)
        return s;
    op_parallel(c, (size_t)(j.t->dims[0] * j.t->dims[1]), 1, lrn_planes, &j);
    real_out_done(c, 0, j.y);
    return STATUS_OK;
}

/* ---- MeanVarianceNormalization: statistics over some axes ---- */

static enum status mvn_axes(struct op_ctx *c, bool over[TENSOR_MAX_RANK]) {
    static const int64_t usual[] = {0, 2, 3};
    const int64_t *axes = usual;
    size_t n = op_attr_ints(c, "axes", &axes);
    if (!op_attr_has(c, "axes")) {
        axes = usual;
        n = 3;
    }
    for (size_t i = 0; i < n; i++) {
        int at = 0;
        enum status s = op_axis(c, "axes", axes[i], op_in(c, 0)->rank, &at);
        if (s != STATUS_OK)
            return s;
        over[at] = true;
    }
    return STATUS_OK;
}

static enum status mvn_infer(struct op_ctx *c) {
    bool over[TENSOR_MAX_RANK] = {false};
    enum status s = same_as_input(c, 1);
    return s == STATUS_OK ? mvn_axes(c, over) : s;
}

/* Which statistic element i belongs to: its place in the dimensions that are kept. */
static int64_t mvn_group(const struct tensor *t, const bool *over, int64_t i) {
    int64_t group = 0, stride = 1;
    for (int d = t->rank - 1; d >= 0; d--) {
        if (!over[d]) {
            group += i % t->dims[d] * stride;
            stride *= t->dims[d];
        }
        i /= t->dims[d];
    }
    return group;
}

static enum status mvn_run(struct op_ctx *c) {
    struct job j = {0};
    bool nothing = false, over[TENSOR_MAX_RANK] = {false};
    enum status s = open_data(c, &j, &nothing);
    if (s == STATUS_OK)
        s = mvn_axes(c, over);
    if (s != STATUS_OK || nothing)
        return s;
    int64_t groups = 1;
    for (int d = 0; d < j.t->rank; d++)
        groups *= over[d] ? 1 : j.t->dims[d];
    const double each = (double)(j.t->count / groups);
    double *mean = op_scratch_array(c, (size_t)groups, sizeof *mean);
    double *deviation = op_scratch_array(c, (size_t)groups, sizeof *deviation);
    if (!mean || !deviation)
        return op_no_memory(c);
    memset(mean, 0, (size_t)groups * sizeof *mean);
    memset(deviation, 0, (size_t)groups * sizeof *deviation);
    for (int64_t i = 0; i < j.t->count; i++)
        mean[mvn_group(j.t, over, i)] += j.x[i] / each;
    for (int64_t i = 0; i < j.t->count; i++) {
        const int64_t g = mvn_group(j.t, over, i);
        deviation[g] += (j.x[i] - mean[g]) * (j.x[i] - mean[g]) / each;
    }
    for (int64_t g = 0; g < groups; g++)
        deviation[g] = sqrt(deviation[g]) + 1e-9;
    for (int64_t i = 0; i < j.t->count; i++) {
        const int64_t g = mvn_group(j.t, over, i);
        j.y[i] = (j.x[i] - mean[g]) / deviation[g];
    }
    real_out_done(c, 0, j.y);
    return STATUS_OK;
}

const struct op_row op_family_norm[] = {
    {.name = "GroupNormalization", .since = 18, .infer = group_infer, .run = group_run},
    {.name = "LpNormalization", .since = 1, .infer = lp_infer, .run = lp_run},
    {.name = "LRN", .since = 1, .infer = lrn_infer, .run = lrn_run},
    {.name = "MeanVarianceNormalization", .since = 1, .infer = mvn_infer, .run = mvn_run},
    OP_END,
};
