/* If, Loop, Scan.
 *
 * Values carried from one iteration to the next live in two sets of buffers that take turns, so a
 * loop whose shapes stay the same takes no more memory with every trip. Rows of a scan output are
 * gathered in a buffer that doubles. */
#include "engine/ops/strided.h"

/* ---- If ---- */

static enum status if_run(struct op_ctx *c) {
    const struct tensor *condition = op_in(c, 0);
    if (!condition || condition->dtype != DTYPE_BOOL || condition->count != 1)
        return op_fail(c, "the condition must be one bool");
    const char *branch = *(const uint8_t *)condition->data ? "then_branch" : "else_branch";
    const struct graph *g = op_attr_graph(c, branch);
    if (!g || g->output_count != op_out_count(c))
        return op_fail(c, "attribute %s must be a graph with %zu outputs", branch, op_out_count(c));
    struct value *out = op_scratch_array(c, op_out_count(c), sizeof *out);
    if (!out)
        return op_no_memory(c);
    memset(out, 0, op_out_count(c) * sizeof *out);
    enum status s = op_subgraph(c, g, NULL, 0, out, op_out_count(c));
    for (size_t i = 0; s == STATUS_OK && i < op_out_count(c); i++)
        op_out_value(c, i, &out[i]);
    return s;
}

/* ---- scan outputs: rows gathered one by one ---- */

struct rows {
    struct tensor row; /* type and shape of one */
    char *data;
    size_t count, capacity; /* rows */
};

static enum status rows_add(struct op_ctx *c, struct rows *r, const struct value *v) {
    if (v->kind != VALUE_TENSOR)
        return op_fail(c, "a scan output must be a tensor");
    const struct tensor *t = &v->tensor;
    if (r->count == 0) {
        r->row = *t;
    } else if (t->dtype != r->row.dtype || !tensor_same_shape(t, &r->row)) {
        char a[160], b[160];
        return op_fail(c, "a scan output changes its shape from %s to %s",
                       tensor_dims_text(r->row.dims, r->row.rank, a, sizeof a),
                       tensor_dims_text(t->dims, t->rank, b, sizeof b));
    }
    if (r->count == r->capacity) {
        size_t wanted = r->capacity ? r->capacity * 2 : 8;
        char *bigger = op_alloc_array(c, wanted, t->bytes);
        if (!bigger)
            return op_no_memory(c);
        if (r->count > 0)
            memcpy(bigger, r->data, r->count * t->bytes);
        r->data = bigger;
        r->capacity = wanted;
    }
    memcpy(r->data + r->count++ * t->bytes, t->data, t->bytes);
    return STATUS_OK;
}

/* The rows stacked along `axis` of the output, in reverse order where asked. */
static enum status rows_finish(struct op_ctx *c, const struct rows *r, size_t output, int64_t axis,
                               bool reverse, const struct graph_value *declared) {
    int64_t dims[TENSOR_MAX_RANK], strides[TENSOR_MAX_RANK], steps[TENSOR_MAX_RANK];
    struct tensor row = r->row, *y = NULL;
    int at = 0;
    if (r->count == 0) {
        /* No trip: what the graph declares is all there is to go by. */
        const struct type_info *type = &declared->type;
        enum dtype dtype = type->dtype != DTYPE_NONE ? type->dtype : DTYPE_FLOAT;
        for (int d = 0; d < type->rank; d++)
            dims[d] = type->dims[d] < 0 ? 0 : type->dims[d];
        enum status s = tensor_shape(&row, dtype, type->rank < 0 ? 0 : type->rank, dims, c->error);
        if (s != STATUS_OK)
            return s;
    }
    if (row.rank == TENSOR_MAX_RANK)
        return op_fail(c, "a scan output would have more than %d dimensions", TENSOR_MAX_RANK);
    enum status s = op_axis(c, "the axis of a scan output", axis, row.rank + 1, &at);
    if (s != STATUS_OK)
        return s;
    strided_steps(&row, steps);
    for (int d = 0, from = 0; d <= row.rank; d++) {
        dims[d] = d == at ? (int64_t)r->count : row.dims[from];
        strides[d] = d == at ? (reverse ? -row.count : row.count) : steps[from];
        from += d != at;
    }
    s = op_out_new(c, output, row.dtype, row.rank + 1, dims, &y);
    if (s != STATUS_OK || !y || y->count == 0)
        return s;
    const char *start = r->data + (reverse ? (r->count - 1) * row.bytes : 0);
    strided_copy(c, start, y->data, y->rank, dims, strides, dtype_size(row.dtype));
    return STATUS_OK;
}

