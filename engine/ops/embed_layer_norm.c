/* com.microsoft EmbedLayerNormalization: the embeddings of words, positions and segments, added and
 * normalised over the last dimension; and how many words of each row the mask leaves.
 * QEmbedLayerNormalization: the same, of tables in bytes with a scale and a zero point each; rows
 * are widened as they are read. */
#include "engine/ops/op.h"

#include <math.h>

enum { IDS, SEGMENTS, WORDS, PLACES, KINDS, GAMMA, BETA, MASK, POSITIONS };
enum { Y, COUNTS, SUM };

/* QEmbedLayerNormalization: where the scale and the zero point of table i are. */
#define SCALE_OF(i) ((i)-WORDS + 8)
#define ZERO_OF(i) ((i)-WORDS + 13)

static bool quantised(const struct op_ctx *c) {
    return str_is(c->node->op_type, "QEmbedLayerNormalization");
}

static enum status check_table(struct op_ctx *c, size_t i, int64_t width) {
    const struct tensor *t = op_in(c, i);
    const int rank = i == GAMMA || i == BETA ? 1 : 2;
    if (t && (t->rank != rank || t->dims[rank - 1] != width))
        return op_fail(c, "input %zu must have %d dimensions, the last of %lld", i, rank,
                       (long long)width);
    enum status s = op_need_same(c, i, WORDS);
    if (s != STATUS_OK || !quantised(c) || !t)
        return s;
    const size_t parameters[2] = {SCALE_OF(i), ZERO_OF(i)};
    for (size_t k = 0; k < 2 && s == STATUS_OK; k++) {
        s = op_need(c, parameters[k]);
        if (s == STATUS_OK && op_in(c, parameters[k])->count != 1)
            return op_fail(c, "input %zu must have one element", parameters[k]);
    }
    if (s == STATUS_OK)
        s = op_need_dtype(c, SCALE_OF(i), DT(FLOAT));
    return s == STATUS_OK ? op_need_same(c, ZERO_OF(i), i) : s;
}

static const struct tensor *positions_of(const struct op_ctx *c) {
    return quantised(c) ? NULL : op_in(c, POSITIONS);
}

static enum status infer(struct op_ctx *c) {
    static const size_t needed[] = {IDS, WORDS, PLACES, GAMMA, BETA};
    enum status s = STATUS_OK;
    for (size_t i = 0; i < sizeof needed / sizeof *needed && s == STATUS_OK; i++)
        s = op_need(c, needed[i]);
    if (s == STATUS_OK)
        s = op_need_rank(c, IDS, 2, 2);
    if (s == STATUS_OK)
        s = op_need_rank(c, WORDS, 2, 2);
    if (s == STATUS_OK)
        s = op_need_dtype(c, WORDS, quantised(c) ? DT(INT8) | DT(UINT8) : DT_FLOATS);
    if (s != STATUS_OK)
        return s;
    const struct tensor *ids = op_in(c, IDS), *at = positions_of(c);
    const int64_t width = op_in(c, WORDS)->dims[1], batch = ids->dims[0], length = ids->dims[1];
    static const size_t integers[] = {IDS, SEGMENTS, MASK, POSITIONS};
    for (size_t i = 0; i < (quantised(c) ? 3 : 4) && s == STATUS_OK; i++) {
        s = op_need_dtype(c, integers[i], DT(INT32));
        if (s == STATUS_OK && i > 0 && i < 3 && op_in(c, integers[i]) &&
            !tensor_same_shape(ids, op_in(c, integers[i])))
            return op_fail(c, "input %zu does not have the shape of input_ids", integers[i]);
    }
    for (size_t i = WORDS; i <= BETA && s == STATUS_OK; i++)
        s = check_table(c, i, width);
    if (s == STATUS_OK && at &&
        (at->rank != 2 || (at->dims[0] != 1 && at->dims[0] != batch) || at->dims[1] != length))
        return op_fail(c, "position_ids must have shape [1,%lld] or [%lld,%lld]", (long long)length,
                       (long long)batch, (long long)length);
    if (s == STATUS_OK && !op_in(c, SEGMENTS) != !op_in(c, KINDS))
        return op_fail(c, "segment_ids and segment_embedding must be given together");
    const enum dtype dtype = quantised(c) ? DTYPE_FLOAT : op_in(c, WORDS)->dtype;
    if (s == STATUS_OK)
        s = op_infer(c, Y, dtype, 3, (int64_t[]){batch, length, width});
    if (s == STATUS_OK)
        s = op_infer(c, COUNTS, DTYPE_INT32, 1, &batch);
    return s == STATUS_OK ? op_infer(c, SUM, dtype, 3, (int64_t[]){batch, length, width}) : s;
}

