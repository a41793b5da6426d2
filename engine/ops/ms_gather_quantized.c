/* com.microsoft GatherBlockQuantized: Gather from a table that is quantised in blocks along one
 * axis; what is taken is (q - zero point) * scale, in the type of the scales.
 *
 *   data     int4 or uint4; or uint8, which holds 2, 4 or 8 bits for each element along its last
 *            axis, the first in the low bits
 *   scales   data's shape with blocks, not elements, along quantize_axis
 *   zero_points  the same shape, packed as data is; 0 where left out, for uint8 half of the range
 */
#include "engine/ops/op.h"

enum { DATA, INDICES, SCALES, ZEROS };

struct table {
    int64_t dims[TENSOR_MAX_RANK]; /* in elements */
    int rank, quantize, gather;
    int64_t block, blocks;
    unsigned bits; /* of an element in a byte: 8 where each has its own */
    bool is_signed;
    int zero; /* where no zero points are given */
};

static enum status parse(struct op_ctx *c, struct table *t) {
    const struct tensor *x = op_in(c, DATA), *scales = op_in(c, SCALES), *zeros = op_in(c, ZEROS);
    const int64_t bits = op_attr_int(c, "bits", 4), block = op_attr_int(c, "block_size", 128);
    *t = (struct table){.rank = x->rank, .bits = 8, .block = block};
    enum status s =
        op_axis(c, "quantize_axis", op_attr_int(c, "quantize_axis", 1), x->rank, &t->quantize);
    if (s == STATUS_OK)
        s = op_axis(c, "gather_axis", op_attr_int(c, "gather_axis", 0), x->rank, &t->gather);
    if (s != STATUS_OK)
        return s;
    if (block < 16 || block > INT32_MAX || (block & (block - 1)) != 0)
        return op_fail(c, "block_size is %lld, expected a power of two from 16 on",
                       (long long)block);
    memcpy(t->dims, x->dims, sizeof t->dims);
    t->is_signed = x->dtype == DTYPE_INT4;
    if (x->dtype == DTYPE_UINT8) {
        if (bits != 2 && bits != 4 && bits != 8)
            return op_fail(c, "bits is %lld, expected 2, 4 or 8", (long long)bits);
        if (t->quantize != x->rank - 1 || t->gather == t->quantize)
            return op_fail(c,
                           "uint8 data must be quantised along its last axis, and gathered along "
                           "another");
        t->bits = (unsigned)bits;
        t->zero = 1 << (bits - 1);
        t->dims[x->rank - 1] *= 8 / bits;
    }
    t->blocks = (t->dims[t->quantize] + block - 1) / block;
    bool fits = scales->rank == x->rank, zeros_fit = !zeros || zeros->rank == x->rank;
    for (int d = 0; d < x->rank; d++) {
        const int64_t want = d == t->quantize ? t->blocks : t->dims[d], each = 8 / t->bits;
        const int64_t packed = d == t->quantize ? (want + each - 1) / each : want;
        fits = fits && scales->dims[d] == want;
        zeros_fit = zeros_fit && (!zeros || zeros->dims[d] == packed);
    }
    if (!fits || !zeros_fit)
        return op_fail(c, "%s must have the shape of data, with %lld blocks along axis %d",
                       fits ? "zero_points" : "scales", (long long)t->blocks, t->quantize);
    return STATUS_OK;
}

