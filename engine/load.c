#include "engine/load.h"

#include "engine/call.h"
#include "engine/model/limits.h"

#include <stdio.h>
#include <string.h>

#define FOLD_MOST ((size_t)64 << 20) /* bytes of one folded constant */

/* ---- walking nodes, subgraphs included ---- */

/* Every graph of the model: subgraphs follow the graph that their node is in. */
struct graphs {
    struct graph **list;
    size_t count;
};

static enum status list_graphs(const struct load_context *c, struct graphs *out) {
    out->list = arena_array(c->graph, c->model->graph_count, sizeof(struct graph *));
    if (!out->list)
        return arena_exhausted(c->graph, c->model->graph_count, c->error);
    out->list[0] = c->model->graph;
    out->count = 1;
    /* A graph that a function's caller gave may be named by several nodes. */
    bool *seen = arena_array(c->graph, c->model->graph_count, sizeof *seen);
    if (!seen)
        return arena_exhausted(c->graph, c->model->graph_count, c->error);
    for (size_t at = 0; at < out->count; at++) {
        struct graph *g = out->list[at];
        for (size_t k = 0; k < g->node_count; k++)
            for (size_t i = 0; i < g->nodes[k].attribute_count; i++) {
                const struct attribute *a = &g->nodes[k].attributes[i];
                for (size_t j = 0; a->graphs && j < a->count; j++) {
                    if (!seen[a->graphs[j]->id])
                        out->list[out->count++] = a->graphs[j];
                    seen[a->graphs[j]->id] = true;
                }
            }
    }
    return STATUS_OK;
}

/* ---- operator rows ---- */

static bool same_operator(const struct node *a, const struct node *b) {
    return str_equal(a->op_type, b->op_type) && str_equal(a->domain, b->domain);
}

/* Operators that stand in the way, each kind once, as one text for the error. */
struct obstacles {
    char text[ERROR_MESSAGE_MAX - 128];
    const struct node *seen[64];
    size_t used, count;
};

static void add_obstacle(struct obstacles *o, const struct node *n) {
    char domain[48], type[64];
    for (size_t i = 0; i < o->count; i++)
        if (same_operator(o->seen[i], n))
            return;
    if (o->count == sizeof o->seen / sizeof o->seen[0])
        return;
    o->seen[o->count++] = n;
    int wrote =
        snprintf(o->text + o->used, sizeof o->text - o->used, "%s%s.%s (opset %lld)",
                 o->count > 1 ? ", " : "",
                 n->domain.size ? graph_name_text(n->domain, domain, sizeof domain) : "ai.onnx",
                 graph_name_text(n->op_type, type, sizeof type), (long long)n->opset);
    if (wrote > 0 && (size_t)wrote < sizeof o->text - o->used)
        o->used += (size_t)wrote;
}

static bool domain_allowed(const struct load_context *c, struct str domain) {
    if (!c->domains)
        return true;
    for (size_t i = 0; c->domains[i]; i++)
        if (str_is(domain, c->domains[i]) ||
            (domain.size == 0 && strcmp(c->domains[i], "ai.onnx") == 0))
            return true;
    return false;
}

static enum status find_rows(const struct load_context *c, const struct graphs *all) {
    struct obstacles missing = {.count = 0}, outside = {.count = 0};
    for (size_t at = 0; at < all->count; at++)
        for (size_t k = 0; k < all->list[at]->node_count; k++) {
            struct node *n = &all->list[at]->nodes[k];
            /* ONNX Runtime's optimiser leaves the import of its own domain out. */
            if (n->opset == 0 && str_is(n->domain, "com.microsoft"))
                n->opset = 1;
            n->row = n->opset > 0 ? op_find(n->domain, n->op_type, n->opset) : NULL;
            if (!n->row)
                add_obstacle(&missing, n);
            else if (!domain_allowed(c, n->domain))
                add_obstacle(&outside, n);
        }
    if (missing.count)
        return status_fail(c->error, STATUS_UNSERVABLE, "%zu operator%s not served: %s",
                           missing.count, missing.count == 1 ? " is" : "s are", missing.text);
    if (outside.count)
        return status_fail(c->error, STATUS_UNSERVABLE,
                           "%zu operator%s of a domain that is not allowed here: %s", outside.count,
                           outside.count == 1 ? " is" : "s are", outside.text);
    return STATUS_OK;
}

