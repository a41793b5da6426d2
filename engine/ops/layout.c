/* Moving elements: Transpose, Concat, Split, Slice, Tile, DepthToSpace, SpaceToDepth, Trilu,
 * ReverseSequence. (Pad is in pad.c.) */
#include "engine/ops/convert.h"
#include "engine/ops/strided.h"

/* ---- Transpose ---- */

static enum status permutation(struct op_ctx *c, int *perm) {
    const struct tensor *x = op_in(c, 0);
    const int64_t *given = NULL;
    size_t n = op_attr_ints(c, "perm", &given);
    bool seen[TENSOR_MAX_RANK] = {false};
    if (!given) {
        for (int d = 0; d < x->rank; d++)
            perm[d] = x->rank - 1 - d;
        return STATUS_OK;
    }
    if (n != (size_t)x->rank)
        return op_fail(c, "perm has %zu elements, input 0 has %d dimensions", n, x->rank);
    for (int d = 0; d < x->rank; d++) {
        enum status s = op_axis(c, "perm", given[d], x->rank, &perm[d]);
        if (s != STATUS_OK)
            return s;
        if (seen[perm[d]])
            return op_fail(c, "perm names dimension %d twice", perm[d]);
        seen[perm[d]] = true;
    }
    return STATUS_OK;
}

static enum status transpose_infer(struct op_ctx *c) {
    int perm[TENSOR_MAX_RANK];
    int64_t dims[TENSOR_MAX_RANK];
    enum status s = op_need(c, 0);
    if (s == STATUS_OK)
        s = permutation(c, perm);
    if (s != STATUS_OK)
        return s;
    const struct tensor *x = op_in(c, 0);
    for (int d = 0; d < x->rank; d++)
        dims[d] = x->dims[perm[d]];
    return op_infer(c, 0, x->dtype, x->rank, dims);
}

static enum status transpose_run(struct op_ctx *c) {
    const struct tensor *x = op_in(c, 0);
    struct tensor *y = op_out(c, 0);
    int perm[TENSOR_MAX_RANK];
    int64_t steps[TENSOR_MAX_RANK], strides[TENSOR_MAX_RANK];
    enum status s = permutation(c, perm);
    if (s != STATUS_OK || !y)
        return s;
    strided_steps(x, steps);
    for (int d = 0; d < x->rank; d++)
        strides[d] = steps[perm[d]];
    strided_copy(c, x->data, y->data, y->rank, y->dims, strides, dtype_size(x->dtype));
    return STATUS_OK;
}

/* ---- Concat ---- */

static enum status concat_infer(struct op_ctx *c) {
    size_t n = op_in_count(c);
    int axis = 0;
    enum status s = n == 0 ? op_fail(c, "at least one input is needed") : op_need_all(c, n);
    if (s != STATUS_OK)
        return s;
    const struct tensor *first = op_in(c, 0);
    s = op_axis(c, "axis", op_attr_int(c, "axis", 1), first->rank, &axis);
    if (s != STATUS_OK)
        return s;
    struct tensor out = *first;
    for (size_t i = 1; i < n; i++) {
        const struct tensor *t = op_in(c, i);
        bool fits = t->rank == first->rank && t->dtype == first->dtype;
        for (int d = 0; fits && d < t->rank; d++)
            fits = d == axis || t->dims[d] == first->dims[d];
        char a[160], b[160];
        if (!fits)
            return op_fail(c, "input %zu (%s %s) does not fit input 0 (%s %s) along axis %d", i,
                           dtype_name(t->dtype), tensor_dims_text(t->dims, t->rank, a, sizeof a),
                           dtype_name(first->dtype),
                           tensor_dims_text(first->dims, first->rank, b, sizeof b), axis);
        if (__builtin_add_overflow(out.dims[axis], t->dims[axis], &out.dims[axis]))
            return op_fail(c, "the output is too large");
    }
    return op_infer(c, 0, out.dtype, out.rank, out.dims);
}

