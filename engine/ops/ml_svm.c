/* SVMClassifier, SVMRegressor (ai.onnx.ml), in libsvm's form: kernels between a row and the support
 * vectors, and for classification one decision value for each pair of classes.
 *
 * Probabilities: each pair's decision value through a sigmoid (prob_a, prob_b), then pairwise
 * coupling, method 2 of Wu, Lin, Weng, "Probability Estimates for Multi-class Classification by
 * Pairwise Coupling" (JMLR 5, 2004). Without support vectors the model is linear: one row of
 * coefficients a class. */
#include "engine/ops/ml_common.h"

#include <math.h>

#define ML "ai.onnx.ml"
#define WORK_GRAIN 16384
#define CLASSES_MAX 4096

enum kernel { LINEAR, POLY, RBF, SIGMOID };

struct svm {
    const float *coefficients, *vectors, *rho, *prob_a, *prob_b;
    const int64_t *per_class;
    size_t coefficient_count, vector_count, rho_count, prob_count;
    size_t width, classes, pairs;
    enum kernel kernel;
    double gamma, coef0, degree;
    enum ml_post post;
    struct ml_labels labels;
    bool all_positive;
};

struct job {
    const struct svm *m;
    const float *rows, *vectors;
    size_t n; /* vectors */
    double *out;
};

static double kernel_of(const struct svm *m, const float *a, const float *b) {
    double sum[4] = {0};
    size_t i = 0, n = m->width;
    if (m->kernel == RBF) {
        for (; i + 4 <= n; i += 4)
            for (size_t k = 0; k < 4; k++) {
                double d = (double)a[i + k] - (double)b[i + k];
                sum[k] += d * d;
            }
        for (; i < n; i++) {
            double d = (double)a[i] - (double)b[i];
            sum[0] += d * d;
        }
    } else {
        for (; i + 4 <= n; i += 4)
            for (size_t k = 0; k < 4; k++)
                sum[k] += (double)a[i + k] * (double)b[i + k];
        for (; i < n; i++)
            sum[0] += (double)a[i] * (double)b[i];
    }
    double v = sum[0] + sum[1] + (sum[2] + sum[3]);
    switch (m->kernel) {
    case LINEAR:
        return v;
    case POLY:
        return pow(m->gamma * v + m->coef0, m->degree);
    case RBF:
        return exp(-m->gamma * v);
    case SIGMOID:
        return tanh(m->gamma * v + m->coef0);
    }
    return v;
}

static void kernel_rows(void *arg, size_t begin, size_t end) {
    const struct job *job = arg;
    for (size_t i = begin; i < end; i++)
        job->out[i] = kernel_of(job->m, job->rows + i / job->n * job->m->width,
                                job->vectors + i % job->n * job->m->width);
}

/* out[n * count] = kernel of every row with every vector. */
static enum status kernels(struct op_ctx *c, const struct svm *m, const float *vectors,
                           size_t count, int64_t n, double **out) {
    struct job job = {.m = m, .vectors = vectors, .n = count};
    size_t cells = 0;
    enum status s = ml_common_floats(c, 0, &job.rows);
    if (s != STATUS_OK)
        return s;
    if (!checked_mul((size_t)n, count, &cells))
        return op_no_memory(c);
    job.out = op_scratch_array(c, cells, sizeof *job.out);
    if (!job.out)
        return op_no_memory(c);
    op_parallel(c, cells, WORK_GRAIN / (m->width + 1) + 1, kernel_rows, &job);
    *out = job.out;
    return STATUS_OK;
}

/* ---- attributes ---- */

static enum status svm_common(struct op_ctx *c, struct ml_rows *rows, struct svm *m) {
    static const char *const names[] = {"LINEAR", "POLY", "RBF", "SIGMOID"};
    const float *params = NULL;
    size_t kernel = LINEAR, n_params = op_attr_floats(c, "kernel_params", &params);
    m->coefficient_count = op_attr_floats(c, "coefficients", &m->coefficients);
    m->rho_count = op_attr_floats(c, "rho", &m->rho);
    enum status s = ml_common_rows(c, ML_NUMBERS, rows);
    if (s == STATUS_OK)
        s = ml_common_choice(c, "kernel_type", names, 4, LINEAR, &kernel);
    if (s == STATUS_OK)
        s = ml_common_post(c, &m->post);
    if (s != STATUS_OK)
        return s;
    if (n_params != 0 && n_params != 3)
        return op_fail(c, "attribute \"kernel_params\" has %zu values, must have 3", n_params);
    m->kernel = (enum kernel)kernel;
    m->gamma = n_params ? (double)params[0] : 0;
    m->coef0 = n_params ? (double)params[1] : 0;
    m->degree = n_params ? (double)params[2] : 0;
    m->width = (size_t)rows->width;
    return STATUS_OK;
}

