/* PNG, with libpng's simplified interface. Transparency is dropped, not blended. */
#include "engine/image/image.h"

#include <png.h>
#include <string.h>

enum image_result image_png_decode(struct image_job *job) {
    png_image image;
    enum image_result r = IMAGE_BAD;
    memset(&image, 0, sizeof image);
    image.version = PNG_IMAGE_VERSION;
    if (!png_image_begin_read_from_memory(&image, job->data, job->size))
        goto out;
    /* 16-bit samples are taken as they are, not as linear light. */
    image.flags |= PNG_IMAGE_FLAG_16BIT_sRGB;
    image.format = PNG_FORMAT_RGBA;
    r = image_begin(job, image.width, image.height);
    if (r != IMAGE_OK)
        goto out;
    const size_t pixels = job->width * job->height;
    uint8_t *rgba = job->alloc(job->ctx, pixels * 4);
    r = rgba ? IMAGE_BAD : IMAGE_NO_MEMORY;
    if (!rgba || !png_image_finish_read(&image, NULL, rgba, 0, NULL))
        goto out;
    for (size_t i = 0; i < pixels; i++)
        memcpy(job->rgb + 3 * i, rgba + 4 * i, 3);
    r = IMAGE_OK;
out:
    png_image_free(&image);
    return r;
}