/* ---- Loop ---- */

struct loop {
    const struct graph *body;
    size_t carried, scans;
    struct value *in, *sets[2]; /* what an iteration takes; what it gives, by turns */
    struct rows *rows;
};

static enum status loop_setup(struct op_ctx *c, struct loop *l) {
    l->body = op_attr_graph(c, "body");
    l->carried = op_in_count(c) > 2 ? op_in_count(c) - 2 : 0;
    if (!l->body || l->body->input_count != l->carried + 2 ||
        l->body->output_count < l->carried + 1 || op_out_count(c) > l->body->output_count - 1 ||
        op_out_count(c) < l->carried)
        return op_fail(c,
                       "attribute body must be a graph that takes and gives the %zu carried "
                       "values",
                       l->carried);
    l->scans = l->body->output_count - 1 - l->carried;
    size_t n = l->body->output_count;
    l->in = op_scratch_array(c, l->carried + 2, sizeof *l->in);
    l->sets[0] = op_scratch_array(c, n, sizeof *l->sets[0]);
    l->sets[1] = op_scratch_array(c, n, sizeof *l->sets[1]);
    l->rows = op_scratch_array(c, l->scans + 1, sizeof *l->rows);
    if (!l->in || !l->sets[0] || !l->sets[1] || !l->rows)
        return op_no_memory(c);
    memset(l->sets[0], 0, n * sizeof *l->sets[0]);
    memset(l->sets[1], 0, n * sizeof *l->sets[1]);
    memset(l->rows, 0, (l->scans + 1) * sizeof *l->rows);
    return STATUS_OK;
}

static struct value scalar(enum dtype dtype, void *data) {
    return (struct value){
        .kind = VALUE_TENSOR,
        .tensor = {.dtype = dtype, .count = 1, .bytes = dtype_size(dtype), .data = data}};
}

static enum status one_bool(struct op_ctx *c, const struct value *v, uint8_t *out) {
    if (v->kind != VALUE_TENSOR || v->tensor.dtype != DTYPE_BOOL || v->tensor.count != 1)
        return op_fail(c, "the condition must be one bool");
    *out = *(const uint8_t *)v->tensor.data;
    return STATUS_OK;
}

static enum status loop_trips(struct op_ctx *c, struct loop *l, int64_t most, uint8_t condition) {
    enum status s = STATUS_OK;
    for (int64_t trip = 0; s == STATUS_OK && trip < most && condition; trip++) {
        struct value *out = l->sets[trip & 1];
        if ((uint64_t)trip >= c->env->max_trips)
            return op_fail(c, "more than %llu iterations are not allowed",
                           (unsigned long long)c->env->max_trips);
        l->in[0] = scalar(DTYPE_INT64, &trip);
        l->in[1] = scalar(DTYPE_BOOL, &condition);
        s = op_subgraph(c, l->body, l->in, l->carried + 2, out, l->body->output_count);
        if (s == STATUS_OK)
            s = one_bool(c, &out[0], &condition);
        for (size_t i = 0; s == STATUS_OK && i < l->carried; i++)
            l->in[2 + i] = out[1 + i];
        for (size_t i = 0; s == STATUS_OK && i < l->scans; i++)
            s = rows_add(c, &l->rows[i], &out[1 + l->carried + i]);
    }
    return s;
}

static enum status loop_run(struct op_ctx *c) {
    struct loop l = {0};
    int64_t most = INT64_MAX;
    uint8_t condition = 1;
    enum status s = loop_setup(c, &l);
    if (s == STATUS_OK && op_in(c, 0))
        s = op_in_int(c, 0, &most);
    if (s == STATUS_OK && op_in(c, 1))
        s = one_bool(c, op_in_value(c, 1), &condition);
    for (size_t i = 0; s == STATUS_OK && i < l.carried; i++) {
        static const struct value none = {.kind = VALUE_NONE};
        const struct value *v = op_in_value(c, 2 + i);
        l.in[2 + i] = v ? *v : none;
    }
    if (s == STATUS_OK)
        s = loop_trips(c, &l, most, condition);
    if (s != STATUS_OK)
        return s;
    for (size_t i = 0; i < l.carried; i++)
        op_out_value(c, i, &l.in[2 + i]);
    for (size_t i = 0; s == STATUS_OK && i < l.scans; i++) {
        int32_t id = l.body->outputs[1 + l.carried + i];
        s = rows_finish(c, &l.rows[i], l.carried + i, 0, false, &l.body->values[id]);
    }
    return s;
}