static enum status svm_length(struct op_ctx *c, const char *name, size_t found, size_t expected) {
    if (found == expected)
        return STATUS_OK;
    return op_fail(c, "attribute \"%s\" has %zu values, must have %zu", name, found, expected);
}

/* Support vectors are rows of the input's width. */
static enum status svm_vectors(struct op_ctx *c, struct svm *m) {
    size_t expected = 0, n = op_attr_floats(c, "support_vectors", &m->vectors);
    if (!checked_mul(m->vector_count, m->width, &expected))
        return op_no_memory(c);
    return svm_length(c, "support_vectors", n, expected);
}

static enum status classifier_of(struct op_ctx *c, struct ml_rows *rows, struct svm *out) {
    struct svm m = {0};
    enum status s = svm_common(c, rows, &m);
    if (s == STATUS_OK)
        s = ml_common_labels(c, "classlabels_ints", "classlabels_strings", &m.labels);
    if (s != STATUS_OK)
        return s;
    m.classes = m.labels.count;
    if (m.classes < 2 || m.classes > CLASSES_MAX)
        return op_fail(c, "%zu classes: must be from 2 to %d", m.classes, CLASSES_MAX);
    m.pairs = m.classes * (m.classes - 1) / 2;
    size_t groups = op_attr_ints(c, "vectors_per_class", &m.per_class);
    for (size_t i = 0; i < groups; i++) {
        if (m.per_class[i] < 0 || m.per_class[i] > INT32_MAX)
            return op_fail(c, "attribute \"vectors_per_class\" has %lld, out of range",
                           (long long)m.per_class[i]);
        if (!checked_add(m.vector_count, (size_t)m.per_class[i], &m.vector_count))
            return op_no_memory(c);
    }
    m.all_positive = true;
    for (size_t i = 0; i < m.coefficient_count; i++)
        m.all_positive = m.all_positive && m.coefficients[i] >= 0;
    size_t expected = 0;
    if (m.vector_count == 0) {
        m.kernel = LINEAR;
        if (!checked_mul(m.classes, m.width, &expected))
            return op_no_memory(c);
        s = svm_length(c, "coefficients", m.coefficient_count, expected);
        if (s == STATUS_OK && m.rho_count == 0)
            s = svm_length(c, "rho", 0, 1);
        *out = m;
        return s;
    }
    m.prob_count = op_attr_floats(c, "prob_a", &m.prob_a);
    size_t prob_b = op_attr_floats(c, "prob_b", &m.prob_b);
    s = svm_length(c, "vectors_per_class", groups, m.classes);
    if (s == STATUS_OK)
        s = svm_vectors(c, &m);
    if (s == STATUS_OK && !checked_mul(m.classes - 1, m.vector_count, &expected))
        s = op_no_memory(c);
    if (s == STATUS_OK)
        s = svm_length(c, "coefficients", m.coefficient_count, expected);
    if (s == STATUS_OK)
        s = svm_length(c, "rho", m.rho_count, m.pairs);
    if (s == STATUS_OK && m.prob_count)
        s = svm_length(c, "prob_a", m.prob_count, m.pairs);
    if (s == STATUS_OK)
        s = svm_length(c, "prob_b", prob_b, m.prob_count);
    *out = m;
    return s;
}

/* Columns of the scores: one a class with probabilities or in the linear form, else one a pair,
 * and two where there is one pair. */
static size_t score_columns(const struct svm *m) {
    bool decisions = m->vector_count > 0 && m->prob_count == 0;
    return decisions && m->classes > 2 ? m->pairs : m->classes;
}

static enum status classifier_infer(struct op_ctx *c) {
    struct ml_rows rows = {0};
    struct svm m = {0};
    enum status s = classifier_of(c, &rows, &m);
    if (s == STATUS_OK)
        s = op_infer(c, 0, ml_common_label_dtype(&m.labels), 1, &rows.n);
    if (s == STATUS_OK)
        s = op_infer(c, 1, DTYPE_FLOAT, 2, (int64_t[]){rows.n, (int64_t)score_columns(&m)});
    return s;
}

/* ---- classification ---- */

