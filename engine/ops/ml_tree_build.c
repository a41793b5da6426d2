/* From the attributes of a tree operator to struct tree_ensemble.
 *
 * Both forms of attributes (tuples keyed by tree and node id; indices, in TreeEnsemble of opset 5)
 * are brought to one list of source nodes first. Then every tree is written out from its root, the
 * true side first, with a stack of our own. A branch may be shared, as exporters do where several
 * categories go the same way: it is written once, and every way to it leads there. A node below
 * itself would be a cycle, and is refused, so each walk ends. */
#include "engine/ops/ml_tree.h"
#include "engine/ops/sort.h"

/* Numbers of an attribute that may be a list of floats or a tensor. */
struct numbers {
    const float *f;
    const struct tensor *t;
    size_t count;
};

static struct numbers numbers_of(struct op_ctx *c, const char *list, const char *tensor) {
    struct numbers n = {0};
    if (list)
        n.count = op_attr_floats(c, list, &n.f);
    if (n.count == 0 && op_attr_has(c, tensor)) {
        n.t = op_attr_tensor(c, tensor);
        n.count = n.t && n.t->data ? (size_t)n.t->count : 0;
    }
    return n;
}

static bool numbers_ok(const struct numbers *n) {
    return n->count == 0 || !n->t || n->t->dtype == DTYPE_FLOAT || n->t->dtype == DTYPE_DOUBLE ||
           n->t->dtype == DTYPE_FLOAT16;
}

static bool numbers_exact(const struct numbers *n) {
    return n->count > 0 && n->t && n->t->dtype == DTYPE_DOUBLE;
}

static double number(const struct numbers *n, size_t i) {
    if (!n->t)
        return (double)n->f[i];
    if (n->t->dtype == DTYPE_DOUBLE)
        return ((const double *)n->t->data)[i];
    if (n->t->dtype == DTYPE_FLOAT16)
        return (double)half_to_float(((const uint16_t *)n->t->data)[i]);
    return (double)((const float *)n->t->data)[i];
}

enum source_mode { LEQ, LT, GTE, GT, EQ, NEQ, MEMBER, LEAF };

/* A reference to a child: a node, or a leaf. */
struct source_ref {
    uint32_t index;
    bool is_leaf;
};

struct source_node {
    double value;
    struct source_ref child[2]; /* false, true */
    uint32_t feature;
    uint32_t set; /* MEMBER */
    enum source_mode mode;
    bool missing_true;
    bool written, open; /* open: what is below it is being written */
    uint32_t place;     /* where, once it is written */
};

struct source {
    struct source_node *nodes;
    size_t count;
    bool leaf_nodes; /* a leaf is a source node too, with its index */
    struct source_ref *roots;
    size_t root_count;
};

/* ---- memory ---- */

/* Room for the arrays, in the order in which they are laid out; node_max counts leaf copies too. */
struct room {
    size_t nodes, leaves, weights, roots, base, sets, members;
    bool exact;
};

static bool room_add(size_t *total, size_t count, size_t size) {
    size_t bytes = 0;
    return checked_mul(count, size, &bytes) && checked_align(bytes, MEMORY_ALIGN, &bytes) &&
           checked_add(*total, bytes, total);
}

static size_t room_size(const struct room *r) {
    size_t total = 0;
    bool fits = room_add(&total, r->nodes, sizeof(struct tree_node)) &&
                room_add(&total, r->exact ? r->nodes : 0, sizeof(double)) &&
                room_add(&total, r->leaves, sizeof(struct tree_span)) &&
                room_add(&total, r->weights, sizeof(struct tree_weight)) &&
                room_add(&total, r->roots, sizeof(uint32_t)) &&
                room_add(&total, r->base, sizeof(double)) &&
                room_add(&total, r->sets, sizeof(struct tree_span)) &&
                room_add(&total, r->members, sizeof(double));
    return fits ? total : 0;
}

