/* MatMul and com.microsoft FusedMatMul.
 *
 * A constant float32 operand is packed at load, each of its matrices on its own: on the right
 * (linear layers; then A's batch and rows are one long matrix) or on the left. Two activations go
 * to OpenBLAS, whole products side by side where there are enough of them. */
#include "engine/ops/matmul.h"

#include "engine/kernels/gemm.h"
#include "engine/kernels/gemm_packed.h"
#include "engine/ops/delegate.h"
#include "engine/ops/real.h"

static int64_t dim_at(const struct tensor *t, int rank, int d) {
    const int from = d - (rank - t->rank);
    return from < 0 ? 1 : t->dims[from];
}

enum status matmul_shape(struct op_ctx *c, const struct tensor *a, const struct tensor *b, bool ta,
                         bool tb, struct matmul *out) {
    if (a->rank < 1 || b->rank < 1)
        return op_fail(c, "operands must have at least one dimension, not %d and %d", a->rank,
                       b->rank);
    struct matmul r = {.ta = ta && a->rank > 1, .tb = tb && b->rank > 1};
    const int64_t rows = a->rank == 1 ? 1 : a->dims[a->rank - (r.ta ? 1 : 2)];
    const int64_t depth = a->dims[a->rank - (r.ta ? 2 : 1)];
    const int64_t other = b->rank == 1 ? b->dims[0] : b->dims[b->rank - (r.tb ? 1 : 2)];
    const int64_t columns = b->rank == 1 ? 1 : b->dims[b->rank - (r.tb ? 2 : 1)];
    if (depth != other)
        return op_fail(c, "the first operand has %lld columns, the second %lld rows",
                       (long long)depth, (long long)other);
    r.m = (size_t)rows;
    r.n = (size_t)columns;
    r.k = (size_t)depth;
    /* A vector stands for a matrix, which has no batch. */
    struct tensor pa = *a, pb = *b;
    pa.rank = a->rank == 1 ? 0 : a->rank - 2;
    pb.rank = b->rank == 1 ? 0 : b->rank - 2;
    r.rank = pa.rank > pb.rank ? pa.rank : pb.rank;
    int64_t sa = 1, sb = 1;
    for (int d = r.rank - 1; d >= 0; d--) {
        const int64_t x = dim_at(&pa, r.rank, d), y = dim_at(&pb, r.rank, d);
        if (x != y && x != 1 && y != 1)
            return op_fail(c, "batch dimensions %lld and %lld do not broadcast", (long long)x,
                           (long long)y);
        r.dims[d] = x == 1 ? y : x;
        r.a_stride[d] = x == 1 ? 0 : sa;
        r.b_stride[d] = y == 1 ? 0 : sb;
        if (__builtin_mul_overflow(sa, x, &sa) || __builtin_mul_overflow(sb, y, &sb))
            return op_fail(c, "batch dimensions are too large");
    }
    r.a_matrices = (size_t)sa;
    r.b_matrices = (size_t)sb;
    int64_t batches = 0;
    if (!checked_product(r.dims, (size_t)r.rank, &batches))
        return op_fail(c, "batch dimensions are too large");
    r.batches = (size_t)batches;
    memcpy(r.out_dims, r.dims, sizeof r.dims);
    r.out_rank = r.rank;
    if (a->rank > 1)
        r.out_dims[r.out_rank++] = rows;
    if (b->rank > 1)
        r.out_dims[r.out_rank++] = columns;
    *out = r;
    return STATUS_OK;
}

void matmul_batch(const struct matmul *s, size_t batch, size_t *a, size_t *b) {
    int64_t rest = (int64_t)batch, x = 0, y = 0;
    for (int d = s->rank - 1; d >= 0; d--) {
        const int64_t at = rest % s->dims[d];
        rest /= s->dims[d];
        x += at * s->a_stride[d];
        y += at * s->b_stride[d];
    }
    *a = (size_t)x;
    *b = (size_t)y;
}

static bool fused(const struct op_ctx *c) {
    return str_is(c->node->op_type, "FusedMatMul") || str_is(c->node->op_type, "TransposeMatMul");
}

static bool turns_batch(struct op_ctx *c) {
    return op_attr_int(c, "transBatchA", 0) != 0 || op_attr_int(c, "transBatchB", 0) != 0;
}

