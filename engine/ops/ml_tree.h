/* Tree ensembles as they are evaluated: all trees in one array of 16-byte nodes.
 *
 * Built once from the attributes (ml_tree_build.c), where every index is checked; evaluation relies
 * on that. A leaf's children are itself, so that a walk may go on past it: several walks go in step
 * (ml_tree_eval.c) without asking which of them have arrived.
 *
 * Six comparisons become three: GTE is LT, GT is LEQ, NEQ is EQ, each with the children swapped and
 * the side that a missing value (NaN) goes to mended accordingly.
 *
 * Memory: the arrays are weights of the model. Threads: read-only after the build. */
#ifndef ENGINE_OPS_ML_TREE_H
#define ENGINE_OPS_ML_TREE_H

#include "engine/ops/ml_common.h"

enum tree_mode { TREE_LT, TREE_LEQ, TREE_EQ, TREE_MEMBER };

#define TREE_MODE_MASK 3u
#define TREE_MISSING_TRUE 4u /* NaN goes to the true child */
#define TREE_FEATURE_SHIFT 3
#define TREE_MAX_FEATURE ((1u << 29) - 1)
#define TREE_MAX_NODES ((size_t)1 << 28)

struct tree_node {
    union {
        float value;    /* what the feature is compared with */
        uint32_t index; /* of the leaf, or of the set of a TREE_MEMBER */
    };
    uint32_t test;     /* feature << TREE_FEATURE_SHIFT | flags | mode */
    uint32_t child[2]; /* where to go on: false, true */
};

struct tree_span { /* of a leaf's weights, or of a set's members */
    uint32_t first, count;
};

struct tree_weight {
    double value;
    uint32_t target;
};

enum tree_aggregate { TREE_AVERAGE, TREE_SUM, TREE_MIN, TREE_MAX };

struct tree_ensemble {
    struct tree_node *nodes;
    double *exact; /* thresholds, node by node, where the model has them as double; else NULL */
    struct tree_span *leaves, *sets;
    struct tree_weight *weights;
    double *members;
    uint32_t *roots;
    size_t node_count, leaf_count, root_count;
    size_t targets;
    uint32_t max_feature;
    bool uniform; /* every comparison is `mode` */
    enum tree_mode mode;
    enum tree_aggregate aggregate;
    enum ml_post post;
    double *base; /* base values */
    size_t base_count;
    bool all_positive;       /* no weight is negative */
    bool one_target;         /* all weights are for the same target ... */
    uint32_t target;         /* ... which is this one */
    struct ml_labels labels; /* classifier only */
};

/* Bytes of the arrays, at most; 0 where the attributes make no sense (the build then says why). */
size_t ml_tree_pack_size(struct op_ctx *c);
size_t ml_tree_pack_size_v5(struct op_ctx *c);
/* In prepare: the ensemble from the attributes of the classifier, the regressor, or TreeEnsemble of
 * opset 5, as the node's state. */
MUST_USE enum status ml_tree_build(struct op_ctx *c, bool classifier);
MUST_USE enum status ml_tree_build_v5(struct op_ctx *c);

/* Scores of `n` rows of `width` floats or doubles (is_double): scores[n * targets] receives the
 * aggregate, has[n * targets] whether any leaf counted for that target. */
void ml_tree_eval(const struct tree_ensemble *e, const void *rows, bool is_double, size_t n,
                  size_t width, double *scores, bool *has);

#endif
