#include "engine/call.h"

const struct value call_unknown = {.kind = VALUE_TENSOR, .tensor = {.rank = -1}};

static enum status named(struct op_ctx *c, enum status s) {
    char type[64], name[64];
    const struct node *n = c->node;
    if (s == STATUS_OK && c->bad_attribute)
        s = status_fail(c->error, STATUS_INVALID, "attribute \"%s\" has the wrong type",
                        c->bad_attribute);
    if (s == STATUS_OK || !c->error)
        return s;
    (void)graph_name_text(n->op_type, type, sizeof type);
    if (n->name.size == 0)
        return status_prefix(c->error, "%s: ", type);
    return status_prefix(c->error, "%s \"%s\": ", type,
                         graph_name_text(n->name, name, sizeof name));
}

static enum status call(struct op_ctx *c, op_fn *fn) {
    struct arena_mark mark = arena_mark(c->scratch);
    enum status s = named(c, fn(c));
    if (c->scratch->used != mark.used)
        arena_reset(c->scratch, mark);
    return s;
}

enum status call_prepare(struct op_ctx *c) {
    return c->node->row->prepare ? call(c, c->node->row->prepare) : STATUS_OK;
}

size_t call_pack_size(struct op_ctx *c) {
    if (!c->node->row->pack_size)
        return 0;
    struct arena_mark mark = arena_mark(c->scratch);
    size_t n = c->node->row->pack_size(c);
    arena_reset(c->scratch, mark);
    return n;
}

enum status call_infer(struct op_ctx *c) {
    for (size_t i = 0; i < c->out_count; i++)
        c->out[i] = (struct value){.kind = VALUE_NONE};
    c->state = OP_SHAPE_KNOWN;
    enum status s = call(c, c->node->row->infer);
    if (s != STATUS_OK || c->state != OP_SHAPE_KNOWN)
        return s;
    for (size_t i = 0; i < c->out_count; i++)
        if (op_out_wanted(c, i) && c->out[i].kind != VALUE_TENSOR)
            return named(c, status_fail(c->error, STATUS_INVALID,
                                        "output %zu is not one that this operator has", i));
    return STATUS_OK;
}

enum status call_allocate(struct op_ctx *c) {
    for (size_t i = 0; i < c->out_count; i++) {
        struct tensor *t = &c->out[i].tensor;
        if (c->out[i].kind != VALUE_TENSOR || t->data)
            continue;
        t->data = arena_alloc(c->heap, t->bytes);
        if (!t->data)
            return named(c, arena_exhausted(c->heap, t->bytes, c->error));
    }
    return STATUS_OK;
}

enum status call_run(struct op_ctx *c) {
    enum status s = call(c, c->node->row->run);
    if (s != STATUS_OK)
        return s;
    for (size_t i = 0; i < c->out_count; i++) {
        if (!op_out_wanted(c, i))
            continue;
        const struct value *v = &c->out[i];
        bool empty_optional = v->kind == VALUE_NONE && (c->node->row->flags & OP_SEQUENCE ||
                                                        c->node->row->flags & OP_CONTROL);
        if (!empty_optional &&
            (v->kind == VALUE_NONE || (v->kind == VALUE_TENSOR && !v->tensor.data)))
            return named(c, status_fail(c->error, STATUS_INVALID,
                                        "output %zu is not one that this operator has", i));
    }
    return STATUS_OK;
}
