#include "engine/ops/op.h"

#include <stdarg.h>

/* ---- inputs and outputs ---- */

const void *op_form(const struct op_ctx *c) {
    return c->node->row->form;
}

size_t op_in_count(const struct op_ctx *c) {
    return c->in_count;
}

size_t op_out_count(const struct op_ctx *c) {
    return c->out_count;
}

const struct value *op_in_value(const struct op_ctx *c, size_t i) {
    return i < c->in_count ? c->in[i] : NULL;
}

const struct tensor *op_in(const struct op_ctx *c, size_t i) {
    const struct value *v = op_in_value(c, i);
    return v && v->kind == VALUE_TENSOR ? &v->tensor : NULL;
}

bool op_in_constant(const struct op_ctx *c, size_t i) {
    return i < c->in_count && c->in_constant && c->in_constant[i];
}

void op_packed(struct op_ctx *c, size_t i) {
    if (c->packed && i < c->in_count)
        c->packed[i] = true;
}

bool op_out_wanted(const struct op_ctx *c, size_t i) {
    return i < c->out_count && c->node->outputs[i] >= 0;
}

struct tensor *op_out(struct op_ctx *c, size_t i) {
    if (!op_out_wanted(c, i) || c->out[i].kind != VALUE_TENSOR)
        return NULL;
    return &c->out[i].tensor;
}

enum status op_infer(struct op_ctx *c, size_t i, enum dtype dtype, int rank, const int64_t *dims) {
    if (!op_out_wanted(c, i))
        return STATUS_OK;
    struct tensor t;
    enum status s = tensor_shape(&t, dtype, rank, dims, c->error);
    if (s != STATUS_OK)
        return s;
    c->out[i].kind = VALUE_TENSOR;
    c->out[i].tensor = t;
    return STATUS_OK;
}

enum status op_infer_like(struct op_ctx *c, size_t i, const struct tensor *t) {
    return op_infer(c, i, t->dtype, t->rank, t->dims);
}

enum status op_infer_later(struct op_ctx *c) {
    c->state = OP_SHAPE_LATER;
    return STATUS_OK;
}

enum status op_infer_in_run(struct op_ctx *c) {
    c->state = OP_SHAPE_IN_RUN;
    return STATUS_OK;
}

enum status op_out_new(struct op_ctx *c, size_t i, enum dtype dtype, int rank, const int64_t *dims,
                       struct tensor **out) {
    if (!op_out_wanted(c, i)) {
        if (out)
            *out = NULL;
        return STATUS_OK;
    }
    struct tensor t;
    enum status s = tensor_shape(&t, dtype, rank, dims, c->error);
    if (s != STATUS_OK)
        return s;
    t.data = op_alloc(c, t.bytes);
    if (!t.data)
        return op_no_memory(c);
    c->out[i].kind = VALUE_TENSOR;
    c->out[i].tensor = t;
    if (out)
        *out = &c->out[i].tensor;
    return STATUS_OK;
}

void op_out_value(struct op_ctx *c, size_t i, const struct value *v) {
    if (op_out_wanted(c, i))
        c->out[i] = *v;
}

enum status op_view(struct op_ctx *c, size_t i, const struct tensor *from) {
    struct tensor *to = op_out(c, i);
    if (!to || to->data == from->data)
        return STATUS_OK;
    if (to->bytes != from->bytes)
        return op_fail(c, "the output takes %zu bytes, the input has %zu", to->bytes, from->bytes);
    memcpy(to->data, from->data, from->bytes);
    return STATUS_OK;
}

/* ---- memory ---- */

static void *take(struct op_ctx *c, struct arena *a, size_t size) {
    void *p = a ? arena_alloc(a, size) : NULL;
    if (!p && a)
        (void)arena_exhausted(a, size, c->error);
    if (!a)
        (void)status_fail(c->error, STATUS_INTERNAL, "memory of this kind is not open here");
    return p;
}

static void *take_array(struct op_ctx *c, struct arena *a, size_t count, size_t size) {
    size_t bytes = 0;
    if (!checked_mul(count, size, &bytes)) {
        (void)status_fail(c->error, STATUS_TOO_LARGE, "%zu elements of %zu bytes are too large",
                          count, size);
        return NULL;
    }
    return take(c, a, bytes);
}