/* ---- Scan ---- */

struct scan {
    const struct graph *body;
    size_t first; /* input 0 of opset 8 is the sequence lengths */
    size_t states, scans, outs;
    const int64_t *in_axes, *in_directions, *out_axes, *out_directions;
    int64_t length;
};

/* Element i of an optional list attribute, 0 where it is not there. */
static int64_t item(const int64_t *list, size_t i) {
    return list ? list[i] : 0;
}

static enum status scan_lists(struct op_ctx *c, struct scan *sc) {
    size_t n[4];
    bool old = op_opset(c) < 9;
    n[0] = old ? 0 : op_attr_ints(c, "scan_input_axes", &sc->in_axes);
    n[1] = op_attr_ints(c, old ? "directions" : "scan_input_directions", &sc->in_directions);
    n[2] = old ? 0 : op_attr_ints(c, "scan_output_axes", &sc->out_axes);
    n[3] = old ? 0 : op_attr_ints(c, "scan_output_directions", &sc->out_directions);
    for (size_t i = 0; i < 4; i++)
        if (n[i] != 0 && n[i] != (i < 2 ? sc->scans : sc->outs))
            return op_fail(c, "the lists of axes and directions do not fit the scan values");
    return STATUS_OK;
}

static enum status scan_setup(struct op_ctx *c, struct scan *sc) {
    int64_t scans = op_attr_int(c, "num_scan_inputs", 0);
    sc->body = op_attr_graph(c, "body");
    sc->first = op_opset(c) < 9 ? 1 : 0;
    size_t n = op_in_count(c) - (op_in_count(c) < sc->first ? op_in_count(c) : sc->first);
    if (!sc->body || scans < 1 || (size_t)scans > n || sc->body->input_count != n ||
        sc->body->output_count < n - (size_t)scans || sc->body->output_count != op_out_count(c))
        return op_fail(c, "num_scan_inputs %lld, %zu inputs and the body do not fit",
                       (long long)scans, n);
    sc->scans = (size_t)scans;
    sc->states = n - sc->scans;
    sc->outs = sc->body->output_count - sc->states;
    return scan_lists(c, sc);
}

/* A scan input of one batch entry, as a tensor: opset 8 has the batch as dimension 0. */
static struct tensor batch_entry(const struct scan *sc, const struct tensor *t, int64_t b) {
    struct tensor r = *t;
    if (sc->first == 0)
        return r;
    r.rank--;
    memmove(r.dims, r.dims + 1, (size_t)r.rank * sizeof r.dims[0]);
    r.count = t->dims[0] > 0 ? t->count / t->dims[0] : 0;
    r.bytes = r.count > 0 ? t->bytes / (size_t)t->dims[0] : 0;
    r.data = (char *)t->data + (size_t)b * r.bytes;
    return r;
}

static enum status scan_slice(struct op_ctx *c, const struct scan *sc, size_t i,
                              const struct tensor *t, int64_t trip, struct value *out) {
    int axis = 0;
    int64_t steps[TENSOR_MAX_RANK], strides[TENSOR_MAX_RANK], dims[TENSOR_MAX_RANK];
    enum status s = op_axis(c, "scan_input_axes", item(sc->in_axes, i), t->rank, &axis);
    if (s != STATUS_OK)
        return s;
    strided_steps(t, steps);
    int rank = 0;
    for (int d = 0; d < t->rank; d++)
        if (d != axis) {
            dims[rank] = t->dims[d];
            strides[rank++] = steps[d];
        }
    struct value v = {.kind = VALUE_TENSOR};
    s = tensor_shape(&v.tensor, t->dtype, rank, dims, c->error);
    if (s != STATUS_OK)
        return s;
    /* The memory of the slice before serves again: all slices are of one size. */
    v.tensor.data = out->kind == VALUE_TENSOR ? out->tensor.data : op_scratch(c, v.tensor.bytes);
    if (!v.tensor.data)
        return op_no_memory(c);
    int64_t at = item(sc->in_directions, i) ? t->dims[axis] - 1 - trip : trip;
    size_t size = dtype_size(t->dtype);
    strided_copy(c, (const char *)t->data + (size_t)(at * steps[axis]) * size, v.tensor.data, rank,
                 dims, strides, size);
    *out = v;
    return STATUS_OK;
}

