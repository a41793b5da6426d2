#include "engine/image/image.h"

#include <string.h>

enum image_result image_begin(struct image_job *job, size_t width, size_t height) {
    if (width == 0 || height == 0 || width > IMAGE_MAX_PIXELS / height)
        return IMAGE_BAD;
    job->rgb = job->alloc(job->ctx, width * height * 3);
    if (!job->rgb)
        return IMAGE_NO_MEMORY;
    job->width = width;
    job->height = height;
    return IMAGE_OK;
}

/* Bytes that a file of the format has at a place. */
static const struct {
    const char *magic;
    size_t at, size;
    enum image_result (*decode)(struct image_job *job);
} formats[] = {
    {"\xff\xd8\xff", 0, 3, image_jpeg_decode},
    {"\x89PNG\r\n\x1a\n", 0, 8, image_png_decode},
    {"WEBP", 8, 4, image_webp_decode},
    {"II*\0", 0, 4, image_tiff_decode},
    {"MM\0*", 0, 4, image_tiff_decode},
    {"II+\0", 0, 4, image_tiff_decode}, /* BigTIFF */
    {"MM\0+", 0, 4, image_tiff_decode},
    {"\0\0\0\x0cjP  \r\n\x87\n", 0, 12, image_jpeg2000_decode},
    {"\xff\x4f\xff\x51", 0, 4, image_jpeg2000_decode}, /* a code stream without its box */
    {"BM", 0, 2, image_bmp_decode},
    {"P", 0, 1, image_pnm_decode},
};

/* Pixels stay where the libraries had their local variables. */
#define STACK_BYTES 65536 /* more than they take */

static __attribute__((noinline)) void wipe_stack(void) {
    uint8_t below[STACK_BYTES];
    explicit_bzero(below, sizeof below);
}

enum image_result image_decode(struct image_job *job) {
    for (size_t i = 0; i < sizeof formats / sizeof *formats; i++)
        if (job->size >= formats[i].at + formats[i].size &&
            memcmp(job->data + formats[i].at, formats[i].magic, formats[i].size) == 0) {
            const enum image_result result = formats[i].decode(job);
            wipe_stack();
            return result;
        }
    return IMAGE_BAD;
}