static enum status infer(struct op_ctx *c) {
    enum status s = op_need_all(c, 3);
    if (s == STATUS_OK)
        s = op_need_dtype(c, DATA, DT(INT4) | DT(UINT4) | DT(UINT8));
    if (s == STATUS_OK)
        s = op_need_dtype(c, INDICES, DT(INT32) | DT(INT64));
    if (s == STATUS_OK)
        s = op_need_dtype(c, SCALES, DT(FLOAT) | DT(FLOAT16) | DT(BFLOAT16));
    if (s == STATUS_OK)
        s = op_need_same(c, ZEROS, DATA);
    if (s == STATUS_OK)
        s = op_need_rank(c, DATA, 1, TENSOR_MAX_RANK);
    struct table t;
    if (s == STATUS_OK)
        s = parse(c, &t);
    if (s != STATUS_OK)
        return s;
    const struct tensor *at = op_in(c, INDICES);
    int64_t dims[TENSOR_MAX_RANK];
    const int rank = t.rank - 1 + at->rank;
    if (rank > TENSOR_MAX_RANK)
        return op_fail(c, "the output would have %d dimensions, at most %d are served", rank,
                       TENSOR_MAX_RANK);
    for (int d = 0; d < rank; d++)
        dims[d] = d < t.gather              ? t.dims[d]
                  : d < t.gather + at->rank ? at->dims[d - t.gather]
                                            : t.dims[d - at->rank + 1];
    return op_infer(c, 0, op_in(c, SCALES)->dtype, rank, dims);
}

/* Element i of what is packed in rows of `row` elements, each row beginning at a byte of its own.
 */
static int unpack(const struct table *t, const void *data, size_t row, size_t i) {
    if (t->is_signed)
        return ((const int8_t *)data)[i];
    const size_t each = 8 / t->bits, line = i / row, place = i % row;
    const uint8_t byte = ((const uint8_t *)data)[line * ((row + each - 1) / each) + place / each];
    return (int)((unsigned)(byte >> place % each * t->bits) & ((1u << t->bits) - 1));
}

static int64_t index_at(const struct tensor *t, int64_t i) {
    return t->dtype == DTYPE_INT32 ? ((const int32_t *)t->data)[i] : ((const int64_t *)t->data)[i];
}

static int64_t span(const int64_t *dims, int from, int to) {
    int64_t n = 1;
    for (int d = from; d < to; d++)
        n *= dims[d];
    return n;
}

static enum status run(struct op_ctx *c) {
    const struct tensor *at = op_in(c, INDICES), *zeros = op_in(c, ZEROS);
    const void *data = op_in(c, DATA)->data;
    const float *scales = NULL;
    float *y = NULL;
    struct table t;
    enum status s = parse(c, &t);
    if (s == STATUS_OK)
        s = op_in_f32(c, SCALES, &scales);
    if (s == STATUS_OK)
        s = op_out_f32(c, 0, &y);
    if (s != STATUS_OK || !y || op_out(c, 0)->count == 0)
        return s;
    const int64_t outer = span(t.dims, 0, t.gather), inner = span(t.dims, t.gather + 1, t.rank);
    const int64_t length = t.dims[t.gather], tail = span(t.dims, t.quantize + 1, t.rank);
    const size_t row = (size_t)t.dims[t.rank - 1];
    const size_t zero_row = (size_t)(t.quantize == t.rank - 1 ? t.blocks : t.dims[t.rank - 1]);
    for (int64_t o = 0; o < outer; o++)
        for (int64_t k = 0; k < at->count; k++) {
            const int64_t index = index_at(at, k), place = index < 0 ? index + length : index;
            if (place < 0 || place >= length)
                return op_fail(c, "index %lld is outside, the axis has %lld", (long long)index,
                               (long long)length);
            for (int64_t i = 0; i < inner; i++) {
                const int64_t from = (o * length + place) * inner + i;
                const int64_t line = from / tail / t.dims[t.quantize];
                const int64_t block = from / tail % t.dims[t.quantize] / t.block;
                const int64_t scale = (line * t.blocks + block) * tail + from % tail;
                const int zero = zeros ? unpack(&t, zeros->data, zero_row, (size_t)scale) : t.zero;
                *y++ = (float)(unpack(&t, data, row, (size_t)from) - zero) * scales[scale];
            }
        }
    op_out_f32_done(c, 0, y - op_out(c, 0)->count);
    return STATUS_OK;
}

const struct op_row op_family_ms_gather_quantized[] = {
    {.domain = "com.microsoft",
     .name = "GatherBlockQuantized",
     .since = 1,
     .infer = infer,
     .run = run},
    OP_END,
};
