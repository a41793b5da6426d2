/* Shapes as values, and values in other shapes: Shape, Size, Reshape and its kin, Expand, and the
 * makers of constants. */
#include "engine/ops/broadcast.h"
#include "engine/ops/convert.h"

#include <math.h>

/* ---- Shape, Size ---- */

static void shape_range(struct op_ctx *c, int *from, int *to) {
    int rank = op_in(c, 0)->rank;
    int64_t start = op_attr_int(c, "start", 0), end = op_attr_int(c, "end", rank);
    start = start < 0 ? start + rank : start;
    end = end < 0 ? end + rank : end;
    *from = (int)(start < 0 ? 0 : start > rank ? rank : start);
    *to = (int)(end < *from ? *from : end > rank ? rank : end);
}

static enum status shape_infer(struct op_ctx *c) {
    enum status s = op_need(c, 0);
    int from = 0, to = 0;
    if (s != STATUS_OK)
        return s;
    shape_range(c, &from, &to);
    return op_infer(c, 0, DTYPE_INT64, 1, (int64_t[]){to - from});
}

static enum status shape_run(struct op_ctx *c) {
    struct tensor *y = op_out(c, 0);
    int from = 0, to = 0;
    shape_range(c, &from, &to);
    for (int d = from; y && d < to; d++)
        ((int64_t *)y->data)[d - from] = op_in(c, 0)->dims[d];
    return STATUS_OK;
}

static enum status size_infer(struct op_ctx *c) {
    enum status s = op_need(c, 0);
    return s == STATUS_OK ? op_infer(c, 0, DTYPE_INT64, 0, NULL) : s;
}

static enum status size_run(struct op_ctx *c) {
    struct tensor *y = op_out(c, 0);
    if (y)
        *(int64_t *)y->data = op_in(c, 0)->count;
    return STATUS_OK;
}

/* ---- the same bytes in another shape ---- */

static enum status view_run(struct op_ctx *c) {
    return op_view(c, 0, op_in(c, 0));
}

/* Checks the count and says a readable thing where it is wrong. */
static enum status view_as(struct op_ctx *c, int rank, const int64_t *dims) {
    const struct tensor *x = op_in(c, 0);
    int64_t count = 0;
    char a[160], b[160];
    if (!checked_product(dims, (size_t)rank, &count) || count != x->count)
        return op_fail(c, "shape %s does not hold the elements of shape %s",
                       tensor_dims_text(dims, rank, a, sizeof a),
                       tensor_dims_text(x->dims, x->rank, b, sizeof b));
    return op_infer(c, 0, x->dtype, rank, dims);
}

static enum status reshape_to(struct op_ctx *c, int64_t *dims, size_t n, bool allow_zero) {
    const struct tensor *x = op_in(c, 0);
    int unknown = -1;
    int64_t rest = 1;
    for (size_t d = 0; d < n; d++) {
        if (dims[d] == 0 && !allow_zero) {
            if ((int)d >= x->rank)
                return op_fail(c, "shape[%zu] is 0, which copies a dimension that input 0 lacks",
                               d);
            dims[d] = x->dims[d];
        }
        if (dims[d] == -1) {
            if (unknown >= 0)
                return op_fail(c, "the shape has two dimensions of -1");
            unknown = (int)d;
        } else if (dims[d] < 0 || __builtin_mul_overflow(rest, dims[d], &rest)) {
            return op_fail(c, "shape[%zu] is %lld", d, (long long)dims[d]);
        }
    }
    if (unknown >= 0) {
        if (rest == 0 || x->count % rest != 0)
            return op_fail(c, "%lld elements cannot be divided by %lld for the dimension of -1",
                           (long long)x->count, (long long)rest);
        dims[unknown] = x->count / rest;
    }
    return view_as(c, (int)n, dims);
}

static enum status reshape_infer(struct op_ctx *c) {
    int64_t dims[TENSOR_MAX_RANK];
    size_t n = 0;
    enum status s = op_need_all(c, 2);
    if (s != STATUS_OK)
        return s;
    if (!op_in(c, 1)->data)
        return op_infer_later(c);
    s = op_in_ints(c, 1, dims, TENSOR_MAX_RANK, &n);
    return s == STATUS_OK ? reshape_to(c, dims, n, op_attr_int(c, "allowzero", 0) != 0) : s;
}

