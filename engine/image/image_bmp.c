/* Windows bitmaps ("Bitmap Storage" in the Windows GDI documentation): 1, 2, 4 and 8 bits with a
 * palette, plain or run-length encoded; 16, 24 and 32 bits, with masks where the header has them.
 */
#include "engine/image/image.h"

#include <string.h>

enum { RGB = 0, RLE8 = 1, RLE4 = 2, BITFIELDS = 3, ALPHABITFIELDS = 6 };

struct header {
    const uint8_t *data; /* the file */
    size_t size;
    size_t pixels; /* offset of the first row */
    uint32_t width, height, bits, compression;
    bool top_down;
    uint32_t mask[3];
    const uint8_t *palette;
    uint32_t entry, colours; /* bytes of an entry; entries */
};

static uint32_t u16(const uint8_t *p) {
    return (uint32_t)p[0] | (uint32_t)p[1] << 8;
}

static uint32_t u32(const uint8_t *p) {
    return u16(p) | u16(p + 2) << 16;
}

/* OS/2's header of 12 bytes: sizes of 16 bits, palette entries of three bytes. */
static void core_header(struct header *h, const uint8_t *p) {
    h->width = u16(p + 4);
    h->height = u16(p + 6);
    h->bits = u16(p + 10);
    h->entry = 3;
}

static bool info_header(struct header *h, const uint8_t *p) {
    const int32_t height = (int32_t)u32(p + 8);
    if (height == INT32_MIN)
        return false;
    h->width = u32(p + 4);
    h->top_down = height < 0;
    h->height = (uint32_t)(height < 0 ? -height : height);
    h->bits = u16(p + 14);
    h->compression = u32(p + 16);
    h->colours = u32(p + 32);
    h->entry = 4;
    return h->width <= INT32_MAX;
}

static void default_masks(struct header *h) {
    static const uint32_t masks[2][3] = {{0x7c00, 0x3e0, 0x1f}, {0xff0000, 0xff00, 0xff}};
    memcpy(h->mask, masks[h->bits == 16 ? 0 : 1], sizeof h->mask);
}

static bool read_header(struct header *h) {
    if (h->size < 26)
        return false;
    const uint8_t *p = h->data + 14;
    const uint32_t length = u32(p);
    if (length > h->size - 14 || (length != 12 && length < 40))
        return false;
    if (length == 12)
        core_header(h, p);
    else if (!info_header(h, p))
        return false;
    h->pixels = u32(h->data + 10);
    size_t at = 14 + length;
    default_masks(h);
    if (h->compression == BITFIELDS || h->compression == ALPHABITFIELDS) {
        /* In the header of version 2 on, else after it: the same place. */
        if (h->size < 14 + 40 + 12)
            return false;
        for (size_t i = 0; i < 3; i++)
            h->mask[i] = u32(h->data + 54 + 4 * i);
        at = at < 66 ? 66 : at;
        h->compression = RGB;
    }
    if (h->bits <= 8) {
        const uint32_t most = (uint32_t)1 << h->bits;
        if (h->colours == 0 || h->colours > most)
            h->colours = most;
        if (h->colours > (h->size - at) / h->entry)
            h->colours = (uint32_t)((h->size - at) / h->entry);
        h->palette = h->data + at;
    }
    return h->pixels >= 14 && h->pixels <= h->size;
}

static void put_colour(const struct header *h, uint32_t index, uint8_t *to) {
    const uint8_t black[3] = {0, 0, 0};
    const uint8_t *c = index < h->colours ? h->palette + (size_t)index * h->entry : black;
    to[0] = c[2];
    to[1] = c[1];
    to[2] = c[0];
}

/* The bits of `v` under a mask, brought to 0..255. */
static uint8_t under(uint32_t v, uint32_t mask) {
    if (mask == 0)
        return 0;
    const int shift = __builtin_ctz(mask);
    const uint64_t most = mask >> shift;
    return (uint8_t)(((uint64_t)((v & mask) >> shift) * 255 + most / 2) / most);
}

