/* NegativeLogLikelihoodLoss, SoftmaxCrossEntropyLoss.
 *
 * Scores are [N,C,...], labels [N,...], weights [C]. A label that equals ignore_index counts for
 * nothing; any other must be a class. mean divides by the weights that counted. */
#include "engine/ops/indices.h"
#include "engine/ops/op.h"

#include <math.h>

enum reduction { MEAN, SUM, NONE };

struct loss {
    const void *scores, *weights; /* weights NULL: all 1 */
    const struct tensor *labels;
    size_t n, classes, inner;
    enum reduction reduction;
    bool wide; /* double; else float */
    bool ignores;
    int64_t ignored;
};

static double real_at(const void *p, bool wide, size_t i) {
    return wide ? ((const double *)p)[i] : (double)((const float *)p)[i];
}

static void real_put(void *p, bool wide, size_t i, double v) {
    if (wide)
        ((double *)p)[i] = v;
    else
        ((float *)p)[i] = (float)v;
}

static enum status reduction_of(struct op_ctx *c, enum reduction *out) {
    struct str s = op_attr_str(c, "reduction", "mean");
    if (!str_is(s, "mean") && !str_is(s, "sum") && !str_is(s, "none"))
        return op_fail(c, "attribute \"reduction\" is \"%.*s\", must be none, mean or sum",
                       (int)(s.size < 32 ? s.size : 32), s.data);
    *out = str_is(s, "mean") ? MEAN : str_is(s, "sum") ? SUM : NONE;
    return STATUS_OK;
}

static enum status loss_infer(struct op_ctx *c) {
    enum reduction reduction = MEAN;
    enum status s = op_need_all(c, 2);
    if (s == STATUS_OK)
        s = op_need_dtype(c, 0, DT_FLOATS);
    if (s == STATUS_OK)
        s = op_need_dtype(c, 1, INDEX_TYPES);
    if (s == STATUS_OK)
        s = op_need_rank(c, 0, 2, TENSOR_MAX_RANK);
    if (s == STATUS_OK)
        s = reduction_of(c, &reduction);
    if (s != STATUS_OK)
        return s;
    const struct tensor *x = op_in(c, 0), *labels = op_in(c, 1), *weights = op_in(c, 2);
    bool fits = labels->rank == x->rank - 1 && labels->dims[0] == x->dims[0];
    for (int i = 1; fits && i < labels->rank; i++)
        fits = labels->dims[i] == x->dims[i + 1];
    if (!fits)
        return op_fail(c, "labels must have the scores' dimensions but the second");
    if (weights &&
        (weights->dtype != x->dtype || weights->rank != 1 || weights->dims[0] != x->dims[1]))
        return op_fail(c, "weights must be %lld numbers of the scores' type",
                       (long long)x->dims[1]);
    s = op_infer(c, 0, x->dtype, reduction == NONE ? labels->rank : 0, labels->dims);
    if (s == STATUS_OK && op_out_count(c) > 1)
        s = op_infer_like(c, 1, x);
    return s;
}

static enum status loss_of(struct op_ctx *c, struct loss *l) {
    const struct tensor *x = op_in(c, 0);
    const float *f = NULL;
    l->labels = op_in(c, 1);
    l->wide = x->dtype == DTYPE_DOUBLE;
    l->n = (size_t)x->dims[0];
    l->classes = (size_t)x->dims[1];
    l->inner = (size_t)tensor_span(x, 2, x->rank);
    l->ignores = op_attr_has(c, "ignore_index");
    l->ignored = op_attr_int(c, "ignore_index", 0);
    enum status s = reduction_of(c, &l->reduction);
    if (l->wide) {
        l->scores = x->data;
        l->weights = op_in(c, 2) ? op_in(c, 2)->data : NULL;
        return s;
    }
    if (s == STATUS_OK)
        s = op_in_f32(c, 0, &f);
    l->scores = f;
    if (s == STATUS_OK && op_in(c, 2)) {
        s = op_in_f32(c, 2, &f);
        l->weights = f;
    }
    return s;
}

/* log_prob[n, classes, inner] to output 0. */
static enum status likelihood(struct op_ctx *c, const struct loss *l, const void *log_prob) {
    struct tensor *y = op_out(c, 0);
    if (!y)
        return STATUS_OK;
    float *narrow = NULL;
    enum status s = l->wide ? STATUS_OK : op_out_f32(c, 0, &narrow);
    if (s != STATUS_OK)
        return s;
    void *to = l->wide ? y->data : narrow;
    double sum = 0, weight = 0;
    for (size_t i = 0; i < l->n * l->inner; i++) {
        int64_t label = index_at(l->labels, (int64_t)i);
        double w = 0, v = 0;
        if (!l->ignores || label != l->ignored) {
            if (label < 0 || (uint64_t)label >= l->classes)
                return op_fail(c, "label %lld is not one of %zu classes", (long long)label,
                               l->classes);
            size_t k = (size_t)label;
            w = l->weights ? real_at(l->weights, l->wide, k) : 1;
            v = -w * real_at(log_prob, l->wide,
                             (i / l->inner * l->classes + k) * l->inner + i % l->inner);
        }
        if (l->reduction == NONE)
            real_put(to, l->wide, i, v);
        sum += v;
        weight += w;
    }
    if (l->reduction != NONE)
        real_put(to, l->wide, 0, l->reduction == MEAN ? sum / weight : sum);
    if (!l->wide)
        op_out_f32_done(c, 0, narrow);
    return STATUS_OK;
}

static enum status nll_run(struct op_ctx *c) {
    struct loss l = {0};
    enum status s = loss_of(c, &l);
    return s == STATUS_OK ? likelihood(c, &l, l.scores) : s;
}

static void log_softmax(const struct loss *l, void *to) {
    for (size_t i = 0; i < l->n * l->inner; i++) {
        size_t base = i / l->inner * l->classes * l->inner + i % l->inner;
        double top = -INFINITY, sum = 0;
        for (size_t k = 0; k < l->classes; k++)
            top = fmax(top, real_at(l->scores, l->wide, base + k * l->inner));
        for (size_t k = 0; k < l->classes; k++)
            sum += exp(real_at(l->scores, l->wide, base + k * l->inner) - top);
        for (size_t k = 0; k < l->classes; k++)
            real_put(to, l->wide, base + k * l->inner,
                     real_at(l->scores, l->wide, base + k * l->inner) - top - log(sum));
    }
}

static enum status cross_entropy_run(struct op_ctx *c) {
    struct loss l = {0};
    struct tensor *z = op_out_count(c) > 1 ? op_out(c, 1) : NULL;
    float *narrow = NULL;
    void *log_prob = NULL;
    enum status s = loss_of(c, &l);
    if (s != STATUS_OK)
        return s;
    if (!z) {
        log_prob = op_scratch_array(c, (size_t)op_in(c, 0)->count, l.wide ? 8 : 4);
        if (!log_prob)
            return op_no_memory(c);
    } else if (l.wide) {
        log_prob = z->data;
    } else {
        s = op_out_f32(c, 1, &narrow);
        if (s != STATUS_OK)
            return s;
        log_prob = narrow;
    }
    log_softmax(&l, log_prob);
    s = likelihood(c, &l, log_prob);
    if (s == STATUS_OK && narrow)
        op_out_f32_done(c, 1, narrow);
    return s;
}

const struct op_row op_family_loss[] = {
    {.name = "NegativeLogLikelihoodLoss", .since = 12, .infer = loss_infer, .run = nll_run},
    {.name = "SoftmaxCrossEntropyLoss", .since = 12, .infer = loss_infer, .run = cross_entropy_run},
    OP_END,
};