static void *room_take(char **at, size_t count, size_t size) {
    void *p = *at;
    size_t bytes = count * size;
    *at += (bytes + MEMORY_ALIGN - 1) / MEMORY_ALIGN * MEMORY_ALIGN;
    return p;
}

static enum status ensemble_new(struct op_ctx *c, const struct room *r,
                                struct tree_ensemble **out) {
    struct tree_ensemble *e = op_state_new(c, sizeof *e);
    if (!e)
        return op_no_memory(c);
    size_t size = room_size(r);
    if (size == 0)
        return op_fail(c, "the trees are too large");
    char *at = op_weights_alloc(c, size);
    if (!at)
        return op_no_memory(c);
    e->nodes = room_take(&at, r->nodes, sizeof(struct tree_node));
    e->exact = r->exact ? room_take(&at, r->nodes, sizeof(double)) : NULL;
    e->leaves = room_take(&at, r->leaves, sizeof(struct tree_span));
    e->weights = room_take(&at, r->weights, sizeof(struct tree_weight));
    e->roots = room_take(&at, r->roots, sizeof(uint32_t));
    e->base = room_take(&at, r->base, sizeof(double));
    e->sets = room_take(&at, r->sets, sizeof(struct tree_span));
    e->members = room_take(&at, r->members, sizeof(double));
    *out = e;
    return STATUS_OK;
}

/* ---- writing out ---- */

struct pending {
    struct source_ref ref;
    uint32_t parent; /* where the child's place is to be noted */
    int side;        /* 0, 1; 2: a root; 3: nothing is left below this node */
};

static void put_leaf(struct tree_ensemble *e, uint32_t at, uint32_t leaf) {
    e->nodes[at] = (struct tree_node){.index = leaf, .test = TREE_LT, .child = {at, at}};
    if (e->exact)
        e->exact[at] = 0;
}

/* Returns which side of the written node the source's true child is. */
static int put_branch(struct tree_ensemble *e, uint32_t at, const struct source_node *n) {
    static const struct {
        enum tree_mode mode;
        bool swap;
    } as[] = {
        [LEQ] = {TREE_LEQ, false},       [LT] = {TREE_LT, false}, [GTE] = {TREE_LT, true},
        [GT] = {TREE_LEQ, true},         [EQ] = {TREE_EQ, false}, [NEQ] = {TREE_EQ, true},
        [MEMBER] = {TREE_MEMBER, false},
    };
    bool swap = as[n->mode].swap;
    /* NaN fails every comparison but NEQ, which it always passes. */
    bool nan_goes_true = n->missing_true || n->mode == NEQ;
    bool flag = nan_goes_true != swap;
    struct tree_node *to = &e->nodes[at];
    to->test = n->feature << TREE_FEATURE_SHIFT | (flag ? TREE_MISSING_TRUE : 0) |
               (uint32_t)as[n->mode].mode;
    if (n->mode == MEMBER)
        to->index = n->set;
    else
        to->value = (float)n->value;
    if (e->exact)
        e->exact[at] = n->value;
    e->uniform =
        e->uniform && as[n->mode].mode == e->mode && (e->mode == TREE_LT || e->mode == TREE_LEQ);
    e->max_feature = n->feature > e->max_feature ? n->feature : e->max_feature;
    return swap ? 0 : 1;
}

/* The place of a child is known: its parent, or the list of roots, hears of it. */
static void link_to(struct tree_ensemble *e, const struct pending *p, uint32_t at) {
    if (p->side == 2)
        e->roots[e->root_count++] = at;
    else
        e->nodes[p->parent].child[p->side] = at;
}

/* All trees, from their roots. Room was made for each source node once and, where leaves are not
 * source nodes, for a leaf once for each reference to it. */
