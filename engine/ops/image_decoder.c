/* ImageDecoder: the bytes of an image file as [height, width, channels]. A file that cannot be
 * decoded gives an image of no pixels, as the specification has it. */
#include "engine/image/image.h"
#include "engine/ops/op.h"

static void *scratch(void *ctx, size_t size) {
    return op_scratch(ctx, size);
}

/* ITU-R BT.601 in units of 2^-16, rounded. */
static uint8_t grey(const uint8_t *p) {
    return (uint8_t)((19595u * p[0] + 38470u * p[1] + 7471u * p[2] + 0x8000u) >> 16);
}

static enum status run(struct op_ctx *c) {
    const struct str format = op_attr_str(c, "pixel_format", "RGB");
    const bool is_grey = str_is(format, "Grayscale"), reverse = str_is(format, "BGR");
    if (!is_grey && !reverse && !str_is(format, "RGB"))
        return op_fail(c, "attribute pixel_format must be \"RGB\", \"BGR\" or \"Grayscale\"");
    enum status s = op_need(c, 0);
    if (s == STATUS_OK)
        s = op_need_dtype(c, 0, DT(UINT8));
    if (s == STATUS_OK)
        s = op_need_rank(c, 0, 1, 1);
    if (s != STATUS_OK || !op_out_wanted(c, 0))
        return s;
    const struct tensor *x = op_in(c, 0);
    struct image_job job = {.data = x->data, .size = (size_t)x->count, .alloc = scratch, .ctx = c};
    const enum image_result r = image_decode(&job);
    if (r == IMAGE_NO_MEMORY)
        return op_no_memory(c);
    const int64_t height = r == IMAGE_OK ? (int64_t)job.height : 0;
    const int64_t width = r == IMAGE_OK ? (int64_t)job.width : 0;
    struct tensor *y = NULL;
    s = op_out_new(c, 0, DTYPE_UINT8, 3, (int64_t[]){height, width, is_grey ? 1 : 3}, &y);
    if (s != STATUS_OK)
        return s;
    uint8_t *to = y->data;
    for (size_t i = 0; i < (size_t)(height * width); i++) {
        const uint8_t *p = job.rgb + 3 * i;
        if (is_grey)
            to[i] = grey(p);
        else
            for (size_t k = 0; k < 3; k++)
                to[3 * i + k] = p[reverse ? 2 - k : k];
    }
    return STATUS_OK;
}

const struct op_row op_family_image_decoder[] = {
    {.name = "ImageDecoder", .since = 20, .infer = op_infer_in_run, .run = run},
    OP_END,
};