static enum status shape(struct op_ctx *c, struct matmul *out) {
    const bool f = fused(c);
    return matmul_shape(c, op_in(c, 0), op_in(c, 1), f && op_attr_int(c, "transA", 0) != 0,
                        f && op_attr_int(c, "transB", 0) != 0, out);
}

static enum status infer(struct op_ctx *c) {
    enum status s = op_need_all(c, 2);
    if (s == STATUS_OK)
        s = op_need_dtype(c, 0, DT_FLOATS | DT(INT32) | DT(INT64) | DT(UINT32) | DT(UINT64));
    if (s == STATUS_OK)
        s = op_need_same(c, 1, 0);
    struct matmul m;
    if (s == STATUS_OK)
        s = shape(c, &m);
    return s == STATUS_OK ? op_infer(c, 0, op_in(c, 0)->dtype, m.out_rank, m.out_dims) : s;
}

/* ---- packed operands ---- */

struct state {
    bool left;     /* the constant is A */
    size_t stride; /* floats between packed matrices */
    float *packed;
};

struct pack {
    const struct tensor *w;
    bool left, transposed;
    size_t rows, columns; /* of the operand, after transposing */
    size_t matrices, size;
};

static bool packable(struct op_ctx *c, struct pack *p) {
    const bool left = op_in_constant(c, 0), right = op_in_constant(c, 1);
    if (left == right || (fused(c) && turns_batch(c)))
        return false;
    const struct tensor *w = op_in(c, left ? 0 : 1);
    if (!w || w->dtype != DTYPE_FLOAT || w->rank < 2 || w->count == 0)
        return false;
    const bool t = fused(c) && op_attr_int(c, left ? "transA" : "transB", 0) != 0;
    *p = (struct pack){
        .w = w,
        .left = left,
        .transposed = t,
        .rows = (size_t)w->dims[w->rank - (t ? 1 : 2)],
        .columns = (size_t)w->dims[w->rank - (t ? 2 : 1)],
        .matrices = (size_t)tensor_span(w, 0, w->rank - 2),
    };
    p->size = left ? gemm_packed_left_size(p->rows, p->columns)
                   : gemm_packed_right_size(p->rows, p->columns);
    return p->size != 0;
}

static size_t pack_size(struct op_ctx *c) {
    struct pack p;
    size_t size = 0;
    return packable(c, &p) && checked_mul(p.size, p.matrices, &size) ? size : 0;
}

static enum status prepare(struct op_ctx *c) {
    struct pack p;
    const size_t size = pack_size(c);
    if (size == 0 || !packable(c, &p))
        return STATUS_OK;
    struct state *state = op_state_new(c, sizeof *state);
    if (!state)
        return op_no_memory(c);
    state->packed = op_weights_alloc(c, size);
    if (!state->packed)
        return op_no_memory(c);
    state->left = p.left;
    state->stride = p.size / sizeof(float);
    const size_t ld = (size_t)p.w->dims[p.w->rank - 1];
    for (size_t i = 0; i < p.matrices; i++) {
        const float *from = (const float *)p.w->data + i * p.rows * p.columns;
        float *to = state->packed + i * state->stride;
        if (p.left)
            gemm_packed_left_pack(p.rows, p.columns, from, ld, p.transposed, to);
        else
            gemm_packed_right_pack(p.rows, p.columns, from, ld, p.transposed, to);
    }
    op_packed(c, p.left ? 0 : 1);
    return STATUS_OK;
}

/* ---- run ---- */

struct job {
    const struct matmul *s;
    const struct state *state;
    const float *a, *b;
    float *y;
    float alpha;
    struct threads *pool; /* NULL while products run side by side */
};

static void one(const struct job *j, size_t batch) {
    const struct matmul *s = j->s;
    size_t ia = 0, ib = 0;
    matmul_batch(s, batch, &ia, &ib);
    const float *a = j->a + ia * s->m * s->k, *b = j->b + ib * s->k * s->n;
    float *y = j->y + batch * s->m * s->n;
    if (!j->state) {
        const struct gemm_shape g = gemm_shape_of(s->m, s->n, s->k, s->ta, s->tb);
        gemm_f32(&g, j->alpha, a, b, 0.0f, y);
        return;
    }
    const struct gemm_packed_shape g = {
        .m = s->m, .n = s->n, .k = s->k, .ld_in = j->state->left ? s->n : s->k, .ldc = s->n};
    if (j->state->left)
        gemm_packed_left(j->pool, &g, j->state->packed + ia * j->state->stride, b, NULL, y);
    else
        gemm_packed_right(j->pool, &g, a, j->state->packed + ib * j->state->stride, NULL, y);
}