void *op_alloc(struct op_ctx *c, size_t size) {
    return take(c, c->heap, size);
}

void *op_alloc_array(struct op_ctx *c, size_t count, size_t size) {
    return take_array(c, c->heap, count, size);
}

void *op_scratch(struct op_ctx *c, size_t size) {
    return take(c, c->scratch, size);
}

void *op_scratch_array(struct op_ctx *c, size_t count, size_t size) {
    return take_array(c, c->scratch, count, size);
}

void *op_weights_alloc(struct op_ctx *c, size_t size) {
    return take(c, c->weights, size);
}

void *op_state_new(struct op_ctx *c, size_t size) {
    void *p = take(c, c->graph, size);
    if (p) {
        memset(p, 0, size);
        /* The node is the session's own and still being built when prepare runs. */
        ((struct node *)(uintptr_t)c->node)->state = p;
    }
    return p;
}

void *op_state(const struct op_ctx *c) {
    return c->node->state;
}

enum status op_no_memory(struct op_ctx *c) {
    if (c->error && c->error->status != STATUS_OK)
        return c->error->status;
    return status_fail(c->error, STATUS_TOO_LARGE, "memory is exhausted");
}

/* ---- attributes ---- */

static const struct attribute *attribute(struct op_ctx *c, const char *name, enum attr_type type) {
    const struct attribute *a = graph_node_attribute(c->node, name);
    if (a && a->type != type) {
        c->bad_attribute = name;
        return NULL;
    }
    return a;
}

bool op_attr_has(struct op_ctx *c, const char *name) {
    return graph_node_attribute(c->node, name) != NULL;
}

int64_t op_attr_int(struct op_ctx *c, const char *name, int64_t otherwise) {
    const struct attribute *a = attribute(c, name, ATTR_INT);
    return a ? a->i : otherwise;
}

float op_attr_float(struct op_ctx *c, const char *name, float otherwise) {
    const struct attribute *a = attribute(c, name, ATTR_FLOAT);
    return a ? a->f : otherwise;
}

struct str op_attr_str(struct op_ctx *c, const char *name, const char *otherwise) {
    const struct attribute *a = attribute(c, name, ATTR_STRING);
    return a ? a->s : (struct str){otherwise, otherwise ? strlen(otherwise) : 0};
}

size_t op_attr_ints(struct op_ctx *c, const char *name, const int64_t **values) {
    const struct attribute *a = attribute(c, name, ATTR_INTS);
    *values = a ? a->ints : NULL;
    return a ? a->count : 0;
}

size_t op_attr_floats(struct op_ctx *c, const char *name, const float **values) {
    const struct attribute *a = attribute(c, name, ATTR_FLOATS);
    *values = a ? a->floats : NULL;
    return a ? a->count : 0;
}

size_t op_attr_strs(struct op_ctx *c, const char *name, const struct str **values) {
    const struct attribute *a = attribute(c, name, ATTR_STRINGS);
    *values = a ? a->strings : NULL;
    return a ? a->count : 0;
}

const struct tensor *op_attr_tensor(struct op_ctx *c, const char *name) {
    const struct attribute *a = attribute(c, name, ATTR_TENSOR);
    return a && a->count == 1 ? &a->tensors[0].tensor : NULL;
}

const struct graph *op_attr_graph(struct op_ctx *c, const char *name) {
    const struct attribute *a = attribute(c, name, ATTR_GRAPH);
    return a ? a->g : NULL;
}

/* ---- checks ---- */

enum status op_fail(struct op_ctx *c, const char *format, ...) {
    va_list args;
    va_start(args, format);
    enum status s = status_vfail(c->error, STATUS_INVALID, format, args);
    va_end(args);
    return s;
}

int64_t op_opset(const struct op_ctx *c) {
    return c->opset;
}

enum status op_need(struct op_ctx *c, size_t i) {
    if (op_in(c, i))
        return STATUS_OK;
    return op_fail(c, op_in_value(c, i) ? "input %zu is not a tensor" : "input %zu is missing", i);
}