static void put_pixel(const struct header *h, const uint8_t *row, size_t x, uint8_t *to) {
    if (h->bits == 24) {
        to[0] = row[3 * x + 2];
        to[1] = row[3 * x + 1];
        to[2] = row[3 * x];
    } else if (h->bits > 8) {
        const uint32_t v = h->bits == 16 ? u16(row + 2 * x) : u32(row + 4 * x);
        for (size_t k = 0; k < 3; k++)
            to[k] = under(v, h->mask[k]);
    } else {
        const size_t at = x * h->bits;
        put_colour(h, (uint32_t)(row[at / 8] >> (8 - h->bits - at % 8)) & ((1u << h->bits) - 1),
                   to);
    }
}

static uint8_t *row_of(const struct header *h, const struct image_job *job, size_t y) {
    return job->rgb + (h->top_down ? y : job->height - 1 - y) * job->width * 3;
}

static enum image_result plain(const struct header *h, struct image_job *job) {
    const size_t stride = (job->width * h->bits + 31) / 32 * 4;
    for (size_t y = 0; y < job->height; y++) {
        const size_t at = h->pixels + y * stride;
        /* The last row may come without what fills it up to four bytes. */
        if (at > h->size || (job->width * h->bits + 7) / 8 > h->size - at)
            return IMAGE_BAD;
        for (size_t x = 0; x < job->width; x++)
            put_pixel(h, h->data + at, x, row_of(h, job, y) + 3 * x);
    }
    return IMAGE_OK;
}

struct runs {
    const struct header *h;
    struct image_job *job;
    size_t at, x, y;
};

static void run_put(struct runs *r, uint32_t index) {
    if (r->x < r->job->width && r->y < r->job->height)
        put_colour(r->h, index, row_of(r->h, r->job, r->y) + 3 * r->x);
    r->x++;
}

/* `count` pixels as they stand, filled up to two bytes. */
static bool literal(struct runs *r, size_t count) {
    const struct header *h = r->h;
    const bool four = h->compression == RLE4;
    const size_t bytes = four ? (count + 1) / 2 : count;
    if (bytes > h->size - r->at)
        return false;
    const uint8_t *p = h->data + r->at;
    for (size_t i = 0; i < count; i++)
        run_put(r, four ? (uint32_t)(p[i / 2] >> (i % 2 ? 0 : 4)) & 15 : p[i]);
    r->at += bytes + bytes % 2;
    return r->at <= h->size;
}

static enum image_result run_length(const struct header *h, struct image_job *job) {
    struct runs r = {h, job, h->pixels, 0, 0};
    for (size_t i = 0; i < job->width * job->height; i++)
        put_colour(h, 0, job->rgb + 3 * i);
    while (r.y < job->height && r.at <= h->size && h->size - r.at >= 2) {
        const uint32_t count = h->data[r.at], v = h->data[r.at + 1];
        r.at += 2;
        if (count > 0) {
            for (uint32_t i = 0; i < count; i++)
                run_put(&r, h->compression == RLE8 ? v : i % 2 ? v & 15 : v >> 4);
        } else if (v == 0) {
            r.x = 0;
            r.y++;
        } else if (v == 1) {
            return IMAGE_OK;
        } else if (v == 2) {
            if (h->size - r.at < 2)
                return IMAGE_BAD;
            r.x += h->data[r.at];
            r.y += h->data[r.at + 1];
            r.at += 2;
        } else if (!literal(&r, v)) {
            return IMAGE_BAD;
        }
    }
    return r.y >= job->height ? IMAGE_OK : IMAGE_BAD;
}

enum image_result image_bmp_decode(struct image_job *job) {
    struct header h = {.data = job->data, .size = job->size};
    if (!read_header(&h))
        return IMAGE_BAD;
    const bool runs = (h.compression == RLE8 && h.bits == 8 && !h.top_down) ||
                      (h.compression == RLE4 && h.bits == 4 && !h.top_down);
    const bool bits = h.bits == 1 || h.bits == 2 || h.bits == 4 || h.bits == 8 || h.bits == 16 ||
                      h.bits == 24 || h.bits == 32;
    if (!bits || (h.compression != RGB && !runs))
        return IMAGE_BAD;
    enum image_result r = image_begin(job, h.width, h.height);
    if (r == IMAGE_OK)
        r = runs ? run_length(&h, job) : plain(&h, job);
    return r;
}
