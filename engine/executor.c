#include "engine/executor.h"

#include "engine/call.h"

#include <time.h>

#define HEAP_STEP ((size_t)256 << 10)

static enum status run_subgraph(struct op_ctx *c, const struct graph *g, const struct value *inputs,
                                size_t n, struct value *outputs, size_t m);

enum status executor_init(struct executor *e, const struct executor_options *options,
                          const struct model *model, struct arena *keep, struct error *error) {
    memset(e, 0, sizeof *e);
    e->options = *options;
    e->env = (struct op_env){.threads = options->threads,
                             .subgraph = run_subgraph,
                             .run = e,
                             .max_trips = options->max_trips};
    e->graph_count = model->graph_count;
    e->plans = arena_array(keep, model->graph_count, sizeof(struct plan *));
    if (!e->plans)
        return arena_exhausted(keep, model->graph_count, error);
    for (size_t i = 0; i < EXECUTOR_DEPTH; i++)
        arena_init(&e->heaps[i], options->memory, HEAP_STEP, options->budget, "activations");
    arena_init(&e->scratch, options->memory, HEAP_STEP, options->budget, "scratch");
    return STATUS_OK;
}

void executor_free(struct executor *e) {
    if (!e)
        return;
    for (size_t i = 0; e->plans && i < e->graph_count; i++)
        while (e->plans[i]) {
            struct plan *next = e->plans[i]->next;
            plan_free(e->plans[i]);
            e->plans[i] = next;
        }
    for (size_t i = 0; i < EXECUTOR_DEPTH; i++)
        arena_free(&e->heaps[i]);
    arena_free(&e->scratch);
}

void executor_reset(struct executor *e) {
    for (size_t i = 0; i < EXECUTOR_DEPTH; i++)
        arena_clear(&e->heaps[i]);
    arena_clear(&e->scratch);
}

