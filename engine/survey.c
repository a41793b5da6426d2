#include "engine/survey.h"

#include "engine/call.h"
#include "engine/model/limits.h"

#define TRIES 5
static const int64_t sizes[TRIES] = {2, 3, 32, 64, 224};

/* An input of its declared type, every varying dimension `size` long; false where it has none. */
static bool make_input(const struct type_info *t, int64_t size, struct value *out) {
    int64_t dims[TENSOR_MAX_RANK] = {0};
    if (t->kind != VALUE_TENSOR || t->rank < 0)
        return false;
    for (int d = 0; d < t->rank; d++)
        dims[d] = t->dims[d] < 0 ? size : t->dims[d];
    *out = (struct value){.kind = VALUE_TENSOR};
    return tensor_shape(&out->tensor, t->dtype, t->rank, dims, NULL) == STATUS_OK;
}

/* A graph that is looked at, with what is known of its values on each try; NULL: nothing. */
struct level {
    const struct graph *g;
    const struct value **values[TRIES];
    bool branch; /* of an If: runs only where its condition holds, whose shapes may be others */
};

struct survey {
    struct executor *e;
    survey_fn *fn;
    void *arg;
};

static enum status open_level(struct survey *s, struct level *l, struct error *error) {
    struct arena *a = &s->e->scratch;
    const size_t count = l->g->value_count;
    for (int t = 0; t < TRIES; t++) {
        l->values[t] = arena_array(a, count, sizeof *l->values[t]);
        if (!l->values[t])
            return arena_exhausted(a, count * sizeof *l->values[t], error);
        for (size_t i = 0; i < count; i++)
            l->values[t][i] = l->g->values[i].constant;
    }
    return STATUS_OK;
}

enum found { UNKNOWN, SERVED, REFUSED };

/* Infers node n on try t, where all its inputs are known. */
static enum status look(struct survey *s, struct level *l, int t, const struct node *n,
                        enum found *found, struct error *why) {
    struct arena *a = &s->e->scratch;
    const struct value **values = l->values[t];
    const struct value **in = arena_array(a, n->input_count, sizeof *in);
    bool *constant = arena_array(a, n->input_count, sizeof *constant);
    struct value *out = arena_array(a, n->output_count, sizeof *out);
    *found = UNKNOWN;
    if (!in || !constant || !out)
        return arena_exhausted(a, n->output_count * sizeof *out, why);
    for (size_t i = 0; i < n->input_count; i++) {
        if (n->inputs[i] < 0)
            continue;
        in[i] = values[n->inputs[i]];
        constant[i] = l->g->values[n->inputs[i]].constant != NULL;
        if (!in[i])
            return STATUS_OK;
    }
    struct op_ctx ctx = {.node = n,
                         .in = in,
                         .in_constant = constant,
                         .out = out,
                         .in_count = n->input_count,
                         .out_count = n->output_count,
                         .heap = a,
                         .scratch = a,
                         .env = &s->e->env,
                         .opset = n->opset,
                         .error = why};
    const bool fits = call_infer(&ctx) == STATUS_OK;
    for (size_t i = 0; fits && ctx.state == OP_SHAPE_KNOWN && i < n->output_count; i++)
        if (n->outputs[i] >= 0 && out[i].kind == VALUE_TENSOR)
            values[n->outputs[i]] = &out[i];
    const bool counts = !l->branch || ctx.bad_type || ctx.bad_attribute;
    *found = fits || !counts ? SERVED : REFUSED;
    return STATUS_OK;
}

/* ---- subgraphs ---- */

/* An input of a body that is a whole input of the node, or a slice of it along its first axis. */
static enum status pass(struct survey *s, const struct level *outer, struct level *l, int t,
                        const struct node *n, size_t from, size_t to, bool slice,
                        struct error *error) {
    if (from >= n->input_count || n->inputs[from] < 0 || to >= l->g->input_count)
        return STATUS_OK;
    const struct value *v = outer->values[t][n->inputs[from]];
    if (!v || v->kind != VALUE_TENSOR || (slice && v->tensor.rank < 1))
        return STATUS_OK;
    struct value *known = arena_array(&s->e->scratch, 1, sizeof *known);
    if (!known)
        return arena_exhausted(&s->e->scratch, sizeof *known, error);
    *known = (struct value){.kind = VALUE_TENSOR};
    const struct tensor *x = &v->tensor;
    if (tensor_shape(&known->tensor, x->dtype, x->rank - slice, x->dims + slice, NULL) == STATUS_OK)
        l->values[t][l->g->inputs[to]] = known;
    return STATUS_OK;
}

