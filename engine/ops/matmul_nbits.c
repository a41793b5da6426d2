/* com.microsoft MatMulNBits: Y = A W' + bias, W [N,K] in blocks of 2, 4 or 8 bits along K.
 *
 *   B [N, blocks, bytes of a block], the first element in the lowest bits
 *   scales [N, blocks]; zero_points [N, blocks], packed like B to whole bytes a row, or of A's
 * type; 2^(bits - 1) where they are left out; g_idx [K]: the block of each row, where not in order
 *
 * Weights stay as they are: a panel of columns at a time is widened into scratch and packed there,
 * so a model takes no more memory than its file. Panels are worked off side by side. */
#include "engine/kernels/gemm_packed.h"
#include "engine/ops/op.h"

enum { A, B, SCALES, ZEROS, ORDER, BIAS };

#define PANEL 64 /* columns */

struct shape {
    int64_t n, k, bits, block, blocks, blob, zero_row;
};

static enum status need_count(struct op_ctx *c, size_t i, int64_t count) {
    const struct tensor *t = op_in(c, i);
    return !t || t->count == count ? STATUS_OK
                                   : op_fail(c, "input %zu has %lld elements, expected %lld", i,
                                             (long long)t->count, (long long)count);
}

static enum status parse(struct op_ctx *c, struct shape *s) {
    const struct tensor *a = op_in(c, A), *zeros = op_in(c, ZEROS);
    *s = (struct shape){.n = op_attr_int(c, "N", 0),
                        .k = op_attr_int(c, "K", 0),
                        .bits = op_attr_int(c, "bits", 4),
                        .block = op_attr_int(c, "block_size", 0)};
    if (s->bits != 2 && s->bits != 4 && s->bits != 8)
        return op_fail(c, "bits is %lld, expected 2, 4 or 8", (long long)s->bits);
    if (s->n < 1 || s->k < 1 || s->n > INT32_MAX || s->k > INT32_MAX)
        return op_fail(c, "N is %lld and K %lld, expected 1 to 2147483647", (long long)s->n,
                       (long long)s->k);
    if (s->block < 16 || s->block > 65536 || (s->block & (s->block - 1)) != 0)
        return op_fail(c, "block_size is %lld, expected a power of two from 16 on",
                       (long long)s->block);
    if (op_attr_int(c, "weight_prepacked", 0) != 0)
        return op_fail(c, "weight_prepacked must be 0");
    s->blocks = (s->k + s->block - 1) / s->block;
    s->blob = s->block * s->bits / 8;
    s->zero_row = zeros && zeros->dtype == DTYPE_UINT8 ? (s->blocks * s->bits + 7) / 8 : s->blocks;
    if (a->rank < 1 || a->dims[a->rank - 1] != s->k)
        return op_fail(c, "A must have rows of %lld", (long long)s->k);
    enum status st = need_count(c, B, s->n * s->blocks * s->blob);
    if (st == STATUS_OK)
        st = need_count(c, SCALES, s->n * s->blocks);
    if (st == STATUS_OK)
        st = need_count(c, ZEROS, s->n * s->zero_row);
    if (st == STATUS_OK)
        st = need_count(c, ORDER, s->k);
    return st == STATUS_OK ? need_count(c, BIAS, s->n) : st;
}

static enum status infer(struct op_ctx *c) {
    enum status st = op_need_all(c, 3);
    if (st == STATUS_OK)
        st = op_need_dtype(c, A, DT_FLOATS);
    if (st == STATUS_OK)
        st = op_need_dtype(c, B, DT(UINT8));
    if (st == STATUS_OK)
        st = op_need_dtype(c, SCALES, DT_FLOATS);
    if (st == STATUS_OK)
        st = op_need_dtype(c, ZEROS, DT(UINT8) | DT_FLOATS);
    if (st == STATUS_OK)
        st = op_need_dtype(c, ORDER, DT(INT32));
    if (st == STATUS_OK)
        st = op_need_dtype(c, BIAS, DT_FLOATS);
    struct shape s;
    if (st == STATUS_OK)
        st = parse(c, &s);
    if (st != STATUS_OK)
        return st;
    const struct tensor *a = op_in(c, A);
    int64_t dims[TENSOR_MAX_RANK];
    memcpy(dims, a->dims, sizeof dims);
    dims[a->rank - 1] = s.n;
    return op_infer(c, 0, a->dtype, a->rank, dims);
}

struct job {
    struct shape s;
    const uint8_t *b, *packed_zeros;
    const float *a, *scales, *zeros, *bias;
    const int32_t *order;
    float *y;
    size_t m, slots, panels;
    size_t plain, packed; /* floats of a slot's panel, before and after packing */
    float *memory;
    struct threads *pool; /* inside a product, where there is one slot */
};

static int at_bits(const uint8_t *from, int64_t i, int64_t bits) {
    const int64_t each = 8 / bits;
    return from[i / each] >> (i % each * bits) & ((1 << bits) - 1);
}

static float zero_of(const struct job *j, int64_t column, int64_t block) {
    if (j->packed_zeros)
        return (float)at_bits(j->packed_zeros + column * j->s.zero_row, block, j->s.bits);
    return j->zeros ? j->zeros[column * j->s.blocks + block] : (float)(1 << (j->s.bits - 1));
}

