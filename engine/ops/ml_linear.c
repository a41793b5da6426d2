/* LinearClassifier, LinearRegressor (ai.onnx.ml): scores = x * coefficients' + intercepts, one row
 * of coefficients a class or target. */
#include "engine/ops/ml_common.h"

#define ML "ai.onnx.ml"
#define WORK_GRAIN 16384

struct linear {
    const float *coefficients, *intercepts;
    size_t targets, width;
    enum ml_post post;
    struct ml_labels labels;
};

struct job {
    const struct linear *m;
    const float *rows;
    double *scores; /* targets for each row */
};

/* Four sums side by side: faster, and no less exact. */
static double dot(const float *a, const float *b, size_t n) {
    double sum[4] = {0};
    size_t i = 0;
    for (; i + 4 <= n; i += 4)
        for (size_t k = 0; k < 4; k++)
            sum[k] += (double)a[i + k] * (double)b[i + k];
    for (; i < n; i++)
        sum[0] += (double)a[i] * (double)b[i];
    return sum[0] + sum[1] + (sum[2] + sum[3]);
}

static void score_rows(void *arg, size_t begin, size_t end) {
    const struct job *job = arg;
    const struct linear *m = job->m;
    for (size_t r = begin; r < end; r++)
        for (size_t k = 0; k < m->targets; k++)
            job->scores[r * m->targets + k] =
                dot(job->rows + r * m->width, m->coefficients + k * m->width, m->width) +
                (m->intercepts ? (double)m->intercepts[k] : 0);
}

/* Attributes against the input's shape. `targets` 0: as many as the coefficients make. */
static enum status linear_of(struct op_ctx *c, size_t targets, struct ml_rows *rows,
                             struct linear *out) {
    struct linear m = {.labels = out->labels};
    enum status s = ml_common_rows(c, ML_NUMBERS, rows);
    if (s == STATUS_OK)
        s = ml_common_post(c, &m.post);
    if (s != STATUS_OK)
        return s;
    size_t n = op_attr_floats(c, "coefficients", &m.coefficients);
    size_t n_intercepts = op_attr_floats(c, "intercepts", &m.intercepts);
    m.width = (size_t)rows->width;
    if (n_intercepts == 0)
        m.intercepts = NULL;
    m.targets = targets ? targets : n_intercepts ? n_intercepts : m.width ? n / m.width : 0;
    size_t expected = 0;
    if (m.targets == 0 || !checked_mul(m.targets, m.width, &expected) || n != expected)
        return op_fail(c,
                       "attribute \"coefficients\" has %zu values: for %zu targets and rows of "
                       "%zu features it must have their product",
                       n, m.targets, m.width);
    if (n_intercepts && n_intercepts != m.targets)
        return op_fail(c, "attribute \"intercepts\" has %zu values, must have %zu", n_intercepts,
                       m.targets);
    *out = m;
    return STATUS_OK;
}

static enum status linear_scores(struct op_ctx *c, const struct linear *m, int64_t n,
                                 double **out) {
    struct job job = {.m = m};
    size_t cells = 0;
    enum status s = ml_common_floats(c, 0, &job.rows);
    if (s != STATUS_OK)
        return s;
    if (!checked_mul((size_t)n, m->targets, &cells))
        return op_no_memory(c);
    job.scores = op_scratch_array(c, cells, sizeof *job.scores);
    if (!job.scores)
        return op_no_memory(c);
    op_parallel(c, (size_t)n, WORK_GRAIN / (m->targets * m->width + 1) + 1, score_rows, &job);
    *out = job.scores;
    return STATUS_OK;
}

/* ---- LinearRegressor ---- */

static enum status regressor_of(struct op_ctx *c, struct ml_rows *rows, struct linear *m) {
    int64_t targets = op_attr_int(c, "targets", 1);
    if (targets < 1)
        return op_fail(c, "attribute \"targets\" is %lld, must be at least 1", (long long)targets);
    return linear_of(c, (size_t)targets, rows, m);
}

