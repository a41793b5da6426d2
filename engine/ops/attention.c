/* Attention (ai.onnx 23): softmax(softcap(scale * Q K') + mask) V, for each head.
 *
 * Q, K, V are [batch, heads, sequence, head] or [batch, sequence, heads * head]; key and value
 * heads may be fewer, each then serves as many query heads in a row. past_key and past_value go
 * before K and V. Rows are worked off in blocks, so that the scores of one block are all that is
 * held at a time. A row whose every score is masked gives zeros. Computed in float. */
#include "engine/kernels/gemm.h"
#include "engine/ops/fast_math.h"
#include "engine/ops/op.h"

#define BLOCK_ROWS 64

enum { Q, K, V, MASK, PAST_KEY, PAST_VALUE };
enum { Y, PRESENT_KEY, PRESENT_VALUE, SCORES };
enum scores_mode { RAW, AFTER_SOFTCAP, AFTER_MASK, AFTER_SOFTMAX };

/* One of Q, K, V: rows of `head` elements, these strides apart. */
struct side {
    int64_t heads, sequence, head;
    int64_t batch_stride, head_stride, row_stride;
};

struct shape {
    struct side q, k, v;
    int64_t batch, past, total; /* total: past + k.sequence */
};

static enum status parse_side(struct op_ctx *c, size_t i, int64_t heads, struct side *out) {
    const struct tensor *t = op_in(c, i);
    if (t->rank == 4) {
        *out = (struct side){.heads = t->dims[1], .sequence = t->dims[2], .head = t->dims[3]};
        out->row_stride = out->head;
        out->head_stride = out->sequence * out->head;
        out->batch_stride = out->heads * out->head_stride;
        return STATUS_OK;
    }
    if (heads < 1 || t->dims[2] % heads != 0)
        return op_fail(c, "input %zu has a hidden size of %lld, which is not %lld heads", i,
                       (long long)t->dims[2], (long long)heads);
    *out = (struct side){.heads = heads, .sequence = t->dims[1], .head = t->dims[2] / heads};
    out->row_stride = t->dims[2];
    out->head_stride = out->head;
    out->batch_stride = out->sequence * out->row_stride;
    return STATUS_OK;
}

static enum status parse(struct op_ctx *c, struct shape *s) {
    const struct tensor *q = op_in(c, Q), *past = op_in(c, PAST_KEY);
    const int64_t kv_heads = op_attr_int(c, "kv_num_heads", 0);
    enum status st = parse_side(c, Q, op_attr_int(c, "q_num_heads", 0), &s->q);
    if (st == STATUS_OK)
        st = parse_side(c, K, kv_heads, &s->k);
    if (st == STATUS_OK)
        st = parse_side(c, V, kv_heads, &s->v);
    if (st != STATUS_OK)
        return st;
    s->batch = q->dims[0];
    s->past = past ? past->dims[2] : 0;
    s->total = s->past + s->k.sequence;
    if (op_in(c, K)->dims[0] != s->batch || op_in(c, V)->dims[0] != s->batch)
        return op_fail(c, "Q, K and V have different batch sizes");
    if (s->q.head != s->k.head || s->k.sequence != s->v.sequence || s->k.heads != s->v.heads)
        return op_fail(c,
                       "Q, K and V do not fit together: heads of %lld and %lld, %lld and %lld "
                       "keys and values, of %lld and %lld heads",
                       (long long)s->q.head, (long long)s->k.head, (long long)s->k.sequence,
                       (long long)s->v.sequence, (long long)s->k.heads, (long long)s->v.heads);
    if (s->k.heads < 1 || s->q.heads % s->k.heads != 0)
        return op_fail(c, "%lld query heads cannot share %lld key heads", (long long)s->q.heads,
                       (long long)s->k.heads);
    return STATUS_OK;
}

static enum status check_past(struct op_ctx *c, const struct shape *s) {
    const struct tensor *k = op_in(c, PAST_KEY), *v = op_in(c, PAST_VALUE);
    if (!k && !v)
        return STATUS_OK;
    if (!k || !v)
        return op_fail(c, "past_key and past_value must be given together");
    const struct tensor *past[2] = {k, v};
    const struct side *side[2] = {&s->k, &s->v};
    for (size_t i = 0; i < 2; i++) {
        const struct tensor *t = past[i];
        if (t->rank != 4 || t->dims[0] != s->batch || t->dims[1] != side[i]->heads ||
            t->dims[2] != s->past || t->dims[3] != side[i]->head)
            return op_fail(c, "input %d must have shape [%lld,%lld,%lld,%lld]", PAST_KEY + (int)i,
                           (long long)s->batch, (long long)side[i]->heads, (long long)s->past,
                           (long long)side[i]->head);
    }
    return STATUS_OK;
}

