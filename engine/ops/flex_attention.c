/* FlexAttention (ai.onnx.preview 1): prob_mod(softmax(score_mod(scale * Q K'))) V, for each head;
 * score_mod and prob_mod are subgraphs, each optional, that take a tensor and give one of the same
 * type and shape.
 *
 * Q, K, V are [batch, heads, sequence, head]; key and value heads may be fewer, each then serves as
 * many query heads in a row. The subgraphs may look at any place of the scores, so all of them are
 * held at once. Computed in double; what a subgraph sees has softmax_precision's type. A row whose
 * every score is -infinity gives zeros. What a subgraph gives back is checked: it is the model's.
 */
#include "engine/kernels/gemm.h"
#include "engine/ops/convert.h"
#include "engine/ops/real.h"

#include <math.h>

enum { Q, K, V };

struct flex {
    int64_t batch, heads, kv_heads, queries, keys, head, v_head;
    size_t rows; /* of scores: batch * heads * queries */
    enum dtype precision;
    double *scores;
};

static enum status parse(struct op_ctx *c, struct flex *f) {
    enum status s = op_need_all(c, 3);
    for (size_t i = Q; i <= V && s == STATUS_OK; i++) {
        s = op_need_dtype(c, i, DT_FLOATS);
        if (s == STATUS_OK)
            s = op_need_same(c, i, Q);
        if (s == STATUS_OK)
            s = op_need_rank(c, i, 4, 4);
    }
    if (s != STATUS_OK)
        return s;
    const struct tensor *q = op_in(c, Q), *k = op_in(c, K), *v = op_in(c, V);
    s = op_attr_dtype(c, "softmax_precision", q->dtype == DTYPE_DOUBLE ? DTYPE_DOUBLE : DTYPE_FLOAT,
                      DT_FLOATS, &f->precision);
    if (s != STATUS_OK)
        return s;
    f->batch = q->dims[0];
    f->heads = q->dims[1];
    f->queries = q->dims[2];
    f->head = q->dims[3];
    f->kv_heads = k->dims[1];
    f->keys = k->dims[2];
    f->v_head = v->dims[3];
    if (k->dims[0] != f->batch || v->dims[0] != f->batch)
        return op_fail(c, "Q, K and V have different batch sizes");
    if (k->dims[3] != f->head || v->dims[1] != f->kv_heads || v->dims[2] != f->keys)
        return op_fail(c,
                       "Q, K and V do not fit together: heads of %lld and %lld, %lld and %lld keys "
                       "and values, of %lld and %lld heads",
                       (long long)f->head, (long long)k->dims[3], (long long)f->keys,
                       (long long)v->dims[2], (long long)f->kv_heads, (long long)v->dims[1]);
    if (f->kv_heads < 1 || f->heads % f->kv_heads != 0)
        return op_fail(c, "%lld query heads cannot share %lld key heads", (long long)f->heads,
                       (long long)f->kv_heads);
    if (!checked_mul((size_t)(f->batch * f->heads), (size_t)f->queries, &f->rows))
        return op_no_memory(c);
    return STATUS_OK;
}

/* The scores go through the subgraph of that name, where it is there. */
static enum status modify(struct op_ctx *c, const struct flex *f, const char *name) {
    const struct graph *g = op_attr_graph(c, name);
    struct value in = {.kind = VALUE_TENSOR}, out = {.kind = VALUE_NONE};
    const int64_t dims[4] = {f->batch, f->heads, f->queries, f->keys};
    if (!op_attr_has(c, name))
        return STATUS_OK;
    if (!g || g->input_count != 1 || g->output_count != 1)
        return op_fail(c, "attribute %s must be a graph of one input and one output", name);
    enum status s = tensor_shape(&in.tensor, f->precision, 4, dims, c->error);
    if (s != STATUS_OK)
        return s;
    const size_t count = (size_t)in.tensor.count;
    in.tensor.data = op_alloc(c, in.tensor.bytes);
    if (!in.tensor.data)
        return op_no_memory(c);
    convert_elements(DTYPE_DOUBLE, f->scores, f->precision, in.tensor.data, count, true);
    s = op_subgraph(c, g, &in, 1, &out, 1);
    if (s != STATUS_OK)
        return s;
    if (out.kind != VALUE_TENSOR || out.tensor.dtype != f->precision ||
        !tensor_same_shape(&out.tensor, &in.tensor))
        return op_fail(c, "attribute %s must give a tensor of the type and shape that it is given",
                       name);
    convert_elements(f->precision, out.tensor.data, DTYPE_DOUBLE, f->scores, count, true);
    return STATUS_OK;
}