static enum status check_opsets(const struct load_context *c) {
    for (size_t i = 0; i < c->model->opset_count; i++) {
        const struct opset *o = &c->model->opsets[i];
        bool standard = o->domain.size == 0 || str_is(o->domain, "ai.onnx");
        if (standard && (o->version < 1 || o->version > LIMITS_OPSET_NEWEST))
            return status_fail(c->error, STATUS_UNSERVABLE,
                               "opset %lld of ai.onnx is imported, 1 to %d are known",
                               (long long)o->version, LIMITS_OPSET_NEWEST);
    }
    return STATUS_OK;
}

/* ---- one node ---- */

struct call_frame {
    struct op_ctx ctx;
    const struct value **in;
    bool *in_constant, *packed;
    struct value *out;
};

static enum status make_frame(const struct load_context *c, const struct node *n,
                              struct call_frame *f) {
    f->in = arena_array(c->scratch, n->input_count, sizeof *f->in);
    f->in_constant = arena_array(c->scratch, n->input_count, sizeof *f->in_constant);
    f->packed = arena_array(c->scratch, n->input_count, sizeof *f->packed);
    f->out = arena_array(c->scratch, n->output_count, sizeof *f->out);
    if (!f->in || !f->in_constant || !f->packed || !f->out)
        return arena_exhausted(c->scratch, n->input_count * sizeof *f->in, c->error);
    for (size_t i = 0; i < n->input_count; i++) {
        if (n->inputs[i] < 0)
            continue;
        const struct value *constant = n->graph->values[n->inputs[i]].constant;
        f->in[i] = constant ? constant : &call_unknown;
        f->in_constant[i] = constant != NULL;
    }
    f->ctx = (struct op_ctx){.node = n,
                             .in = f->in,
                             .in_constant = f->in_constant,
                             .packed = f->packed,
                             .out = f->out,
                             .in_count = n->input_count,
                             .out_count = n->output_count,
                             .heap = c->weights,
                             .scratch = c->scratch,
                             .weights = c->weights,
                             .graph = c->graph,
                             .env = c->env,
                             .opset = n->opset,
                             .error = c->error};
    return STATUS_OK;
}

/* ---- folding ---- */

static bool all_constant(const struct node *n) {
    if (n->row->flags & (OP_RANDOM | OP_CONTROL | OP_SEQUENCE))
        return false;
    for (size_t i = 0; i < n->input_count; i++)
        if (n->inputs[i] >= 0 && !n->graph->values[n->inputs[i]].constant)
            return false;
    return true;
}

static size_t out_bytes(const struct call_frame *f) {
    size_t sum = 0;
    for (size_t i = 0; i < f->ctx.out_count; i++) {
        /* What points to data already (a constant) takes no more memory. */
        bool made = f->out[i].kind == VALUE_TENSOR && !f->out[i].tensor.data;
        size_t bytes = made ? f->out[i].tensor.bytes : 0;
        sum += bytes < FOLD_MOST ? bytes : FOLD_MOST + 1;
    }
    return sum;
}

/* A node that fails on its constants may sit in a branch that is never taken: it is left to fail
 * when it is reached. */
static enum status fold(const struct load_context *c, struct node *n) {
    struct call_frame f;
    struct error ignored = {0};
    struct arena_mark mark = arena_mark(c->scratch);
    enum status s = make_frame(c, n, &f);
    if (s != STATUS_OK)
        return s;
    f.ctx.error = &ignored;
    bool ok = call_prepare(&f.ctx) == STATUS_OK && call_infer(&f.ctx) == STATUS_OK &&
              f.ctx.state != OP_SHAPE_LATER && out_bytes(&f) <= FOLD_MOST &&
              (f.ctx.state != OP_SHAPE_KNOWN || call_allocate(&f.ctx) == STATUS_OK) &&
              call_run(&f.ctx) == STATUS_OK;
    struct value *kept = ok ? arena_array(c->graph, n->output_count, sizeof *kept) : NULL;
    for (size_t i = 0; kept && i < n->output_count; i++) {
        if (n->outputs[i] < 0)
            continue;
        kept[i] = f.out[i];
        n->graph->values[n->outputs[i]].constant = &kept[i];
    }
    n->folded = kept != NULL;
    arena_reset(c->scratch, mark);
    return STATUS_OK;
}

