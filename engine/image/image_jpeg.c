/* JPEG, with libjpeg-turbo: baseline and progressive, its default ("fancy") chroma upsampling, as
 * the specification of ImageDecoder asks for. */
#include "engine/image/image.h"

#include <setjmp.h>
#include <stdio.h> /* jpeglib.h needs FILE */
#include <string.h>

#include <jpeglib.h>

#define MAX_SCANS 100 /* a small file may name many passes over a large image */

struct decoder {
    struct jpeg_decompress_struct info;
    struct jpeg_error_mgr errors;
    struct jpeg_progress_mgr progress;
    jmp_buf leave;
    enum image_result result;
    uint8_t *volatile row; /* of CMYK */
};

static void on_error(j_common_ptr info) {
    struct decoder *d = info->client_data;
    longjmp(d->leave, 1);
}

/* Warnings: what there is of a damaged image is given. */
static void on_message(j_common_ptr info, int level) {
    (void)info;
    (void)level;
}

static void on_progress(j_common_ptr info) {
    if (info->is_decompressor && ((j_decompress_ptr)info)->input_scan_number > MAX_SCANS)
        on_error(info);
}

/* Adobe writes the four inks inverted: 255 is no ink. */
static void from_cmyk(const uint8_t *from, uint8_t *to, size_t width, bool inverted) {
    for (size_t i = 0; i < width; i++)
        for (size_t k = 0; k < 3; k++) {
            unsigned ink = from[4 * i + k], black = from[4 * i + 3];
            if (!inverted) {
                ink = 255 - ink;
                black = 255 - black;
            }
            to[3 * i + k] = (uint8_t)((ink * black + 127) / 255);
        }
}

static void read_rows(struct decoder *d, struct image_job *job) {
    struct jpeg_decompress_struct *info = &d->info;
    const bool cmyk = info->out_color_space == JCS_CMYK;
    const bool inverted = info->saw_Adobe_marker;
    if (cmyk) {
        d->row = job->alloc(job->ctx, job->width * 4);
        if (!d->row) {
            d->result = IMAGE_NO_MEMORY;
            return;
        }
    }
    while (info->output_scanline < info->output_height) {
        uint8_t *to = job->rgb + info->output_scanline * job->width * 3;
        JSAMPROW row = cmyk ? d->row : to;
        if (jpeg_read_scanlines(info, &row, 1) != 1)
            return;
        if (cmyk)
            from_cmyk(d->row, to, job->width, inverted);
    }
    d->result = IMAGE_OK;
}

enum image_result image_jpeg_decode(struct image_job *job) {
    struct decoder d;
    memset(&d, 0, sizeof d);
    d.result = IMAGE_BAD;
    d.info.err = jpeg_std_error(&d.errors);
    d.errors.error_exit = on_error;
    d.errors.emit_message = on_message;
    d.progress.progress_monitor = on_progress;
    d.info.client_data = &d;
    /* From here on, an error of the library comes back to this place: nothing of ours is held. */
    if (setjmp(d.leave) != 0)
        goto out;
    jpeg_create_decompress(&d.info);
    d.info.client_data = &d;
    d.info.progress = &d.progress;
    jpeg_mem_src(&d.info, (unsigned char *)(uintptr_t)job->data, job->size);
    if (jpeg_read_header(&d.info, TRUE) != JPEG_HEADER_OK)
        goto out;
    const bool inks = d.info.jpeg_color_space == JCS_CMYK || d.info.jpeg_color_space == JCS_YCCK;
    d.info.out_color_space = inks ? JCS_CMYK : JCS_RGB;
    d.result = image_begin(job, d.info.image_width, d.info.image_height);
    if (d.result != IMAGE_OK)
        goto out;
    d.result = IMAGE_BAD;
    if (jpeg_start_decompress(&d.info) && d.info.output_width == job->width &&
        d.info.output_height == job->height)
        read_rows(&d, job);
out:
    jpeg_destroy_decompress(&d.info);
    return d.result;
}