static enum status concat_run(struct op_ctx *c) {
    struct tensor *y = op_out(c, 0);
    int axis = 0;
    if (!y || y->count == 0)
        return STATUS_OK;
    enum status s = op_axis(c, "axis", op_attr_int(c, "axis", 1), y->rank, &axis);
    if (s != STATUS_OK)
        return s;
    size_t size = dtype_size(y->dtype), offset = 0;
    size_t row = (size_t)tensor_span(y, axis, y->rank) * size;
    size_t outer = (size_t)tensor_span(y, 0, axis);
    for (size_t i = 0; i < op_in_count(c); i++) {
        const struct tensor *t = op_in(c, i);
        size_t part = (size_t)tensor_span(t, axis, t->rank) * size;
        for (size_t o = 0; o < outer && part > 0; o++)
            memcpy((char *)y->data + o * row + offset, (const char *)t->data + o * part, part);
        offset += part;
    }
    return STATUS_OK;
}

/* ---- Split ---- */

/* Sizes along the axis, from input 1 (opset 13), the attribute, or equal parts. */
static enum status split_size(struct op_ctx *c, size_t i, int64_t length, int64_t *size) {
    const int64_t *given = NULL;
    size_t n = op_out_count(c), count = 0;
    const struct tensor *sizes = op_opset(c) >= 13 ? op_in(c, 1) : NULL;
    if (sizes) {
        count = (size_t)sizes->count;
        given = sizes->data;
    } else if (op_opset(c) < 13) {
        count = op_attr_ints(c, "split", &given);
    }
    if (given) {
        int64_t sum = 0;
        bool fits = count == n && (!sizes || sizes->dtype == DTYPE_INT64);
        for (size_t k = 0; fits && k < n; k++)
            fits = given[k] >= 0 && given[k] <= length - sum && (sum += given[k], true);
        if (!fits || sum != length)
            return op_fail(c, "split does not cut %lld into %zu parts", (long long)length, n);
        *size = given[i];
        return STATUS_OK;
    }
    int64_t parts = op_attr_int(c, "num_outputs", (int64_t)n);
    if (parts < 1 || (size_t)parts != n || (op_opset(c) < 18 && length % parts != 0))
        return op_fail(c, "%lld cannot be cut into %lld equal parts", (long long)length,
                       (long long)parts);
    int64_t part = length / parts + (length % parts != 0), before = part * (int64_t)i;
    *size = before >= length ? 0 : length - before < part ? length - before : part;
    return STATUS_OK;
}

static enum status split_infer(struct op_ctx *c) {
    int axis = 0;
    enum status s = op_need(c, 0);
    if (s == STATUS_OK)
        s = op_axis(c, "axis", op_attr_int(c, "axis", 0), op_in(c, 0)->rank, &axis);
    if (s != STATUS_OK)
        return s;
    if (op_opset(c) >= 13 && op_in(c, 1) && !op_in(c, 1)->data)
        return op_infer_later(c);
    struct tensor out = *op_in(c, 0);
    for (size_t i = 0; s == STATUS_OK && i < op_out_count(c); i++) {
        s = split_size(c, i, op_in(c, 0)->dims[axis], &out.dims[axis]);
        if (s == STATUS_OK)
            s = op_infer(c, i, out.dtype, out.rank, out.dims);
    }
    return s;
}

static enum status split_run(struct op_ctx *c) {
    const struct tensor *x = op_in(c, 0);
    int axis = 0;
    int64_t part = 0;
    enum status s = op_axis(c, "axis", op_attr_int(c, "axis", 0), x->rank, &axis);
    size_t size = dtype_size(x->dtype), offset = 0;
    size_t row = (size_t)tensor_span(x, axis, x->rank) * size;
    size_t unit = (size_t)tensor_span(x, axis + 1, x->rank) * size;
    size_t outer = x->count > 0 ? (size_t)tensor_span(x, 0, axis) : 0;
    for (size_t i = 0; s == STATUS_OK && i < op_out_count(c); i++) {
        struct tensor *y = op_out(c, i);
        s = split_size(c, i, x->dims[axis], &part);
        if (s != STATUS_OK)
            return s;
        size_t bytes = (size_t)part * unit;
        for (size_t o = 0; y && o < outer && bytes > 0; o++)
            memcpy((char *)y->data + o * bytes, (const char *)x->data + o * row + offset, bytes);
        offset += bytes;
    }
    return s;
}

