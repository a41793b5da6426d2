/* Image files to pixels: BMP, JPEG, JPEG 2000, TIFF, PNG, WebP, and the portable PBM, PGM and PPM.
 *
 * From memory to memory: nothing is opened, and no thread is started. Pixels go to memory that the
 * caller's `alloc` gives and owns; what the libraries need besides comes from the ordinary heap and
 * is given back before a function returns (in a worker the C library overwrites what is freed:
 * server/launch/child.c), and the stack below is wiped. It is bounded through IMAGE_MAX_PIXELS,
 * which is checked before anything is decoded.
 *
 * Input: hostile. Whatever cannot be decoded is IMAGE_BAD; the job's rgb is then not to be used.
 * Threads: no state but what the job holds. */
#ifndef ENGINE_IMAGE_IMAGE_H
#define ENGINE_IMAGE_IMAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* 8192 by 4096: the libraries take up to 16 bytes for a pixel, so half a GiB at the most. */
#define IMAGE_MAX_PIXELS ((size_t)1 << 25)

enum image_result { IMAGE_OK, IMAGE_BAD, IMAGE_NO_MEMORY };

struct image_job {
    const uint8_t *data; /* the file, whole */
    size_t size;
    void *(*alloc)(void *ctx, size_t size); /* NULL: there is no more */
    void *ctx;
    /* results */
    size_t width, height;
    uint8_t *rgb; /* height * width * 3, rows from the top */
};

/* Decodes whatever format the first bytes tell. */
enum image_result image_decode(struct image_job *job);

/* For the decoders: takes the size, checks it and makes job->rgb. */
enum image_result image_begin(struct image_job *job, size_t width, size_t height);

/* One format each, in the file of that name. */
enum image_result image_bmp_decode(struct image_job *job);
enum image_result image_jpeg_decode(struct image_job *job);
enum image_result image_jpeg2000_decode(struct image_job *job);
enum image_result image_png_decode(struct image_job *job);
enum image_result image_pnm_decode(struct image_job *job);
enum image_result image_tiff_decode(struct image_job *job);
enum image_result image_webp_decode(struct image_job *job);

#endif
