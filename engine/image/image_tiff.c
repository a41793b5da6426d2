/* TIFF, with libtiff: the first image of the file, from memory, whatever its compression. */
#include "engine/image/image.h"

#include <string.h>
#include <tiffio.h>

struct source {
    const uint8_t *data;
    size_t size, at;
};

static tmsize_t read_bytes(thandle_t handle, void *to, tmsize_t want) {
    struct source *s = handle;
    const size_t left = s->at < s->size ? s->size - s->at : 0;
    const size_t n = want > 0 && (size_t)want < left ? (size_t)want : want > 0 ? left : 0;
    if (n > 0)
        memcpy(to, s->data + s->at, n);
    s->at += n;
    return (tmsize_t)n;
}

static tmsize_t write_bytes(thandle_t handle, void *from, tmsize_t size) {
    (void)handle;
    (void)from;
    (void)size;
    return -1;
}

static toff_t seek(thandle_t handle, toff_t offset, int whence) {
    struct source *s = handle;
    /* An offset past the end is allowed: reads there give nothing. Sums wrap like the library's. */
    const toff_t base = whence == SEEK_CUR ? s->at : whence == SEEK_END ? s->size : 0;
    s->at = (size_t)(base + offset);
    return s->at;
}

static int close_source(thandle_t handle) {
    (void)handle;
    return 0;
}

static toff_t size_of(thandle_t handle) {
    return ((struct source *)handle)->size;
}

static int silent(TIFF *tiff, void *ctx, const char *module, const char *format, va_list args) {
    (void)tiff;
    (void)ctx;
    (void)module;
    (void)format;
    (void)args;
    return 1;
}

static enum image_result read_image(TIFF *tiff, struct image_job *job) {
    uint32_t width = 0, height = 0;
    if (!TIFFGetField(tiff, TIFFTAG_IMAGEWIDTH, &width) ||
        !TIFFGetField(tiff, TIFFTAG_IMAGELENGTH, &height))
        return IMAGE_BAD;
    enum image_result r = image_begin(job, width, height);
    if (r != IMAGE_OK)
        return r;
    const size_t pixels = job->width * job->height;
    uint32_t *raster = job->alloc(job->ctx, pixels * sizeof *raster);
    if (!raster)
        return IMAGE_NO_MEMORY;
    if (!TIFFReadRGBAImageOriented(tiff, width, height, raster, ORIENTATION_TOPLEFT, 1))
        return IMAGE_BAD;
    for (size_t i = 0; i < pixels; i++) {
        job->rgb[3 * i] = (uint8_t)TIFFGetR(raster[i]);
        job->rgb[3 * i + 1] = (uint8_t)TIFFGetG(raster[i]);
        job->rgb[3 * i + 2] = (uint8_t)TIFFGetB(raster[i]);
    }
    return IMAGE_OK;
}

enum image_result image_tiff_decode(struct image_job *job) {
    struct source source = {job->data, job->size, 0};
    enum image_result r = IMAGE_BAD;
    TIFF *tiff = NULL;
    TIFFOpenOptions *options = TIFFOpenOptionsAlloc();
    if (!options)
        return IMAGE_NO_MEMORY;
    TIFFOpenOptionsSetErrorHandlerExtR(options, silent, NULL);
    TIFFOpenOptionsSetWarningHandlerExtR(options, silent, NULL);
    TIFFOpenOptionsSetMaxSingleMemAlloc(options, (tmsize_t)(IMAGE_MAX_PIXELS * 16));
    tiff = TIFFClientOpenExt("image", "rm", &source, read_bytes, write_bytes, seek, close_source,
                             size_of, NULL, NULL, options);
    if (tiff) {
        r = read_image(tiff, job);
        TIFFClose(tiff);
    }
    TIFFOpenOptionsFree(options);
    return r;
}
