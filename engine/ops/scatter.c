/* Scatter, ScatterElements, ScatterND, TensorScatter: a copy of the data with some elements
 * replaced by updates, or combined with them. Updates apply in their order, so that the result is
 * the same each time even where an index comes twice. */
#include "engine/ops/indices.h"
#include "engine/ops/op.h"
#include "engine/ops/types.h"

enum reduction { REPLACE, ADD, MUL, MAX, MIN };

/* Applies n updates to n neighbouring elements. */
typedef void combine_fn(enum reduction how, void *to, const void *from, size_t n);

#define LARGER(a, b) ((b) > (a) || (b) != (b) ? (b) : (a))
#define SMALLER(a, b) ((b) < (a) || (b) != (b) ? (b) : (a))

static float narrow_apply(enum reduction how, float a, float b) {
    return how == ADD ? a + b : how == MUL ? a * b : how == MAX ? LARGER(a, b) : SMALLER(a, b);
}

/* Whole numbers wrap: A is an unsigned type for them. */
#define COMBINE(name, T, A)                                                                        \
    static void combine_##name(enum reduction how, void *to_, const void *from_, size_t n) {       \
        T *to = to_;                                                                               \
        const T *from = from_;                                                                     \
        for (size_t i = 0; i < n; i++) {                                                           \
            T a = to[i], b = from[i];                                                              \
            to[i] = how == ADD   ? (T)((A)a + (A)b)                                                \
                    : how == MUL ? (T)((A)a * (A)b)                                                \
                    : how == MAX ? LARGER(a, b)                                                    \
                                 : SMALLER(a, b);                                                  \
        }                                                                                          \
    }
#define COMBINE_INT(name, T) COMBINE(name, T, uint64_t)
#define COMBINE_FLOAT(name, T) COMBINE(name, T, T)

TYPES_INT(COMBINE_INT)
TYPES_WIDE_FLOAT(COMBINE_FLOAT)

static void combine_FLOAT16(enum reduction how, void *to_, const void *from_, size_t n) {
    uint16_t *to = to_;
    const uint16_t *from = from_;
    for (size_t i = 0; i < n; i++)
        to[i] = half_from_float(narrow_apply(how, half_to_float(to[i]), half_to_float(from[i])));
}

static void combine_BFLOAT16(enum reduction how, void *to_, const void *from_, size_t n) {
    uint16_t *to = to_;
    const uint16_t *from = from_;
    for (size_t i = 0; i < n; i++)
        to[i] = half_bf16_from_float(
            narrow_apply(how, half_bf16_to_float(to[i]), half_bf16_to_float(from[i])));
}

/* bool: a sum is an "or", a product an "and". */
static void combine_BOOL(enum reduction how, void *to_, const void *from_, size_t n) {
    uint8_t *to = to_;
    const uint8_t *from = from_;
    for (size_t i = 0; i < n; i++)
        to[i] = how == ADD || how == MAX ? to[i] || from[i] : to[i] && from[i];
}

static combine_fn *combine_of(enum dtype dtype) {
#define CASE(name, T)                                                                              \
    case DTYPE_##name:                                                                             \
        return combine_##name;
    switch (dtype) {
        TYPES_NUMBER(CASE)
        CASE(FLOAT16, uint16_t)
        CASE(BFLOAT16, uint16_t)
        CASE(BOOL, uint8_t)
    default:
        return NULL;
    }
#undef CASE
}

static enum status reduction_of(struct op_ctx *c, enum reduction *out) {
    static const char *const names[] = {"none", "add", "mul", "max", "min"};
    struct str s = op_attr_str(c, "reduction", "none");
    for (int i = 0; i < 5; i++)
        if (str_is(s, names[i])) {
            *out = (enum reduction)i;
            return STATUS_OK;
        }
    return op_fail(c, "attribute \"reduction\" is \"%.*s\", must be none, add, mul, max or min",
                   (int)(s.size < 32 ? s.size : 32), s.data);
}

/* What all of them ask for: data, indices, and updates of the data's type. */
static enum status scatter_check(struct op_ctx *c) {
    enum status s = op_need_all(c, 3);
    if (s == STATUS_OK)
        s = op_need_dtype(c, 1, INDEX_TYPES);
    if (s != STATUS_OK)
        return s;
    const struct tensor *data = op_in(c, 0), *updates = op_in(c, 2);
    if (data->dtype != updates->dtype)
        return op_fail(c, "updates are %s, data is %s: they must be the same",
                       dtype_name(updates->dtype), dtype_name(data->dtype));
    enum reduction how = REPLACE;
    s = reduction_of(c, &how);
    if (s == STATUS_OK && how != REPLACE && !combine_of(data->dtype))
        return op_fail(c, "a reduction of %s is not defined", dtype_name(data->dtype));
    return s;
}