/* The mask broadcasts to [batch, query heads, queries, total]; a shorter last dimension stands for
 * keys after it that are all masked. */
static enum status check_mask(struct op_ctx *c, const struct shape *s) {
    const struct tensor *m = op_in(c, MASK);
    if (!m)
        return STATUS_OK;
    const int64_t full[4] = {s->batch, s->q.heads, s->q.sequence, s->total};
    bool fits = m->rank >= 2 && m->rank <= 4;
    for (int d = 0; fits && d < m->rank; d++) {
        const int64_t most = full[4 - m->rank + d];
        fits = m->dims[d] == 1 || m->dims[d] == most || (d == m->rank - 1 && m->dims[d] < most);
    }
    return fits ? STATUS_OK
                : op_fail(c, "attn_mask does not broadcast to [%lld,%lld,%lld,%lld]",
                          (long long)full[0], (long long)full[1], (long long)full[2],
                          (long long)full[3]);
}

static enum status infer(struct op_ctx *c) {
    enum status st = op_need_all(c, 3);
    for (size_t i = Q; i <= V && st == STATUS_OK; i++) {
        st = op_need_dtype(c, i, DT_FLOATS);
        if (st == STATUS_OK)
            st = op_need_rank(c, i, op_in(c, Q)->rank, op_in(c, Q)->rank);
    }
    if (st == STATUS_OK)
        st = op_need_rank(c, Q, 3, 4);
    if (st == STATUS_OK)
        st = op_need_dtype(c, MASK, DT_FLOATS | DT(BOOL));
    for (size_t i = PAST_KEY; i <= PAST_VALUE && st == STATUS_OK; i++)
        st = op_need_same(c, i, i - PAST_KEY + K);
    if (st == STATUS_OK && op_in(c, PAST_KEY))
        st = op_need_rank(c, PAST_KEY, 4, 4);
    struct shape s;
    if (st == STATUS_OK)
        st = parse(c, &s);
    if (st == STATUS_OK)
        st = check_past(c, &s);
    if (st == STATUS_OK)
        st = check_mask(c, &s);
    const int64_t mode = op_attr_int(c, "qk_matmul_output_mode", 0);
    if (st == STATUS_OK && (mode < RAW || mode > AFTER_SOFTMAX))
        return op_fail(c, "qk_matmul_output_mode is %lld, expected 0 to 3", (long long)mode);
    if (st != STATUS_OK)
        return st;
    const enum dtype dtype = op_in(c, Q)->dtype;
    const int64_t y4[4] = {s.batch, s.q.heads, s.q.sequence, s.v.head};
    int64_t hidden = 0;
    if (__builtin_mul_overflow(s.q.heads, s.v.head, &hidden))
        return op_fail(c, "the output is too large");
    const int64_t y3[3] = {s.batch, s.q.sequence, hidden};
    const bool flat = op_in(c, Q)->rank == 3;
    st = op_infer(c, Y, dtype, flat ? 3 : 4, flat ? y3 : y4);
    if (st == STATUS_OK)
        st = op_infer(c, PRESENT_KEY, op_in(c, K)->dtype, 4,
                      (int64_t[]){s.batch, s.k.heads, s.total, s.k.head});
    if (st == STATUS_OK)
        st = op_infer(c, PRESENT_VALUE, op_in(c, V)->dtype, 4,
                      (int64_t[]){s.batch, s.v.heads, s.total, s.v.head});
    if (st == STATUS_OK)
        st = op_infer(c, SCORES, dtype, 4, (int64_t[]){s.batch, s.q.heads, s.q.sequence, s.total});
    return st;
}

/* ---- run ---- */

struct job {
    struct shape s;
    const float *q, *k, *v;
    float *y, *scores_out;
    struct side y_side;
    const float *mask;        /* additive, or */
    const uint8_t *mask_bool; /* true: may look */
    int64_t mask_stride[4], mask_last;
    bool causal;
    float scale, softcap;
    enum scores_mode mode;
    size_t slots, block, units; /* block: floats of scores for a slot */
    float *scores;
};

