#include "engine/plan.h"

#include "engine/call.h"
#include "engine/model/layout.h"

#define STEP ((size_t)64 << 10)
#define FOLD_MOST ((size_t)1 << 20) /* bytes: larger results stay in the region */

struct builder {
    const struct plan_context *c;
    const struct graph *g;
    struct plan *plan;
    struct error *error;
    bool *ready; /* by value: its shape is known (or it is constant) */
};

static bool value_known(const struct value *v) {
    return v->kind == VALUE_TENSOR && v->tensor.data != NULL;
}

/* ---- types ---- */

static bool same_type(const struct value *a, const struct value *b) {
    if (a->kind != b->kind)
        return false;
    return a->kind != VALUE_TENSOR ||
           (a->tensor.dtype == b->tensor.dtype && tensor_same_shape(&a->tensor, &b->tensor));
}

bool plan_fits(const struct plan *p, const struct value *const *values, size_t count) {
    for (size_t i = 0; i < count; i++)
        if (!same_type(&p->signature[i], values[i]))
            return false;
    return count == p->signature_count;
}

static struct value without_data(const struct value *v) {
    struct value r = *v;
    r.tensor.data = NULL;
    r.items = NULL;
    return r;
}

/* ---- slots: where each value is held ---- */

static enum status no_memory(struct builder *b) {
    return arena_exhausted(&b->plan->arena, 0, b->error);
}

static enum status make_bound(struct builder *b, const struct value *const *values, size_t count) {
    struct plan *p = b->plan;
    const struct graph *g = b->g;
    p->signature = arena_array(&p->arena, count, sizeof *p->signature);
    p->bound = arena_array(&p->arena, count, sizeof *p->bound);
    struct value *slots = arena_array(&p->arena, count, sizeof *slots);
    if (!p->signature || !p->bound || !slots)
        return no_memory(b);
    p->signature_count = count;
    for (size_t i = 0; i < count; i++) {
        int32_t id = i < g->input_count ? g->inputs[i] : g->captures[i - g->input_count].local;
        p->signature[i] = without_data(values[i]);
        p->bound[i] = &slots[i];
        slots[i] = p->signature[i];
        if (!g->values[id].constant) {
            p->values[id] = &slots[i];
            /* A sequence has no shape: whoever reads it is dynamic. */
            b->ready[id] = values[i]->kind == VALUE_TENSOR;
        }
    }
    return STATUS_OK;
}

static enum status make_slots(struct builder *b, const struct value *const *values, size_t count) {
    struct plan *p = b->plan;
    const struct graph *g = b->g;
    p->values = arena_array(&p->arena, g->value_count, sizeof *p->values);
    p->nodes = arena_array(&p->arena, g->node_count, sizeof *p->nodes);
    p->places = arena_array(&p->arena, g->value_count, sizeof *p->places);
    b->ready = arena_array(b->c->scratch, g->value_count, sizeof *b->ready);
    if (!p->values || !p->nodes || !p->places || !b->ready)
        return no_memory(b);
    for (size_t v = 0; v < g->value_count; v++)
        if (g->values[v].constant) {
            p->values[v] = g->values[v].constant;
            b->ready[v] = true;
        }
    return make_bound(b, values, count);
}

static enum status make_node(struct builder *b, const struct node *n, struct plan_node *pn) {
    struct arena *a = &b->plan->arena;
    bool *constant = arena_array(a, n->input_count, sizeof *constant);
    pn->node = n;
    pn->in = arena_array(a, n->input_count, sizeof *pn->in);
    pn->out = arena_array(a, n->output_count, sizeof *pn->out);
    if (!constant || !pn->in || !pn->out)
        return no_memory(b);
    for (size_t i = 0; i < n->input_count; i++) {
        int32_t id = n->inputs[i];
        pn->in[i] = id < 0 ? NULL : b->plan->values[id];
        constant[i] = id >= 0 && b->g->values[id].constant;
    }
    pn->in_constant = constant;
    for (size_t i = 0; i < n->output_count; i++)
        if (n->outputs[i] >= 0)
            b->plan->values[n->outputs[i]] = &pn->out[i];
    return STATUS_OK;
}

/* ---- inference ---- */

static bool inputs_ready(const struct builder *b, const struct node *n) {
    for (size_t i = 0; i < n->input_count; i++)
        if (n->inputs[i] >= 0 && !b->ready[n->inputs[i]])
            return false;
    return !(n->row->flags & (OP_CONTROL | OP_SEQUENCE));
}