enum status op_need_all(struct op_ctx *c, size_t n) {
    for (size_t i = 0; i < n; i++) {
        enum status s = op_need(c, i);
        if (s != STATUS_OK)
            return s;
    }
    return STATUS_OK;
}

enum status op_need_dtype(struct op_ctx *c, size_t i, uint32_t mask) {
    const struct tensor *t = op_in(c, i);
    if (!t || (mask >> t->dtype & 1))
        return STATUS_OK;
    c->bad_type = true;
    return op_fail(c, "input %zu has type %s, which this operator does not take here", i,
                   dtype_name(t->dtype));
}

enum status op_need_same(struct op_ctx *c, size_t i, size_t like) {
    return op_need_dtype(c, i, (uint32_t)1 << op_in(c, like)->dtype);
}

enum status op_attr_dtype(struct op_ctx *c, const char *name, enum dtype otherwise, uint32_t mask,
                          enum dtype *out) {
    const int64_t type = op_attr_int(c, name, (int64_t)otherwise);
    if (type <= DTYPE_NONE || type >= DTYPE_COUNT || !(mask >> type & 1)) {
        c->bad_type = true;
        return op_fail(c, "attribute \"%s\" is %lld, which is no type that is served here", name,
                       (long long)type);
    }
    *out = (enum dtype)type;
    return STATUS_OK;
}

enum status op_need_rank(struct op_ctx *c, size_t i, int least, int most) {
    const struct tensor *t = op_in(c, i);
    if (!t || (t->rank >= least && t->rank <= most))
        return STATUS_OK;
    char text[160];
    (void)tensor_dims_text(t->dims, t->rank, text, sizeof text);
    if (least == most)
        return op_fail(c, "input %zu has shape %s, %d dimensions are needed", i, text, least);
    return op_fail(c, "input %zu has shape %s, %d to %d dimensions are needed", i, text, least,
                   most);
}

enum status op_axis(struct op_ctx *c, const char *what, int64_t axis, int rank, int *out) {
    if (axis < -rank || axis >= rank)
        return op_fail(c, "%s is %lld, outside of the %d dimensions there are", what,
                       (long long)axis, rank);
    *out = (int)(axis < 0 ? axis + rank : axis);
    return STATUS_OK;
}

enum status op_in_ints(struct op_ctx *c, size_t i, int64_t *out, size_t max, size_t *n) {
    enum status s = op_need(c, i);
    if (s == STATUS_OK)
        s = op_need_dtype(c, i, DT(INT64) | DT(INT32));
    if (s == STATUS_OK)
        s = op_need_rank(c, i, 0, 1);
    if (s != STATUS_OK)
        return s;
    const struct tensor *t = op_in(c, i);
    if ((uint64_t)t->count > max)
        return op_fail(c, "input %zu has %lld elements, at most %zu are served", i,
                       (long long)t->count, max);
    if (!t->data)
        return op_fail(c, "the value of input %zu is not known", i);
    for (int64_t k = 0; k < t->count; k++)
        out[k] =
            t->dtype == DTYPE_INT64 ? ((const int64_t *)t->data)[k] : ((const int32_t *)t->data)[k];
    *n = (size_t)t->count;
    return STATUS_OK;
}

static enum status need_one(struct op_ctx *c, size_t i) {
    enum status s = op_need(c, i);
    const struct tensor *t = op_in(c, i);
    if (s == STATUS_OK && (t->count != 1 || !t->data))
        return op_fail(c, "input %zu must be one number, it has %lld", i, (long long)t->count);
    return s;
}

enum status op_in_double(struct op_ctx *c, size_t i, double *out) {
    enum status s = need_one(c, i);
    if (s != STATUS_OK)
        return s;
    const struct tensor *t = op_in(c, i);
    switch (t->dtype) {
    case DTYPE_FLOAT:
        *out = (double)*(const float *)t->data;
        return STATUS_OK;
    case DTYPE_DOUBLE:
        *out = *(const double *)t->data;
        return STATUS_OK;
    case DTYPE_FLOAT16:
        *out = (double)half_to_float(*(const uint16_t *)t->data);
        return STATUS_OK;
    case DTYPE_BFLOAT16:
        *out = (double)half_bf16_to_float(*(const uint16_t *)t->data);
        return STATUS_OK;
    default: {
        int64_t v = 0;
        s = op_in_int(c, i, &v);
        if (s == STATUS_OK)
            *out = t->dtype == DTYPE_UINT64 ? (double)(uint64_t)v : (double)v;
        return s;
    }
    }
}