/* ---- Slice ---- */

struct slice {
    int64_t start[TENSOR_MAX_RANK], step[TENSOR_MAX_RANK], dims[TENSOR_MAX_RANK];
};

/* Python's rule: out-of-range bounds are clamped, never an error. */
static enum status slice_axis(struct op_ctx *c, struct slice *sl, int axis, int64_t start,
                              int64_t end, int64_t step) {
    int64_t n = op_in(c, 0)->dims[axis];
    if (step == 0)
        return op_fail(c, "a step of 0 is given for axis %d", axis);
    if (start < 0 && __builtin_add_overflow(start, n, &start))
        start = 0;
    if (end < 0 && __builtin_add_overflow(end, n, &end))
        end = -1;
    int64_t low = step > 0 ? 0 : -1, high = step > 0 ? n : n - 1;
    start = start < low ? low : start > high ? high : start;
    end = end < low ? low : end > high ? high : end;
    int64_t distance = step > 0 ? end - start : start - end;
    /* The least int64 has no negative; as a step it is past every dimension anyway. */
    uint64_t stride = step > 0 ? (uint64_t)step : 0 - (uint64_t)step;
    sl->start[axis] = distance > 0 ? start : 0;
    sl->step[axis] = distance > 0 && (uint64_t)distance > stride ? step : 1;
    sl->dims[axis] = distance > 0 ? (int64_t)(((uint64_t)distance - 1) / stride) + 1 : 0;
    return STATUS_OK;
}

static void slice_whole(const struct tensor *x, struct slice *sl) {
    for (int d = 0; d < x->rank; d++) {
        sl->start[d] = 0;
        sl->step[d] = 1;
        sl->dims[d] = x->dims[d];
    }
}

static enum status slice_apply(struct op_ctx *c, struct slice *sl, size_t n, const int64_t *starts,
                               const int64_t *ends, const int64_t *axes, const int64_t *steps) {
    bool seen[TENSOR_MAX_RANK] = {false};
    slice_whole(op_in(c, 0), sl);
    for (size_t i = 0; i < n; i++) {
        int axis = 0;
        enum status s = op_axis(c, "axes", axes ? axes[i] : (int64_t)i, op_in(c, 0)->rank, &axis);
        if (s == STATUS_OK && seen[axis])
            return op_fail(c, "axis %d is given twice", axis);
        if (s == STATUS_OK)
            s = slice_axis(c, sl, axis, starts[i], ends[i], steps ? steps[i] : 1);
        if (s != STATUS_OK)
            return s;
        seen[axis] = true;
    }
    return STATUS_OK;
}

/* Opset 10: starts, ends, axes, steps are inputs 1 to 4. */
static enum status slice_inputs(struct op_ctx *c, struct slice *sl) {
    int64_t v[4][TENSOR_MAX_RANK];
    size_t n[4] = {0};
    for (size_t i = 0; i < 4; i++) {
        enum status s = op_in(c, i + 1) || i < 2
                            ? op_in_ints(c, i + 1, v[i], TENSOR_MAX_RANK, &n[i])
                            : STATUS_OK;
        if (s != STATUS_OK)
            return s;
        if (op_in(c, i + 1) && n[i] != n[0])
            return op_fail(c, "input %zu has %zu elements, starts have %zu", i + 1, n[i], n[0]);
    }
    return slice_apply(c, sl, n[0], v[0], v[1], op_in(c, 3) ? v[2] : NULL,
                       op_in(c, 4) ? v[3] : NULL);
}

static enum status slice_attributes(struct op_ctx *c, struct slice *sl) {
    const int64_t *starts = NULL, *ends = NULL, *axes = NULL;
    size_t n = op_attr_ints(c, "starts", &starts), m = op_attr_ints(c, "ends", &ends);
    size_t k = op_attr_ints(c, "axes", &axes);
    if (n != m || n > TENSOR_MAX_RANK || (axes && k != n))
        return op_fail(c, "starts, ends and axes have %zu, %zu and %zu elements", n, m, k);
    return slice_apply(c, sl, n, starts, ends, axes, NULL);
}