static void run_batches(void *arg, size_t begin, size_t end) {
    for (size_t i = begin; i < end; i++)
        one(arg, i);
}

/* The activation as the packed product wants it: row-major, not transposed. */
static enum status straighten(struct op_ctx *c, const float **data, size_t matrices, size_t rows,
                              size_t columns) {
    float *out = op_scratch_array(c, matrices * rows * columns, sizeof *out);
    if (!out)
        return op_no_memory(c);
    for (size_t i = 0; i < matrices; i++)
        for (size_t r = 0; r < rows; r++)
            for (size_t k = 0; k < columns; k++)
                out[(i * rows + r) * columns + k] = (*data)[(i * columns + k) * rows + r];
    *data = out;
    return STATUS_OK;
}

static enum status run_f32(struct op_ctx *c, struct matmul *s) {
    struct job j = {
        .s = s, .state = op_state(c), .alpha = fused(c) ? op_attr_float(c, "alpha", 1.0f) : 1.0f};
    const bool left = j.state && j.state->left, right = j.state && !left;
    enum status st = left ? STATUS_OK : op_in_f32(c, 0, &j.a);
    if (st == STATUS_OK && !right)
        st = op_in_f32(c, 1, &j.b);
    if (st == STATUS_OK)
        st = op_out_f32(c, 0, &j.y);
    if (st == STATUS_OK && right && s->ta)
        st = straighten(c, &j.a, s->a_matrices, s->m, s->k);
    if (st == STATUS_OK && left && s->tb)
        st = straighten(c, &j.b, s->b_matrices, s->k, s->n);
    if (st != STATUS_OK)
        return st;
    /* Pointer arithmetic on the operand that is packed stays at its start. */
    static const float nothing[1] = {0};
    struct matmul flat = *s;
    if (right && s->b_matrices == 1) {
        flat.rank = 0;
        flat.m *= s->batches;
        flat.batches = 1;
        j.s = &flat;
    }
    j.a = left ? nothing : j.a;
    j.b = right ? nothing : j.b;
    const size_t count = op_threads(c) ? threads_count(op_threads(c)) : 1;
    if (j.s->batches >= count && count > 1) {
        op_parallel(c, j.s->batches, 1, run_batches, &j);
    } else {
        j.pool = op_threads(c);
        run_batches(&j, 0, j.s->batches);
    }
    float *y = j.y;
    if (j.state && j.alpha != 1.0f)
        for (int64_t i = 0; i < op_out(c, 0)->count; i++)
            y[i] *= j.alpha;
    op_out_f32_done(c, 0, y);
    return STATUS_OK;
}

static void run_f64(struct op_ctx *c, const struct matmul *s, double alpha, struct tensor *y) {
    const struct gemm_shape g = gemm_shape_of(s->m, s->n, s->k, s->ta, s->tb);
    for (size_t i = 0; i < s->batches; i++) {
        size_t a = 0, b = 0;
        matmul_batch(s, i, &a, &b);
        gemm_f64(&g, alpha, (const double *)op_in(c, 0)->data + a * s->m * s->k,
                 (const double *)op_in(c, 1)->data + b * s->k * s->n, 0.0,
                 (double *)y->data + i * s->m * s->n);
    }
}

/* Integer sums wrap; signed and unsigned have the same bits. */
#define INT_RUN(suffix, type)                                                                      \
    static void run_##suffix(const struct matmul *s, const type *a, const type *b, type *y) {      \
        memset(y, 0, s->batches * s->m * s->n * sizeof *y);                                        \
        for (size_t i = 0; i < s->batches; i++) {                                                  \
            size_t ia = 0, ib = 0;                                                                 \
            matmul_batch(s, i, &ia, &ib);                                                          \
            for (size_t m = 0; m < s->m; m++)                                                      \
                for (size_t k = 0; k < s->k; k++) {                                                \
                    const type v = a[(ia * s->m + m) * s->k + k];                                  \
                    const type *row = b + (ib * s->k + k) * s->n;                                  \
                    for (size_t n = 0; n < s->n; n++)                                              \
                        y[(i * s->m + m) * s->n + n] += v * row[n];                                \
                }                                                                                  \
        }                                                                                          \
    }
