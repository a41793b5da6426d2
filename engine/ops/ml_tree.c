/* TreeEnsembleClassifier, TreeEnsembleRegressor, TreeEnsemble (ai.onnx.ml).
 *
 * Scores are summed in double. A classifier of two labels whose weights are all for the first one
 * (class id 0) has one score s, which is for the second label, as exporters write it:
 *
 *   NONE            [1 - s, s] and the second label where s > 0.5, if no weight is negative (s is a
 *                   probability); else [-s, s] and the second label where s > 0
 *   LOGISTIC        both logistic(-s) and logistic(s); s > 0
 *   SOFTMAX(_ZERO)  of [-s, s]; s > 0
 *   PROBIT          of [1 - s, s]; s > 0.5 if no weight is negative, else s > 0
 *
 * Where all weights are for the second label, it has the score s and the first one 0; the label is
 * chosen by s in the same way. */
#include "engine/ops/ml_tree.h"

#define ROW_GRAIN 64

struct job {
    const struct tree_ensemble *e;
    const void *rows;
    bool is_double, to_double;
    size_t width, n;
    double *scores;
    bool *has;
    struct tensor *label, *score; /* may be NULL */
};

static enum status tree_rows(struct op_ctx *c, uint32_t types, struct ml_rows *rows) {
    const struct tree_ensemble *e = op_state(c);
    enum status s = ml_common_rows(c, types, rows);
    if (s != STATUS_OK)
        return s;
    if (!e)
        return op_fail(c, "the trees were not prepared");
    if (rows->width <= (int64_t)e->max_feature)
        return op_fail(c, "rows have %lld features, but the trees ask for feature %u",
                       (long long)rows->width, e->max_feature);
    return STATUS_OK;
}

static void store(const struct job *job, size_t row, const double *scores, size_t n) {
    if (!job->score)
        return;
    for (size_t k = 0; k < n; k++)
        if (job->to_double)
            ((double *)job->score->data)[row * n + k] = scores[k];
        else
            ((float *)job->score->data)[row * n + k] = (float)scores[k];
}

/* ---- regression ---- */

static void regress(void *arg, size_t begin, size_t end) {
    const struct job *job = arg;
    const struct tree_ensemble *e = job->e;
    size_t size = job->is_double ? sizeof(double) : sizeof(float), n = e->targets;
    double *scores = job->scores + begin * n;
    ml_tree_eval(e, (const char *)job->rows + begin * job->width * size, job->is_double,
                 end - begin, job->width, scores, job->has + begin * n);
    for (size_t row = begin; row < end; row++, scores += n) {
        for (size_t k = 0; k < e->base_count && e->base_count == n; k++)
            scores[k] += e->base[k];
        ml_common_transform(e->post, scores, n);
        store(job, row, scores, n);
    }
}

/* ---- classification ---- */

/* The label of two that the second one's score stands for. */
static size_t one_label(const struct tree_ensemble *e, double s) {
    bool probability = e->all_positive && (e->post == ML_NONE || e->post == ML_PROBIT);
    return s > (probability ? 0.5 : 0);
}

static void one_score(const struct tree_ensemble *e, double s, double *out) {
    bool probability = e->all_positive && e->post == ML_NONE;
    out[1] = s;
    if (e->target == 1)
        out[0] = 0;
    else
        out[0] = probability || e->post == ML_PROBIT ? 1 - s : -s;
    ml_common_transform(e->post, out, 2);
}

static void classify(void *arg, size_t begin, size_t end) {
    const struct job *job = arg;
    const struct tree_ensemble *e = job->e;
    size_t size = job->is_double ? sizeof(double) : sizeof(float), n = e->targets;
    double *scores = job->scores + begin * n;
    bool *has = job->has + begin * n;
    ml_tree_eval(e, (const char *)job->rows + begin * job->width * size, job->is_double,
                 end - begin, job->width, scores, has);
    for (size_t row = begin; row < end; row++, scores += n, has += n) {
        size_t best = 0;
        if (n == 2 && e->one_target) {
            double s = scores[e->target];
            if (e->base_count > 0)
                s += e->base[e->base_count == 2 ? e->target : 0];
            best = one_label(e, s);
            one_score(e, s, scores);
        } else {
            for (size_t k = 0; k < e->base_count; k++) {
                scores[k] += e->base[k];
                has[k] = true;
            }
            /* A class that no leaf voted for cannot win, unless none was voted for at all. */
            for (size_t k = 1; k < n; k++)
                if (has[k] && (!has[best] || scores[k] > scores[best]))
                    best = k;
            ml_common_transform(e->post, scores, n);
        }
        store(job, row, scores, n);
        if (job->label)
            ml_common_label_put(&e->labels, job->label, (int64_t)row, best);
    }
}

/* ---- operators ---- */

