/* JPEG 2000, with OpenJPEG: in its box (JP2) or the bare code stream; samples of up to 16 bits
 * become 8, components of a coarser grid are repeated. */
#include "engine/image/image.h"

#include <openjpeg.h>
#include <string.h>

struct source {
    const uint8_t *data;
    size_t size, at;
};

static OPJ_SIZE_T read_bytes(void *to, OPJ_SIZE_T want, void *ctx) {
    struct source *s = ctx;
    const size_t left = s->size - s->at, n = want < left ? want : left;
    if (n == 0)
        return (OPJ_SIZE_T)-1; /* the end */
    memcpy(to, s->data + s->at, n);
    s->at += n;
    return n;
}

static OPJ_BOOL seek(OPJ_OFF_T offset, void *ctx) {
    struct source *s = ctx;
    if (offset < 0 || (size_t)offset > s->size)
        return OPJ_FALSE;
    s->at = (size_t)offset;
    return OPJ_TRUE;
}

static OPJ_OFF_T skip(OPJ_OFF_T count, void *ctx) {
    struct source *s = ctx;
    if (count < 0 || (size_t)count > s->size - s->at)
        return -1;
    s->at += (size_t)count;
    return count;
}

static void silent(const char *message, void *ctx) {
    (void)message;
    (void)ctx;
}

/* The sample at a pixel, as 0 to 255. */
static int sample(const opj_image_comp_t *c, size_t x, size_t y) {
    const size_t column = x / c->dx, row = y / c->dy;
    if (column >= c->w || row >= c->h)
        return 0;
    int64_t v = c->data[row * c->w + column];
    if (c->sgnd)
        v += (int64_t)1 << (c->prec - 1);
    v = c->prec > 8 ? v >> (c->prec - 8) : v * 255 / (((int64_t)1 << c->prec) - 1);
    return v < 0 ? 0 : v > 255 ? 255 : (int)v;
}

static uint8_t limited(double v) {
    return (uint8_t)(v < 0 ? 0 : v > 255 ? 255 : v + 0.5);
}

/* ITU-R BT.601, full range, as JPEG has it. */
static void from_ycc(uint8_t *p) {
    const double y = p[0], cb = p[1] - 128.0, cr = p[2] - 128.0;
    p[0] = limited(y + 1.402 * cr);
    p[1] = limited(y - 0.344136 * cb - 0.714136 * cr);
    p[2] = limited(y + 1.772 * cb);
}

static bool usable(const opj_image_t *image) {
    for (OPJ_UINT32 k = 0; k < image->numcomps; k++) {
        const opj_image_comp_t *c = &image->comps[k];
        if (!c->data || c->prec < 1 || c->prec > 16 || c->dx < 1 || c->dy < 1)
            return false;
    }
    return image->numcomps > 0;
}

static void convert(const opj_image_t *image, struct image_job *job) {
    const bool colour = image->numcomps >= 3;
    for (size_t y = 0; y < job->height; y++)
        for (size_t x = 0; x < job->width; x++) {
            uint8_t *p = job->rgb + (y * job->width + x) * 3;
            for (size_t k = 0; k < 3; k++)
                p[k] = (uint8_t)sample(&image->comps[colour ? k : 0], x, y);
            if (colour && image->color_space == OPJ_CLRSPC_SYCC)
                from_ycc(p);
        }
}

/* The header's size, before any tile is read: what decoding will take hangs on it. */
static enum image_result begin(const opj_image_t *image, struct image_job *job) {
    if (image->x1 <= image->x0 || image->y1 <= image->y0 || image->numcomps > 4)
        return IMAGE_BAD;
    return image_begin(job, image->x1 - image->x0, image->y1 - image->y0);
}

enum image_result image_jpeg2000_decode(struct image_job *job) {
    struct source source = {job->data, job->size, 0};
    opj_dparameters_t parameters;
    opj_image_t *image = NULL;
    enum image_result r = IMAGE_BAD;
    opj_codec_t *codec = opj_create_decompress(job->data[0] == 0 ? OPJ_CODEC_JP2 : OPJ_CODEC_J2K);
    opj_stream_t *stream = opj_stream_create((OPJ_SIZE_T)1 << 16, OPJ_TRUE);
    if (!codec || !stream) {
        r = IMAGE_NO_MEMORY;
        goto out;
    }
    opj_stream_set_user_data(stream, &source, NULL);
    opj_stream_set_user_data_length(stream, source.size);
    opj_stream_set_read_function(stream, read_bytes);
    opj_stream_set_seek_function(stream, seek);
    opj_stream_set_skip_function(stream, skip);
    opj_set_error_handler(codec, silent, NULL);
    opj_set_warning_handler(codec, silent, NULL);
    opj_set_info_handler(codec, silent, NULL);
    opj_set_default_decoder_parameters(&parameters);
    if (!opj_setup_decoder(codec, &parameters) || !opj_read_header(stream, codec, &image))
        goto out;
    r = begin(image, job);
    if (r != IMAGE_OK)
        goto out;
    r = IMAGE_BAD;
    if (!opj_decode(codec, stream, image) || !opj_end_decompress(codec, stream) || !usable(image))
        goto out;
    convert(image, job);
    r = IMAGE_OK;
out:
    opj_image_destroy(image);
    if (stream)
        opj_stream_destroy(stream);
    if (codec)
        opj_destroy_codec(codec);
    return r;
}