static enum status regressor_infer(struct op_ctx *c) {
    struct ml_rows rows = {0};
    struct linear m = {0};
    enum status s = regressor_of(c, &rows, &m);
    if (s == STATUS_OK)
        s = op_infer(c, 0, DTYPE_FLOAT, 2, (int64_t[]){rows.n, (int64_t)m.targets});
    return s;
}

static enum status regressor_run(struct op_ctx *c) {
    struct tensor *y = op_out(c, 0);
    struct ml_rows rows = {0};
    struct linear m = {0};
    double *scores = NULL;
    if (!y)
        return STATUS_OK;
    enum status s = regressor_of(c, &rows, &m);
    if (s == STATUS_OK)
        s = linear_scores(c, &m, rows.n, &scores);
    if (s != STATUS_OK)
        return s;
    for (int64_t r = 0; r < rows.n; r++)
        ml_common_transform(m.post, scores + (size_t)r * m.targets, m.targets);
    for (int64_t i = 0; i < y->count; i++)
        ((float *)y->data)[i] = (float)scores[i];
    return STATUS_OK;
}

/* ---- LinearClassifier ---- */

static enum status classifier_of(struct op_ctx *c, struct ml_rows *rows, struct linear *m) {
    enum status s = ml_common_labels(c, "classlabels_ints", "classlabels_strings", &m->labels);
    if (s == STATUS_OK)
        s = linear_of(c, 0, rows, m);
    if (s != STATUS_OK)
        return s;
    bool fits = m->targets == m->labels.count || (m->targets == 1 && m->labels.count == 2);
    if (!fits)
        return op_fail(c, "%zu rows of coefficients do not fit %zu labels", m->targets,
                       m->labels.count);
    return STATUS_OK;
}

static enum status classifier_infer(struct op_ctx *c) {
    struct ml_rows rows = {0};
    struct linear m = {0};
    enum status s = classifier_of(c, &rows, &m);
    if (s == STATUS_OK)
        s = op_infer(c, 0, ml_common_label_dtype(&m.labels), 1, &rows.n);
    if (s == STATUS_OK)
        s = op_infer(c, 1, DTYPE_FLOAT, 2, (int64_t[]){rows.n, (int64_t)m.labels.count});
    return s;
}

/* One score for two labels: it is the second one's. NONE and PROBIT take it for a probability. */
static void two_from_one(enum ml_post post, double s, double *out) {
    out[0] = post == ML_NONE || post == ML_PROBIT ? 1 - s : -s;
    out[1] = s;
    ml_common_transform(post, out, 2);
}

static enum status classifier_run(struct op_ctx *c) {
    struct tensor *y = op_out(c, 0), *z = op_out(c, 1);
    struct ml_rows rows = {0};
    struct linear m = {0};
    double *scores = NULL;
    enum status s = classifier_of(c, &rows, &m);
    if (s == STATUS_OK)
        s = linear_scores(c, &m, rows.n, &scores);
    if (s != STATUS_OK)
        return s;
    size_t labels = m.labels.count;
    for (int64_t r = 0; r < rows.n; r++) {
        double *row = scores + (size_t)r * m.targets, two[2];
        size_t best = 0;
        if (m.targets < labels) {
            best = row[0] > 0;
            two_from_one(m.post, row[0], two);
            row = two;
        } else {
            for (size_t k = 1; k < labels; k++)
                best = row[k] > row[best] ? k : best;
            ml_common_transform(m.post, row, labels);
        }
        if (y)
            ml_common_label_put(&m.labels, y, r, best);
        for (size_t k = 0; z && k < labels; k++)
            ((float *)z->data)[(size_t)r * labels + k] = (float)row[k];
    }
    return STATUS_OK;
}

const struct op_row op_family_ml_linear[] = {
    {.domain = ML,
     .name = "LinearRegressor",
     .since = 1,
     .infer = regressor_infer,
     .run = regressor_run},
    {.domain = ML,
     .name = "LinearClassifier",
     .since = 1,
     .infer = classifier_infer,
     .run = classifier_run},
    OP_END,
};