/* Cache before new rows, as one contiguous [batch, heads, total, head]. */
static void join(const struct side *side, int64_t batch, int64_t past, const float *before,
                 const float *fresh, float *to) {
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

/* Input i (K or V) with its cache; also stored as output `present`. */
static enum status open_cached(struct op_ctx *c, size_t i, size_t present, const struct shape *s,
                               struct side *side, const float **out) {
    const float *fresh = NULL, *before = NULL;
    float *to = NULL;
    enum status st = op_in_f32(c, i, &fresh);
    if (st == STATUS_OK && op_in(c, PAST_KEY))
        st = op_in_f32(c, i - K + PAST_KEY, &before);
    if (st == STATUS_OK)
        st = op_out_f32(c, present, &to);
    if (st != STATUS_OK)
        return st;
    *out = fresh;
    if (!before && !to)
        return STATUS_OK;
    const size_t count = (size_t)(s->batch * side->heads * s->total);
    float *joined = to ? to : op_scratch_array(c, count, (size_t)side->head * sizeof *joined);
    if (!joined)
        return op_no_memory(c);
    join(side, s->batch, s->past, before, fresh, joined);
    if (to)
        op_out_f32_done(c, present, to);
    side->sequence = s->total;
    side->row_stride = side->head;
    side->head_stride = s->total * side->head;
    side->batch_stride = side->heads * side->head_stride;
    *out = joined;
    return STATUS_OK;
}

static enum status open_mask(struct op_ctx *c, struct job *j) {
    const struct tensor *m = op_in(c, MASK);
    if (!m)
        return STATUS_OK;
    int64_t stride = 1;
    for (int d = m->rank - 1, to = 3; d >= 0; d--, to--) {
        j->mask_stride[to] = m->dims[d] == 1 ? 0 : stride;
        stride *= m->dims[d];
    }
    const int64_t last = m->dims[m->rank - 1];
    j->mask_last = last == 1 ? j->s.total : last;
    if (m->dtype == DTYPE_BOOL) {
        j->mask_bool = m->data;
        return STATUS_OK;
    }
    return op_in_f32(c, MASK, &j->mask);
}

static void apply_mask(const struct job *j, int64_t b, int64_t h, int64_t row, float *scores) {
    const int64_t total = j->s.total;
    if (j->mask || j->mask_bool) {
        const int64_t at = b * j->mask_stride[0] + h * j->mask_stride[1] + row * j->mask_stride[2];
        for (int64_t k = 0; k < j->mask_last; k++) {
            if (j->mask)
                scores[k] += j->mask[at + k * j->mask_stride[3]];
            else if (!j->mask_bool[at + k * j->mask_stride[3]])
                scores[k] = -INFINITY;
        }
        for (int64_t k = j->mask_last; k < total; k++)
            scores[k] = -INFINITY;
    }
    if (j->causal)
        for (int64_t k = j->s.past + row + 1; k < total; k++)
            scores[k] = -INFINITY;
}

static void softmax(float *x, size_t n) {
    const float top = fast_max(x, n);
    const float sum = fast_exp(x, x, n, top == -INFINITY ? 0 : top), scale = sum == 0 ? 0 : 1 / sum;
    for (size_t i = 0; i < n; i++)
        x[i] *= scale;
}

/* Copies the scores out at the stage that was asked for. */
static void note(const struct job *j, enum scores_mode stage, int64_t unit_row, const float *from) {
    if (j->scores_out && j->mode == stage)
        memcpy(j->scores_out + unit_row * j->s.total, from, (size_t)j->s.total * sizeof *from);
}

/* A block of query rows of one head of one image. */
static void one_unit(const struct job *j, size_t unit, float *scores) {
    const struct shape *s = &j->s;
    const int64_t blocks = (s->q.sequence + BLOCK_ROWS - 1) / BLOCK_ROWS;
    const int64_t first = (int64_t)unit % blocks * BLOCK_ROWS;
    const int64_t h = (int64_t)unit / blocks % s->q.heads, b = (int64_t)unit / blocks / s->q.heads;
    const int64_t rows = s->q.sequence - first < BLOCK_ROWS ? s->q.sequence - first : BLOCK_ROWS;
    const int64_t kv = h / (s->q.heads / s->k.heads);
    const float *q = j->q + b * s->q.batch_stride + h * s->q.head_stride + first * s->q.row_stride;
    const float *k = j->k + b * s->k.batch_stride + kv * s->k.head_stride;
    const float *v = j->v + b * s->v.batch_stride + kv * s->v.head_stride;
    float *y = j->y + b * j->y_side.batch_stride + h * j->y_side.head_stride +
               first * j->y_side.row_stride;
    const struct gemm_shape qk = {.transpose_b = true,
                                  .m = (size_t)rows,
                                  .n = (size_t)s->total,
                                  .k = (size_t)s->q.head,
                                  .lda = (size_t)s->q.row_stride,
                                  .ldb = (size_t)s->k.row_stride,
                                  .ldc = (size_t)s->total};
    gemm_f32(NULL, &qk, j->scale, q, k, 0.0f, scores);
    for (int64_t r = 0; r < rows; r++) {
        float *row = scores + r * s->total;
        const int64_t at = (b * s->q.heads + h) * s->q.sequence + first + r;
        note(j, RAW, at, row);
        if (j->softcap > 0)
            for (int64_t i = 0; i < s->total; i++)
                row[i] = j->softcap * fast_tanhf(row[i] / j->softcap);
        note(j, AFTER_SOFTCAP, at, row);
        apply_mask(j, b, h, first + r, row);
        note(j, AFTER_MASK, at, row);
        softmax(row, (size_t)s->total);
        note(j, AFTER_SOFTMAX, at, row);
    }
    const struct gemm_shape pv = {.m = (size_t)rows,
                                  .n = (size_t)s->v.head,
                                  .k = (size_t)s->total,
                                  .lda = (size_t)s->total,
                                  .ldb = (size_t)s->v.row_stride,
                                  .ldc = (size_t)j->y_side.row_stride};
    gemm_f32(NULL, &pv, 1.0f, scores, v, 0.0f, y);
}

static void run_slots(void *arg, size_t begin, size_t end) {
    const struct job *j = arg;
    for (size_t slot = begin; slot < end; slot++)
        for (size_t unit = slot; unit < j->units; unit += j->slots)
            one_unit(j, unit, j->scores + slot * j->block);
}

static enum status open_job(struct op_ctx *c, struct job *j) {
    enum status st = parse(c, &j->s);
    if (st == STATUS_OK)
        st = op_in_f32(c, Q, &j->q);
    if (st == STATUS_OK)
        st = open_cached(c, K, PRESENT_KEY, &j->s, &j->s.k, &j->k);
    if (st == STATUS_OK)
        st = open_cached(c, V, PRESENT_VALUE, &j->s, &j->s.v, &j->v);
    if (st == STATUS_OK)
        st = open_mask(c, j);
    if (st == STATUS_OK)
        st = op_out_f32(c, Y, &j->y);
    if (st == STATUS_OK)
        st = op_out_f32(c, SCORES, &j->scores_out);
    if (st != STATUS_OK)
        return st;
    const struct shape *s = &j->s;
    if (!j->y) {
        j->y = op_scratch_array(c, (size_t)(s->batch * s->q.heads * s->q.sequence),
                                (size_t)s->v.head * sizeof(float));
        if (!j->y)
            return op_no_memory(c);
    }
    const bool flat = op_in(c, Q)->rank == 3;
    j->y_side = (struct side){
        .batch_stride = s->q.heads * s->q.sequence * s->v.head,
        .head_stride = flat ? s->v.head : s->q.sequence * s->v.head,
        .row_stride = flat ? s->q.heads * s->v.head : s->v.head,
    };
    return STATUS_OK;
}

static enum status run(struct op_ctx *c) {
    struct job j = {.causal = op_attr_int(c, "is_causal", 0) != 0,
                    .softcap = op_attr_float(c, "softcap", 0.0f),
                    .mode = (enum scores_mode)op_attr_int(c, "qk_matmul_output_mode", 0)};
    enum status st = open_job(c, &j);
    if (st != STATUS_OK)
        return st;
    const struct shape *s = &j.s;
    j.scale = op_attr_float(c, "scale", 0.0f);
    if (j.scale == 0.0f)
        j.scale = 1.0f / sqrtf((float)(s->q.head > 0 ? s->q.head : 1));
    const int64_t blocks = (s->q.sequence + BLOCK_ROWS - 1) / BLOCK_ROWS;
    const size_t threads = op_threads(c) ? threads_count(op_threads(c)) : 1;
    j.units = (size_t)(s->batch * s->q.heads * blocks);
    j.slots = j.units < threads ? j.units : threads;
    const int64_t rows = s->q.sequence < BLOCK_ROWS ? s->q.sequence : BLOCK_ROWS;
    if (!checked_mul((size_t)rows, (size_t)s->total, &j.block))
        return op_no_memory(c);
    j.scores = op_scratch_array(c, j.slots, j.block * sizeof *j.scores);
    if (!j.scores)
        return op_no_memory(c);
    op_parallel(c, j.slots, 1, run_slots, &j);
    if (op_out(c, Y))
        op_out_f32_done(c, Y, j.y);
    if (j.scores_out)
        op_out_f32_done(c, SCORES, j.scores_out);
    return STATUS_OK;
}

const struct op_row op_family_attention[] = {
    {.name = "Attention", .since = 23, .infer = infer, .run = run},
    OP_END,
};