/* Decision value of every pair i < j, and votes: a positive value is one for i. */
static void decide(const struct svm *m, const double *k, double *decisions, size_t *votes) {
    size_t pair = 0, start_i = 0;
    for (size_t i = 0; i < m->classes; i++)
        votes[i] = 0;
    for (size_t i = 0; i < m->classes; i++) {
        size_t count_i = (size_t)m->per_class[i], start_j = start_i + count_i;
        for (size_t j = i + 1; j < m->classes; j++, pair++) {
            size_t count_j = (size_t)m->per_class[j];
            const float *for_i = m->coefficients + (j - 1) * m->vector_count + start_i;
            const float *for_j = m->coefficients + i * m->vector_count + start_j;
            double sum = (double)m->rho[pair];
            for (size_t v = 0; v < count_i; v++)
                sum += (double)for_i[v] * k[start_i + v];
            for (size_t v = 0; v < count_j; v++)
                sum += (double)for_j[v] * k[start_j + v];
            decisions[pair] = sum;
            votes[sum > 0 ? i : j]++;
            start_j += count_j;
        }
        start_i += count_i;
    }
}

/* r[i * n + j]: probability of i against j. q, qp: room of n * n and n. */
static void couple(size_t n, const double *r, double *q, double *qp, double *p) {
    double eps = 0.005 / (double)n;
    for (size_t i = 0; i < n; i++) {
        p[i] = 1 / (double)n;
        q[i * n + i] = 0;
        for (size_t j = 0; j < n; j++)
            if (j != i) {
                q[i * n + i] += r[j * n + i] * r[j * n + i];
                q[i * n + j] = -r[j * n + i] * r[i * n + j];
            }
    }
    for (int round = 0; round < 100; round++) {
        double pqp = 0, worst = 0;
        for (size_t i = 0; i < n; i++) {
            qp[i] = 0;
            for (size_t j = 0; j < n; j++)
                qp[i] += q[i * n + j] * p[j];
            pqp += p[i] * qp[i];
        }
        for (size_t i = 0; i < n; i++)
            worst = fmax(worst, fabs(qp[i] - pqp));
        if (worst < eps)
            return;
        for (size_t i = 0; i < n; i++) {
            double step = (pqp - qp[i]) / q[i * n + i], scale = 1 + step;
            p[i] += step;
            pqp = (pqp + step * (step * q[i * n + i] + 2 * qp[i])) / (scale * scale);
            for (size_t j = 0; j < n; j++) {
                qp[j] = (qp[j] + step * q[i * n + j]) / scale;
                p[j] /= scale;
            }
        }
    }
}

struct room { /* for one row */
    double *decisions, *r, *q, *qp, *p;
    size_t *votes;
};

static enum status room_new(struct op_ctx *c, const struct svm *m, struct room *out) {
    size_t n = m->classes, square = m->prob_count ? n * n : 0;
    struct room room = {
        .decisions = op_scratch_array(c, m->pairs + 1, sizeof(double)),
        .r = op_scratch_array(c, square, sizeof(double)),
        .q = op_scratch_array(c, square, sizeof(double)),
        .qp = op_scratch_array(c, n, sizeof(double)),
        .p = op_scratch_array(c, n, sizeof(double)),
        .votes = op_scratch_array(c, n, sizeof(size_t)),
    };
    if (!room.decisions || !room.r || !room.q || !room.qp || !room.p || !room.votes)
        return op_no_memory(c);
    *out = room;
    return STATUS_OK;
}

static void probabilities(const struct svm *m, const struct room *room) {
    size_t n = m->classes, pair = 0;
    for (size_t i = 0; i < n; i++)
        for (size_t j = i + 1; j < n; j++, pair++) {
            double v = room->decisions[pair] * (double)m->prob_a[pair] + (double)m->prob_b[pair];
            double p = 1 - ml_common_logistic(v);
            p = fmin(fmax(p, 1e-7), 1 - 1e-7);
            room->r[i * n + j] = p;
            room->r[j * n + i] = 1 - p;
        }
    couple(n, room->r, room->q, room->qp, room->p);
}

/* Scores of a row in libsvm's form; returns the number of the class with most votes. */
static size_t libsvm_row(const struct svm *m, const double *k, const struct room *room,
                         double **scores) {
    size_t best = 0;
    decide(m, k, room->decisions, room->votes);
    for (size_t i = 1; i < m->classes; i++)
        best = room->votes[i] > room->votes[best] ? i : best;
    *scores = room->decisions;
    if (m->prob_count) {
        probabilities(m, room);
        *scores = room->p;
        ml_common_transform(m->post, room->p, m->classes);
    } else if (m->classes > 2) {
        ml_common_transform(m->post, room->decisions, m->pairs);
    } else { /* one decision value: taken for the score of the second label */
        double s = room->decisions[0];
        room->decisions[0] = m->post == ML_PROBIT ? 1 - s : -s;
        room->decisions[1] = s;
        ml_common_transform(m->post, room->decisions, 2);
    }
    return best;
}

