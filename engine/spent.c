#include "engine/spent.h"

#include "base/sort.h"

/* Where entries go; first they are only counted. */
struct sink {
    struct spent_entry *entries; /* NULL: count */
    size_t count;
};

static void add(struct sink *to, const struct tensor *t) {
    if (!t->data || t->bytes == 0)
        return;
    if (to->entries)
        to->entries[to->count] = (struct spent_entry){.start = t->data, .size = t->bytes};
    to->count++;
}

static bool has_bytes(const struct value *v) {
    return v && v->kind == VALUE_TENSOR && v->tensor.data && v->tensor.bytes > 0;
}

/* A sequence or map of constants: its items may hold maps. */
static void add_items(struct sink *to, const struct value *v) {
    size_t items = v->kind == VALUE_MAP ? 2 : v->kind == VALUE_SEQUENCE ? v->count : 0;
    for (size_t i = 0; i < items; i++) {
        const struct value *item = &v->items[i];
        if (item->kind == VALUE_TENSOR)
            add(to, &item->tensor);
        for (size_t k = 0; item->kind == VALUE_MAP && k < 2; k++)
            add(to, &item->items[k].tensor);
    }
}

static bool live(const struct node *n) {
    return !n->folded && !n->dead;
}

static const struct value *input_constant(const struct node *n, size_t i) {
    return n->inputs[i] < 0 ? NULL : n->graph->values[n->inputs[i]].constant;
}

static void add_inputs(struct sink *to, const struct node *n) {
    for (size_t i = 0; i < n->input_count; i++) {
        const struct value *v = input_constant(n, i);
        if (has_bytes(v))
            add(to, &v->tensor);
    }
}

/* What is never packed. */
static void add_others(struct sink *to, const struct node *n) {
    for (size_t i = 0; i < n->input_count; i++) {
        const struct value *v = input_constant(n, i);
        if (v && v->kind != VALUE_TENSOR)
            add_items(to, v);
    }
    for (size_t i = 0; i < n->attribute_count; i++)
        for (size_t k = 0; n->attributes[i].tensors && k < n->attributes[i].count; k++)
            add(to, &n->attributes[i].tensors[k].tensor);
}

static void add_outputs(struct sink *to, const struct graph *g) {
    for (size_t i = 0; i < g->output_count; i++) {
        const struct value *v = g->values[g->outputs[i]].constant;
        if (has_bytes(v))
            add(to, &v->tensor);
        else if (v)
            add_items(to, v);
    }
}

static void add_all(struct sink *to, struct graph *const *graphs, size_t count) {
    for (size_t at = 0; at < count; at++)
        for (size_t k = 0; k < graphs[at]->node_count; k++)
            if (live(&graphs[at]->nodes[k]))
                add_inputs(to, &graphs[at]->nodes[k]);
    for (size_t at = 0; at < count; at++) {
        for (size_t k = 0; k < graphs[at]->node_count; k++)
            if (live(&graphs[at]->nodes[k]))
                add_others(to, &graphs[at]->nodes[k]);
        add_outputs(to, graphs[at]);
    }
}

static int by_place(const void *a, const void *b, void *entries) {
    const size_t i = *(const size_t *)a, k = *(const size_t *)b;
    const struct spent_entry *x = (struct spent_entry *)entries + i,
                             *y = (struct spent_entry *)entries + k;
    if (x->start != y->start)
        return x->start < y->start ? -1 : 1;
    return i < k ? -1 : i > k;
}

void spent_list(struct spent *s, struct arena *arena, struct graph *const *graphs, size_t count) {
    struct sink to = {0};
    if (!s->discard)
        return;
    add_all(&to, graphs, count);
    s->entries = arena_array(arena, to.count, sizeof *s->entries);
    s->sorted = arena_array(arena, to.count, sizeof *s->sorted);
    s->ends = arena_array(arena, to.count, sizeof *s->ends);
    if (!s->entries || !s->sorted || !s->ends) {
        s->discard = NULL;
        return;
    }
    to = (struct sink){.entries = s->entries};
    add_all(&to, graphs, count);
    s->count = to.count;
    for (size_t i = 0; i < s->count; i++)
        s->sorted[i] = i;
    sort_heap(s->sorted, s->count, sizeof *s->sorted, by_place, s->entries);
    for (size_t i = 0; i < s->count; i++) {
        const struct spent_entry *e = &s->entries[s->sorted[i]];
        s->ends[i] =
            i > 0 && s->ends[i - 1] > e->start + e->size ? s->ends[i - 1] : e->start + e->size;
    }
}

/* Is every entry that overlaps these bytes packed? From the last one that begins before their end
 * backwards, while one may still reach into them. The one of a node that comes later is met first
 * and ends the search, so that many nodes with the same bytes cost little. */
static bool all_packed(const struct spent *s, const struct spent_entry *bytes) {
    size_t low = 0, high = s->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (s->entries[s->sorted[middle]].start < bytes->start + bytes->size)
            low = middle + 1;
        else
            high = middle;
    }
    for (size_t i = low; i-- > 0 && s->ends[i] > bytes->start;) {
        const struct spent_entry *e = &s->entries[s->sorted[i]];
        if (e->start + e->size > bytes->start && !e->packed)
            return false;
    }
    return true;
}

void spent_node(struct spent *s, const struct node *n, const bool *packed) {
    if (!s->discard || !live(n))
        return;
    for (size_t i = 0; i < n->input_count; i++) {
        if (!has_bytes(input_constant(n, i)))
            continue;
        struct spent_entry *e = &s->entries[s->next++];
        if (!packed || !packed[i])
            continue;
        e->packed = true;
        if (all_packed(s, e))
            s->discard(s->ctx, e->start, e->size);
    }
}