/* Before opset 5 the shape was an attribute. */
static enum status reshape_attribute_infer(struct op_ctx *c) {
    int64_t dims[TENSOR_MAX_RANK];
    const int64_t *given = NULL;
    size_t n = op_attr_ints(c, "shape", &given);
    enum status s = op_need(c, 0);
    if (s == STATUS_OK && n > TENSOR_MAX_RANK)
        return op_fail(c, "attribute shape has %zu dimensions", n);
    for (size_t i = 0; s == STATUS_OK && i < n; i++)
        dims[i] = given[i];
    return s == STATUS_OK ? reshape_to(c, dims, n, false) : s;
}

static enum status flatten_infer(struct op_ctx *c) {
    enum status s = op_need(c, 0);
    if (s != STATUS_OK)
        return s;
    const struct tensor *x = op_in(c, 0);
    int64_t axis = op_attr_int(c, "axis", 1);
    if (axis < -x->rank || axis > x->rank)
        return op_fail(c, "axis is %lld, outside of the %d dimensions there are", (long long)axis,
                       x->rank);
    if (axis < 0)
        axis += x->rank;
    int64_t dims[2] = {tensor_span(x, 0, (int)axis), tensor_span(x, (int)axis, x->rank)};
    return view_as(c, 2, dims);
}

/* Axes from input 1 (opset 13) or from the attribute. *given: there are any at all. */
static enum status read_axes(struct op_ctx *c, int64_t *axes, size_t *n, bool *given, bool *later) {
    const int64_t *values = NULL;
    *later = false;
    *n = 0;
    if (op_opset(c) >= 13) {
        *given = op_in(c, 1) != NULL;
        *later = *given && !op_in(c, 1)->data;
        return *given && !*later ? op_in_ints(c, 1, axes, TENSOR_MAX_RANK, n) : STATUS_OK;
    }
    *n = op_attr_ints(c, "axes", &values);
    *given = values != NULL;
    if (*n > TENSOR_MAX_RANK)
        return op_fail(c, "attribute axes has %zu elements", *n);
    for (size_t i = 0; i < *n; i++)
        axes[i] = values[i];
    return STATUS_OK;
}

static enum status squeeze_infer(struct op_ctx *c) {
    int64_t axes[TENSOR_MAX_RANK], dims[TENSOR_MAX_RANK];
    bool given = false, later = false, drop[TENSOR_MAX_RANK] = {false};
    size_t n = 0;
    int rank = 0;
    enum status s = op_need(c, 0);
    if (s == STATUS_OK)
        s = read_axes(c, axes, &n, &given, &later);
    if (s != STATUS_OK)
        return s;
    if (later)
        return op_infer_later(c);
    const struct tensor *x = op_in(c, 0);
    for (size_t i = 0; i < n; i++) {
        int axis = 0;
        s = op_axis(c, "axes", axes[i], x->rank, &axis);
        if (s != STATUS_OK)
            return s;
        if (x->dims[axis] != 1)
            return op_fail(c, "dimension %d is %lld and cannot be squeezed", axis,
                           (long long)x->dims[axis]);
        drop[axis] = true;
    }
    for (int d = 0; d < x->rank; d++)
        if (!(drop[d] || (!given && x->dims[d] == 1)))
            dims[rank++] = x->dims[d];
    return view_as(c, rank, dims);
}

static enum status unsqueeze_infer(struct op_ctx *c) {
    int64_t axes[TENSOR_MAX_RANK], dims[TENSOR_MAX_RANK];
    bool given = false, later = false, is_new[TENSOR_MAX_RANK] = {false};
    size_t n = 0;
    enum status s = op_need(c, 0);
    if (s == STATUS_OK)
        s = read_axes(c, axes, &n, &given, &later);
    if (s != STATUS_OK)
        return s;
    if (later)
        return op_infer_later(c);
    const struct tensor *x = op_in(c, 0);
    if (!given || (size_t)x->rank + n > TENSOR_MAX_RANK)
        return op_fail(c, "%zu axes are given for %d dimensions", n, x->rank);
    int rank = x->rank + (int)n;
    for (size_t i = 0; i < n; i++) {
        int axis = 0;
        s = op_axis(c, "axes", axes[i], rank, &axis);
        if (s != STATUS_OK)
            return s;
        if (is_new[axis])
            return op_fail(c, "axis %d is given twice", axis);
        is_new[axis] = true;
    }
    for (int d = 0, from = 0; d < rank; d++)
        dims[d] = is_new[d] ? 1 : x->dims[from++];
    return view_as(c, rank, dims);
}