static void pass_captures(const struct node *n) {
    for (size_t i = 0; i < n->attribute_count; i++) {
        const struct attribute *a = &n->attributes[i];
        for (size_t k = 0; a->graphs && k < a->count; k++) {
            struct graph *g = a->graphs[k];
            for (size_t j = 0; j < g->capture_count; j++)
                g->values[g->captures[j].local].constant =
                    n->graph->values[g->captures[j].outer].constant;
        }
    }
}

/* Subgraphs come after their parents in the list, so their captures are known by then. */
static enum status fold_all(const struct load_context *c, const struct graphs *all) {
    enum status s = STATUS_OK;
    for (size_t at = 0; at < all->count; at++)
        for (size_t k = 0; s == STATUS_OK && k < all->list[at]->node_count; k++) {
            struct node *n = &all->list[at]->nodes[k];
            if (all_constant(n))
                s = fold(c, n);
            pass_captures(n);
        }
    return s;
}

/* ---- nodes that nobody reads ---- */

static enum status mark_dead(const struct load_context *c, struct graph *g) {
    struct arena_mark mark = arena_mark(c->scratch);
    bool *read = arena_array(c->scratch, g->value_count, sizeof *read);
    if (!read)
        return arena_exhausted(c->scratch, g->value_count, c->error);
    for (size_t i = 0; i < g->output_count; i++)
        read[g->outputs[i]] = true;
    for (size_t k = g->node_count; k-- > 0;) {
        struct node *n = &g->nodes[k];
        bool wanted = false;
        for (size_t i = 0; i < n->output_count; i++)
            wanted = wanted || (n->outputs[i] >= 0 && read[n->outputs[i]]);
        n->dead = !wanted;
        for (size_t i = 0; wanted && !n->folded && i < n->input_count; i++)
            if (n->inputs[i] >= 0)
                read[n->inputs[i]] = true;
        for (size_t i = 0; wanted && i < n->implicit_count; i++)
            read[n->implicit[i]] = true;
    }
    arena_reset(c->scratch, mark);
    return STATUS_OK;
}

/* ---- packing ---- */

/* Sizes first (`measure`), then the packing itself. */
static enum status prepare_all(const struct load_context *c, const struct graphs *all, bool measure,
                               size_t *need, struct spent *spent) {
    enum status s = STATUS_OK;
    for (size_t at = 0; at < all->count; at++)
        for (size_t k = 0; s == STATUS_OK && k < all->list[at]->node_count; k++) {
            struct node *n = &all->list[at]->nodes[k];
            struct call_frame f;
            size_t bytes = 0;
            if (n->folded || n->dead)
                continue;
            if (!n->row->prepare) {
                spent_node(spent, n, NULL);
                continue;
            }
            struct arena_mark mark = arena_mark(c->scratch);
            s = make_frame(c, n, &f);
            if (s == STATUS_OK && !measure) {
                s = call_prepare(&f.ctx);
                if (s == STATUS_OK)
                    spent_node(spent, n, f.packed);
            } else if (s == STATUS_OK &&
                       !(checked_align(call_pack_size(&f.ctx), MEMORY_ALIGN, &bytes) &&
                         checked_add(*need, bytes, need)))
                s = status_fail(c->error, STATUS_TOO_LARGE, "the packed weights are too large");
            arena_reset(c->scratch, mark);
        }
    return s;
}

enum status load_model(const struct load_context *c) {
    struct graphs all = {0};
    struct spent spent = {0};
    size_t need = 0;
    enum status s = check_opsets(c);
    if (s == STATUS_OK)
        s = list_graphs(c, &all);
    if (s == STATUS_OK)
        s = find_rows(c, &all);
    if (s == STATUS_OK)
        s = fold_all(c, &all);
    for (size_t at = 0; s == STATUS_OK && at < all.count; at++)
        s = mark_dead(c, all.list[at]);
    if (s == STATUS_OK)
        s = prepare_all(c, &all, true, &need, &spent);
    if (s == STATUS_OK && need > 0)
        s = arena_reserve(c->weights, need, c->error);
    if (s == STATUS_OK) {
        spent = (struct spent){.discard = c->discard, .ctx = c->discard_ctx};
        spent_list(&spent, c->graph, all.list, all.count);
        s = prepare_all(c, &all, false, &need, &spent);
    }
    if (s == STATUS_INVALID && c->error) {
        /* Well-formed, but a node in it is not one that can run. */
        c->error->status = STATUS_UNSERVABLE;
        s = STATUS_UNSERVABLE;
    }
    return s;
}
