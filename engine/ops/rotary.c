/* RotaryEmbedding (ai.onnx 23): pairs of elements of every head are turned by the angle whose
 * cosine and sine stand in the caches at the element's position. */
#include "engine/ops/op.h"

/* x is [batch, sequence, heads, head] with these strides, in elements. */
struct layout {
    int64_t batch, sequence, heads, head;
    int64_t batch_stride, sequence_stride, head_stride;
    int64_t rotated; /* elements of a head that turn; even */
};

static enum status parse(struct op_ctx *c, struct layout *l) {
    const struct tensor *x = op_in(c, 0);
    int64_t heads = op_attr_int(c, "num_heads", 0);
    if (x->rank == 4) {
        if (heads != 0 && heads != x->dims[1])
            return op_fail(c, "num_heads is %lld, the input has %lld", (long long)heads,
                           (long long)x->dims[1]);
        *l = (struct layout){x->dims[0], x->dims[2], x->dims[1], x->dims[3], 0, 0, 0, 0};
        l->sequence_stride = l->head;
        l->head_stride = l->sequence * l->head;
        l->batch_stride = l->heads * l->head_stride;
    } else {
        if (heads < 1 || x->dims[2] % heads != 0)
            return op_fail(c, "num_heads is %lld for a hidden size of %lld", (long long)heads,
                           (long long)x->dims[2]);
        *l = (struct layout){x->dims[0], x->dims[1], heads, x->dims[2] / heads, 0, 0, 0, 0};
        l->sequence_stride = x->dims[2];
        l->head_stride = l->head;
        l->batch_stride = l->sequence * x->dims[2];
    }
    l->rotated = op_attr_int(c, "rotary_embedding_dim", 0);
    if (l->rotated == 0)
        l->rotated = l->head;
    if (l->rotated < 0 || l->rotated > l->head || l->rotated % 2 != 0)
        return op_fail(c, "rotary_embedding_dim is %lld for heads of %lld", (long long)l->rotated,
                       (long long)l->head);
    return STATUS_OK;
}

/* Caches are [positions, rotated / 2] with position_ids, else [batch, sequence, rotated / 2]. */
static enum status check_cache(struct op_ctx *c, size_t i, const struct layout *l) {
    const struct tensor *t = op_in(c, i), *ids = op_in(c, 3);
    const int rank = ids ? 2 : 3;
    bool fits = t->rank == rank && t->dims[rank - 1] == l->rotated / 2;
    if (fits && !ids)
        fits = t->dims[0] == l->batch && t->dims[1] == l->sequence;
    return fits ? STATUS_OK
                : op_fail(c, "cache %zu must have %d dimensions, the last %lld", i, rank,
                          (long long)l->rotated / 2);
}

static enum status infer(struct op_ctx *c) {
    enum status s = op_need_all(c, 3);
    if (s == STATUS_OK)
        s = op_need_dtype(c, 0, DT(FLOAT) | DT(FLOAT16) | DT(BFLOAT16));
    if (s == STATUS_OK)
        s = op_need_rank(c, 0, 3, 4);
    for (size_t i = 1; i < 3 && s == STATUS_OK; i++)
        s = op_need_same(c, i, 0);
    if (s == STATUS_OK)
        s = op_need_dtype(c, 3, DT(INT64));
    struct layout l;
    if (s == STATUS_OK)
        s = parse(c, &l);
    for (size_t i = 1; i < 3 && s == STATUS_OK; i++)
        s = check_cache(c, i, &l);
    const struct tensor *ids = op_in(c, 3);
    if (s == STATUS_OK && ids &&
        (ids->rank != 2 || ids->dims[0] != l.batch || ids->dims[1] != l.sequence ||
         op_in(c, 1)->dims[0] != op_in(c, 2)->dims[0]))
        return op_fail(c, "position_ids must have shape [%lld,%lld], and the caches one length",
                       (long long)l.batch, (long long)l.sequence);
    return s == STATUS_OK ? op_infer_like(c, 0, op_in(c, 0)) : s;
}

struct job {
    struct layout l;
    const float *x, *cos, *sin;
    const int64_t *ids; /* NULL: the row number is the position */
    float *y;
    bool interleaved;
};

static void positions(void *arg, size_t begin, size_t end) {
    const struct job *j = arg;
    const struct layout *l = &j->l;
    const int64_t half = l->rotated / 2, step = j->interleaved ? 2 : 1,
                  other = j->interleaved ? 1 : half;
    for (size_t p = begin; p < end; p++) {
        const int64_t row = j->ids ? j->ids[p] : (int64_t)p;
        const float *cosine = j->cos + row * half, *sine = j->sin + row * half;
        for (int64_t h = 0; h < l->heads; h++) {
            const int64_t at = (int64_t)p / l->sequence * l->batch_stride +
                               (int64_t)p % l->sequence * l->sequence_stride + h * l->head_stride;
            const float *x = j->x + at;
            float *y = j->y + at;
            for (int64_t i = 0; i < half; i++) {
                const float a = x[i * step], b = x[i * step + other];
                y[i * step] = cosine[i] * a - sine[i] * b;
                y[i * step + other] = sine[i] * a + cosine[i] * b;
            }
            for (int64_t i = l->rotated; i < l->head; i++)
                y[i] = x[i];
        }
    }
}

static enum status run(struct op_ctx *c) {
    if (!op_out(c, 0) || op_out(c, 0)->count == 0)
        return STATUS_OK;
    struct job j = {.interleaved = op_attr_int(c, "interleaved", 0) != 0};
    enum status s = parse(c, &j.l);
    if (s == STATUS_OK)
        s = op_in_f32(c, 0, &j.x);
    if (s == STATUS_OK)
        s = op_in_f32(c, 1, &j.cos);
    if (s == STATUS_OK)
        s = op_in_f32(c, 2, &j.sin);
    if (s == STATUS_OK)
        s = op_out_f32(c, 0, &j.y);
    if (s != STATUS_OK)
        return s;
    const int64_t count = j.l.batch * j.l.sequence;
    if (op_in(c, 3)) {
        j.ids = op_in(c, 3)->data;
        for (int64_t p = 0; p < count; p++)
            if (j.ids[p] < 0 || j.ids[p] >= op_in(c, 1)->dims[0])
                return op_fail(c, "position %lld is outside a cache of %lld", (long long)j.ids[p],
                               (long long)op_in(c, 1)->dims[0]);
    }
    op_parallel(c, (size_t)count, 8, positions, &j);
    op_out_f32_done(c, 0, j.y);
    return STATUS_OK;
}

const struct op_row op_family_rotary[] = {
    {.name = "RotaryEmbedding", .since = 23, .infer = infer, .run = run},
    OP_END,
};