/* Identity also passes sequences and optionals on. */
static enum status identity_infer(struct op_ctx *c) {
    if (op_in(c, 0))
        return op_infer_like(c, 0, op_in(c, 0));
    return op_infer_in_run(c);
}

static enum status identity_run(struct op_ctx *c) {
    if (op_in(c, 0) && op_out(c, 0))
        return op_view(c, 0, op_in(c, 0));
    if (!op_in_value(c, 0))
        return op_fail(c, "input 0 is missing");
    op_out_value(c, 0, op_in_value(c, 0));
    return STATUS_OK;
}

/* ---- Expand ---- */

static enum status expand_infer(struct op_ctx *c) {
    int64_t dims[TENSOR_MAX_RANK], out[TENSOR_MAX_RANK];
    size_t n = 0;
    int rank = 0;
    struct tensor wanted;
    enum status s = op_need_all(c, 2);
    if (s != STATUS_OK)
        return s;
    if (!op_in(c, 1)->data)
        return op_infer_later(c);
    s = op_in_ints(c, 1, dims, TENSOR_MAX_RANK, &n);
    if (s == STATUS_OK)
        s = tensor_shape(&wanted, op_in(c, 0)->dtype, (int)n, dims, c->error);
    const struct tensor *in[2] = {op_in(c, 0), &wanted};
    if (s == STATUS_OK)
        s = broadcast_shapes(c, in, 2, &rank, out);
    return s == STATUS_OK ? op_infer(c, 0, op_in(c, 0)->dtype, rank, out) : s;
}

static enum status expand_run(struct op_ctx *c) {
    const struct tensor *x = op_in(c, 0);
    struct tensor *y = op_out(c, 0);
    struct broadcast b;
    if (!y || y->count == 0)
        return STATUS_OK;
    broadcast_plan(&b, y, &x, 1);
    size_t size = dtype_size(x->dtype), row_bytes = (size_t)b.inner * size;
    for (int64_t row = 0; row < b.rows; row++) {
        int64_t at[BROADCAST_MAX];
        broadcast_row(&b, row, at);
        const char *from = (const char *)x->data + (size_t)at[0] * size;
        char *to = (char *)y->data + (size_t)row * row_bytes;
        if (b.inner_stride[0]) {
            memcpy(to, from, row_bytes);
            continue;
        }
        /* One element, doubled until the row is full. */
        memcpy(to, from, size);
        for (size_t have = size; have < row_bytes; have *= 2)
            memcpy(to + have, to, have < row_bytes - have ? have : row_bytes - have);
    }
    return STATUS_OK;
}

/* ---- constants ---- */

static enum status constant_of_shape_infer(struct op_ctx *c) {
    const struct tensor *value = op_attr_tensor(c, "value");
    int64_t dims[TENSOR_MAX_RANK];
    size_t n = 0;
    enum status s = op_need(c, 0);
    if (s != STATUS_OK)
        return s;
    if (value && value->count != 1)
        return op_fail(c, "attribute value must have one element");
    if (!op_in(c, 0)->data)
        return op_infer_later(c);
    s = op_in_ints(c, 0, dims, TENSOR_MAX_RANK, &n);
    return s == STATUS_OK ? op_infer(c, 0, value ? value->dtype : DTYPE_FLOAT, (int)n, dims) : s;
}

static enum status constant_of_shape_run(struct op_ctx *c) {
    const struct tensor *value = op_attr_tensor(c, "value");
    struct tensor *y = op_out(c, 0);
    if (!y || y->count == 0)
        return STATUS_OK;
    if (!value) {
        memset(y->data, 0, y->bytes);
        return STATUS_OK;
    }
    size_t size = dtype_size(y->dtype);
    char *to = y->data;
    memcpy(to, value->data, size);
    for (size_t have = size; have < y->bytes; have *= 2)
        memcpy(to + have, to, have < y->bytes - have ? have : y->bytes - have);
    return STATUS_OK;
}