static enum status write_out(struct op_ctx *c, struct source *src, struct tree_ensemble *e) {
    size_t depth = 0;
    /* A branch takes its own place on the stack and gives three. */
    struct pending *stack = op_scratch_array(c, 2 * src->count + 2, sizeof *stack);
    if (!stack)
        return op_no_memory(c);
    e->uniform = true;
    bool mode_known = false;
    for (size_t t = 0; t < src->root_count; t++) {
        stack[depth++] = (struct pending){src->roots[t], 0, 2};
        while (depth > 0) {
            struct pending p = stack[--depth];
            struct source_node *n =
                p.ref.is_leaf && !src->leaf_nodes ? NULL : &src->nodes[p.ref.index];
            if (p.side == 3) {
                n->open = false;
                continue;
            }
            if (n && n->open)
                return op_fail(c, "node %u of the trees is below itself", p.ref.index);
            uint32_t at = n && n->written ? n->place : (uint32_t)e->node_count++;
            link_to(e, &p, at);
            if (n && n->written)
                continue;
            if (n) {
                n->written = true;
                n->place = at;
            }
            if (p.ref.is_leaf) {
                put_leaf(e, at, p.ref.index);
                continue;
            }
            if (!mode_known) {
                e->mode = n->mode == LT || n->mode == GTE ? TREE_LT : TREE_LEQ;
                mode_known = true;
            }
            int true_side = put_branch(e, at, n);
            n->open = true;
            stack[depth++] = (struct pending){p.ref, 0, 3};
            stack[depth++] = (struct pending){n->child[0], at, 1 - true_side};
            stack[depth++] = (struct pending){n->child[1], at, true_side};
        }
    }
    return STATUS_OK;
}

static void weights_summary(struct tree_ensemble *e, size_t count) {
    e->all_positive = e->one_target = true;
    for (size_t i = 0; i < count; i++) {
        e->all_positive = e->all_positive && e->weights[i].value >= 0;
        e->one_target = e->one_target && e->weights[i].target == e->weights[0].target;
    }
    e->target = count ? e->weights[0].target : 0;
}

/* ---- tuples keyed by ids: TreeEnsembleClassifier, TreeEnsembleRegressor ---- */

struct keyed { /* two parallel lists of ids */
    const int64_t *tree, *node;
};

static bool key_before(const struct keyed *a, int64_t i, const struct keyed *b, int64_t j) {
    return a->tree[i] != b->tree[j] ? a->tree[i] < b->tree[j] : a->node[i] < b->node[j];
}

static bool keyed_before(const void *ctx, int64_t a, int64_t b) {
    return key_before(ctx, a, ctx, b);
}

