/* Pad: constant, edge, reflect, wrap; negative amounts cut. */
#include "engine/ops/convert.h"
#include "engine/ops/op.h"

struct pads {
    int64_t begin[TENSOR_MAX_RANK], end[TENSOR_MAX_RANK];
};

static enum status apply(struct op_ctx *c, struct pads *p, const int64_t *values, size_t n,
                         const int64_t *axes, size_t axis_count) {
    const struct tensor *x = op_in(c, 0);
    memset(p, 0, sizeof *p);
    size_t count = axes ? axis_count : (size_t)x->rank;
    if (n != 2 * count)
        return op_fail(c, "pads has %zu elements, %zu are needed", n, 2 * count);
    for (size_t i = 0; i < count; i++) {
        int axis = (int)i;
        enum status s = axes ? op_axis(c, "axes", axes[i], x->rank, &axis) : STATUS_OK;
        if (s != STATUS_OK)
            return s;
        p->begin[axis] = values[i];
        p->end[axis] = values[count + i];
    }
    return STATUS_OK;
}

static enum status read_pads(struct op_ctx *c, struct pads *p) {
    int64_t values[2 * TENSOR_MAX_RANK], axes[TENSOR_MAX_RANK];
    const int64_t *given = NULL;
    size_t n = 0, m = 0;
    if (op_opset(c) < 11) {
        n = op_attr_ints(c, op_opset(c) < 2 ? "paddings" : "pads", &given);
        return apply(c, p, given, n, NULL, 0);
    }
    enum status s = op_in_ints(c, 1, values, 2 * TENSOR_MAX_RANK, &n);
    if (s == STATUS_OK && op_in(c, 3))
        s = op_in_ints(c, 3, axes, TENSOR_MAX_RANK, &m);
    return s == STATUS_OK ? apply(c, p, values, n, op_in(c, 3) ? axes : NULL, m) : s;
}

enum mode { MODE_CONSTANT, MODE_EDGE, MODE_REFLECT, MODE_WRAP, MODE_UNKNOWN };

static enum mode read_mode(struct op_ctx *c) {
    struct str m = op_attr_str(c, "mode", "constant");
    return str_is(m, "constant")  ? MODE_CONSTANT
           : str_is(m, "edge")    ? MODE_EDGE
           : str_is(m, "reflect") ? MODE_REFLECT
           : str_is(m, "wrap")    ? MODE_WRAP
                                  : MODE_UNKNOWN;
}

static enum status infer(struct op_ctx *c) {
    struct pads p;
    int64_t dims[TENSOR_MAX_RANK];
    enum status s = op_need(c, 0);
    enum mode mode = read_mode(c);
    if (s != STATUS_OK)
        return s;
    if (mode == MODE_UNKNOWN)
        return op_fail(c, "attribute mode is not constant, edge, reflect or wrap");
    for (size_t i = 1; op_opset(c) >= 11 && i < 4; i += 2)
        if (op_in(c, i) && !op_in(c, i)->data)
            return op_infer_later(c);
    const struct tensor *x = op_in(c, 0);
    if (op_opset(c) >= 11 && op_in(c, 2) &&
        (op_in(c, 2)->dtype != x->dtype || op_in(c, 2)->count != 1))
        return op_fail(c, "constant_value must be one %s", dtype_name(x->dtype));
    s = read_pads(c, &p);
    for (int d = 0; s == STATUS_OK && d < x->rank; d++) {
        if (__builtin_add_overflow(x->dims[d], p.begin[d], &dims[d]) ||
            __builtin_add_overflow(dims[d], p.end[d], &dims[d]) || dims[d] < 0)
            return op_fail(c, "pads of %lld and %lld do not fit dimension %d",
                           (long long)p.begin[d], (long long)p.end[d], d);
        if (mode != MODE_CONSTANT && x->dims[d] == 0 && dims[d] > 0)
            return op_fail(c, "an empty dimension cannot be padded from its edge");
    }
    return s == STATUS_OK ? op_infer(c, 0, x->dtype, x->rank, dims) : s;
}

/* Source index of index i along a dimension of n (not 0), -1 for the constant. */
static int64_t source(enum mode mode, int64_t i, int64_t n) {
    if (i >= 0 && i < n)
        return i;
    if (mode == MODE_CONSTANT)
        return -1;
    if (mode == MODE_EDGE)
        return i < 0 ? 0 : n - 1;
    int64_t period = mode == MODE_WRAP ? n : n > 1 ? 2 * (n - 1) : 1;
    i %= period;
    if (i < 0)
        i += period;
    return i < n ? i : period - i;
}

struct filler {
    const struct tensor *x;
    const struct tensor *y;
    const struct pads *p;
    enum mode mode;
    char value[16];
    int64_t steps[TENSOR_MAX_RANK];
    size_t size;
};

/* One row along the last dimension; `base` is the source row's start, or NULL for a row of the
 * constant. */
static void fill_row(const struct filler *f, const char *base, char *to) {
    int last = f->y->rank - 1;
    int64_t n = f->x->dims[last], width = f->y->dims[last], begin = f->p->begin[last];
    for (int64_t i = 0; i < width; i++) {
        int64_t at = base && n > 0 ? source(f->mode, i - begin, n) : -1;
        int64_t run = n - at < width - i ? n - at : width - i;
        if (at >= 0 && i - begin == at && run > 1) {
            memcpy(to + (size_t)i * f->size, base + (size_t)at * f->size, (size_t)run * f->size);
            i += run - 1;
            continue;
        }
        memcpy(to + (size_t)i * f->size, at < 0 ? f->value : base + (size_t)at * f->size, f->size);
    }
}

static void fill(const struct filler *f) {
    int last = f->y->rank - 1;
    int64_t rows = f->y->count / f->y->dims[last];
    for (int64_t row = 0; row < rows; row++) {
        int64_t rest = row, offset = 0;
        bool inside = true;
        for (int d = last - 1; d >= 0; d--) {
            int64_t i = rest % f->y->dims[d] - f->p->begin[d];
            rest /= f->y->dims[d];
            i = f->x->dims[d] > 0 ? source(f->mode, i, f->x->dims[d]) : -1;
            inside = inside && i >= 0;
            offset += inside ? i * f->steps[d] : 0;
        }
        fill_row(f, inside ? (const char *)f->x->data + (size_t)offset * f->size : NULL,
                 (char *)f->y->data + (size_t)(row * f->y->dims[last]) * f->size);
    }
}

static enum status run(struct op_ctx *c) {
    const struct tensor *x = op_in(c, 0);
    struct tensor *y = op_out(c, 0);
    struct pads p;
    enum status s = read_pads(c, &p);
    if (s != STATUS_OK || !y || y->count == 0)
        return s;
    if (x->rank == 0)
        return op_view(c, 0, x);
    struct filler f = {.x = x, .y = y, .p = &p, .mode = read_mode(c), .size = dtype_size(x->dtype)};
    int64_t step = 1;
    for (int d = x->rank - 1; d >= 0; d--) {
        f.steps[d] = step;
        step *= x->dims[d];
    }
    if (op_opset(c) >= 11 && op_in(c, 2)) {
        memcpy(f.value, op_in(c, 2)->data, f.size);
    } else if (op_opset(c) < 11 && convert_possible(DTYPE_FLOAT, x->dtype)) {
        float value = op_attr_float(c, "value", 0);
        convert_elements(DTYPE_FLOAT, &value, x->dtype, f.value, 1, true);
    }
    fill(&f);
    return STATUS_OK;
}

const struct op_row op_family_pad[] = {
    {.name = "Pad", .since = 1, .infer = infer, .run = run},
    OP_END,
};