/* Constant: the value is one of several attributes. */
static enum status constant_tensor(struct op_ctx *c, struct tensor *t) {
    const int64_t *ints = NULL;
    const float *floats = NULL;
    const struct str *strs = NULL;
    const struct tensor *given = op_attr_tensor(c, "value");
    const struct attribute *sparse = graph_node_attribute(c->node, "sparse_value");
    const struct attribute *a = NULL;
    if (!given && sparse && sparse->type == ATTR_SPARSE_TENSOR)
        given = &sparse->tensors[0].tensor;
    if (given) {
        *t = *given;
        return STATUS_OK;
    }
    enum dtype dtype = DTYPE_NONE;
    int rank = 0;
    size_t n = 1;
    const void *data = NULL;
    if ((a = graph_node_attribute(c->node, "value_float")) && a->type == ATTR_FLOAT) {
        dtype = DTYPE_FLOAT;
        data = &a->f;
    } else if ((a = graph_node_attribute(c->node, "value_int")) && a->type == ATTR_INT) {
        dtype = DTYPE_INT64;
        data = &a->i;
    } else if ((a = graph_node_attribute(c->node, "value_string")) && a->type == ATTR_STRING) {
        dtype = DTYPE_STRING;
        data = &a->s;
    } else {
        rank = 1;
        if (op_attr_has(c, "value_floats")) {
            n = op_attr_floats(c, "value_floats", &floats);
            dtype = DTYPE_FLOAT;
            data = floats;
        } else if (op_attr_has(c, "value_ints")) {
            n = op_attr_ints(c, "value_ints", &ints);
            dtype = DTYPE_INT64;
            data = ints;
        } else if (op_attr_has(c, "value_strings")) {
            n = op_attr_strs(c, "value_strings", &strs);
            dtype = DTYPE_STRING;
            data = strs;
        }
    }
    if (dtype == DTYPE_NONE)
        return op_fail(c, "no attribute gives the value");
    enum status s = tensor_shape(t, dtype, rank, (int64_t[]){(int64_t)n}, c->error);
    t->data = (void *)(uintptr_t)data;
    return s;
}

static enum status constant_infer(struct op_ctx *c) {
    struct tensor t;
    enum status s = constant_tensor(c, &t);
    if (s == STATUS_OK)
        s = op_infer_like(c, 0, &t);
    /* At load the constant is where it is in the model; it need not be copied. */
    if (s == STATUS_OK && op_out_wanted(c, 0) && t.count > 0)
        c->out[0].tensor.data = t.data;
    return s;
}

static enum status constant_run(struct op_ctx *c) {
    struct tensor t;
    struct tensor *y = op_out(c, 0);
    enum status s = constant_tensor(c, &t);
    if (s == STATUS_OK && y && y->data != t.data && t.bytes > 0)
        memcpy(y->data, t.data, t.bytes);
    return s;
}

/* ---- Range, EyeLike ---- */

static enum status range_count(struct op_ctx *c, int64_t *count) {
    double v[3] = {0};
    for (size_t i = 0; i < 3; i++) {
        enum status s = op_in_double(c, i, &v[i]);
        if (s != STATUS_OK)
            return s;
    }
    double n = v[2] != 0 ? ceil((v[1] - v[0]) / v[2]) : NAN;
    if (!(n < 0x1p53))
        return op_fail(c, "start %g, limit %g, delta %g do not give a range", v[0], v[1], v[2]);
    *count = n > 0 ? (int64_t)n : 0;
    return STATUS_OK;
}

static enum status range_infer(struct op_ctx *c) {
    int64_t count = 0;
    enum status s = op_need_all(c, 3);
    for (size_t i = 0; s == STATUS_OK && i < 3; i++) {
        s = op_need_dtype(c, i, DT_REAL);
        if (s == STATUS_OK && op_in(c, i)->dtype != op_in(c, 0)->dtype)
            return op_fail(c, "start, limit and delta must have one type");
    }
    if (s != STATUS_OK)
        return s;
    if (!op_in(c, 0)->data || !op_in(c, 1)->data || !op_in(c, 2)->data)
        return op_infer_later(c);
    s = range_count(c, &count);
    return s == STATUS_OK ? op_infer(c, 0, op_in(c, 0)->dtype, 1, &count) : s;
}