static void apply(enum reduction how, combine_fn *combine, char *to, const char *from, size_t n,
                  size_t size) {
    if (how == REPLACE)
        memcpy(to, from, n * size);
    else
        combine(how, to, from, n);
}

/* ---- ScatterElements ---- */

static enum status elements_infer(struct op_ctx *c) {
    enum status s = scatter_check(c);
    if (s != STATUS_OK)
        return s;
    const struct tensor *data = op_in(c, 0), *indices = op_in(c, 1), *updates = op_in(c, 2);
    int axis = 0;
    s = op_axis(c, "axis", op_attr_int(c, "axis", 0), data->rank, &axis);
    if (s != STATUS_OK)
        return s;
    if (indices->rank != data->rank || !tensor_same_shape(indices, updates))
        return op_fail(c, "indices and updates must have one shape, of the data's %d dimensions",
                       data->rank);
    for (int i = 0; i < data->rank; i++)
        if (i != axis && indices->dims[i] > data->dims[i])
            return op_fail(c, "dimension %d of indices is %lld, of data %lld: must not be larger",
                           i, (long long)indices->dims[i], (long long)data->dims[i]);
    return op_infer_like(c, 0, data);
}

static enum status elements_run(struct op_ctx *c) {
    const struct tensor *data = op_in(c, 0), *indices = op_in(c, 1), *updates = op_in(c, 2);
    struct tensor *y = op_out(c, 0);
    if (!y)
        return STATUS_OK;
    int axis = 0;
    enum reduction how = REPLACE;
    enum status s = op_axis(c, "axis", op_attr_int(c, "axis", 0), data->rank, &axis);
    if (s == STATUS_OK)
        s = reduction_of(c, &how);
    if (s != STATUS_OK)
        return s;
    memcpy(y->data, data->data, data->bytes);
    combine_fn *combine = combine_of(data->dtype);
    size_t size = dtype_size(data->dtype);
    int64_t strides[TENSOR_MAX_RANK], at[TENSOR_MAX_RANK] = {0};
    for (int i = 0; i < data->rank; i++)
        strides[i] = tensor_span(data, i + 1, data->rank);
    int64_t base = 0; /* offset of `at`, the axis left out */
    for (int64_t i = 0; i < indices->count; i++) {
        int64_t index = index_at(indices, i);
        if (!index_wrap(&index, data->dims[axis]))
            return op_fail(c, "index %lld is outside dimension %d of %lld elements",
                           (long long)index, axis, (long long)data->dims[axis]);
        apply(how, combine, (char *)y->data + (size_t)(base + index * strides[axis]) * size,
              (const char *)updates->data + (size_t)i * size, 1, size);
        for (int d = data->rank - 1; d >= 0; d--) {
            int64_t step = d == axis ? 0 : strides[d];
            base += step;
            if (++at[d] < indices->dims[d])
                break;
            base -= step * indices->dims[d];
            at[d] = 0;
        }
    }
    return STATUS_OK;
}

/* ---- ScatterND ---- */

static enum status nd_infer(struct op_ctx *c) {
    enum status s = scatter_check(c);
    if (s == STATUS_OK)
        s = op_need_rank(c, 1, 1, TENSOR_MAX_RANK);
    if (s != STATUS_OK)
        return s;
    const struct tensor *data = op_in(c, 0), *indices = op_in(c, 1), *updates = op_in(c, 2);
    int outer = indices->rank - 1;
    if (indices->dims[outer] > data->rank)
        return op_fail(c, "the last dimension of indices is %lld, but data has %d dimensions",
                       (long long)indices->dims[outer], data->rank);
    int depth = (int)indices->dims[outer];
    bool fits = updates->rank == outer + data->rank - depth;
    for (int i = 0; fits && i < updates->rank; i++)
        fits = updates->dims[i] == (i < outer ? indices->dims[i] : data->dims[i - outer + depth]);
    if (!fits) {
        char found[128];
        return op_fail(c,
                       "updates have shape %s, must be the indices' dimensions but the last, then "
                       "those of data from dimension %d on",
                       tensor_dims_text(updates->dims, updates->rank, found, sizeof found), depth);
    }
    return op_infer_like(c, 0, data);
}

