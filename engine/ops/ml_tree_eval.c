/* Evaluation: WALKS walks down trees go in step, so that the processor overlaps their waits for
 * memory; no branch depends on a comparison. Many rows: one tree, WALKS rows at a time. Few rows:
 * one row, WALKS trees at a time. Leaves are added in the order of trees either way, so that a
 * row's result does not depend on the batch it came in. */
#include "engine/ops/ml_tree.h"

#define WALKS 8
#define BLOCK 64

static bool is_member(const struct tree_ensemble *e, uint32_t set, double x) {
    for (uint32_t i = 0; i < e->sets[set].count; i++)
        if (e->members[e->sets[set].first + i] == x)
            return true;
    return false;
}

/* WALK(name, T, THRESHOLD, COMPARE): takes all walks down until none moves. */
#define WALK(name, T, THRESHOLD, COMPARE)                                                          \
    static void name(const struct tree_ensemble *e, const T *const *row, uint32_t *at) {           \
        const struct tree_node *nodes = e->nodes;                                                  \
        uint32_t moved;                                                                            \
        do {                                                                                       \
            moved = 0;                                                                             \
            for (int i = 0; i < WALKS; i++) {                                                      \
                const struct tree_node *n = &nodes[at[i]];                                         \
                T x = row[i][n->test >> TREE_FEATURE_SHIFT];                                       \
                T v = (THRESHOLD);                                                                 \
                bool yes = (COMPARE) | ((x != x) & ((n->test & TREE_MISSING_TRUE) != 0));          \
                uint32_t next = n->child[yes];                                                     \
                moved |= next ^ at[i];                                                             \
                at[i] = next;                                                                      \
            }                                                                                      \
        } while (moved);                                                                           \
    }

/* A leaf has mode TREE_LT: its index is never taken for that of a set. */
static bool any_test(const struct tree_ensemble *e, const struct tree_node *n, double x, double v) {
    switch ((enum tree_mode)(n->test & TREE_MODE_MASK)) {
    case TREE_LT:
        return x < v;
    case TREE_LEQ:
        return x <= v;
    case TREE_EQ:
        return x == v;
    case TREE_MEMBER:
        return is_member(e, n->index, x);
    }
    return false;
}

WALK(walk_lt, float, n->value, x < v)
WALK(walk_leq, float, n->value, x <= v)
WALK(walk_any, float, n->value, any_test(e, n, (double)x, (double)v))
WALK(walk_exact, double, e->exact ? e->exact[n - nodes] : (double)n->value, any_test(e, n, x, v))

static void add_leaf(const struct tree_ensemble *e, uint32_t node, double *scores, bool *has) {
    struct tree_span leaf = e->leaves[e->nodes[node].index];
    for (uint32_t i = 0; i < leaf.count; i++) {
        const struct tree_weight *w = &e->weights[leaf.first + i];
        double *s = &scores[w->target];
        if (!has[w->target])
            *s = w->value;
        else if (e->aggregate == TREE_MIN)
            *s = w->value < *s ? w->value : *s;
        else if (e->aggregate == TREE_MAX)
            *s = w->value > *s ? w->value : *s;
        else
            *s += w->value;
        has[w->target] = true;
    }
}

/* EVAL(name, T): BLOCK rows at a time, so that a tree is read from memory once for all of them. */
#define EVAL(name, T)                                                                              \
    static void name(const struct tree_ensemble *e,                                                \
                     void (*walk)(const struct tree_ensemble *, const T *const *, uint32_t *),     \
                     const T *rows, size_t n, size_t width, double *scores, bool *has) {           \
        const T *row[WALKS];                                                                       \
        uint32_t at[WALKS];                                                                        \
        for (size_t first = 0; first < n; first += BLOCK) {                                        \
            size_t end = n - first < BLOCK ? n : first + BLOCK, r = first;                         \
            bool by_rows = end - first >= WALKS / 2;                                               \
            size_t tree_step = by_rows ? 1 : WALKS, row_step = by_rows ? WALKS : 1;                \
            for (size_t t = 0; t < e->root_count; t += tree_step)                                  \
                for (r = first; r < end; r += row_step) {                                          \
                    size_t left = by_rows ? end - r : e->root_count - t;                           \
                    size_t live = left < WALKS ? left : WALKS;                                     \
                    for (size_t i = 0; i < WALKS; i++) {                                           \
                        size_t k = i < live ? i : 0;                                               \
                        row[i] = rows + (by_rows ? r + k : r) * width;                             \
                        at[i] = e->roots[by_rows ? t : t + k];                                     \
                    }                                                                              \
                    walk(e, row, at);                                                              \
                    for (size_t i = 0; i < live; i++) {                                            \
                        size_t k = (by_rows ? r + i : r) * e->targets;                             \
                        add_leaf(e, at[i], scores + k, has + k);                                   \
                    }                                                                              \
                }                                                                                  \
        }                                                                                          \
    }

EVAL(eval_f32, float)
EVAL(eval_f64, double)

void ml_tree_eval(const struct tree_ensemble *e, const void *rows, bool is_double, size_t n,
                  size_t width, double *scores, bool *has) {
    for (size_t i = 0; i < n * e->targets; i++) {
        scores[i] = 0;
        has[i] = false;
    }
    if (is_double)
        eval_f64(e, walk_exact, rows, n, width, scores, has);
    else
        eval_f32(e,
                 !e->uniform          ? walk_any
                 : e->mode == TREE_LT ? walk_lt
                                      : walk_leq,
                 rows, n, width, scores, has);
    if (e->aggregate == TREE_AVERAGE && e->root_count > 0)
        for (size_t i = 0; i < n * e->targets; i++)
            scores[i] /= (double)e->root_count;
}
