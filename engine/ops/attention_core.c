#include "engine/ops/attention_core.h"

#include "engine/kernels/gemm.h"
#include "engine/ops/fast_math.h"

#define BLOCK_ROWS 64

struct attention_side attention_plain(int64_t heads, int64_t sequence, int64_t head) {
    return (struct attention_side){.heads = heads,
                                   .sequence = sequence,
                                   .head = head,
                                   .row_stride = head,
                                   .head_stride = sequence * head,
                                   .batch_stride = heads * sequence * head};
}

struct attention_side attention_rows(int64_t heads, int64_t sequence, int64_t head, int64_t row) {
    return (struct attention_side){.heads = heads,
                                   .sequence = sequence,
                                   .head = head,
                                   .row_stride = row,
                                   .head_stride = head,
                                   .batch_stride = sequence * row};
}

struct attention_mask attention_mask_of(const struct tensor *t, const float *add, int64_t total) {
    struct attention_mask m = {.add = add};
    int64_t stride = 1;
    for (int d = t->rank - 1, to = 3; d >= 0; d--, to--) {
        m.stride[to] = t->dims[d] == 1 ? 0 : stride;
        stride *= t->dims[d];
    }
    const int64_t last = t->dims[t->rank - 1];
    m.last = last == 1 ? total : last;
    if (t->dtype == DTYPE_BOOL) {
        m.add = NULL;
        m.allow = t->data;
    }
    return m;
}

float attention_scale(float scale, int64_t head) {
    return scale != 0.0f ? scale : 1.0f / sqrtf((float)(head > 0 ? head : 1));
}

void attention_join(const struct attention_side *side, int64_t batch, int64_t past,
                    const float *before, const float *fresh, float *to) {
    const int64_t head = side->head, total = past + side->sequence;
    for (int64_t b = 0; b < batch; b++)
        for (int64_t h = 0; h < side->heads; h++) {
            float *out = to + (b * side->heads + h) * total * head;
            const float *from = fresh + b * side->batch_stride + h * side->head_stride;
            if (past > 0)
                memcpy(out, before + (b * side->heads + h) * past * head,
                       (size_t)(past * head) * sizeof *out);
            for (int64_t r = 0; r < side->sequence; r++)
                memcpy(out + (past + r) * head, from + r * side->row_stride,
                       (size_t)head * sizeof *out);
        }
}

static void apply_mask(const struct attention_mask *m, int64_t b, int64_t h, int64_t row,
                       int64_t keys, float *scores) {
    if (!m->add && !m->allow)
        return;
    const int64_t at = b * m->stride[0] + h * m->stride[1] + row * m->stride[2];
    const int64_t last = m->last < keys ? m->last : keys;
    for (int64_t k = 0; k < last; k++) {
        if (m->add)
            scores[k] += m->add[at + k * m->stride[3]];
        else if (!m->allow[at + k * m->stride[3]])
            scores[k] = -INFINITY;
    }
    for (int64_t k = last; k < keys; k++)
        scores[k] = -INFINITY;
}

/* Keys past the ones that count, after the query's place, and out of its reach. */
static void apply_place(const struct attention *a, int64_t b, int64_t row, float *scores) {
    const int64_t place = (a->past_of ? a->past_of[b] : a->past) + row, total = a->total;
    int64_t first = 0, end = a->valid_of ? a->valid_of[b] : total;
    if (a->causal && place + 1 < end)
        end = place + 1;
    if (a->after >= 0 && a->after < total && place + a->after + 1 < end)
        end = place + a->after + 1;
    if (a->before >= 0 && place > a->before)
        first = place - a->before;
    for (int64_t k = 0; k < first && k < total; k++)
        scores[k] = -INFINITY;
    for (int64_t k = end < 0 ? 0 : end; k < total; k++)
        scores[k] = -INFINITY;
}

static void softmax(float *x, size_t n, const float *sink) {
    float top = fast_max(x, n);
    if (sink && *sink > top)
        top = *sink;
    float sum = fast_exp(x, x, n, top == -INFINITY ? 0 : top);
    if (sink)
        sum += expf(*sink - top);
    const float scale = sum == 0 ? 0 : 1 / sum;
    for (size_t i = 0; i < n; i++)
        x[i] *= scale;
}