static enum status slice_read(struct op_ctx *c, struct slice *sl) {
    return op_opset(c) >= 10 ? slice_inputs(c, sl) : slice_attributes(c, sl);
}

static enum status slice_infer(struct op_ctx *c) {
    struct slice sl;
    enum status s = op_need(c, 0);
    if (s != STATUS_OK)
        return s;
    for (size_t i = 1; op_opset(c) >= 10 && i < 5; i++)
        if (op_in(c, i) && !op_in(c, i)->data)
            return op_infer_later(c);
    s = slice_read(c, &sl);
    return s == STATUS_OK ? op_infer(c, 0, op_in(c, 0)->dtype, op_in(c, 0)->rank, sl.dims) : s;
}

static enum status slice_run(struct op_ctx *c) {
    const struct tensor *x = op_in(c, 0);
    struct tensor *y = op_out(c, 0);
    struct slice sl;
    int64_t strides[TENSOR_MAX_RANK], offset = 0;
    enum status s = slice_read(c, &sl);
    if (s != STATUS_OK || !y || y->count == 0)
        return s;
    strided_steps(x, strides);
    for (int d = 0; d < x->rank; d++) {
        offset += sl.start[d] * strides[d];
        strides[d] *= sl.step[d];
    }
    size_t size = dtype_size(x->dtype);
    strided_copy(c, (const char *)x->data + (size_t)offset * size, y->data, y->rank, y->dims,
                 strides, size);
    return STATUS_OK;
}

/* ---- Tile ---- */

static enum status tile_infer(struct op_ctx *c) {
    int64_t repeats[TENSOR_MAX_RANK], dims[TENSOR_MAX_RANK];
    size_t n = 0;
    enum status s = op_need_all(c, 2);
    if (s != STATUS_OK)
        return s;
    if (!op_in(c, 1)->data)
        return op_infer_later(c);
    const struct tensor *x = op_in(c, 0);
    s = op_in_ints(c, 1, repeats, TENSOR_MAX_RANK, &n);
    if (s != STATUS_OK)
        return s;
    if (n != (size_t)x->rank)
        return op_fail(c, "repeats has %zu elements, input 0 has %d dimensions", n, x->rank);
    for (size_t d = 0; d < n; d++)
        if (repeats[d] < 0 || __builtin_mul_overflow(x->dims[d], repeats[d], &dims[d]))
            return op_fail(c, "repeats[%zu] is %lld", d, (long long)repeats[d]);
    return op_infer(c, 0, x->dtype, x->rank, dims);
}

static enum status tile_run(struct op_ctx *c) {
    const struct tensor *x = op_in(c, 0);
    struct tensor *y = op_out(c, 0);
    int64_t steps[TENSOR_MAX_RANK], dims[2 * TENSOR_MAX_RANK], strides[2 * TENSOR_MAX_RANK];
    if (!y || y->count == 0)
        return STATUS_OK;
    strided_steps(x, steps);
    for (int d = 0; d < x->rank; d++) {
        dims[2 * d] = y->dims[d] / x->dims[d];
        strides[2 * d] = 0;
        dims[2 * d + 1] = x->dims[d];
        strides[2 * d + 1] = steps[d];
    }
    strided_copy(c, x->data, y->data, 2 * x->rank, dims, strides, dtype_size(x->dtype));
    return STATUS_OK;
}

/* ---- DepthToSpace, SpaceToDepth ---- */

static enum status block_size(struct op_ctx *c, int64_t *block) {
    *block = op_attr_int(c, "blocksize", 0);
    if (*block < 1 || *block > 4096)
        return op_fail(c, "attribute blocksize is %lld", (long long)*block);
    enum status s = op_need(c, 0);
    return s == STATUS_OK ? op_need_rank(c, 0, 4, 4) : s;
}