INT_RUN(u32, uint32_t)
INT_RUN(u64, uint64_t)

static enum status run(struct op_ctx *c) {
    struct tensor *y = op_out(c, 0);
    if (!y || y->count == 0)
        return STATUS_OK;
    struct matmul s;
    enum status st = shape(c, &s);
    if (st != STATUS_OK)
        return st;
    if (s.k == 0) {
        memset(y->data, 0, y->bytes);
        return STATUS_OK;
    }
    switch (y->dtype) {
    case DTYPE_DOUBLE:
        run_f64(c, &s, fused(c) ? (double)op_attr_float(c, "alpha", 1.0f) : 1.0, y);
        return STATUS_OK;
    case DTYPE_INT32:
    case DTYPE_UINT32:
        run_u32(&s, op_in(c, 0)->data, op_in(c, 1)->data, y->data);
        return STATUS_OK;
    case DTYPE_INT64:
    case DTYPE_UINT64:
        run_u64(&s, op_in(c, 0)->data, op_in(c, 1)->data, y->data);
        return STATUS_OK;
    default:
        return run_f32(c, &s);
    }
}

/* ---- FusedMatMul: transBatchA and transBatchB ---- */

/* Operand i with its first dimension moved to before the last, where that is asked for, and then
 * its last two swapped, where that is. */
static enum status turn(struct op_ctx *c, size_t i, const char *batch, const char *swap,
                        struct tensor *to) {
    const struct tensor *t = op_in(c, i);
    int order[TENSOR_MAX_RANK];
    for (int d = 0; d < t->rank; d++)
        order[d] = d;
    if (op_attr_int(c, batch, 0) != 0 && t->rank > 2) {
        for (int d = 0; d < t->rank - 2; d++)
            order[d] = d + 1;
        order[t->rank - 2] = 0;
    }
    if (op_attr_int(c, swap, 0) != 0 && t->rank > 1) {
        const int last = order[t->rank - 1];
        order[t->rank - 1] = order[t->rank - 2];
        order[t->rank - 2] = last;
    }
    return delegate_transpose(c, t, order, to);
}

static enum status open_turned(struct op_ctx *c, struct delegate *d) {
    struct tensor a, b;
    enum status s = turn(c, 0, "transBatchA", "transA", &a);
    if (s == STATUS_OK)
        s = turn(c, 1, "transBatchB", "transB", &b);
    if (s == STATUS_OK)
        s = delegate_open(c, d, "MatMul", 13, 2, 1);
    if (s == STATUS_OK) {
        delegate_in(d, 0, &a);
        delegate_in(d, 1, &b);
    }
    return s;
}

static enum status fused_infer(struct op_ctx *c) {
    enum status s = op_need_all(c, 2);
    if (s == STATUS_OK)
        s = op_need_dtype(c, 0, DT_FLOATS);
    if (s != STATUS_OK || !turns_batch(c))
        return s == STATUS_OK ? infer(c) : s;
    struct delegate d;
    s = open_turned(c, &d);
    if (s == STATUS_OK)
        s = delegate_infer(&d);
    return s == STATUS_OK ? op_infer_like(c, 0, &d.out[0].tensor) : s;
}

static enum status fused_run(struct op_ctx *c) {
    if (!turns_batch(c))
        return run(c);
    struct delegate d;
    enum status s = open_turned(c, &d);
    if (s == STATUS_OK)
        s = delegate_run(&d);
    struct tensor *y = op_out(c, 0);
    if (s != STATUS_OK || !y)
        return s;
    const double alpha = (double)op_attr_float(c, "alpha", 1.0f);
    for (int64_t i = 0; i < y->count; i++)
        real_put(y, i, alpha * real_at(&d.out[0].tensor, i));
    return STATUS_OK;
}

const struct op_row op_family_matmul[] = {
    {.name = "MatMul",
     .since = 1,
     .infer = infer,
     .run = run,
     .prepare = prepare,
     .pack_size = pack_size},
    {.domain = "com.microsoft",
     .name = "FusedMatMul",
     .since = 1,
     .infer = fused_infer,
     .run = fused_run,
     .prepare = prepare,
     .pack_size = pack_size},
    {.domain = "com.microsoft",
     .name = "TransposeMatMul", /* FusedMatMul's older name */
     .since = 1,
     .infer = fused_infer,
     .run = fused_run,
     .prepare = prepare,
     .pack_size = pack_size},
    OP_END,
};