/* Scores of a row in the linear form, one a class already in `scores`. Of two classes, the second
 * is chosen by the sign of the larger score, or by one half where no coefficient is negative. */
static size_t linear_row(const struct svm *m, double *scores) {
    size_t best = 0;
    for (size_t i = 0; i < m->classes; i++)
        scores[i] += (double)m->rho[0];
    for (size_t i = 1; i < m->classes; i++)
        best = scores[i] > scores[best] ? i : best;
    if (m->classes == 2 && (m->all_positive ? scores[best] >= 0.5 : scores[best] > 0))
        best = 1;
    ml_common_transform(m->post, scores, m->classes);
    return best;
}

static enum status classifier_run(struct op_ctx *c) {
    struct tensor *y = op_out(c, 0), *z = op_out(c, 1);
    struct ml_rows rows = {0};
    struct svm m = {0};
    struct room room = {0};
    double *k = NULL;
    enum status s = classifier_of(c, &rows, &m);
    if (s == STATUS_OK)
        s = room_new(c, &m, &room);
    if (s != STATUS_OK)
        return s;
    size_t per_row = m.vector_count ? m.vector_count : m.classes, columns = score_columns(&m);
    s = kernels(c, &m, m.vector_count ? m.vectors : m.coefficients, per_row, rows.n, &k);
    for (int64_t r = 0; s == STATUS_OK && r < rows.n; r++) {
        double *scores = k + (size_t)r * per_row;
        size_t best =
            m.vector_count ? libsvm_row(&m, scores, &room, &scores) : linear_row(&m, scores);
        if (y)
            ml_common_label_put(&m.labels, y, r, best);
        for (size_t i = 0; z && i < columns; i++)
            ((float *)z->data)[(size_t)r * columns + i] = (float)scores[i];
    }
    return s;
}

/* ---- regression, one class ---- */

static enum status regressor_of(struct op_ctx *c, struct ml_rows *rows, struct svm *out) {
    struct svm m = {0};
    enum status s = svm_common(c, rows, &m);
    if (s != STATUS_OK)
        return s;
    int64_t n = op_attr_int(c, "n_supports", 0);
    if (n < 0 || n > INT32_MAX)
        return op_fail(c, "attribute \"n_supports\" is %lld, out of range", (long long)n);
    m.vector_count = (size_t)n;
    if (n == 0)
        m.kernel = LINEAR;
    else
        s = svm_vectors(c, &m);
    if (s == STATUS_OK)
        s = svm_length(c, "coefficients", m.coefficient_count, n ? m.vector_count : m.width);
    if (s == STATUS_OK && m.rho_count == 0)
        s = svm_length(c, "rho", 0, 1);
    *out = m;
    return s;
}

static enum status regressor_infer(struct op_ctx *c) {
    struct ml_rows rows = {0};
    struct svm m = {0};
    enum status s = regressor_of(c, &rows, &m);
    if (s == STATUS_OK)
        s = op_infer(c, 0, DTYPE_FLOAT, 2, (int64_t[]){rows.n, 1});
    return s;
}

static enum status regressor_run(struct op_ctx *c) {
    struct tensor *y = op_out(c, 0);
    struct ml_rows rows = {0};
    struct svm m = {0};
    double *k = NULL;
    if (!y)
        return STATUS_OK;
    enum status s = regressor_of(c, &rows, &m);
    size_t per_row = m.vector_count ? m.vector_count : 1;
    if (s == STATUS_OK)
        s = kernels(c, &m, m.vector_count ? m.vectors : m.coefficients, per_row, rows.n, &k);
    if (s != STATUS_OK)
        return s;
    bool one_class = op_attr_int(c, "one_class", 0) != 0;
    for (int64_t r = 0; r < rows.n; r++) {
        double sum = (double)m.rho[0];
        for (size_t v = 0; v < per_row; v++)
            sum += k[(size_t)r * per_row + v] * (m.vector_count ? (double)m.coefficients[v] : 1);
        if (one_class)
            sum = sum > 0 ? 1 : -1;
        else
            ml_common_transform(m.post, &sum, 1);
        ((float *)y->data)[r] = (float)sum;
    }
    return STATUS_OK;
}

const struct op_row op_family_ml_svm[] = {
    {.domain = ML,
     .name = "SVMClassifier",
     .since = 1,
     .infer = classifier_infer,
     .run = classifier_run},
    {.domain = ML,
     .name = "SVMRegressor",
     .since = 1,
     .infer = regressor_infer,
     .run = regressor_run},
    OP_END,
};
