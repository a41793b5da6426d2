#include "engine/survey.h"

#include "engine/call.h"

#define TRIES 2

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

struct survey {
    struct executor *e;
    const struct graph *g;
    const struct value **values; /* by value; NULL: not known */
    bool *refused;               /* by node, on the first try */
};

/* Infers node n where all its inputs are known; false where it is refused, with the reason. */
static enum status look(struct survey *s, const struct node *n, bool *served, struct error *why) {
    struct arena *a = &s->e->scratch;
    const struct value **in = arena_array(a, n->input_count, sizeof *in);
    bool *constant = arena_array(a, n->input_count, sizeof *constant);
    struct value *out = arena_array(a, n->output_count, sizeof *out);
    *served = true;
    if (!in || !constant || !out)
        return arena_exhausted(a, n->output_count * sizeof *out, why);
    for (size_t i = 0; i < n->input_count; i++) {
        if (n->inputs[i] < 0)
            continue;
        in[i] = s->values[n->inputs[i]];
        constant[i] = s->g->values[n->inputs[i]].constant != NULL;
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
    *served = call_infer(&ctx) == STATUS_OK;
    for (size_t i = 0; *served && ctx.state == OP_SHAPE_KNOWN && i < n->output_count; i++)
        if (n->outputs[i] >= 0 && out[i].kind == VALUE_TENSOR)
            s->values[n->outputs[i]] = &out[i];
    return STATUS_OK;
}

static enum status one_try(struct survey *s, const struct type_info *const *inputs, int64_t size,
                           survey_fn *fn, void *arg, struct error *error) {
    const struct graph *g = s->g;
    struct value *made = arena_array(&s->e->scratch, g->input_count, sizeof *made);
    if (!made)
        return arena_exhausted(&s->e->scratch, g->input_count * sizeof *made, error);
    for (size_t i = 0; i < g->value_count; i++)
        s->values[i] = g->values[i].constant;
    for (size_t i = 0; i < g->input_count; i++)
        if (!s->values[g->inputs[i]] && make_input(inputs[i], size, &made[i]))
            s->values[g->inputs[i]] = &made[i];
    for (size_t k = 0; k < g->node_count; k++) {
        const struct node *n = &g->nodes[k];
        struct error why = {0};
        bool served = true;
        if (n->folded || n->dead)
            continue;
        enum status st = look(s, n, &served, &why);
        if (st != STATUS_OK)
            return status_fail(error, st, "%s", why.message);
        if (!served && !fn)
            s->refused[k] = true;
        else if (!served && s->refused[k])
            fn(arg, why.message);
    }
    return STATUS_OK;
}

enum status survey_graph(struct executor *e, const struct graph *g,
                         const struct type_info *const *inputs, survey_fn *fn, void *arg,
                         struct error *error) {
    static const int64_t sizes[TRIES] = {2, 3};
    struct arena_mark mark = arena_mark(&e->scratch);
    struct survey s = {.e = e,
                       .g = g,
                       .values = arena_array(&e->scratch, g->value_count, sizeof *s.values),
                       .refused = arena_array(&e->scratch, g->node_count, sizeof *s.refused)};
    enum status st = s.values && s.refused
                         ? STATUS_OK
                         : arena_exhausted(&e->scratch, g->value_count * sizeof *s.values, error);
    for (int attempt = 0; st == STATUS_OK && attempt < TRIES; attempt++)
        st = one_try(&s, inputs, sizes[attempt], attempt + 1 < TRIES ? NULL : fn, arg, error);
    arena_reset(&e->scratch, mark);
    return st;
}