static enum status scan_length(struct op_ctx *c, struct scan *sc) {
    for (size_t i = 0; i < sc->scans; i++) {
        const struct tensor *t = op_in(c, sc->first + sc->states + i);
        int axis = 0;
        if (!t)
            return op_fail(c, "scan input %zu is missing", i);
        struct tensor entry = batch_entry(sc, t, 0);
        if (t->rank < 1 + (int)sc->first)
            return op_fail(c, "scan input %zu has no dimension to scan", i);
        enum status s = op_axis(c, "scan_input_axes", item(sc->in_axes, i), entry.rank, &axis);
        if (s != STATUS_OK)
            return s;
        if (i > 0 && entry.dims[axis] != sc->length)
            return op_fail(c, "scan inputs differ in length: %lld and %lld", (long long)sc->length,
                           (long long)entry.dims[axis]);
        sc->length = entry.dims[axis];
    }
    return STATUS_OK;
}

/* One sequence: states[0..) in, and out again; rows of every scan output. */
static enum status scan_sequence(struct op_ctx *c, const struct scan *sc, int64_t batch,
                                 int64_t length, struct value *in, struct value *sets[2],
                                 struct rows *rows) {
    enum status s = STATUS_OK;
    for (int64_t trip = 0; s == STATUS_OK && trip < length; trip++) {
        struct value *out = sets[trip & 1];
        if ((uint64_t)trip >= c->env->max_trips)
            return op_fail(c, "more than %llu iterations are not allowed",
                           (unsigned long long)c->env->max_trips);
        for (size_t i = 0; s == STATUS_OK && i < sc->scans; i++) {
            struct tensor t = batch_entry(sc, op_in(c, sc->first + sc->states + i), batch);
            s = scan_slice(c, sc, i, &t, trip, &in[sc->states + i]);
        }
        if (s == STATUS_OK)
            s = op_subgraph(c, sc->body, in, sc->states + sc->scans, out, sc->body->output_count);
        for (size_t i = 0; s == STATUS_OK && i < sc->states; i++)
            in[i] = out[i];
        for (size_t i = 0; s == STATUS_OK && i < sc->outs; i++)
            s = rows_add(c, &rows[i], &out[sc->states + i]);
    }
    return s;
}

struct scan_room {
    struct value *in, *sets[2];
    struct rows *rows;
};

static enum status scan_make_room(struct op_ctx *c, const struct scan *sc, struct scan_room *r) {
    size_t n = sc->body->output_count;
    r->in = op_scratch_array(c, sc->states + sc->scans, sizeof *r->in);
    r->sets[0] = op_scratch_array(c, n, sizeof *r->sets[0]);
    r->sets[1] = op_scratch_array(c, n, sizeof *r->sets[1]);
    r->rows = op_scratch_array(c, sc->outs + 1, sizeof *r->rows);
    if (!r->in || !r->sets[0] || !r->sets[1] || !r->rows)
        return op_no_memory(c);
    memset(r->in, 0, (sc->states + sc->scans) * sizeof *r->in);
    memset(r->sets[0], 0, n * sizeof *r->sets[0]);
    memset(r->sets[1], 0, n * sizeof *r->sets[1]);
    memset(r->rows, 0, (sc->outs + 1) * sizeof *r->rows);
    return STATUS_OK;
}

static enum status scan_run(struct op_ctx *c) {
    struct scan sc = {0};
    struct scan_room r = {0};
    enum status s = scan_setup(c, &sc);
    if (s == STATUS_OK)
        s = scan_length(c, &sc);
    if (s == STATUS_OK)
        s = scan_make_room(c, &sc, &r);
    for (size_t i = 0; s == STATUS_OK && i < sc.states; i++) {
        s = op_need(c, i);
        if (s == STATUS_OK)
            r.in[i] = *op_in_value(c, i);
    }
    if (s == STATUS_OK)
        s = scan_sequence(c, &sc, 0, sc.length, r.in, r.sets, r.rows);
    for (size_t i = 0; s == STATUS_OK && i < sc.states; i++)
        op_out_value(c, i, &r.in[i]);
    for (size_t i = 0; s == STATUS_OK && i < sc.outs; i++)
        s = rows_finish(c, &r.rows[i], sc.states + i, item(sc.out_axes, i),
                        item(sc.out_directions, i) != 0,
                        &sc.body->values[sc.body->outputs[sc.states + i]]);
    return s;
}

