/* What the convolutions share: the shape of one, its operands and packed weights, and im2col. */
#ifndef ENGINE_OPS_CONV_H
#define ENGINE_OPS_CONV_H

#include "engine/ops/window.h"

/* x[batch, groups * channels, in], w[groups * filters, channels, kernel],
 * y[batch, groups * filters, out]. */
struct conv {
    struct window w;
    size_t batch, groups, channels, filters;
};

/* Shape of a convolution with input x, weights w and an optional bias b (all checked against each
 * other and the attributes). */
MUST_USE enum status conv_parse(struct op_ctx *c, const struct tensor *x, const struct tensor *w,
                                const struct tensor *b, struct conv *conv);
/* Dimensions of the output; returns the rank. */
int conv_out_dims(const struct conv *conv, int64_t dims[TENSOR_MAX_RANK]);

/* Constant float32 weights, packed at load: the state of Conv and ConvTranspose. `transposed`: the
 * weights are stored [groups * channels, filters * kernel] and packed as their transpose. */
struct conv_weights {
    float *packed;
    size_t stride; /* floats between groups */
};

/* pack_size and prepare; 0 and nothing where the weights are not constant or not worth packing. */
size_t conv_weights_size(struct op_ctx *c, bool transposed);
MUST_USE enum status conv_weights_prepare(struct op_ctx *c, bool transposed);

/* What a run in float reads and writes. op_out_f32_done is the caller's. */
struct conv_operands {
    const struct conv_weights *packed; /* NULL: weights are plain */
    const float *x, *weights, *bias;   /* weights NULL where they are packed; bias may be NULL */
    float *y;
};

MUST_USE enum status conv_operands(struct op_ctx *c, struct conv_operands *out);
/* y, planes of `plane` elements, becomes the bias of each, or 0. */
void conv_fill_bias(const struct conv *v, size_t plane, const float *bias, float *y);

/* Columns [from, from + count) of the matrix [channels * kernel, out] whose product with the
 * weights is the convolution, into out[channels * kernel][count]. Elements are 4 bytes of any kind;
 * padding becomes zero bits. x points to the first channel of the group. */
void conv_im2col(const struct window *w, size_t channels, const float *x, size_t from, size_t count,
                 float *out);

/* The way back, for one channel: adds columns[kernel][count], which belong to positions [from, from
 * + count) of w's output, to x. */
void conv_col2im(const struct window *w, const float *columns, size_t from, size_t count, float *x);

/* groups == input channels: each filter reads one channel. Channels [begin, end) of batch *
 * filters. x, y, w and bias (may be NULL) are whole tensors. */
void conv_depthwise(const struct conv *conv, const float *x, const float *weights,
                    const float *bias, float *y, size_t begin, size_t end);

#endif