static void widen_column(const struct job *j, int64_t column, float *to) {
    const struct shape *s = &j->s;
    const uint8_t *from = j->b + column * s->blocks * s->blob;
    const float *scales = j->scales + column * s->blocks;
    if (j->order) {
        for (int64_t k = 0; k < s->k; k++) {
            const int64_t block = j->order[k];
            to[k] = ((float)at_bits(from, k, s->bits) - zero_of(j, column, block)) * scales[block];
        }
        return;
    }
    for (int64_t block = 0; block < s->blocks; block++) {
        const int64_t first = block * s->block;
        const int64_t last = first + s->block < s->k ? first + s->block : s->k;
        const float zero = zero_of(j, column, block), scale = scales[block];
        if (s->bits == 4) {
            for (int64_t k = first; k < last; k++)
                to[k] = ((float)(from[k / 2] >> (k & 1) * 4 & 15) - zero) * scale;
            continue;
        }
        for (int64_t k = first; k < last; k++)
            to[k] = ((float)at_bits(from, k, s->bits) - zero) * scale;
    }
}

static void run_slots(void *arg, size_t begin, size_t end) {
    const struct job *j = arg;
    for (size_t slot = begin; slot < end; slot++) {
        float *plain = j->memory + slot * (j->plain + j->packed), *packed = plain + j->plain;
        for (size_t p = slot; p < j->panels; p += j->slots) {
            const int64_t first = (int64_t)p * PANEL;
            const int64_t n = j->s.n - first < PANEL ? j->s.n - first : PANEL;
            for (int64_t i = 0; i < n; i++)
                widen_column(j, first + i, plain + i * j->s.k);
            gemm_packed_right_pack((size_t)j->s.k, (size_t)n, plain, (size_t)j->s.k, true, packed);
            const struct gemm_packed_shape g = {.m = j->m,
                                                .n = (size_t)n,
                                                .k = (size_t)j->s.k,
                                                .ld_in = (size_t)j->s.k,
                                                .ldc = (size_t)j->s.n};
            gemm_packed_right(j->pool, &g, j->a, packed, j->bias ? j->bias + first : NULL,
                              j->y + first);
        }
    }
}

static enum status open_inputs(struct op_ctx *c, struct job *j) {
    const struct tensor *zeros = op_in(c, ZEROS), *order = op_in(c, ORDER);
    enum status st = parse(c, &j->s);
    if (st == STATUS_OK)
        st = op_in_f32(c, A, &j->a);
    if (st == STATUS_OK)
        st = op_in_f32(c, SCALES, &j->scales);
    if (st == STATUS_OK && zeros && zeros->dtype != DTYPE_UINT8)
        st = op_in_f32(c, ZEROS, &j->zeros);
    if (st == STATUS_OK && op_in(c, BIAS))
        st = op_in_f32(c, BIAS, &j->bias);
    if (st != STATUS_OK)
        return st;
    j->b = op_in(c, B)->data;
    j->packed_zeros = zeros && zeros->dtype == DTYPE_UINT8 ? zeros->data : NULL;
    j->order = order ? order->data : NULL;
    for (int64_t k = 0; j->order && k < j->s.k; k++)
        if (j->order[k] < 0 || j->order[k] >= j->s.blocks)
            return op_fail(c, "g_idx names block %d of %lld", (int)j->order[k],
                           (long long)j->s.blocks);
    return STATUS_OK;
}

static enum status run(struct op_ctx *c) {
    if (!op_out(c, 0) || op_out(c, 0)->count == 0)
        return STATUS_OK;
    struct job j = {.m = 0};
    enum status st = open_inputs(c, &j);
    if (st == STATUS_OK)
        st = op_out_f32(c, 0, &j.y);
    if (st != STATUS_OK)
        return st;
    float *y = j.y;
    j.m = (size_t)(op_in(c, A)->count / j.s.k);
    j.panels = (size_t)((j.s.n + PANEL - 1) / PANEL);
    const size_t threads = op_threads(c) ? threads_count(op_threads(c)) : 1;
    j.slots = j.panels < threads ? j.panels : threads;
    j.pool = j.slots == 1 ? op_threads(c) : NULL;
    const size_t columns = j.s.n < PANEL ? (size_t)j.s.n : PANEL;
    j.plain = ((size_t)j.s.k * columns + 15) / 16 * 16;
    const size_t size = gemm_packed_right_size((size_t)j.s.k, columns);
    if (size == 0)
        return op_no_memory(c);
    j.packed = (size / sizeof(float) + 16) / 16 * 16;
    j.memory = op_scratch_array(c, j.slots, (j.plain + j.packed) * sizeof *j.memory);
    if (!j.memory)
        return op_no_memory(c);
    op_parallel(c, j.slots, 1, run_slots, &j);
    op_out_f32_done(c, 0, y);
    return STATUS_OK;
}

const struct op_row op_family_matmul_nbits[] = {
    {.domain = "com.microsoft", .name = "MatMulNBits", .since = 1, .infer = infer, .run = run},
    OP_END,
};