/* Opset 8: every value has a batch dimension, and each entry of the batch its own length. */
static enum status scan_batched_run(struct op_ctx *c) {
    struct scan sc = {0};
    enum status s = scan_setup(c, &sc);
    if (s == STATUS_OK)
        s = scan_length(c, &sc);
    if (s != STATUS_OK)
        return s;
    int64_t batches = op_in(c, sc.first + sc.states)->dims[0];
    const struct tensor *lengths = op_in(c, 0);
    for (size_t i = 0; i < sc.states + sc.scans; i++) {
        const struct tensor *t = op_in(c, 1 + i);
        if (!t || t->rank < 1 || t->dims[0] != batches)
            return op_fail(c, "input %zu has another batch size", 1 + i);
    }
    if (lengths && (lengths->dtype != DTYPE_INT64 || lengths->count != batches))
        return op_fail(c, "sequence_lens must have one int64 for each of the batch");
    struct tensor **whole = op_scratch_array(c, sc.body->output_count, sizeof(struct tensor *));
    if (!whole)
        return op_no_memory(c);
    for (int64_t b = 0; b < batches; b++) {
        struct scan_room r = {0};
        int64_t length = lengths ? ((const int64_t *)lengths->data)[b] : sc.length;
        if (length < 0 || length > sc.length)
            return op_fail(c, "sequence_lens[%lld] is %lld", (long long)b, (long long)length);
        s = scan_make_room(c, &sc, &r);
        for (size_t i = 0; s == STATUS_OK && i < sc.states; i++)
            r.in[i] = (struct value){.kind = VALUE_TENSOR,
                                     .tensor = batch_entry(&sc, op_in(c, 1 + i), b)};
        if (s == STATUS_OK)
            s = scan_sequence(c, &sc, b, length, r.in, r.sets, r.rows);
        for (size_t i = 0; s == STATUS_OK && i < sc.body->output_count; i++) {
            bool state = i < sc.states;
            struct tensor t = state ? r.in[i].tensor : r.rows[i - sc.states].row;
            size_t bytes = state ? t.bytes : r.rows[i - sc.states].count * t.bytes;
            const void *from = state ? t.data : r.rows[i - sc.states].data;
            int64_t dims[TENSOR_MAX_RANK];
            int rank = 0;
            if (t.rank + 2 > TENSOR_MAX_RANK || (state && r.in[i].kind != VALUE_TENSOR))
                return op_fail(c, "output %zu cannot be stacked", i);
            dims[rank++] = batches;
            if (!state)
                dims[rank++] = sc.length;
            memcpy(dims + rank, t.dims, (size_t)t.rank * sizeof *dims);
            if (b == 0) {
                s = op_out_new(c, i, t.dtype, rank + t.rank, dims, &whole[i]);
                if (s == STATUS_OK && whole[i])
                    memset(whole[i]->data, 0, whole[i]->bytes);
            }
            if (s != STATUS_OK || !whole[i] || bytes == 0)
                continue;
            size_t room = whole[i]->bytes / (size_t)batches;
            if (bytes > room || t.dtype != whole[i]->dtype)
                return op_fail(c, "output %zu changes its shape", i);
            memcpy((char *)whole[i]->data + (size_t)b * room, from, bytes);
        }
        if (s != STATUS_OK)
            return s;
    }
    return STATUS_OK;
}

#define CONTROL(text, opset, function)                                                             \
    { .name = text, .since = opset, .infer = op_infer_in_run, .run = function, .flags = OP_CONTROL }

const struct op_row op_family_control_flow[] = {
    CONTROL("If", 1, if_run),
    CONTROL("Loop", 1, loop_run),
    CONTROL("Scan", 8, scan_batched_run),
    CONTROL("Scan", 9, scan_run),
    OP_END,
};