static enum status tree_run(struct op_ctx *c, threads_fn *fn, struct tensor *label,
                            struct tensor *score) {
    const struct tree_ensemble *e = op_state(c);
    const struct tensor *x = op_in(c, 0);
    struct ml_rows rows = {0};
    enum status s = tree_rows(c, DT_ANY, &rows);
    if (s != STATUS_OK || rows.n == 0)
        return s;
    struct job job = {.e = e, .label = label, .score = score, .width = (size_t)rows.width};
    /* float rows meet float thresholds as they are; all others are compared as double, exactly */
    job.is_double = e->exact || (x->dtype != DTYPE_FLOAT && x->dtype != DTYPE_FLOAT16);
    job.to_double = score && score->dtype == DTYPE_DOUBLE;
    if (job.is_double) {
        const double *d = NULL;
        s = ml_common_doubles(c, 0, &d);
        job.rows = d;
    } else {
        const float *f = NULL;
        s = ml_common_floats(c, 0, &f);
        job.rows = f;
    }
    if (s != STATUS_OK)
        return s;
    size_t cells = 0;
    if (!checked_mul((size_t)rows.n, e->targets, &cells))
        return op_no_memory(c);
    job.scores = op_scratch_array(c, cells, sizeof *job.scores);
    job.has = op_scratch_array(c, cells, sizeof *job.has);
    if (!job.scores || !job.has)
        return op_no_memory(c);
    op_parallel(c, (size_t)rows.n, ROW_GRAIN, fn, &job);
    return STATUS_OK;
}

static enum status classifier_prepare(struct op_ctx *c) {
    return ml_tree_build(c, true);
}

static enum status classifier_infer(struct op_ctx *c) {
    const struct tree_ensemble *e = op_state(c);
    struct ml_rows rows = {0};
    enum status s = tree_rows(c, ML_NUMBERS, &rows);
    if (s == STATUS_OK)
        s = op_infer(c, 0, ml_common_label_dtype(&e->labels), 1, &rows.n);
    if (s == STATUS_OK)
        s = op_infer(c, 1, DTYPE_FLOAT, 2, (int64_t[]){rows.n, (int64_t)e->targets});
    return s;
}

static enum status classifier_run(struct op_ctx *c) {
    return tree_run(c, classify, op_out(c, 0), op_out(c, 1));
}

static enum status regressor_prepare(struct op_ctx *c) {
    return ml_tree_build(c, false);
}

static enum status regressor_infer(struct op_ctx *c) {
    const struct tree_ensemble *e = op_state(c);
    struct ml_rows rows = {0};
    enum status s = tree_rows(c, ML_NUMBERS, &rows);
    if (s == STATUS_OK)
        s = op_infer(c, 0, DTYPE_FLOAT, 2, (int64_t[]){rows.n, (int64_t)e->targets});
    return s;
}

static enum status regressor_run(struct op_ctx *c) {
    struct tensor *y = op_out(c, 0);
    return y ? tree_run(c, regress, NULL, y) : STATUS_OK;
}

static enum status ensemble_infer(struct op_ctx *c) {
    const struct tree_ensemble *e = op_state(c);
    struct ml_rows rows = {0};
    enum status s = tree_rows(c, DT(FLOAT) | DT(DOUBLE) | DT(FLOAT16), &rows);
    if (s == STATUS_OK)
        s = op_infer(c, 0, op_in(c, 0)->dtype, 2, (int64_t[]){rows.n, (int64_t)e->targets});
    return s;
}

/* The output has the input's type: float16 by way of float. */
static enum status ensemble_run(struct op_ctx *c) {
    struct tensor *y = op_out(c, 0);
    if (!y || y->dtype != DTYPE_FLOAT16)
        return regressor_run(c);
    float *wide = NULL;
    enum status s = op_out_f32(c, 0, &wide);
    if (s != STATUS_OK)
        return s;
    struct tensor as_float = *y;
    as_float.dtype = DTYPE_FLOAT;
    as_float.data = wide;
    s = tree_run(c, regress, NULL, &as_float);
    if (s == STATUS_OK)
        op_out_f32_done(c, 0, wide);
    return s;
}

#define ML "ai.onnx.ml"

const struct op_row op_family_ml_tree[] = {
    {.domain = ML,
     .name = "TreeEnsembleClassifier",
     .since = 1,
     .infer = classifier_infer,
     .run = classifier_run,
     .prepare = classifier_prepare,
     .pack_size = ml_tree_pack_size},
    {.domain = ML,
     .name = "TreeEnsembleRegressor",
     .since = 1,
     .infer = regressor_infer,
     .run = regressor_run,
     .prepare = regressor_prepare,
     .pack_size = ml_tree_pack_size},
    {.domain = ML,
     .name = "TreeEnsemble",
     .since = 5,
     .infer = ensemble_infer,
     .run = ensemble_run,
     .prepare = ml_tree_build_v5,
     .pack_size = ml_tree_pack_size_v5},
    OP_END,
};
