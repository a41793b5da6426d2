/* The core that every attention operator shares: softmax(softcap(scale * Q K') + masks) V.
 *
 * Key and value heads may be fewer than query heads: each then serves as many in a row. Rows are
 * worked off in blocks, so that the scores of one block are all that is held at a time. A row whose
 * every score is masked (-infinity) gives zeros. Computed in float.
 *
 * Shapes and strides are trusted: callers have checked them. Arrays are only read, but for y and
 * scores_out. */
#ifndef ENGINE_OPS_ATTENTION_CORE_H
#define ENGINE_OPS_ATTENTION_CORE_H

#include "engine/ops/op.h"

/* One of Q, K, V, Y: rows of `head` elements, these strides apart. */
struct attention_side {
    int64_t heads, sequence, head;
    int64_t batch_stride, head_stride, row_stride;
};

/* [batch, heads, sequence, head], without gaps. */
struct attention_side attention_plain(int64_t heads, int64_t sequence, int64_t head);
/* [batch, sequence, row], heads side by side in a row, which may be longer than they are. */
struct attention_side attention_rows(int64_t heads, int64_t sequence, int64_t head, int64_t row);

/* Added to the scores, or telling which may be seen; strides over [batch, heads, queries, keys], 0
 * where broadcast. Keys from `last` on are all masked. Both NULL: no mask. */
struct attention_mask {
    const float *add;
    const uint8_t *allow;
    int64_t stride[4], last;
};

/* The mask that tensor t, which broadcasts to [.., .., queries, total], stands for; `add` is its
 * data as float. */
struct attention_mask attention_mask_of(const struct tensor *t, const float *add, int64_t total);

enum attention_stage {
    ATTENTION_RAW,
    ATTENTION_AFTER_SOFTCAP,
    ATTENTION_AFTER_MASK,
    ATTENTION_AFTER_SOFTMAX
};

struct attention {
    int64_t batch, total; /* keys */
    struct attention_side q, k, v, y;
    const float *q_data, *k_data, *v_data;
    float *y_data;
    struct attention_mask mask[2];
    int64_t past;            /* query row r stands at key position past + r */
    const int64_t *past_of;  /* the same for each batch entry, or NULL; may be below 0 */
    const int64_t *valid_of; /* keys that count of each batch entry, 0 to total, or NULL: all */
    bool causal;
    int64_t before, after; /* how far from its place a query looks; -1: without limit */
    const float *sink;     /* for each query head: a score without a value, or NULL */
    float scale, softcap;  /* softcap 0: none */
    float *scores_out;     /* [batch, heads, queries, total] at that stage, or NULL */
    enum attention_stage stage;
};

/* One over the root of the size of a head, where `scale` is 0. */
float attention_scale(float scale, int64_t head);

MUST_USE enum status attention_run(struct op_ctx *c, const struct attention *a);

/* Cached rows before new ones, as [batch, heads, past + side->sequence, head] without gaps. */
void attention_join(const struct attention_side *side, int64_t batch, int64_t past,
                    const float *before, const float *fresh, float *to);

#endif