/* Copies the scores out at the stage that was asked for. */
static void note(const struct attention *a, enum attention_stage stage, int64_t row,
                 const float *from) {
    if (a->scores_out && a->stage == stage)
        memcpy(a->scores_out + row * a->total, from, (size_t)a->total * sizeof *from);
}

struct job {
    const struct attention *a;
    size_t slots, block, units; /* block: floats of scores for a slot */
    float *scores;
};

static void one_row(const struct attention *a, int64_t b, int64_t h, int64_t r, float *row) {
    const int64_t at = (b * a->q.heads + h) * a->q.sequence + r;
    note(a, ATTENTION_RAW, at, row);
    if (a->softcap > 0)
        for (int64_t i = 0; i < a->total; i++)
            row[i] = a->softcap * fast_tanhf(row[i] / a->softcap);
    note(a, ATTENTION_AFTER_SOFTCAP, at, row);
    for (size_t m = 0; m < 2; m++)
        apply_mask(&a->mask[m], b, h, r, a->total, row);
    apply_place(a, b, r, row);
    note(a, ATTENTION_AFTER_MASK, at, row);
    softmax(row, (size_t)a->total, a->sink ? a->sink + h : NULL);
    note(a, ATTENTION_AFTER_SOFTMAX, at, row);
}

/* A block of query rows of one head of one image. */
static void one_unit(const struct attention *a, size_t unit, float *scores) {
    const int64_t blocks = (a->q.sequence + BLOCK_ROWS - 1) / BLOCK_ROWS;
    const int64_t first = (int64_t)unit % blocks * BLOCK_ROWS;
    const int64_t h = (int64_t)unit / blocks % a->q.heads, b = (int64_t)unit / blocks / a->q.heads;
    const int64_t rows = a->q.sequence - first < BLOCK_ROWS ? a->q.sequence - first : BLOCK_ROWS;
    const int64_t kv = h / (a->q.heads / a->k.heads);
    const float *q =
        a->q_data + b * a->q.batch_stride + h * a->q.head_stride + first * a->q.row_stride;
    const float *k = a->k_data + b * a->k.batch_stride + kv * a->k.head_stride;
    const float *v = a->v_data + b * a->v.batch_stride + kv * a->v.head_stride;
    float *y = a->y_data + b * a->y.batch_stride + h * a->y.head_stride + first * a->y.row_stride;
    const struct gemm_shape qk = {.transpose_b = true,
                                  .m = (size_t)rows,
                                  .n = (size_t)a->total,
                                  .k = (size_t)a->q.head,
                                  .lda = (size_t)a->q.row_stride,
                                  .ldb = (size_t)a->k.row_stride,
                                  .ldc = (size_t)a->total};
    gemm_f32(&qk, a->scale, q, k, 0.0f, scores);
    for (int64_t r = 0; r < rows; r++)
        one_row(a, b, h, first + r, scores + r * a->total);
    const struct gemm_shape pv = {.m = (size_t)rows,
                                  .n = (size_t)a->v.head,
                                  .k = (size_t)a->total,
                                  .lda = (size_t)a->total,
                                  .ldb = (size_t)a->v.row_stride,
                                  .ldc = (size_t)a->y.row_stride};
    gemm_f32(&pv, 1.0f, scores, v, 0.0f, y);
}

static void run_slots(void *arg, size_t begin, size_t end) {
    const struct job *j = arg;
    for (size_t slot = begin; slot < end; slot++)
        for (size_t unit = slot; unit < j->units; unit += j->slots)
            one_unit(j->a, unit, j->scores + slot * j->block);
}

enum status attention_run(struct op_ctx *c, const struct attention *a) {
    const int64_t blocks = (a->q.sequence + BLOCK_ROWS - 1) / BLOCK_ROWS;
    const size_t threads = op_threads(c) ? threads_count(op_threads(c)) : 1;
    struct job j = {.a = a, .units = (size_t)(a->batch * a->q.heads * blocks)};
    j.slots = j.units < threads ? j.units : threads;
    const int64_t rows = a->q.sequence < BLOCK_ROWS ? a->q.sequence : BLOCK_ROWS;
    if (!checked_mul((size_t)rows, (size_t)a->total, &j.block))
        return op_no_memory(c);
    j.scores = op_scratch_array(c, j.slots, j.block * sizeof *j.scores);
    if (!j.scores)
        return op_no_memory(c);
    op_parallel(c, j.slots, 1, run_slots, &j);
    return STATUS_OK;
}