/* Rows of floats, or of bytes. */
struct table {
    const float *floats;
    const uint8_t *bytes;
    bool negative; /* the bytes are int8 */
    float scale;
    int zero;
};

static int byte_of(bool negative, uint8_t v) {
    return negative ? (int)(int8_t)v : (int)v;
}

/* y = row (+ y, where `more`) */
static void take_row(const struct table *t, size_t row, size_t n, bool more, float *y) {
    for (size_t i = 0; i < n; i++) {
        const float v =
            t->floats ? t->floats[row * n + i]
                      : (float)(byte_of(t->negative, t->bytes[row * n + i]) - t->zero) * t->scale;
        y[i] = more ? y[i] + v : v;
    }
}

struct job {
    const int32_t *ids, *segments, *positions;
    int64_t length, position_rows;
    size_t width;
    struct table words, places, kinds;
    const float *gamma, *beta;
    float *y, *sum, epsilon;
};

static int64_t position_of(const struct job *j, int64_t r) {
    const int64_t column = r % j->length;
    if (!j->positions)
        return column;
    return j->positions[j->position_rows == 1 ? column : r];
}

static void rows(void *arg, size_t begin, size_t end) {
    const struct job *j = arg;
    const size_t n = j->width;
    for (size_t r = begin; r < end; r++) {
        float *y = j->y + r * n;
        double sum = 0, square = 0;
        take_row(&j->words, (size_t)j->ids[r], n, false, y);
        take_row(&j->places, (size_t)position_of(j, (int64_t)r), n, true, y);
        if (j->segments)
            take_row(&j->kinds, (size_t)j->segments[r], n, true, y);
        for (size_t i = 0; i < n; i++)
            sum += (double)y[i];
        if (j->sum)
            memcpy(j->sum + r * n, y, n * sizeof *y);
        const float mean = (float)(sum / (double)n);
        for (size_t i = 0; i < n; i++) {
            y[i] -= mean;
            square += (double)(y[i] * y[i]);
        }
        const float by = (float)(1 / sqrt(square / (double)n + (double)j->epsilon));
        for (size_t i = 0; i < n; i++)
            y[i] = y[i] * by * j->gamma[i] + j->beta[i];
    }
}

static enum status check_indices(struct op_ctx *c, const struct job *j) {
    const int64_t count = op_in(c, IDS)->count, words = op_in(c, WORDS)->dims[0],
                  places = op_in(c, PLACES)->dims[0],
                  kinds = op_in(c, KINDS) ? op_in(c, KINDS)->dims[0] : 0;
    for (int64_t r = 0; r < count; r++) {
        const int64_t place = position_of(j, r);
        if (j->ids[r] < 0 || j->ids[r] >= words)
            return op_fail(c, "word %d is outside a table of %lld", (int)j->ids[r],
                           (long long)words);
        if (place < 0 || place >= places)
            return op_fail(c, "position %lld is outside a table of %lld", (long long)place,
                           (long long)places);
        if (j->segments && (j->segments[r] < 0 || j->segments[r] >= kinds))
            return op_fail(c, "segment %d is outside a table of %lld", (int)j->segments[r],
                           (long long)kinds);
    }
    return STATUS_OK;
}