/* What the first turn of a Loop's or Scan's body is given. */
static enum status pass_inputs(struct survey *s, const struct level *outer, struct level *l, int t,
                               const struct node *n, struct error *error) {
    enum status st = STATUS_OK;
    if (str_is(n->op_type, "Loop"))
        for (size_t i = 2; i < l->g->input_count && st == STATUS_OK; i++)
            st = pass(s, outer, l, t, n, i, i, false, error);
    const struct attribute *scans = graph_node_attribute(n, "num_scan_inputs");
    if (!str_is(n->op_type, "Scan") || n->opset < 9 || !scans || scans->i < 1 ||
        scans->i > (int64_t)n->input_count || graph_node_attribute(n, "scan_input_axes"))
        return st;
    for (size_t i = 0; i < n->input_count && st == STATUS_OK; i++)
        st = pass(s, outer, l, t, n, i, i, i >= n->input_count - (size_t)scans->i, error);
    return st;
}

static enum status walk(struct survey *s, struct level *l, size_t depth, struct error *error);

static enum status enter(struct survey *s, const struct level *outer, const struct node *n,
                         const struct graph *g, size_t depth, struct error *error) {
    struct level l = {.g = g, .branch = outer->branch || str_is(n->op_type, "If")};
    enum status st = open_level(s, &l, error);
    for (int t = 0; t < TRIES && st == STATUS_OK; t++) {
        for (size_t i = 0; i < g->capture_count; i++)
            if (!l.values[t][g->captures[i].local])
                l.values[t][g->captures[i].local] = outer->values[t][g->captures[i].outer];
        st = pass_inputs(s, outer, &l, t, n, error);
    }
    return st == STATUS_OK ? walk(s, &l, depth + 1, error) : st;
}

/* The reader bounds how deep graphs lie within graphs. */
static enum status walk(struct survey *s, struct level *l, size_t depth, struct error *error) {
    enum status st = STATUS_OK;
    for (size_t k = 0; k < l->g->node_count && st == STATUS_OK; k++) {
        const struct node *n = &l->g->nodes[k];
        struct error why = {0};
        int refused = 0, known = 0;
        if (n->folded || n->dead)
            continue;
        for (int t = 0; t < TRIES && st == STATUS_OK; t++) {
            enum found found = UNKNOWN;
            struct error reason = {0};
            st = look(s, l, t, n, &found, &reason);
            refused += found == REFUSED;
            known += found != UNKNOWN;
            if (st != STATUS_OK || found == REFUSED)
                why = reason;
        }
        if (st != STATUS_OK)
            return status_fail(error, st, "%s", why.message);
        if (refused == known && refused > 1)
            s->fn(s->arg, why.message);
        for (size_t i = 0; i < n->attribute_count && depth < LIMITS_GRAPH_DEPTH; i++)
            if (n->attributes[i].type == ATTR_GRAPH && st == STATUS_OK)
                st = enter(s, l, n, n->attributes[i].g, depth, error);
    }
    return st;
}

enum status survey_graph(struct executor *e, const struct graph *g,
                         const struct type_info *const *inputs, survey_fn *fn, void *arg,
                         struct error *error) {
    struct arena_mark mark = arena_mark(&e->scratch);
    struct survey s = {.e = e, .fn = fn, .arg = arg};
    struct level l = {.g = g};
    enum status st = open_level(&s, &l, error);
    for (int t = 0; t < TRIES && st == STATUS_OK; t++) {
        struct value *made = arena_array(&e->scratch, g->input_count, sizeof *made);
        if (!made)
            st = arena_exhausted(&e->scratch, g->input_count * sizeof *made, error);
        for (size_t i = 0; made && i < g->input_count; i++)
            if (!l.values[t][g->inputs[i]] && make_input(inputs[i], sizes[t], &made[i]))
                l.values[t][g->inputs[i]] = &made[i];
    }
    if (st == STATUS_OK)
        st = walk(&s, &l, 0, error);
    arena_reset(&e->scratch, mark);
    return st;
}
