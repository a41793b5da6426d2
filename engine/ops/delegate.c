#include "engine/ops/delegate.h"

enum status delegate_open(struct op_ctx *c, struct delegate *d, const char *name, int64_t opset,
                          size_t inputs, size_t outputs) {
    const struct op_row *row =
        op_find((struct str){"", 0}, (struct str){name, strlen(name)}, opset);
    *d = (struct delegate){.caller = c, .node = *c->node};
    if (!row)
        return status_fail(c->error, STATUS_INTERNAL, "%s is not an operator", name);
    const size_t own = c->node->attribute_count;
    d->values = op_scratch_array(c, inputs, sizeof *d->values);
    d->in = op_scratch_array(c, inputs, sizeof *d->in);
    d->out = op_scratch_array(c, outputs, sizeof *d->out);
    d->attributes = op_scratch_array(c, own + DELEGATE_ATTRIBUTES, sizeof *d->attributes);
    int32_t *wanted = op_scratch_array(c, outputs, sizeof *wanted);
    if (!d->values || !d->in || !d->out || !d->attributes || !wanted)
        return op_no_memory(c);
    memset(d->in, 0, inputs * sizeof *d->in);
    memset(d->out, 0, outputs * sizeof *d->out);
    memset(wanted, 0, outputs * sizeof *wanted);
    if (own)
        memcpy(d->attributes + DELEGATE_ATTRIBUTES, c->node->attributes,
               own * sizeof *d->attributes);
    d->node.attributes = d->attributes + DELEGATE_ATTRIBUTES;
    d->node.outputs = wanted;
    d->node.output_count = outputs;
    d->node.op_type = (struct str){name, strlen(name)};
    d->node.domain = (struct str){"", 0};
    d->node.opset = opset;
    d->node.row = row;
    d->node.state = NULL;
    d->ctx = (struct op_ctx){.node = &d->node,
                             .in = d->in,
                             .out = d->out,
                             .in_count = inputs,
                             .out_count = outputs,
                             .heap = c->scratch,
                             .scratch = c->scratch,
                             .env = c->env,
                             .opset = opset,
                             .error = c->error};
    return STATUS_OK;
}

void delegate_in(struct delegate *d, size_t i, const struct tensor *t) {
    d->in[i] = NULL;
    if (!t)
        return;
    d->values[i] = (struct value){.kind = VALUE_TENSOR, .tensor = *t};
    d->in[i] = &d->values[i];
}

static struct attribute *set(struct delegate *d, const char *name, enum attr_type type) {
    struct attribute *a = &d->attributes[DELEGATE_ATTRIBUTES - ++d->set];
    *a = (struct attribute){.name = {name, strlen(name)}, .type = type};
    d->node.attributes = a;
    d->node.attribute_count++;
    return a;
}

void delegate_int(struct delegate *d, const char *name, int64_t value) {
    set(d, name, ATTR_INT)->i = value;
}

void delegate_ints(struct delegate *d, const char *name, const int64_t *values, size_t count) {
    struct attribute *a = set(d, name, ATTR_INTS);
    a->ints = values;
    a->count = count;
}

enum status delegate_infer(struct delegate *d) {
    d->ctx.state = OP_SHAPE_KNOWN;
    enum status s = d->node.row->infer(&d->ctx);
    if (d->ctx.bad_attribute)
        d->caller->bad_attribute = d->ctx.bad_attribute;
    if (s == STATUS_OK && d->ctx.state != OP_SHAPE_KNOWN)
        return op_fail(d->caller, "the shape of the output is not known");
    for (size_t i = 0; s == STATUS_OK && i < d->ctx.out_count; i++)
        if (d->out[i].kind != VALUE_TENSOR)
            return op_fail(d->caller, "output %zu is not one that this operator has", i);
    return s;
}

enum status delegate_run(struct delegate *d) {
    enum status s = delegate_infer(d);
    for (size_t i = 0; s == STATUS_OK && i < d->ctx.out_count; i++) {
        d->out[i].tensor.data = op_scratch(d->caller, d->out[i].tensor.bytes);
        if (!d->out[i].tensor.data)
            return op_no_memory(d->caller);
    }
    if (s == STATUS_OK)
        s = d->node.row->run(&d->ctx);
    if (d->ctx.bad_attribute)
        d->caller->bad_attribute = d->ctx.bad_attribute;
    return s;
}

enum status delegate_transpose(struct op_ctx *c, const struct tensor *t, const int *order,
                               struct tensor *to) {
    int64_t dims[TENSOR_MAX_RANK], stride[TENSOR_MAX_RANK], at[TENSOR_MAX_RANK] = {0};
    for (int d = 0; d < t->rank; d++) {
        dims[d] = t->dims[order[d]];
        stride[d] = tensor_span(t, order[d] + 1, t->rank);
    }
    enum status s = tensor_shape(to, t->dtype, t->rank, dims, c->error);
    if (s != STATUS_OK || !t->data)
        return s;
    const size_t size = dtype_size(t->dtype);
    char *out = op_scratch(c, to->bytes);
    if (!out)
        return op_no_memory(c);
    int64_t from = 0;
    for (int64_t i = 0; i < to->count; i++) {
        memcpy(out + (size_t)i * size, (const char *)t->data + (size_t)from * size, size);
        for (int d = t->rank - 1; d >= 0; d--) {
            from += stride[d];
            if (++at[d] < dims[d])
                break;
            from -= stride[d] * dims[d];
            at[d] = 0;
        }
    }
    to->data = out;
    return STATUS_OK;
}

enum status delegate_channels(struct op_ctx *c, const struct tensor *t, bool first,
                              struct tensor *to) {
    int order[TENSOR_MAX_RANK] = {0};
    if (t->rank < 3)
        return op_fail(c, "the input has %d dimensions, at least 3 are needed", t->rank);
    for (int d = 1; d < t->rank; d++)
        if (first)
            order[d] = d == 1 ? t->rank - 1 : d - 1;
        else
            order[d] = d == t->rank - 1 ? 1 : d + 1;
    return delegate_transpose(c, t, order, to);
}