static enum status nd_run(struct op_ctx *c) {
    const struct tensor *data = op_in(c, 0), *indices = op_in(c, 1), *updates = op_in(c, 2);
    struct tensor *y = op_out(c, 0);
    if (!y)
        return STATUS_OK;
    enum reduction how = REPLACE;
    enum status s = reduction_of(c, &how);
    if (s != STATUS_OK)
        return s;
    memcpy(y->data, data->data, data->bytes);
    combine_fn *combine = combine_of(data->dtype);
    size_t size = dtype_size(data->dtype);
    int depth = (int)indices->dims[indices->rank - 1];
    int64_t slice = tensor_span(data, depth, data->rank);
    int64_t n = tensor_span(indices, 0, indices->rank - 1);
    if (updates->count == 0)
        return STATUS_OK;
    for (int64_t i = 0; i < n; i++) {
        int64_t position = 0;
        for (int d = 0; d < depth; d++) {
            int64_t index = index_at(indices, i * depth + d);
            if (!index_wrap(&index, data->dims[d]))
                return op_fail(c, "index %lld is outside dimension %d of %lld elements",
                               (long long)index, d, (long long)data->dims[d]);
            position = position * data->dims[d] + index;
        }
        apply(how, combine, (char *)y->data + (size_t)(position * slice) * size,
              (const char *)updates->data + (size_t)(i * slice) * size, (size_t)slice, size);
    }
    return STATUS_OK;
}

/* ---- TensorScatter: writes new entries into a cache along a sequence axis ---- */

static enum status cache_infer(struct op_ctx *c) {
    enum status s = op_need_all(c, 2);
    if (s == STATUS_OK)
        s = op_need_dtype(c, 2, DT(INT64));
    if (s != STATUS_OK)
        return s;
    const struct tensor *cache = op_in(c, 0), *update = op_in(c, 1), *where = op_in(c, 2);
    int axis = 0;
    s = op_axis(c, "axis", op_attr_int(c, "axis", -2), cache->rank, &axis);
    if (s != STATUS_OK)
        return s;
    if (axis == 0)
        return op_fail(c, "attribute \"axis\" names dimension 0, which counts the batch");
    if (cache->dtype != update->dtype || cache->rank != update->rank)
        return op_fail(c, "cache and update must have the same type and number of dimensions");
    for (int i = 0; i < cache->rank; i++)
        if (i == axis ? update->dims[i] > cache->dims[i] : update->dims[i] != cache->dims[i])
            return op_fail(c, "dimension %d of the update is %lld, of the cache %lld", i,
                           (long long)update->dims[i], (long long)cache->dims[i]);
    if (where && (where->rank != 1 || where->dims[0] != cache->dims[0]))
        return op_fail(c, "write_indices must have one element for each of the %lld in the batch",
                       (long long)cache->dims[0]);
    struct str mode = op_attr_str(c, "mode", "linear");
    if (!str_is(mode, "linear") && !str_is(mode, "circular"))
        return op_fail(c, "attribute \"mode\" is \"%.*s\", must be linear or circular",
                       (int)(mode.size < 32 ? mode.size : 32), mode.data);
    return op_infer_like(c, 0, cache);
}

static enum status cache_run(struct op_ctx *c) {
    const struct tensor *cache = op_in(c, 0), *update = op_in(c, 1), *where = op_in(c, 2);
    struct tensor *y = op_out(c, 0);
    if (!y)
        return STATUS_OK;
    int axis = 0;
    enum status s = op_axis(c, "axis", op_attr_int(c, "axis", -2), cache->rank, &axis);
    if (s != STATUS_OK)
        return s;
    bool circular = str_is(op_attr_str(c, "mode", "linear"), "circular");
    memcpy(y->data, cache->data, cache->bytes);
    if (update->count == 0)
        return STATUS_OK;
    int64_t length = cache->dims[axis], news = update->dims[axis];
    int64_t rows = tensor_span(cache, 0, axis), per_batch = rows / cache->dims[0];
    size_t step = (size_t)tensor_span(cache, axis + 1, cache->rank) * dtype_size(cache->dtype);
    for (int64_t row = 0; row < rows; row++) {
        int64_t start = where ? index_at(where, row / per_batch) : 0;
        if (start < 0 || (circular ? start >= length : start > length - news))
            return op_fail(c, "write index %lld does not fit: %lld entries into %lld",
                           (long long)start, (long long)news, (long long)length);
        for (int64_t k = 0; k < news; k++)
            memcpy((char *)y->data + (size_t)(row * length + (start + k) % length) * step,
                   (const char *)update->data + (size_t)(row * news + k) * step, step);
    }
    return STATUS_OK;
}

const struct op_row op_family_scatter[] = {
    {.name = "Scatter", .since = 9, .until = 10, .infer = elements_infer, .run = elements_run},
    {.name = "ScatterElements", .since = 11, .infer = elements_infer, .run = elements_run},
    {.name = "ScatterND", .since = 11, .infer = nd_infer, .run = nd_run},
    {.name = "TensorScatter", .since = 24, .infer = cache_infer, .run = cache_run},
    OP_END,
};