static void softmax(const struct flex *f) {
    for (size_t r = 0; r < f->rows; r++) {
        double *row = f->scores + r * (size_t)f->keys, top = -INFINITY, sum = 0;
        for (int64_t k = 0; k < f->keys; k++)
            top = row[k] > top || isnan(row[k]) ? row[k] : top;
        for (int64_t k = 0; k < f->keys; k++)
            sum += row[k] = exp(row[k] - (top == -INFINITY ? 0 : top));
        for (int64_t k = 0; k < f->keys; k++)
            row[k] = sum == 0 ? 0 : row[k] / sum;
    }
}

/* For each head: the product of scores with V, or of Q with K' into the scores. */
static void multiply(const struct flex *f, bool values, double scale, const double *a,
                     const double *b, double *out) {
    const size_t inner = (size_t)(values ? f->keys : f->head);
    const size_t width = (size_t)(values ? f->v_head : f->keys), m = (size_t)f->queries;
    const size_t line = (size_t)(values ? f->v_head : f->head);
    const struct gemm_shape g = gemm_shape_of(m, width, inner, false, !values);
    for (int64_t h = 0; h < f->batch * f->heads; h++) {
        const int64_t image = h / f->heads, head = h % f->heads / (f->heads / f->kv_heads);
        const size_t kv = (size_t)(image * f->kv_heads + head);
        gemm_f64(&g, scale, a + (size_t)h * m * inner, b + kv * (size_t)f->keys * line, 0.0,
                 out + (size_t)h * m * width);
    }
}

static enum status run(struct op_ctx *c) {
    struct flex f = {0};
    const double *in[3];
    struct tensor *y = NULL;
    enum status s = parse(c, &f);
    for (size_t i = Q; i <= V && s == STATUS_OK; i++)
        s = real_in(c, i, &in[i]);
    if (s == STATUS_OK)
        s = op_out_new(c, 0, op_in(c, Q)->dtype, 4,
                       (int64_t[]){f.batch, f.heads, f.queries, f.v_head}, &y);
    if (s != STATUS_OK || !y)
        return s;
    size_t count = 0;
    if (!checked_mul(f.rows, (size_t)f.keys, &count))
        return op_no_memory(c);
    double *to = op_scratch_array(c, (size_t)y->count, sizeof *to);
    f.scores = op_scratch_array(c, count, sizeof *f.scores);
    if (!f.scores || !to)
        return op_no_memory(c);
    const float scale = op_attr_float(c, "scale", 0.0f);
    const double by =
        op_attr_has(c, "scale") ? (double)scale : 1 / sqrt((double)(f.head > 0 ? f.head : 1));
    if (count > 0)
        multiply(&f, false, by, in[Q], in[K], f.scores);
    s = modify(c, &f, "score_mod");
    if (s != STATUS_OK)
        return s;
    softmax(&f);
    s = modify(c, &f, "prob_mod");
    if (s != STATUS_OK)
        return s;
    memset(to, 0, (size_t)y->count * sizeof *to);
    if (count > 0 && y->count > 0)
        multiply(&f, true, 1, f.scores, in[V], to);
    convert_elements(DTYPE_DOUBLE, to, y->dtype, y->data, (size_t)y->count, true);
    return STATUS_OK;
}

const struct op_row op_family_flex_attention[] = {
    {.domain = "ai.onnx.preview",
     .name = "FlexAttention",
     .since = 1,
     .infer = op_infer_in_run,
     .run = run,
     .flags = OP_CONTROL},
    OP_END,
};