static bool values_known(const struct plan_node *pn) {
    if (pn->node->row->flags & OP_SHAPE_ONLY)
        return true;
    for (size_t i = 0; i < pn->node->input_count; i++)
        if (pn->in[i] && !value_known(pn->in[i]))
            return false;
    return true;
}

static size_t output_bytes(const struct plan_node *pn) {
    size_t sum = 0;
    for (size_t i = 0; i < pn->node->output_count; i++)
        if (pn->out[i].kind == VALUE_TENSOR)
            sum += pn->out[i].tensor.bytes < FOLD_MOST ? pn->out[i].tensor.bytes : FOLD_MOST + 1;
    return sum;
}

static enum status plan_node(struct builder *b, struct plan_node *pn) {
    const struct node *n = pn->node;
    pn->kind = PLAN_DYNAMIC;
    if (!inputs_ready(b, n))
        return STATUS_OK;
    struct op_ctx c = {.node = n,
                       .in = pn->in,
                       .in_constant = pn->in_constant,
                       .out = pn->out,
                       .in_count = n->input_count,
                       .out_count = n->output_count,
                       .heap = &b->plan->arena,
                       .scratch = b->c->scratch,
                       .env = b->c->env,
                       .opset = n->opset,
                       .error = b->error};
    enum status s = call_infer(&c);
    if (s != STATUS_OK)
        return s;
    bool fold = values_known(pn) && !(n->row->flags & OP_RANDOM) && output_bytes(pn) <= FOLD_MOST;
    if (fold && c.state == OP_SHAPE_KNOWN) {
        s = call_allocate(&c);
        if (s == STATUS_OK)
            s = call_run(&c);
        if (s != STATUS_OK)
            return s;
        pn->kind = PLAN_SKIP;
    } else if (c.state == OP_SHAPE_KNOWN) {
        pn->kind = PLAN_STATIC;
    } else {
        for (size_t i = 0; i < n->output_count; i++)
            pn->out[i] = (struct value){.kind = VALUE_NONE};
        return STATUS_OK;
    }
    for (size_t i = 0; i < n->output_count; i++)
        if (n->outputs[i] >= 0)
            b->ready[n->outputs[i]] = true;
    return STATUS_OK;
}

/* ---- memory ---- */

/* Buffers, before they have offsets. A value that is a view of another, or is written in its place,
 * shares its buffer. */
struct buffers {
    int32_t *of;    /* by value: index of its buffer, -1: not in the region */
    int32_t *death; /* by value: last node that reads it, itself */
    struct layout_item *items;
    size_t count;
};

static void use(const struct builder *b, struct buffers *u, int32_t value, int32_t at) {
    if (value >= 0 && u->death[value] < at)
        u->death[value] = at;
    (void)b;
}

static void find_deaths(const struct builder *b, struct buffers *u) {
    const struct graph *g = b->g;
    int32_t end = (int32_t)g->node_count;
    for (size_t v = 0; v < g->value_count; v++)
        u->death[v] = g->values[v].is_output ? end : g->values[v].producer;
    for (size_t k = 0; k < g->node_count; k++) {
        const struct node *n = &g->nodes[k];
        if (b->plan->nodes[k].kind == PLAN_SKIP)
            continue;
        /* A sequence keeps references to the tensors it was made of. */
        int32_t at = n->row->flags & OP_SEQUENCE ? end : (int32_t)k;
        for (size_t i = 0; i < n->input_count; i++)
            use(b, u, n->inputs[i], at);
        for (size_t i = 0; i < n->implicit_count; i++)
            use(b, u, n->implicit[i], at);
    }
    /* A view keeps what it views; backwards, so that views of views count. */
    for (size_t k = g->node_count; k-- > 0;) {
        const struct node *n = &g->nodes[k];
        if (b->plan->nodes[k].kind == PLAN_STATIC && n->row->flags & OP_VIEW && n->outputs[0] >= 0)
            use(b, u, n->inputs[0], u->death[n->outputs[0]]);
    }
}

static bool is_static_output(const struct builder *b, int32_t value) {
    if (value < 0)
        return false;
    int32_t producer = b->g->values[value].producer;
    return producer >= 0 && b->plan->nodes[producer].kind == PLAN_STATIC;
}