static void count_words(struct op_ctx *c) {
    struct tensor *counts = op_out(c, COUNTS);
    const struct tensor *mask = op_in(c, MASK), *ids = op_in(c, IDS);
    if (!counts)
        return;
    memset(counts->data, 0, counts->bytes);
    for (int64_t r = 0; mask && r < ids->count; r++)
        ((int32_t *)counts->data)[r / ids->dims[1]] += ((const int32_t *)mask->data)[r] == 1;
}

static enum status open_table(struct op_ctx *c, size_t i, struct table *out) {
    const struct tensor *t = op_in(c, i);
    *out = (struct table){.floats = NULL};
    if (!t || !quantised(c))
        return t ? op_in_f32(c, i, &out->floats) : STATUS_OK;
    out->bytes = t->data;
    out->negative = t->dtype == DTYPE_INT8;
    out->scale = *(const float *)op_in(c, SCALE_OF(i))->data;
    out->zero = byte_of(out->negative, *(const uint8_t *)op_in(c, ZERO_OF(i))->data);
    return STATUS_OK;
}

/* One row of floats: gamma or beta. */
static enum status open_row(struct op_ctx *c, size_t i, const float **out) {
    struct table t;
    enum status s = open_table(c, i, &t);
    *out = t.floats;
    if (s != STATUS_OK || t.floats)
        return s;
    const size_t n = (size_t)op_in(c, i)->count;
    float *row = op_scratch_array(c, n, sizeof *row);
    if (!row)
        return op_no_memory(c);
    take_row(&t, 0, n, false, row);
    *out = row;
    return STATUS_OK;
}

static enum status run(struct op_ctx *c) {
    const struct tensor *ids = op_in(c, IDS), *at = positions_of(c);
    struct job j = {.ids = ids->data,
                    .segments = op_in(c, SEGMENTS) ? op_in(c, SEGMENTS)->data : NULL,
                    .positions = at ? at->data : NULL,
                    .position_rows = at ? at->dims[0] : 0,
                    .length = ids->dims[1],
                    .width = (size_t)op_in(c, WORDS)->dims[1],
                    .epsilon = op_attr_float(c, "epsilon", 1e-12f)};
    enum status s = check_indices(c, &j);
    if (s == STATUS_OK)
        s = open_table(c, WORDS, &j.words);
    if (s == STATUS_OK)
        s = open_table(c, PLACES, &j.places);
    if (s == STATUS_OK)
        s = open_table(c, KINDS, &j.kinds);
    if (s == STATUS_OK)
        s = open_row(c, GAMMA, &j.gamma);
    if (s == STATUS_OK)
        s = open_row(c, BETA, &j.beta);
    if (s == STATUS_OK)
        s = op_out_f32(c, Y, &j.y);
    if (s == STATUS_OK)
        s = op_out_f32(c, SUM, &j.sum);
    if (s != STATUS_OK)
        return s;
    count_words(c);
    if (ids->count == 0 || j.width == 0)
        return STATUS_OK;
    if (!j.y && !(j.y = op_scratch_array(c, (size_t)ids->count, j.width * sizeof(float))))
        return op_no_memory(c);
    op_parallel(c, (size_t)ids->count, 4096 / j.width + 1, rows, &j);
    if (op_out(c, Y))
        op_out_f32_done(c, Y, j.y);
    if (j.sum)
        op_out_f32_done(c, SUM, j.sum);
    return STATUS_OK;
}

const struct op_row op_family_embed_layer_norm[] = {
    {.domain = "com.microsoft",
     .name = "EmbedLayerNormalization",
     .since = 1,
     .infer = infer,
     .run = run},
    {.domain = "com.microsoft",
     .name = "QEmbedLayerNormalization",
     .since = 1,
     .infer = infer,
     .run = run},
    OP_END,
};