static enum status depth_infer(struct op_ctx *c) {
    int64_t b = 0;
    enum status s = block_size(c, &b);
    if (s != STATUS_OK)
        return s;
    const struct tensor *x = op_in(c, 0);
    if (x->dims[1] % (b * b) != 0)
        return op_fail(c, "%lld channels cannot be cut into blocks of %lld", (long long)x->dims[1],
                       (long long)(b * b));
    return op_infer(c, 0, x->dtype, 4,
                    (int64_t[]){x->dims[0], x->dims[1] / (b * b), x->dims[2] * b, x->dims[3] * b});
}

static enum status depth_run(struct op_ctx *c) {
    const struct tensor *x = op_in(c, 0);
    struct tensor *y = op_out(c, 0);
    int64_t b = 0;
    enum status s = block_size(c, &b);
    if (s != STATUS_OK || !y || y->count == 0)
        return s;
    bool crd = str_is(op_attr_str(c, "mode", "DCR"), "CRD");
    int64_t h = x->dims[2], w = x->dims[3], channels = y->dims[1], plane = h * w;
    int64_t block = crd ? plane : channels * plane, channel = crd ? b * b * plane : plane;
    /* out[n, c, i, p, j, q] = in[n, block (p, q) of channel c, i, j] */
    int64_t dims[6] = {x->dims[0], channels, h, b, w, b};
    int64_t strides[6] = {x->dims[1] * plane, channel, w, b * block, 1, block};
    strided_copy(c, x->data, y->data, 6, dims, strides, dtype_size(x->dtype));
    return STATUS_OK;
}

static enum status space_infer(struct op_ctx *c) {
    int64_t b = 0;
    enum status s = block_size(c, &b);
    if (s != STATUS_OK)
        return s;
    const struct tensor *x = op_in(c, 0);
    if (x->dims[2] % b != 0 || x->dims[3] % b != 0)
        return op_fail(c, "%lld by %lld cannot be cut into blocks of %lld", (long long)x->dims[2],
                       (long long)x->dims[3], (long long)b);
    int64_t channels = 0;
    if (__builtin_mul_overflow(x->dims[1], b * b, &channels))
        return op_fail(c, "the output is too large");
    return op_infer(c, 0, x->dtype, 4,
                    (int64_t[]){x->dims[0], channels, x->dims[2] / b, x->dims[3] / b});
}

static enum status space_run(struct op_ctx *c) {
    const struct tensor *x = op_in(c, 0);
    struct tensor *y = op_out(c, 0);
    int64_t b = 0;
    enum status s = block_size(c, &b);
    if (s != STATUS_OK || !y || y->count == 0)
        return s;
    const bool crd = str_is(op_attr_str(c, "mode", "DCR"), "CRD");
    int64_t w = x->dims[3], plane = x->dims[2] * w, channels = x->dims[1];
    int64_t dims[6] = {x->dims[0], b, b, channels, y->dims[2], y->dims[3]};
    int64_t strides[6] = {channels * plane, w, 1, plane, b * w, b};
    if (crd) { /* channels outside of the places in a block, not inside */
        memcpy(dims + 1, (int64_t[]){channels, b, b}, 3 * sizeof *dims);
        memcpy(strides + 1, (int64_t[]){plane, w, 1}, 3 * sizeof *strides);
    }
    strided_copy(c, x->data, y->data, 6, dims, strides, dtype_size(x->dtype));
    return STATUS_OK;
}

/* ---- Trilu ---- */

static enum status trilu_infer(struct op_ctx *c) {
    enum status s = op_need(c, 0);
    if (s == STATUS_OK)
        s = op_need_rank(c, 0, 2, TENSOR_MAX_RANK);
    if (s == STATUS_OK && op_in(c, 1) && op_in(c, 1)->count != 1)
        return op_fail(c, "input 1 must be one number");
    return s == STATUS_OK ? op_infer_like(c, 0, op_in(c, 0)) : s;
}