static enum status check_deadline(const struct executor *e, struct error *error) {
    struct timespec now;
    if (e->deadline == 0)
        return STATUS_OK;
    /* It is asked before every operator, some of which take less than the exact time would; the
     * coarse clock is at most a few milliseconds behind. */
    (void)clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
    if ((uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec < e->deadline)
        return STATUS_OK;
    return status_fail(error, STATUS_DEADLINE, "the deadline passed while the model ran");
}

/* ---- plans ---- */

static enum status get_plan(struct executor *e, const struct graph *g,
                            const struct value *const *values, size_t count, struct plan **out,
                            struct error *error) {
    struct plan **head = &e->plans[g->id], **link = head;
    size_t held = 0;
    for (; *link; link = &(*link)->next) {
        struct plan *p = *link;
        held++;
        if (plan_fits(p, values, count)) {
            *link = p->next;
            p->next = *head;
            *head = p;
            *out = p;
            return STATUS_OK;
        }
    }
    if (held >= e->options.plans && held > 0) {
        for (link = head; (*link)->next; link = &(*link)->next)
            ;
        plan_free(*link);
        *link = NULL;
    }
    const struct plan_context c = {e->options.memory, e->options.budget, &e->scratch, &e->env};
    enum status s = plan_build(&c, g, values, count, out, error);
    if (s != STATUS_OK)
        return s;
    e->plans_built++;
    (*out)->next = *head;
    *head = *out;
    return STATUS_OK;
}

/* ---- nodes ---- */

static enum status run_node(struct executor *e, const struct plan_node *pn, struct error *error) {
    const struct node *n = pn->node;
    struct op_ctx c = {.node = n,
                       .in = pn->in,
                       .in_constant = pn->in_constant,
                       .out = pn->out,
                       .in_count = n->input_count,
                       .out_count = n->output_count,
                       .heap = &e->heaps[e->depth],
                       .scratch = &e->scratch,
                       .env = &e->env,
                       .opset = n->opset,
                       .error = error};
    enum status s = STATUS_OK;
    if (pn->kind == PLAN_DYNAMIC) {
        s = call_infer(&c);
        if (s == STATUS_OK && c.state == OP_SHAPE_KNOWN)
            s = call_allocate(&c);
    }
    return s == STATUS_OK ? call_run(&c) : s;
}

static enum status run_nodes(struct executor *e, struct plan *p, struct error *error) {
    enum status s = STATUS_OK;
    for (size_t k = 0; s == STATUS_OK && k < p->graph->node_count; k++) {
        const struct plan_node *pn = &p->nodes[k];
        if (pn->kind == PLAN_SKIP)
            continue;
        s = check_deadline(e, error);
        if (s == STATUS_OK)
            s = run_node(e, pn, error);
    }
    return s;
}

/* Bind the inputs, place the region, run. */
static enum status run_plan(struct executor *e, struct plan *p, const struct value *const *values,
                            struct error *error) {
    for (size_t i = 0; i < p->signature_count; i++)
        *p->bound[i] = *values[i];
    if (p->region > 0) {
        void *base = arena_alloc(&e->heaps[e->depth], p->region);
        if (!base)
            return arena_exhausted(&e->heaps[e->depth], p->region, error);
        if (base != p->base)
            plan_settle(p, base);
    }
    e->running[e->depth] = p;
    return run_nodes(e, p, error);
}

static enum status collect(struct executor *e, const struct graph *g,
                           const struct value *const *own, struct value *outputs, size_t m,
                           struct error *error) {
    (void)e;
    for (size_t i = 0; i < m; i++) {
        const struct value *v = own[g->outputs[i]];
        if (!v)
            return status_fail(error, STATUS_INVALID, "output %zu of a graph was not computed", i);
        outputs[i] = *v;
    }
    return STATUS_OK;
}

enum status executor_run(struct executor *e, const struct graph *g, const struct value *inputs,
                         size_t input_count, uint64_t deadline, struct value *outputs,
                         struct error *error) {
    e->depth = 0;
    e->deadline = deadline;
    const struct value **values = arena_array(&e->heaps[0], input_count, sizeof *values);
    if (!values)
        return arena_exhausted(&e->heaps[0], input_count * sizeof *values, error);
    for (size_t i = 0; i < input_count; i++)
        values[i] = &inputs[i];
    struct plan *p = NULL;
    enum status s = get_plan(e, g, values, input_count, &p, error);
    if (s == STATUS_OK)
        s = run_plan(e, p, values, error);
    return s == STATUS_OK ? collect(e, g, p->values, outputs, g->output_count, error) : s;
}

enum status executor_plan(struct executor *e, const struct graph *g, const struct value *inputs,
                          size_t input_count, const struct plan **out, struct error *error) {
    struct arena_mark mark = arena_mark(&e->heaps[0]);
    const struct value **values = arena_array(&e->heaps[0], input_count, sizeof *values);
    struct plan *p = NULL;
    if (!values)
        return arena_exhausted(&e->heaps[0], input_count * sizeof *values, error);
    for (size_t i = 0; i < input_count; i++)
        values[i] = &inputs[i];
    enum status s = get_plan(e, g, values, input_count, &p, error);
    arena_reset(&e->heaps[0], mark);
    if (s == STATUS_OK)
        *out = p;
    return s;
}

/* ---- subgraphs ---- */

static enum status copy_strings(struct arena *a, struct tensor *t, struct error *error) {
    struct str *s = t->data;
    size_t total = 0;
    for (int64_t i = 0; i < t->count; i++)
        if (!checked_add(total, s[i].size, &total))
            return arena_exhausted(a, total, error);
    char *bytes = arena_alloc(a, total);
    if (!bytes)
        return arena_exhausted(a, total, error);
    for (int64_t i = 0; i < t->count; i++) {
        if (s[i].size > 0)
            memcpy(bytes, s[i].data, s[i].size);
        s[i].data = bytes;
        bytes += s[i].size;
    }
    return STATUS_OK;
}

/* `room`: a tensor of the same type and shape that may be written over, or NULL. */
static enum status copy_tensor(struct arena *a, const struct tensor *from, const struct value *room,
                               struct tensor *to, struct error *error) {
    struct tensor t = *from;
    bool reuse = room && room->kind == VALUE_TENSOR && room->tensor.data &&
                 room->tensor.dtype == from->dtype && tensor_same_shape(&room->tensor, from) &&
                 from->dtype != DTYPE_STRING;
    t.data = reuse ? room->tensor.data : arena_alloc(a, from->bytes);
    if (!t.data)
        return arena_exhausted(a, from->bytes, error);
    memmove(t.data, from->data, from->bytes);
    enum status s = t.dtype == DTYPE_STRING ? copy_strings(a, &t, error) : STATUS_OK;
    if (s == STATUS_OK)
        *to = t;
    return s;
}

/* Sequences hold tensors, or maps of two tensors: two levels, no recursion. */
static enum status copy_value(struct arena *a, const struct value *from, struct value *to,
                              struct error *error) {
    struct value v = *from;
    enum status s = STATUS_OK;
    if (from->kind == VALUE_TENSOR)
        s = copy_tensor(a, &from->tensor, to, &v.tensor, error);
    if (from->kind == VALUE_SEQUENCE || from->kind == VALUE_MAP) {
        v.items = arena_array(a, from->count, sizeof *v.items);
        if (!v.items)
            return arena_exhausted(a, from->count * sizeof *v.items, error);
    }
    for (size_t i = 0; s == STATUS_OK && v.items && from->items && i < from->count; i++) {
        v.items[i] = from->items[i];
        if (from->items[i].kind == VALUE_TENSOR) {
            s = copy_tensor(a, &from->items[i].tensor, NULL, &v.items[i].tensor, error);
            continue;
        }
        struct value *inner = arena_array(a, from->items[i].count, sizeof *inner);
        if (!inner)
            return arena_exhausted(a, from->items[i].count * sizeof *inner, error);
        v.items[i].items = inner;
        for (size_t k = 0; s == STATUS_OK && k < from->items[i].count; k++) {
            inner[k] = from->items[i].items[k];
            if (inner[k].kind == VALUE_TENSOR)
                s = copy_tensor(a, &from->items[i].items[k].tensor, NULL, &inner[k].tensor, error);
        }
    }
    if (s == STATUS_OK)
        *to = v;
    return s;
}

static enum status subgraph_values(struct executor *e, const struct graph *g,
                                   const struct value *inputs, size_t n, const struct value ***out,
                                   struct error *error) {
    const struct plan *outer = e->running[e->depth];
    const struct value **values =
        arena_array(&e->heaps[e->depth + 1], n + g->capture_count, sizeof *values);
    if (!values)
        return arena_exhausted(&e->heaps[e->depth + 1], n + g->capture_count, error);
    for (size_t i = 0; i < n; i++)
        values[i] = &inputs[i];
    for (size_t i = 0; i < g->capture_count; i++) {
        values[n + i] = outer->values[g->captures[i].outer];
        if (!values[n + i])
            return status_fail(error, STATUS_INVALID, "a value of the outer graph is missing");
    }
    *out = values;
    return STATUS_OK;
}

static enum status run_subgraph(struct op_ctx *c, const struct graph *g, const struct value *inputs,
                                size_t n, struct value *outputs, size_t m) {
    struct executor *e = c->env->run;
    struct arena *callers = c->heap;
    if (n != g->input_count || m != g->output_count)
        return op_fail(c, "the subgraph has %zu inputs and %zu outputs, %zu and %zu are needed",
                       g->input_count, g->output_count, n, m);
    if (e->depth + 1 >= EXECUTOR_DEPTH)
        return op_fail(c, "subgraphs are nested more than %d deep", LIMITS_GRAPH_DEPTH);
    const struct value **values = NULL;
    struct plan *p = NULL;
    struct value *results = NULL;
    enum status s = check_deadline(e, c->error);
    if (s == STATUS_OK)
        s = subgraph_values(e, g, inputs, n, &values, c->error);
    if (s != STATUS_OK)
        return s;
    e->depth++;
    struct arena *heap = &e->heaps[e->depth];
    results = arena_array(heap, m, sizeof *results);
    if (!results)
        s = arena_exhausted(heap, m * sizeof *results, c->error);
    if (s == STATUS_OK)
        s = get_plan(e, g, values, n + g->capture_count, &p, c->error);
    if (s == STATUS_OK)
        s = run_plan(e, p, values, c->error);
    if (s == STATUS_OK)
        s = collect(e, g, p->values, results, m, c->error);
    for (size_t i = 0; s == STATUS_OK && i < m; i++)
        s = copy_value(callers, &results[i], &outputs[i], c->error);
    arena_clear(heap);
    e->depth--;
    return s;
}
