/* Tables for resampling along one dimension: which input elements an output element is made of, and
 * with what weights. Interpolation of any kind is separable, so Resize is a pass with such a table
 * over each dimension that changes. */
#ifndef ENGINE_OPS_RESIZE_H
#define ENGINE_OPS_RESIZE_H

#include "engine/ops/op.h"

enum resize_mode { RESIZE_NEAREST, RESIZE_LINEAR, RESIZE_CUBIC };

enum resize_transform {
    RESIZE_HALF_PIXEL,
    RESIZE_HALF_PIXEL_SYMMETRIC,
    RESIZE_PYTORCH_HALF_PIXEL,
    RESIZE_ALIGN_CORNERS,
    RESIZE_ASYMMETRIC,
    RESIZE_TF_HALF_PIXEL_FOR_NN,
    RESIZE_TF_CROP_AND_RESIZE,
};

enum resize_rounding {
    RESIZE_ROUND_PREFER_FLOOR,
    RESIZE_ROUND_PREFER_CEIL,
    RESIZE_FLOOR,
    RESIZE_CEIL,
};

struct resize_options {
    enum resize_mode mode;
    enum resize_transform transform;
    enum resize_rounding rounding;
    double cubic_a;
    bool exclude_outside, antialias;
};

struct resize_axis {
    int64_t in, out; /* in at least 1 where out is */
    double scale;    /* above 0 */
    double roi[2];   /* tf_crop_and_resize: start and end, 0 to 1 */
    bool identity;   /* output is input: no table */
    size_t taps;     /* input elements for each output element */
    int64_t *index;  /* [out][taps], each 0..in-1 */
    double *weight;  /* [out][taps]; NULL for nearest */
    bool *outside;   /* [out]: takes the extrapolation value; NULL where none can */
};

/* in, out, scale and roi are set; fills in the rest, in scratch. */
MUST_USE enum status resize_axis_build(struct op_ctx *c, const struct resize_options *o,
                                       struct resize_axis *a);

#endif