static enum status trilu_run(struct op_ctx *c) {
    const struct tensor *x = op_in(c, 0);
    struct tensor *y = op_out(c, 0);
    bool upper = op_attr_int(c, "upper", 1) != 0;
    int64_t k = 0;
    if (!y || y->count == 0)
        return STATUS_OK;
    enum status s = op_in(c, 1) ? op_in_int(c, 1, &k) : STATUS_OK;
    if (s != STATUS_OK)
        return s;
    int64_t rows = x->dims[x->rank - 2], columns = x->dims[x->rank - 1];
    size_t size = dtype_size(x->dtype);
    for (int64_t r = 0; r < x->count / columns; r++) {
        char *to = (char *)y->data + (size_t)(r * columns) * size;
        int64_t edge = 0; /* first column of the upper triangle; one past the lower one's last */
        if (__builtin_add_overflow(r % rows, k, &edge) ||
            (!upper && __builtin_add_overflow(edge, 1, &edge)))
            edge = k > 0 ? columns : 0;
        edge = edge < 0 ? 0 : edge > columns ? columns : edge;
        memcpy(to, (const char *)x->data + (size_t)(r * columns) * size, (size_t)columns * size);
        if (upper)
            memset(to, 0, (size_t)edge * size);
        else
            memset(to + (size_t)edge * size, 0, (size_t)(columns - edge) * size);
    }
    return STATUS_OK;
}

/* ---- ReverseSequence ---- */

static enum status reverse_infer(struct op_ctx *c) {
    enum status s = op_need_all(c, 2);
    if (s == STATUS_OK)
        s = op_need_rank(c, 0, 2, TENSOR_MAX_RANK);
    if (s == STATUS_OK)
        s = op_need_dtype(c, 1, DT(INT64));
    if (s != STATUS_OK)
        return s;
    int64_t batch = op_attr_int(c, "batch_axis", 1), time = op_attr_int(c, "time_axis", 0);
    if (batch + time != 1 || batch < 0 || time < 0)
        return op_fail(c, "batch_axis and time_axis must be 0 and 1, or 1 and 0");
    if (op_in(c, 1)->rank != 1 || op_in(c, 1)->dims[0] != op_in(c, 0)->dims[batch])
        return op_fail(c, "sequence_lens must have one element for each of the batch");
    return op_infer_like(c, 0, op_in(c, 0));
}

static enum status reverse_run(struct op_ctx *c) {
    const struct tensor *x = op_in(c, 0), *lens = op_in(c, 1);
    struct tensor *y = op_out(c, 0);
    int batch_axis = (int)op_attr_int(c, "batch_axis", 1);
    if (!y || y->count == 0)
        return STATUS_OK;
    int64_t batch = x->dims[batch_axis], time = x->dims[1 - batch_axis];
    size_t unit = (size_t)tensor_span(x, 2, x->rank) * dtype_size(x->dtype);
    for (int64_t b = 0; b < batch; b++) {
        int64_t length = ((const int64_t *)lens->data)[b];
        if (length < 0 || length > time)
            return op_fail(c, "sequence_lens[%lld] is %lld, there are %lld steps", (long long)b,
                           (long long)length, (long long)time);
        for (int64_t t = 0; t < time; t++) {
            int64_t from = t < length ? length - 1 - t : t;
            size_t to_at = (size_t)(batch_axis == 0 ? b * time + t : t * batch + b);
            size_t from_at = (size_t)(batch_axis == 0 ? b * time + from : from * batch + b);
            memcpy((char *)y->data + to_at * unit, (const char *)x->data + from_at * unit, unit);
        }
    }
    return STATUS_OK;
}

const struct op_row op_family_layout[] = {
    {.name = "Transpose", .since = 1, .infer = transpose_infer, .run = transpose_run},
    {.name = "Concat", .since = 1, .infer = concat_infer, .run = concat_run},
    {.name = "Split", .since = 1, .infer = split_infer, .run = split_run},
    {.name = "Slice", .since = 1, .infer = slice_infer, .run = slice_run},
    {.name = "Tile", .since = 6, .infer = tile_infer, .run = tile_run},
    {.name = "DepthToSpace", .since = 1, .infer = depth_infer, .run = depth_run},
    {.name = "SpaceToDepth", .since = 1, .infer = space_infer, .run = space_run},
    {.name = "Trilu", .since = 14, .infer = trilu_infer, .run = trilu_run},
    {.name = "ReverseSequence", .since = 10, .infer = reverse_infer, .run = reverse_run},
    OP_END,
};