static int32_t shared_buffer(const struct builder *b, const struct buffers *u,
                             const struct plan_node *pn) {
    const struct node *n = pn->node;
    const struct tensor *out = &pn->out[0].tensor;
    if (n->row->flags & OP_VIEW && is_static_output(b, n->inputs[0]) &&
        pn->in[0]->tensor.bytes == out->bytes)
        return u->of[n->inputs[0]];
    if (!(n->row->flags & OP_IN_PLACE))
        return -1;
    for (size_t i = 0; i < n->input_count; i++) {
        int32_t v = n->inputs[i];
        if (!is_static_output(b, v) || u->of[v] < 0)
            continue;
        const struct tensor *t = &pn->in[i]->tensor;
        if (u->items[u->of[v]].death == n->index && t->count == out->count &&
            dtype_size(t->dtype) == dtype_size(out->dtype))
            return u->of[v];
    }
    return -1;
}

static void assign_buffers(const struct builder *b, struct buffers *u) {
    const struct graph *g = b->g;
    for (size_t v = 0; v < g->value_count; v++)
        u->of[v] = -1;
    for (size_t k = 0; k < g->node_count; k++) {
        const struct plan_node *pn = &b->plan->nodes[k];
        if (pn->kind != PLAN_STATIC)
            continue;
        for (size_t i = 0; i < pn->node->output_count; i++) {
            int32_t v = pn->node->outputs[i];
            if (v < 0)
                continue;
            int32_t shared = i == 0 ? shared_buffer(b, u, pn) : -1;
            if (shared >= 0) {
                struct layout_item *item = &u->items[shared];
                if (item->death < u->death[v])
                    item->death = u->death[v];
                u->of[v] = shared;
                continue;
            }
            u->items[u->count] = (struct layout_item){
                .birth = (int32_t)k, .death = u->death[v], .size = pn->out[i].tensor.bytes};
            u->of[v] = (int32_t)u->count++;
        }
    }
}

static enum status plan_memory(struct builder *b) {
    struct plan *p = b->plan;
    const struct graph *g = b->g;
    struct buffers u = {0};
    u.of = arena_array(b->c->scratch, g->value_count, sizeof *u.of);
    u.death = arena_array(b->c->scratch, g->value_count, sizeof *u.death);
    u.items = arena_array(b->c->scratch, g->value_count, sizeof *u.items);
    if (!u.of || !u.death || !u.items)
        return arena_exhausted(b->c->scratch, 0, b->error);
    find_deaths(b, &u);
    assign_buffers(b, &u);
    enum status s = layout_assign(u.items, u.count, b->c->scratch, &p->region, b->error);
    for (size_t k = 0; s == STATUS_OK && k < g->node_count; k++) {
        struct plan_node *pn = &p->nodes[k];
        for (size_t i = 0; pn->kind == PLAN_STATIC && i < pn->node->output_count; i++)
            if (pn->node->outputs[i] >= 0)
                p->places[p->place_count++] =
                    (struct plan_place){&pn->out[i], u.items[u.of[pn->node->outputs[i]]].offset};
    }
    return s;
}

void plan_settle(struct plan *p, void *base) {
    for (size_t i = 0; i < p->place_count; i++)
        p->places[i].value->tensor.data = (char *)base + p->places[i].offset;
    p->base = base;
}

enum status plan_build(const struct plan_context *c, const struct graph *g,
                       const struct value *const *values, size_t count, struct plan **out,
                       struct error *error) {
    struct arena arena;
    struct arena_mark mark = arena_mark(c->scratch);
    struct builder b = {.c = c, .g = g, .error = error};
    arena_init(&arena, c->memory, STEP, c->budget, "the plan");
    b.plan = arena_zalloc(&arena, sizeof *b.plan);
    if (!b.plan)
        return arena_exhausted(&arena, sizeof *b.plan, error);
    b.plan->arena = arena;
    b.plan->graph = g;
    enum status s = make_slots(&b, values, count);
    for (size_t k = 0; s == STATUS_OK && k < g->node_count; k++) {
        const struct node *n = &g->nodes[k];
        struct plan_node *pn = &b.plan->nodes[k];
        pn->node = n;
        if (n->folded || n->dead)
            continue;
        s = make_node(&b, n, pn);
        if (s == STATUS_OK)
            s = plan_node(&b, pn);
        b.plan->static_nodes += pn->kind == PLAN_STATIC;
        b.plan->dynamic_nodes += pn->kind == PLAN_DYNAMIC;
    }
    if (s == STATUS_OK)
        s = plan_memory(&b);
    arena_reset(c->scratch, mark);
    if (s != STATUS_OK) {
        plan_free(b.plan);
        return s;
    }
    *out = b.plan;
    return STATUS_OK;
}

void plan_free(struct plan *p) {
    if (!p)
        return;
    struct arena arena = p->arena; /* the plan lies inside it */
    arena_free(&arena);
}