enum status op_in_int(struct op_ctx *c, size_t i, int64_t *out) {
    enum status s = need_one(c, i);
    if (s != STATUS_OK)
        return s;
    const struct tensor *t = op_in(c, i);
    switch (t->dtype) {
    case DTYPE_INT64:
    case DTYPE_UINT64:
        *out = *(const int64_t *)t->data;
        return STATUS_OK;
    case DTYPE_INT32:
        *out = *(const int32_t *)t->data;
        return STATUS_OK;
    case DTYPE_UINT32:
        *out = *(const uint32_t *)t->data;
        return STATUS_OK;
    case DTYPE_INT16:
        *out = *(const int16_t *)t->data;
        return STATUS_OK;
    case DTYPE_UINT16:
        *out = *(const uint16_t *)t->data;
        return STATUS_OK;
    case DTYPE_INT8:
        *out = *(const int8_t *)t->data;
        return STATUS_OK;
    case DTYPE_UINT8:
    case DTYPE_BOOL:
        *out = *(const uint8_t *)t->data;
        return STATUS_OK;
    case DTYPE_FLOAT:
    case DTYPE_DOUBLE:
    case DTYPE_FLOAT16:
    case DTYPE_BFLOAT16: {
        double f = 0;
        s = op_in_double(c, i, &f);
        if (s == STATUS_OK && !(f >= -0x1p62 && f <= 0x1p62))
            return op_fail(c, "input %zu is not in the range of an integer", i);
        *out = s == STATUS_OK ? (int64_t)f : 0;
        return s;
    }
    default:
        return op_fail(c, "input %zu has type %s, a number is needed", i, dtype_name(t->dtype));
    }
}

/* ---- narrow floats ---- */

enum status op_in_f32(struct op_ctx *c, size_t i, const float **out) {
    const struct tensor *t = op_in(c, i);
    if (!t)
        return op_need(c, i);
    if (t->dtype == DTYPE_FLOAT) {
        *out = t->data;
        return STATUS_OK;
    }
    float *wide = op_scratch_array(c, (size_t)t->count, sizeof *wide);
    if (!wide)
        return op_no_memory(c);
    half_widen(t->dtype, t->data, wide, (size_t)t->count);
    *out = wide;
    return STATUS_OK;
}

enum status op_out_f32(struct op_ctx *c, size_t i, float **out) {
    struct tensor *t = op_out(c, i);
    *out = NULL;
    if (!t)
        return STATUS_OK;
    *out = t->dtype == DTYPE_FLOAT ? t->data : op_scratch_array(c, (size_t)t->count, sizeof **out);
    return *out ? STATUS_OK : op_no_memory(c);
}

void op_out_f32_done(struct op_ctx *c, size_t i, const float *values) {
    struct tensor *t = op_out(c, i);
    if (t && t->dtype != DTYPE_FLOAT)
        half_narrow(t->dtype, values, t->data, (size_t)t->count);
}

enum status op_pair_f32(struct op_ctx *c, const float **from, float **to) {
    const float *in = NULL;
    enum status s = op_in_f32(c, 0, &in);
    if (s == STATUS_OK)
        s = op_out_f32(c, 0, to);
    if (s == STATUS_OK)
        *from = in;
    return s;
}

/* ---- work ---- */

struct threads *op_threads(const struct op_ctx *c) {
    return c->env ? c->env->threads : NULL;
}

void op_parallel(struct op_ctx *c, size_t n, size_t grain, threads_fn *fn, void *arg) {
    threads_for(op_threads(c), n, grain, fn, arg);
}

enum status op_subgraph(struct op_ctx *c, const struct graph *g, const struct value *inputs,
                        size_t n, struct value *outputs, size_t m) {
    if (!c->env || !c->env->subgraph)
        return status_fail(c->error, STATUS_INTERNAL, "a subgraph cannot run here");
    return c->env->subgraph(c, g, inputs, n, outputs, m);
}
