#include "engine/signature.h"

#define TRIES 2

static bool is_open(const struct type_info *t) {
    return t->kind == VALUE_NONE || (t->kind == VALUE_TENSOR && (t->rank < 0 || !t->dtype));
}

/* Inputs of the declared types, every varying dimension `size` long; false where one has no shape.
 */
static bool make_inputs(const struct graph *g, const struct type_info *const *types, int64_t size,
                        struct value *out) {
    for (size_t i = 0; i < g->input_count; i++) {
        int64_t dims[TENSOR_MAX_RANK] = {0};
        if (types[i]->kind != VALUE_TENSOR || types[i]->rank < 0)
            return false;
        for (int d = 0; d < types[i]->rank; d++)
            dims[d] = types[i]->dims[d] < 0 ? size : types[i]->dims[d];
        out[i] = (struct value){.kind = VALUE_TENSOR};
        if (tensor_shape(&out[i].tensor, types[i]->dtype, types[i]->rank, dims, NULL) != STATUS_OK)
            return false;
    }
    return true;
}

/* What a plan knows of an output, into the type; on the second try, what differs varies. */
static void note(const struct value *v, int attempt, struct type_info *t, bool *known) {
    const struct tensor *x = &v->tensor;
    if (v->kind != VALUE_TENSOR) {
        *known = false;
        return;
    }
    if (attempt == 0) {
        *t = (struct type_info){.kind = VALUE_TENSOR, .dtype = x->dtype, .rank = x->rank};
        memcpy(t->dims, x->dims, (size_t)x->rank * sizeof *t->dims);
        return;
    }
    *known = *known && t->rank == x->rank && t->dtype == x->dtype;
    for (int d = 0; *known && d < x->rank; d++)
        if (t->dims[d] != x->dims[d])
            t->dims[d] = -1;
}

enum status signature_complete(struct executor *e, const struct graph *g,
                               const struct type_info *const *inputs,
                               struct type_info *const *outputs, struct error *error) {
    static const int64_t sizes[TRIES] = {2, 3};
    struct arena_mark mark = arena_mark(&e->scratch);
    struct type_info *found = arena_array(&e->scratch, g->output_count, sizeof *found);
    struct value *values = arena_array(&e->scratch, g->input_count, sizeof *values);
    bool *known = arena_array(&e->scratch, g->output_count, sizeof *known);
    bool any = false, planned = true;
    if (!found || !values || !known)
        return arena_exhausted(&e->scratch, g->output_count * sizeof *found, error);
    for (size_t i = 0; i < g->output_count; i++)
        any = (known[i] = is_open(outputs[i])) || any;
    for (int attempt = 0; any && planned && attempt < TRIES; attempt++) {
        const struct plan *p = NULL;
        struct error ignored = {0};
        planned = make_inputs(g, inputs, sizes[attempt], values) &&
                  executor_plan(e, g, values, g->input_count, &p, &ignored) == STATUS_OK;
        for (size_t i = 0; planned && i < g->output_count; i++)
            if (known[i])
                note(p->values[g->outputs[i]], attempt, &found[i], &known[i]);
    }
    for (size_t i = 0; any && planned && i < g->output_count; i++)
        if (known[i])
            *outputs[i] = found[i];
    arena_reset(&e->scratch, mark);
    return STATUS_OK;
}
