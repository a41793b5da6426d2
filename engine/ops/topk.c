/* TopK: the k largest or smallest elements along an axis, best first, with their indices.
 *
 * Of equal elements the one with the lower index comes first; NaN counts as larger than any number.
 * A heap of the k best so far, worst on top, takes each element in turn: n log k steps and k words
 * of scratch. The order is total, so the result does not depend on how work is split. */
#include "engine/ops/op.h"
#include "engine/ops/types.h"

struct job {
    const void *from;
    void *values;
    int64_t *indices;
    int64_t *heaps; /* k for each thread's row: one row after the other */
    size_t dim, inner, k;
    bool largest;
};

/* ---- shape ---- */

static enum status topk_parameters(struct op_ctx *c, int *axis, int64_t *k) {
    const struct tensor *x = op_in(c, 0);
    enum status s = op_axis(c, "axis", op_attr_int(c, "axis", -1), x->rank, axis);
    if (s != STATUS_OK)
        return s;
    if (op_opset(c) < 10) {
        *k = op_attr_int(c, "k", -1);
    } else {
        s = op_in_int(c, 1, k);
        if (s != STATUS_OK)
            return s;
    }
    if (*k < 0 || *k > x->dims[*axis])
        return op_fail(c, "k is %lld, but dimension %d has %lld elements", (long long)*k, *axis,
                       (long long)x->dims[*axis]);
    return STATUS_OK;
}

static enum status topk_infer(struct op_ctx *c) {
    bool by_input = op_opset(c) >= 10;
    enum status s = op_need_all(c, by_input ? 2 : 1);
    if (s == STATUS_OK)
        s = op_need_dtype(c, 0, DT_REAL);
    if (s != STATUS_OK)
        return s;
    if (by_input && !op_in(c, 1)->data)
        return op_infer_later(c);
    int axis = 0;
    int64_t k = 0;
    s = topk_parameters(c, &axis, &k);
    if (s != STATUS_OK)
        return s;
    const struct tensor *x = op_in(c, 0);
    int64_t dims[TENSOR_MAX_RANK];
    for (int i = 0; i < x->rank; i++)
        dims[i] = i == axis ? k : x->dims[i];
    s = op_infer(c, 0, x->dtype, x->rank, dims);
    if (s == STATUS_OK)
        s = op_infer(c, 1, DTYPE_INT64, x->rank, dims);
    return s;
}

/* ---- selection ---- */