static enum status range_run(struct op_ctx *c) {
    struct tensor *y = op_out(c, 0);
    enum dtype t = op_in(c, 0)->dtype;
    double start = 0, delta = 0;
    int64_t first = 0, step = 0;
    if (!y)
        return STATUS_OK;
    enum status s = op_in_double(c, 0, &start);
    if (s == STATUS_OK)
        s = op_in_double(c, 2, &delta);
    /* Integers past 2^53 are not exact in double. */
    if (s == STATUS_OK && !dtype_is_float(t))
        s = op_in_int(c, 0, &first);
    if (s == STATUS_OK && !dtype_is_float(t))
        s = op_in_int(c, 2, &step);
    if (s != STATUS_OK)
        return s;
    for (int64_t i = 0; i < y->count; i++) {
        void *at = (char *)y->data + (size_t)i * dtype_size(t);
        double f = start + (double)i * delta;
        if (dtype_is_float(t)) {
            convert_elements(DTYPE_DOUBLE, &f, t, at, 1, true);
            continue;
        }
        uint64_t v = (uint64_t)first + (uint64_t)i * (uint64_t)step;
        convert_elements(DTYPE_UINT64, &v, t, at, 1, true);
    }
    return STATUS_OK;
}

static enum status eye_infer(struct op_ctx *c) {
    enum status s = op_need(c, 0);
    if (s == STATUS_OK)
        s = op_need_rank(c, 0, 2, 2);
    if (s != STATUS_OK)
        return s;
    enum dtype dtype = DTYPE_NONE;
    s = op_attr_dtype(c, "dtype", op_in(c, 0)->dtype, DT_ANY, &dtype);
    if (s == STATUS_OK && !convert_possible(DTYPE_FLOAT, dtype))
        return op_fail(c, "attribute \"dtype\" is %s, which is not served", dtype_name(dtype));
    return s == STATUS_OK ? op_infer(c, 0, dtype, 2, op_in(c, 0)->dims) : s;
}

static enum status eye_run(struct op_ctx *c) {
    struct tensor *y = op_out(c, 0);
    int64_t k = op_attr_int(c, "k", 0);
    const float one = 1;
    if (!y)
        return STATUS_OK;
    memset(y->data, 0, y->bytes);
    for (int64_t row = 0; row < y->dims[0]; row++) {
        int64_t column = 0;
        if (!__builtin_add_overflow(row, k, &column) && column >= 0 && column < y->dims[1])
            convert_elements(DTYPE_FLOAT, &one, y->dtype,
                             (char *)y->data +
                                 (size_t)(row * y->dims[1] + column) * dtype_size(y->dtype),
                             1, true);
    }
    return STATUS_OK;
}

#define VIEW(text, opset, rule)                                                                    \
    { .name = text, .since = opset, .infer = rule, .run = view_run, .flags = OP_VIEW }

const struct op_row op_family_shape[] = {
    {.name = "Shape", .since = 1, .infer = shape_infer, .run = shape_run, .flags = OP_SHAPE_ONLY},
    {.name = "Size", .since = 1, .infer = size_infer, .run = size_run, .flags = OP_SHAPE_ONLY},
    VIEW("Reshape", 1, reshape_attribute_infer),
    VIEW("Reshape", 5, reshape_infer),
    VIEW("Flatten", 1, flatten_infer),
    VIEW("Squeeze", 1, squeeze_infer),
    VIEW("Unsqueeze", 1, unsqueeze_infer),
    {.name = "Identity",
     .since = 1,
     .infer = identity_infer,
     .run = identity_run,
     .flags = OP_VIEW},
    {.name = "Expand", .since = 8, .infer = expand_infer, .run = expand_run},
    {.name = "ConstantOfShape",
     .since = 9,
     .infer = constant_of_shape_infer,
     .run = constant_of_shape_run},
    {.name = "Constant", .since = 1, .infer = constant_infer, .run = constant_run},
    {.name = "Range", .since = 11, .infer = range_infer, .run = range_run},
    {.name = "EyeLike", .since = 9, .infer = eye_infer, .run = eye_run},
    OP_END,
};
