/* Masks of com.microsoft's Attention, QAttention and MultiHeadAttention: padding, and a bias to the
 * scores. A mask is added to the scores: mask_filter_value (-10000 unless it is set) where a key is
 * padding, so that a row of padding alone still sees something. */
#ifndef ENGINE_OPS_MS_ATTENTION_MASK_H
#define ENGINE_OPS_MS_ATTENTION_MASK_H

#include "engine/ops/attention_core.h"

#define MS_ATTENTION_NONE SIZE_MAX /* for the index of an input: the operator does not have it */

struct ms_attention_shape {
    int64_t batch, heads, queries, past, total;
};

/* How a padding mask says which keys are there: lengths, lengths and first keys, or 0 and 1. */
enum ms_attention_padding { NO_PADDING, ENDS, ENDS_AND_STARTS, BY_KEY, BY_QUERY };

/* In infer: what kind input i is, by its shape. `starts`: ENDS_AND_STARTS is allowed. */
MUST_USE enum status ms_attention_padding(struct op_ctx *c, size_t i,
                                          const struct ms_attention_shape *s, bool starts,
                                          enum ms_attention_padding *out);
/* In infer: input i, where present, broadcasts to [batch, heads, queries, total]. */
MUST_USE enum status ms_attention_check_bias(struct op_ctx *c, size_t i,
                                             const struct ms_attention_shape *s);
/* In run: both inputs, where present, as a's masks. */
MUST_USE enum status ms_attention_masks(struct op_ctx *c, size_t padding, size_t bias,
                                        const struct ms_attention_shape *s, bool starts,
                                        struct attention *a);

#endif