/* SELECT(name, T): rows begin..end. first(a, b) says that element a is to stand before b. */
#define SELECT(name, T)                                                                            \
    static bool first_##name(const T *p, size_t inner, bool largest, int64_t a, int64_t b) {       \
        T x = p[(size_t)a * inner], y = p[(size_t)b * inner];                                      \
        bool x_nan = x != x, y_nan = y != y;                                                       \
        if (x_nan || y_nan) {                                                                      \
            if (x_nan && y_nan)                                                                    \
                return a < b;                                                                      \
            return x_nan == largest;                                                               \
        }                                                                                          \
        if (x == y)                                                                                \
            return a < b;                                                                          \
        return (x > y) == largest;                                                                 \
    }                                                                                              \
    static void sink_##name(const T *p, const struct job *job, int64_t *heap, size_t n,            \
                            size_t i) {                                                            \
        for (;;) {                                                                                 \
            size_t worst = i, left = 2 * i + 1;                                                    \
            if (left < n && first_##name(p, job->inner, job->largest, heap[worst], heap[left]))    \
                worst = left;                                                                      \
            if (left + 1 < n &&                                                                    \
                first_##name(p, job->inner, job->largest, heap[worst], heap[left + 1]))            \
                worst = left + 1;                                                                  \
            if (worst == i)                                                                        \
                return;                                                                            \
            int64_t t = heap[i];                                                                   \
            heap[i] = heap[worst];                                                                 \
            heap[worst] = t;                                                                       \
            i = worst;                                                                             \
        }                                                                                          \
    }                                                                                              \
    static void select_##name(void *arg, size_t begin, size_t end) {                               \
        const struct job *job = arg;                                                               \
        size_t k = job->k;                                                                         \
        for (size_t row = begin; row < end; row++) {                                               \
            size_t outer = row / job->inner, column = row % job->inner;                            \
            const T *p = (const T *)job->from + outer * job->dim * job->inner + column;            \
            int64_t *heap = job->heaps + row * k;                                                  \
            for (size_t i = 0; i < k; i++)                                                         \
                heap[i] = (int64_t)i;                                                              \
            for (size_t i = k / 2; i-- > 0;)                                                       \
                sink_##name(p, job, heap, k, i);                                                   \
            for (size_t i = k; i < job->dim; i++)                                                  \
                if (first_##name(p, job->inner, job->largest, (int64_t)i, heap[0])) {              \
                    heap[0] = (int64_t)i;                                                          \
                    sink_##name(p, job, heap, k, 0);                                               \
                }                                                                                  \
            for (size_t n = k; n-- > 1;) {                                                         \
                int64_t t = heap[0];                                                               \
                heap[0] = heap[n];                                                                 \
                heap[n] = t;                                                                       \
                sink_##name(p, job, heap, n, 0);                                                   \
            }                                                                                      \
            for (size_t i = 0; i < k; i++) {                                                       \
                size_t at = (outer * k + i) * job->inner + column;                                 \
                if (job->values)                                                                   \
                    ((T *)job->values)[at] = p[(size_t)heap[i] * job->inner];                      \
                if (job->indices)                                                                  \
                    job->indices[at] = heap[i];                                                    \
            }                                                                                      \
        }                                                                                          \
    }

TYPES_NUMBER(SELECT)

static threads_fn *kernel_of(enum dtype dtype) {
#define CASE(name, T)                                                                              \
    case DTYPE_##name:                                                                             \
        return select_##name;
    switch (dtype) {
        TYPES_NUMBER(CASE)
    default: /* float16 and bfloat16 come widened */
        return select_FLOAT;
    }
#undef CASE
}

static enum status topk_run(struct op_ctx *c) {
    const struct tensor *x = op_in(c, 0);
    struct tensor *values = op_out(c, 0), *indices = op_out(c, 1);
    struct tensor *any = values ? values : indices;
    if (!any || any->count == 0)
        return STATUS_OK;
    int axis = 0;
    int64_t k = 0;
    enum status s = topk_parameters(c, &axis, &k);
    if (s != STATUS_OK)
        return s;
    struct job job = {.from = x->data,
                      .values = values ? values->data : NULL,
                      .indices = indices ? indices->data : NULL,
                      .dim = (size_t)x->dims[axis],
                      .inner = (size_t)tensor_span(x, axis + 1, x->rank),
                      .k = (size_t)k,
                      .largest = op_attr_int(c, "largest", 1) != 0};
    size_t rows = (size_t)any->count / job.k;
    job.heaps = op_scratch_array(c, (size_t)any->count, sizeof *job.heaps);
    if (!job.heaps)
        return op_no_memory(c);
    float *narrow = NULL;
    if (x->dtype == DTYPE_FLOAT16 || x->dtype == DTYPE_BFLOAT16) {
        const float *wide = NULL;
        s = op_pair_f32(c, &wide, &narrow);
        if (s != STATUS_OK)
            return s;
        job.from = wide;
        job.values = narrow;
    }
    op_parallel(c, rows, 4096 / job.dim + 1, kernel_of(x->dtype), &job);
    if (narrow)
        op_out_f32_done(c, 0, narrow);
    return STATUS_OK;
}

/* k was an attribute up to opset 9; the choice of the smallest came with 11. */
const struct op_row op_family_topk[] = {
    {.name = "TopK", .since = 1, .infer = topk_infer, .run = topk_run},
    OP_END,
};
