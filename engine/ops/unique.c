/* Unique: the different elements, or slices along an axis, with where each first comes, where each
 * of the input went, and how often it comes.
 *
 * Positions are sorted by content (slices element by element; NaN after all numbers, and equal to
 * itself); neighbours that are equal are a group. Not sorted: groups in the order of their first
 * members. */
#include "engine/ops/op.h"
#include "engine/ops/sort.h"
#include "engine/ops/types.h"

/* Item k is the slice with index k along the axis; its elements are `outer` runs of `inner`. */
struct items {
    const struct tensor *x;
    int64_t outer, dim, inner;
    int axis; /* -1: the elements themselves */
};

static enum status items_of(struct op_ctx *c, struct items *out) {
    const struct tensor *x = op_in(c, 0);
    struct items it = {.x = x, .outer = 1, .dim = x->count, .inner = 1, .axis = -1};
    enum status s = STATUS_OK;
    if (op_attr_has(c, "axis")) {
        s = op_axis(c, "axis", op_attr_int(c, "axis", 0), x->rank, &it.axis);
        if (s == STATUS_OK) {
            it.outer = tensor_span(x, 0, it.axis);
            it.dim = x->dims[it.axis];
            it.inner = tensor_span(x, it.axis + 1, x->rank);
        }
    }
    if (x->count == 0) /* slices of nothing: all are equal, none needs a look */
        it.outer = 0;
    *out = it;
    return s;
}

static enum status unique_infer(struct op_ctx *c) {
    struct items it;
    enum status s = op_need(c, 0);
    if (s == STATUS_OK)
        s = op_need_dtype(c, 0, DT_REAL | DT(BOOL) | DT(STRING));
    if (s == STATUS_OK)
        s = items_of(c, &it);
    return s == STATUS_OK ? op_infer_in_run(c) : s;
}

static int real_order(double a, double b) {
    bool a_nan = a != a, b_nan = b != b;
    if (a_nan || b_nan)
        return a_nan - b_nan;
    return (a > b) - (a < b);
}

static int element_order(const struct tensor *x, int64_t i, int64_t j) {
#define CASE(name, T)                                                                              \
    case DTYPE_##name: {                                                                           \
        const T *p = x->data;                                                                      \
        return (p[i] > p[j]) - (p[i] < p[j]);                                                      \
    }
    switch (x->dtype) {
        TYPES_INT(CASE)
        CASE(BOOL, uint8_t)
    case DTYPE_FLOAT:
        return real_order((double)((const float *)x->data)[i], (double)((const float *)x->data)[j]);
    case DTYPE_DOUBLE:
        return real_order(((const double *)x->data)[i], ((const double *)x->data)[j]);
    case DTYPE_FLOAT16:
        return real_order((double)half_to_float(((const uint16_t *)x->data)[i]),
                          (double)half_to_float(((const uint16_t *)x->data)[j]));
    case DTYPE_BFLOAT16:
        return real_order((double)half_bf16_to_float(((const uint16_t *)x->data)[i]),
                          (double)half_bf16_to_float(((const uint16_t *)x->data)[j]));
    default: {
        const struct str *a = (const struct str *)x->data + i, *b = (const struct str *)x->data + j;
        size_t n = a->size < b->size ? a->size : b->size;
        int k = n ? memcmp(a->data, b->data, n) : 0;
        return k ? k : (a->size > b->size) - (a->size < b->size);
    }
    }
#undef CASE
}

static int item_order(const struct items *it, int64_t a, int64_t b) {
    for (int64_t o = 0; o < it->outer; o++)
        for (int64_t i = 0; i < it->inner; i++) {
            int k = element_order(it->x, (o * it->dim + a) * it->inner + i,
                                  (o * it->dim + b) * it->inner + i);
            if (k)
                return k;
        }
    return 0;
}

static bool item_before(const void *ctx, int64_t a, int64_t b) {
    return item_order(ctx, a, b) < 0;
}

struct groups {
    int64_t *group_of; /* for each item */
    int64_t *first;    /* for each group: its first item ... */
    int64_t *size;     /* ... and how many there are */
    int64_t count;
};

/* Groups in the order of their content, or of their first items. */
static enum status groups_of(struct op_ctx *c, const struct items *it, bool sorted,
                             struct groups *out) {
    size_t n = (size_t)it->dim;
    struct groups g = {.group_of = op_scratch_array(c, n, sizeof(int64_t)),
                       .first = op_scratch_array(c, n, sizeof(int64_t)),
                       .size = op_scratch_array(c, n, sizeof(int64_t))};
    int64_t *order = op_scratch_array(c, n, sizeof *order);
    int64_t *spare = op_scratch_array(c, n, sizeof *spare);
    if (!g.group_of || !g.first || !g.size || !order || !spare)
        return op_no_memory(c);
    for (size_t i = 0; i < n; i++)
        order[i] = (int64_t)i;
    sort_positions(order, spare, n, item_before, it);
    /* spare[k]: the first item of the group of item k; the sort is stable, so it leads */
    for (size_t i = 0; i < n; i++) {
        bool same = i > 0 && item_order(it, order[i - 1], order[i]) == 0;
        spare[order[i]] = same ? spare[order[i - 1]] : order[i];
    }
    for (size_t i = 0; i < n; i++) {
        int64_t k = sorted ? order[i] : (int64_t)i;
        if (spare[k] == k) {
            g.first[g.count] = k;
            g.size[g.count] = 0;
            g.group_of[k] = g.count++;
        }
    }
    for (size_t i = 0; i < n; i++) {
        g.group_of[i] = g.group_of[spare[i]];
        g.size[g.group_of[i]]++;
    }
    *out = g;
    return STATUS_OK;
}

static enum status put_list(struct op_ctx *c, size_t out, const int64_t *list, int64_t n) {
    struct tensor *t = NULL;
    enum status s = op_out_new(c, out, DTYPE_INT64, 1, &n, &t);
    if (s == STATUS_OK && t)
        memcpy(t->data, list, (size_t)n * sizeof *list);
    return s;
}

static enum status unique_run(struct op_ctx *c) {
    struct items it;
    struct groups g = {0};
    enum status s = items_of(c, &it);
    if (s == STATUS_OK)
        s = groups_of(c, &it, op_attr_int(c, "sorted", 1) != 0, &g);
    if (s == STATUS_OK)
        s = put_list(c, 1, g.first, g.count);
    if (s == STATUS_OK)
        s = put_list(c, 2, g.group_of, it.dim);
    if (s == STATUS_OK)
        s = put_list(c, 3, g.size, g.count);
    if (s != STATUS_OK)
        return s;
    const struct tensor *x = it.x;
    int64_t dims[TENSOR_MAX_RANK];
    for (int i = 0; i < x->rank; i++)
        dims[i] = i == it.axis ? g.count : x->dims[i];
    if (it.axis < 0)
        dims[0] = g.count;
    struct tensor *y = NULL;
    s = op_out_new(c, 0, x->dtype, it.axis < 0 ? 1 : x->rank, dims, &y);
    if (s != STATUS_OK || !y || y->count == 0)
        return s;
    size_t step = (size_t)it.inner * dtype_size(x->dtype);
    for (int64_t o = 0; o < it.outer; o++)
        for (int64_t k = 0; k < g.count; k++)
            memcpy((char *)y->data + (size_t)(o * g.count + k) * step,
                   (const char *)x->data + (size_t)(o * it.dim + g.first[k]) * step, step);
    return STATUS_OK;
}

const struct op_row op_family_unique[] = {
    {.name = "Unique", .since = 11, .infer = unique_infer, .run = unique_run},
    OP_END,
};
