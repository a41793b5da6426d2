#include "engine/model/reader_scope.h"

static size_t hash(struct str s) {
    uint64_t h = 14695981039346656037u; /* FNV-1a */
    for (size_t i = 0; i < s.size; i++)
        h = (h ^ (uint8_t)s.data[i]) * 1099511628211u;
    return (size_t)(h ^ h >> 32);
}

static struct reader_name *slot(const struct reader_scope *s, struct str name) {
    size_t i = hash(name) & (s->capacity - 1);
    while (s->names[i].name.data && !str_equal(s->names[i].name, name))
        i = (i + 1) & (s->capacity - 1);
    return &s->names[i];
}

static enum status grow_names(struct wire_path *p, struct arena *a, struct reader_scope *s) {
    struct reader_scope bigger = *s;
    bigger.capacity = s->capacity ? s->capacity * 2 : 64;
    bigger.names = arena_array(a, bigger.capacity, sizeof *bigger.names);
    if (!bigger.names)
        return arena_exhausted(a, bigger.capacity * sizeof *bigger.names, p->error);
    for (size_t i = 0; i < s->capacity; i++)
        if (s->names[i].name.data)
            *slot(&bigger, s->names[i].name) = s->names[i];
    *s = bigger;
    return STATUS_OK;
}

/* Room for one more element in an array that doubles; the old one stays behind in the arena. */
static void *grow(struct arena *a, void *old, size_t count, size_t *capacity, size_t size) {
    if (count < *capacity)
        return old;
    size_t wanted = *capacity ? *capacity * 2 : 16;
    void *p = arena_array(a, wanted, size);
    if (!p)
        return NULL;
    if (count > 0)
        memcpy(p, old, count * size);
    *capacity = wanted;
    return p;
}

static enum status too_many(struct wire_path *p, const char *what, size_t most) {
    return wire_fail(p, STATUS_UNSERVABLE, "the model has more than %zu %s", most, what);
}

enum status reader_scope_bind(struct wire_path *p, struct arena *a, struct reader_scope *s,
                              struct str name, int32_t value) {
    if (s->count * 2 >= s->capacity) {
        enum status status = grow_names(p, a, s);
        if (status != STATUS_OK)
            return status;
    }
    struct reader_name *n = slot(s, name);
    if (n->name.data) {
        char text[80];
        return wire_fail(p, STATUS_INVALID, "the name \"%s\" is given to two values",
                         graph_name_text(name, text, sizeof text));
    }
    *n = (struct reader_name){name, value};
    s->count++;
    return STATUS_OK;
}

enum status reader_scope_value(struct wire_path *p, struct arena *a, struct reader_scope *s,
                               struct str name, int32_t *value) {
    struct graph *g = s->build->graph;
    if (g->value_count >= LIMITS_VALUES)
        return too_many(p, "values", LIMITS_VALUES);
    struct graph_value *values =
        grow(a, g->values, g->value_count, &s->build->value_capacity, sizeof *values);
    if (!values)
        return arena_exhausted(a, g->value_count * sizeof *values, p->error);
    g->values = values;
    *value = (int32_t)g->value_count++;
    values[*value] =
        (struct graph_value){.name = name, .type = {.rank = -1}, .producer = -1, .capture = -1};
    return STATUS_OK;
}

enum status reader_scope_node(struct wire_path *p, struct arena *a, struct reader_scope *s,
                              const struct node *node) {
    struct graph *g = s->build->graph;
    if (g->node_count >= LIMITS_NODES)
        return too_many(p, "nodes", LIMITS_NODES);
    struct node *nodes = grow(a, g->nodes, g->node_count, &s->build->node_capacity, sizeof *nodes);
    if (!nodes)
        return arena_exhausted(a, g->node_count * sizeof *nodes, p->error);
    g->nodes = nodes;
    int32_t index = (int32_t)g->node_count++;
    nodes[index] = *node;
    nodes[index].index = index;
    nodes[index].graph = g;
    for (size_t i = 0; i < node->output_count; i++)
        if (node->outputs[i] >= 0)
            g->values[node->outputs[i]].producer = index;
    return STATUS_OK;
}

static enum status capture(struct wire_path *p, struct arena *a, struct reader_scope *s,
                           struct str name, int32_t outer, int32_t *value) {
    struct graph *g = s->build->graph;
    enum status status = reader_scope_value(p, a, s, name, value);
    if (status == STATUS_OK)
        status = reader_scope_bind(p, a, s, name, *value);
    if (status != STATUS_OK)
        return status;
    struct graph_capture *captures =
        grow(a, g->captures, g->capture_count, &s->build->capture_capacity, sizeof *captures);
    if (!captures)
        return arena_exhausted(a, g->capture_count * sizeof *captures, p->error);
    g->captures = captures;
    g->values[*value].capture = (int32_t)g->capture_count;
    g->values[*value].type = s->outer->build->graph->values[outer].type;
    captures[g->capture_count++] = (struct graph_capture){.outer = outer, .local = *value};
    return STATUS_OK;
}

enum status reader_scope_find(struct wire_path *p, struct arena *a, struct reader_scope *s,
                              struct str name, int32_t *value) {
    /* From the scope that knows the name inwards again, a capture in each: the chain is as long as
     * graphs are nested. */
    struct reader_scope *chain[LIMITS_GRAPH_DEPTH + 1];
    size_t n = 0;
    int32_t found = -1;
    for (struct reader_scope *at = s; at && n <= LIMITS_GRAPH_DEPTH; at = at->outer) {
        const struct reader_name *known = at->capacity ? slot(at, name) : NULL;
        if (known && known->name.data) {
            found = known->value;
            break;
        }
        chain[n++] = at;
    }
    for (; n > 0 && found >= 0; n--) {
        enum status status = capture(p, a, chain[n - 1], name, found, &found);
        if (status != STATUS_OK)
            return status;
    }
    *value = found;
    return STATUS_OK;
}

int64_t reader_scope_opset(const struct reader_scope *s, struct str domain) {
    bool standard = domain.size == 0 || str_is(domain, "ai.onnx");
    for (size_t i = 0; i < s->opset_count; i++) {
        struct str d = s->opsets[i].domain;
        if (str_equal(d, domain) || (standard && (d.size == 0 || str_is(d, "ai.onnx"))))
            return s->opsets[i].version;
    }
    return 0;
}