/* The first place in k's sorted order whose key is not before (tree, node). */
static size_t key_search(const struct keyed *k, const int64_t *order, size_t n, int64_t tree,
                         int64_t node) {
    struct keyed wanted = {&tree, &node};
    size_t low = 0, high = n;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (key_before(k, order[middle], &wanted, 0))
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static enum status key_order(struct op_ctx *c, const struct keyed *k, size_t n, int64_t **out) {
    int64_t *order = op_scratch_array(c, n, sizeof *order);
    int64_t *spare = op_scratch_array(c, n, sizeof *spare);
    if (!order || !spare)
        return op_no_memory(c);
    for (size_t i = 0; i < n; i++)
        order[i] = (int64_t)i;
    sort_positions(order, spare, n, keyed_before, k);
    *out = order;
    return STATUS_OK;
}

struct tuples {
    struct keyed id, leaf_id;
    const int64_t *feature, *on_true, *on_false, *missing, *target;
    const struct str *mode;
    struct numbers value, weight, base;
    size_t nodes, weights, missing_count;
};

static enum status same_length(struct op_ctx *c, const char *what, size_t found, size_t expected) {
    if (found == expected)
        return STATUS_OK;
    return op_fail(c, "attribute \"%s\" has %zu values, must have %zu", what, found, expected);
}

static struct tuples tuples_of(struct op_ctx *c, bool classifier) {
    struct tuples t = {0};
    t.nodes = op_attr_ints(c, "nodes_nodeids", &t.id.node);
    t.missing_count = op_attr_ints(c, "nodes_missing_value_tracks_true", &t.missing);
    t.value = numbers_of(c, "nodes_values", "nodes_values_as_tensor");
    t.base = numbers_of(c, "base_values", "base_values_as_tensor");
    t.weight = classifier ? numbers_of(c, "class_weights", "class_weights_as_tensor")
                          : numbers_of(c, "target_weights", "target_weights_as_tensor");
    t.weights = t.weight.count;
    return t;
}

static enum status tuples_check(struct op_ctx *c, struct tuples *t, bool classifier) {
    struct {
        const char *name;
        const int64_t **list;
        size_t count;
    } lists[] = {
        {"nodes_treeids", &t->id.tree, t->nodes},
        {"nodes_featureids", &t->feature, t->nodes},
        {"nodes_truenodeids", &t->on_true, t->nodes},
        {"nodes_falsenodeids", &t->on_false, t->nodes},
        {classifier ? "class_treeids" : "target_treeids", &t->leaf_id.tree, t->weights},
        {classifier ? "class_nodeids" : "target_nodeids", &t->leaf_id.node, t->weights},
        {classifier ? "class_ids" : "target_ids", &t->target, t->weights},
    };
    enum status s = STATUS_OK;
    for (size_t i = 0; s == STATUS_OK && i < sizeof lists / sizeof *lists; i++)
        s = same_length(c, lists[i].name, op_attr_ints(c, lists[i].name, lists[i].list),
                        lists[i].count);
    if (s == STATUS_OK)
        s = same_length(c, "nodes_modes", op_attr_strs(c, "nodes_modes", &t->mode), t->nodes);
    if (s == STATUS_OK)
        s = same_length(c, "nodes_values", t->value.count, t->nodes);
    if (s == STATUS_OK && t->missing_count > 0)
        s = same_length(c, "nodes_missing_value_tracks_true", t->missing_count, t->nodes);
    if (s != STATUS_OK)
        return s;
    if (t->nodes == 0 || t->nodes > TREE_MAX_NODES || t->weights > TREE_MAX_NODES)
        return op_fail(c, "%zu nodes and %zu weights: must be from 1 to %zu", t->nodes, t->weights,
                       TREE_MAX_NODES);
    if (!numbers_ok(&t->value) || !numbers_ok(&t->base) || !numbers_ok(&t->weight))
        return op_fail(c, "thresholds, weights and base values must be float or double");
    return STATUS_OK;
}

static struct room tuples_room(const struct tuples *t) {
    return (struct room){.nodes = t->nodes,
                         .leaves = t->nodes,
                         .weights = t->weights,
                         .roots = t->nodes,
                         .base = t->base.count,
                         .exact = numbers_exact(&t->value)};
}

size_t ml_tree_pack_size(struct op_ctx *c) {
    struct tuples t = tuples_of(c, op_attr_has(c, "class_ids"));
    struct room r = tuples_room(&t);
    return t.nodes > TREE_MAX_NODES || t.weights > TREE_MAX_NODES ? 0 : room_size(&r);
}

static enum status mode_of(struct op_ctx *c, struct str name, enum source_mode *out) {
    static const char *const names[] = {
        [LEQ] = "BRANCH_LEQ", [LT] = "BRANCH_LT",   [GTE] = "BRANCH_GTE", [GT] = "BRANCH_GT",
        [EQ] = "BRANCH_EQ",   [NEQ] = "BRANCH_NEQ", [MEMBER] = NULL,      [LEAF] = "LEAF"};
    for (int i = LEQ; i <= LEAF; i++)
        if (names[i] && str_is(name, names[i])) {
            *out = (enum source_mode)i;
            return STATUS_OK;
        }
    return op_fail(c, "attribute \"nodes_modes\" has \"%.*s\", which is not a mode",
                   (int)(name.size < 32 ? name.size : 32), name.data);
}

/* Node i's child of that id in the same tree. A leaf is a source node too: its reference names the
 * node's own span of weights. */
static enum status child_of(struct op_ctx *c, const struct tuples *t, const int64_t *order,
                            const struct source *src, size_t i, int64_t id,
                            struct source_ref *out) {
    size_t at = key_search(&t->id, order, t->nodes, t->id.tree[i], id);
    if (at == t->nodes || t->id.tree[order[at]] != t->id.tree[i] || t->id.node[order[at]] != id)
        return op_fail(c, "node %lld of tree %lld has a child %lld, which is not in that tree",
                       (long long)t->id.node[i], (long long)t->id.tree[i], (long long)id);
    uint32_t child = (uint32_t)order[at];
    *out = (struct source_ref){child, src->nodes[child].mode == LEAF};
    return STATUS_OK;
}

static enum status tuples_nodes(struct op_ctx *c, const struct tuples *t, struct source *src) {
    int64_t *order = NULL;
    enum status s = key_order(c, &t->id, t->nodes, &order);
    if (s != STATUS_OK)
        return s;
    for (size_t i = 1; i < t->nodes; i++)
        if (!keyed_before(&t->id, order[i - 1], order[i]))
            return op_fail(c, "node %lld of tree %lld is there twice",
                           (long long)t->id.node[order[i]], (long long)t->id.tree[order[i]]);
    for (size_t i = 0; i < t->nodes; i++) {
        struct source_node *n = &src->nodes[i];
        *n = (struct source_node){.value = number(&t->value, i),
                                  .missing_true = t->missing_count && t->missing[i] != 0};
        s = mode_of(c, t->mode[i], &n->mode);
        if (s != STATUS_OK)
            return s;
        if (n->mode != LEAF && (t->feature[i] < 0 || t->feature[i] > TREE_MAX_FEATURE))
            return op_fail(c, "feature %lld of a node is out of range", (long long)t->feature[i]);
        n->feature = n->mode == LEAF ? 0 : (uint32_t)t->feature[i];
    }
    bool *has_parent = op_scratch_array(c, t->nodes, sizeof *has_parent);
    if (!has_parent)
        return op_no_memory(c);
    memset(has_parent, 0, t->nodes * sizeof *has_parent);
    for (size_t i = 0; i < t->nodes; i++) {
        struct source_node *n = &src->nodes[i];
        if (n->mode == LEAF)
            continue;
        s = child_of(c, t, order, src, i, t->on_false[i], &n->child[0]);
        if (s == STATUS_OK)
            s = child_of(c, t, order, src, i, t->on_true[i], &n->child[1]);
        if (s != STATUS_OK)
            return s;
        has_parent[n->child[0].index] = has_parent[n->child[1].index] = true;
    }
    /* A tree's root is the one node without a parent; trees come in the order of their ids. */
    for (size_t i = 0; i < t->nodes; i++) {
        uint32_t node = (uint32_t)order[i];
        if (has_parent[node])
            continue;
        if (src->root_count > 0 &&
            t->id.tree[src->roots[src->root_count - 1].index] == t->id.tree[node])
            return op_fail(c, "tree %lld has two roots", (long long)t->id.tree[node]);
        src->roots[src->root_count++] = (struct source_ref){node, src->nodes[node].mode == LEAF};
    }
    return src->root_count > 0 ? STATUS_OK : op_fail(c, "no tree has a root");
}

static enum status tuples_weights(struct op_ctx *c, const struct tuples *t,
                                  struct tree_ensemble *e) {
    int64_t *order = NULL;
    enum status s = key_order(c, &t->leaf_id, t->weights, &order);
    if (s != STATUS_OK)
        return s;
    for (size_t i = 0; i < t->weights; i++) {
        int64_t target = t->target[order[i]];
        if (target < 0 || (uint64_t)target >= e->targets)
            return op_fail(c, "a weight is for target %lld, but there are %zu", (long long)target,
                           e->targets);
        e->weights[i] =
            (struct tree_weight){number(&t->weight, (size_t)order[i]), (uint32_t)target};
    }
    for (size_t i = 0; i < t->nodes; i++) {
        size_t first = key_search(&t->leaf_id, order, t->weights, t->id.tree[i], t->id.node[i]);
        size_t last = first;
        while (last < t->weights && t->leaf_id.tree[order[last]] == t->id.tree[i] &&
               t->leaf_id.node[order[last]] == t->id.node[i])
            last++;
        e->leaves[i] = (struct tree_span){(uint32_t)first, (uint32_t)(last - first)};
    }
    e->leaf_count = t->nodes;
    weights_summary(e, t->weights);
    return STATUS_OK;
}

static enum status base_values(struct op_ctx *c, const struct numbers *base,
                               struct tree_ensemble *e) {
    if (base->count > 1 && base->count != e->targets)
        return op_fail(c, "attribute \"base_values\" has %zu values, must have %zu", base->count,
                       e->targets);
    e->base_count = base->count;
    for (size_t i = 0; i < base->count; i++)
        e->base[i] = number(base, i);
    return STATUS_OK;
}

static enum status source_new(struct op_ctx *c, size_t nodes, size_t roots, struct source *src) {
    src->count = nodes;
    src->nodes = op_scratch_array(c, nodes, sizeof *src->nodes);
    src->roots = op_scratch_array(c, roots, sizeof *src->roots);
    return src->nodes && src->roots ? STATUS_OK : op_no_memory(c);
}

enum status ml_tree_build(struct op_ctx *c, bool classifier) {
    static const char *const aggregates[] = {"AVERAGE", "SUM", "MIN", "MAX"};
    struct tuples t = tuples_of(c, classifier);
    struct source src = {.leaf_nodes = true};
    struct tree_ensemble *e = NULL;
    struct room room = tuples_room(&t);
    enum status s = tuples_check(c, &t, classifier);
    if (s == STATUS_OK)
        s = source_new(c, t.nodes, t.nodes, &src);
    if (s == STATUS_OK)
        s = ensemble_new(c, &room, &e);
    if (s == STATUS_OK)
        s = ml_common_post(c, &e->post);
    if (s != STATUS_OK)
        return s;
    size_t aggregate = TREE_SUM;
    if (classifier) {
        s = ml_common_labels(c, "classlabels_int64s", "classlabels_strings", &e->labels);
        e->targets = e->labels.count;
    } else {
        int64_t targets = op_attr_int(c, "n_targets", 1);
        if (targets < 1 || targets > INT32_MAX)
            return op_fail(c, "attribute \"n_targets\" is %lld, must be at least 1",
                           (long long)targets);
        e->targets = (size_t)targets;
        s = ml_common_choice(c, "aggregate_function", aggregates, 4, TREE_SUM, &aggregate);
    }
    e->aggregate = (enum tree_aggregate)aggregate;
    if (s == STATUS_OK)
        s = base_values(c, &t.base, e);
    if (s == STATUS_OK)
        s = tuples_nodes(c, &t, &src);
    if (s == STATUS_OK)
        s = tuples_weights(c, &t, e);
    if (s == STATUS_OK)
        s = write_out(c, &src, e);
    if (s == STATUS_OK && e->node_count != t.nodes) /* a cycle that no root leads to */
        return op_fail(c, "%zu nodes of the trees are not reached from a root",
                       t.nodes - e->node_count);
    return s;
}

/* ---- indices: TreeEnsemble ---- */

struct indexed {
    const int64_t *feature, *on_true, *on_false, *true_leaf, *false_leaf, *missing, *roots, *target;
    const struct tensor *mode;
    struct numbers split, weight, member;
    size_t nodes, root_count, missing_count;
};

static struct indexed indexed_of(struct op_ctx *c) {
    struct indexed x = {0};
    x.nodes = op_attr_ints(c, "nodes_featureids", &x.feature);
    x.root_count = op_attr_ints(c, "tree_roots", &x.roots);
    x.missing_count = op_attr_ints(c, "nodes_missing_value_tracks_true", &x.missing);
    x.split = numbers_of(c, NULL, "nodes_splits");
    x.weight = numbers_of(c, NULL, "leaf_weights");
    x.member = numbers_of(c, NULL, "membership_values");
    return x;
}

static struct room indexed_room(const struct indexed *x) {
    return (struct room){.nodes = 2 * x->nodes + x->root_count, /* n branches have n + 1 leaves */
                         .leaves = x->weight.count,
                         .weights = x->weight.count,
                         .roots = x->root_count,
                         .sets = x->nodes,
                         .members = x->member.count,
                         .exact = numbers_exact(&x->split)};
}

size_t ml_tree_pack_size_v5(struct op_ctx *c) {
    struct indexed x = indexed_of(c);
    struct room r = indexed_room(&x);
    return x.nodes > TREE_MAX_NODES ? 0 : room_size(&r);
}

static enum status indexed_check(struct op_ctx *c, struct indexed *x) {
    struct {
        const char *name;
        const int64_t **list;
        size_t count;
    } lists[] = {
        {"nodes_truenodeids", &x->on_true, x->nodes},
        {"nodes_falsenodeids", &x->on_false, x->nodes},
        {"nodes_trueleafs", &x->true_leaf, x->nodes},
        {"nodes_falseleafs", &x->false_leaf, x->nodes},
        {"leaf_targetids", &x->target, x->weight.count},
    };
    enum status s = STATUS_OK;
    for (size_t i = 0; s == STATUS_OK && i < sizeof lists / sizeof *lists; i++)
        s = same_length(c, lists[i].name, op_attr_ints(c, lists[i].name, lists[i].list),
                        lists[i].count);
    if (s == STATUS_OK)
        s = same_length(c, "nodes_splits", x->split.count, x->nodes);
    if (s == STATUS_OK && x->missing_count > 0)
        s = same_length(c, "nodes_missing_value_tracks_true", x->missing_count, x->nodes);
    if (s != STATUS_OK)
        return s;
    x->mode = op_attr_tensor(c, "nodes_modes");
    if (!x->mode || !x->mode->data || x->mode->dtype != DTYPE_UINT8 ||
        (size_t)x->mode->count != x->nodes)
        return op_fail(c, "attribute \"nodes_modes\" must be a uint8 tensor of %zu modes",
                       x->nodes);
    if (x->nodes == 0 || x->nodes > TREE_MAX_NODES || x->weight.count > TREE_MAX_NODES ||
        x->root_count == 0 || x->root_count > x->nodes)
        return op_fail(c, "%zu nodes, %zu trees and %zu leaves: must be from 1 to %zu", x->nodes,
                       x->root_count, x->weight.count, TREE_MAX_NODES);
    if (!numbers_ok(&x->split) || !numbers_ok(&x->weight) || !numbers_ok(&x->member))
        return op_fail(c, "splits, weights and members must be float, double or float16");
    return STATUS_OK;
}

/* membership_values: the sets of the MEMBER nodes one after the other, each closed by a NaN. */
static enum status indexed_set(struct op_ctx *c, const struct indexed *x, size_t *at,
                               struct tree_ensemble *e, uint32_t set) {
    size_t first = *at;
    while (*at < x->member.count) {
        double v = number(&x->member, *at);
        e->members[*at] = v;
        *at += 1;
        if (v != v) {
            e->sets[set] = (struct tree_span){(uint32_t)first, (uint32_t)(*at - 1 - first)};
            return STATUS_OK;
        }
    }
    return op_fail(c, "attribute \"membership_values\" has fewer sets than nodes that use one");
}

static enum status indexed_child(struct op_ctx *c, const struct indexed *x, int64_t index,
                                 int64_t is_leaf, struct source_ref *out) {
    size_t count = is_leaf ? x->weight.count : x->nodes;
    if (index < 0 || (uint64_t)index >= count)
        return op_fail(c, "a node has %s %lld as a child, but there are %zu",
                       is_leaf ? "leaf" : "node", (long long)index, count);
    *out = (struct source_ref){(uint32_t)index, is_leaf != 0};
    return STATUS_OK;
}

static enum status indexed_nodes(struct op_ctx *c, const struct indexed *x, struct source *src,
                                 struct tree_ensemble *e) {
    size_t member_at = 0;
    uint32_t sets = 0;
    for (size_t i = 0; i < x->nodes; i++) {
        struct source_node *n = &src->nodes[i];
        uint8_t mode = ((const uint8_t *)x->mode->data)[i];
        if (mode > MEMBER)
            return op_fail(c, "attribute \"nodes_modes\" has %u, which is not a mode", mode);
        if (x->feature[i] < 0 || x->feature[i] > TREE_MAX_FEATURE)
            return op_fail(c, "feature %lld of a node is out of range", (long long)x->feature[i]);
        *n = (struct source_node){.value = number(&x->split, i),
                                  .feature = (uint32_t)x->feature[i],
                                  .mode = (enum source_mode)mode,
                                  .missing_true = x->missing_count && x->missing[i] != 0};
        enum status s = indexed_child(c, x, x->on_false[i], x->false_leaf[i], &n->child[0]);
        if (s == STATUS_OK)
            s = indexed_child(c, x, x->on_true[i], x->true_leaf[i], &n->child[1]);
        if (s == STATUS_OK && mode == MEMBER) {
            n->set = sets++;
            s = indexed_set(c, x, &member_at, e, n->set);
        }
        if (s != STATUS_OK)
            return s;
    }
    for (size_t i = 0; i < x->root_count; i++) {
        if (x->roots[i] < 0 || (uint64_t)x->roots[i] >= x->nodes)
            return op_fail(c, "a tree starts at node %lld, but there are %zu",
                           (long long)x->roots[i], x->nodes);
        src->roots[src->root_count++] = (struct source_ref){(uint32_t)x->roots[i], false};
    }
    return STATUS_OK;
}

enum status ml_tree_build_v5(struct op_ctx *c) {
    struct indexed x = indexed_of(c);
    struct source src = {0};
    struct tree_ensemble *e = NULL;
    struct room room = indexed_room(&x);
    enum status s = indexed_check(c, &x);
    if (s == STATUS_OK)
        s = source_new(c, x.nodes, x.root_count, &src);
    if (s == STATUS_OK)
        s = ensemble_new(c, &room, &e);
    if (s != STATUS_OK)
        return s;
    int64_t targets = op_attr_int(c, "n_targets", 1), post = op_attr_int(c, "post_transform", 0);
    int64_t aggregate = op_attr_int(c, "aggregate_function", TREE_SUM);
    if (targets < 1 || targets > INT32_MAX || post < ML_NONE || post > ML_PROBIT ||
        aggregate < TREE_AVERAGE || aggregate > TREE_MAX)
        return op_fail(c,
                       "n_targets %lld, post_transform %lld or aggregate_function %lld is out "
                       "of range",
                       (long long)targets, (long long)post, (long long)aggregate);
    e->targets = (size_t)targets;
    e->post = (enum ml_post)post;
    e->aggregate = (enum tree_aggregate)aggregate;
    for (size_t i = 0; i < x.weight.count; i++) {
        if (x.target[i] < 0 || x.target[i] >= targets)
            return op_fail(c, "a leaf is for target %lld, but there are %lld",
                           (long long)x.target[i], (long long)targets);
        e->weights[i] = (struct tree_weight){number(&x.weight, i), (uint32_t)x.target[i]};
        e->leaves[i] = (struct tree_span){(uint32_t)i, 1};
    }
    e->leaf_count = x.weight.count;
    weights_summary(e, x.weight.count);
    s = indexed_nodes(c, &x, &src, e);
    return s == STATUS_OK ? write_out(c, &src, e) : s;
}
