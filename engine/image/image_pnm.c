/* The portable formats of Netpbm: P1 to P6, text or bytes, of black and white, grey or colour
 * (pbm(5), pgm(5), ppm(5)). Values are brought from 0..maxval to 0..255. */
#include "engine/image/image.h"

struct text {
    const uint8_t *data;
    size_t size, at;
    bool failed;
};

static bool is_space(uint8_t c) {
    return c == ' ' || (c >= '\t' && c <= '\r');
}

/* White space and comments, from # to the end of the line. */
static void skip_space(struct text *t) {
    bool comment = false;
    for (; t->at < t->size; t->at++) {
        const uint8_t c = t->data[t->at];
        if (comment)
            comment = c != '\n' && c != '\r';
        else if (c == '#')
            comment = true;
        else if (!is_space(c))
            return;
    }
}

static uint32_t number(struct text *t) {
    uint32_t v = 0;
    size_t digits = 0;
    skip_space(t);
    for (; t->at < t->size && t->data[t->at] >= '0' && t->data[t->at] <= '9'; t->at++, digits++)
        v = v < 100000000 ? v * 10 + (uint32_t)(t->data[t->at] - '0') : v;
    if (digits == 0)
        t->failed = true;
    return v;
}

/* One digit, which need not be set apart from the next. */
static uint32_t bit(struct text *t) {
    skip_space(t);
    if (t->at == t->size || (t->data[t->at] | 1) != '1') {
        t->failed = true;
        return 0;
    }
    return t->data[t->at++] == '1';
}

static uint32_t byte(struct text *t) {
    if (t->at == t->size) {
        t->failed = true;
        return 0;
    }
    return t->data[t->at++];
}

static uint8_t scaled(uint32_t v, uint32_t most) {
    return (uint8_t)(v >= most ? 255 : (v * 255 + most / 2) / most);
}

/* A row of packed bits, the first in the highest, begins at a byte; 1 is black. */
static void bits_row(struct text *t, uint8_t *row, size_t width) {
    uint32_t eight = 0;
    for (size_t x = 0; x < width && !t->failed; x++) {
        if (x % 8 == 0)
            eight = byte(t);
        row[x * 3] = eight >> (7 - x % 8) & 1 ? 0 : 255;
    }
}

static uint8_t value(struct text *t, int kind, uint32_t most) {
    if (kind == 1)
        return bit(t) ? 0 : 255;
    if (kind < 4)
        return scaled(number(t), most);
    uint32_t v = byte(t);
    if (most > 255)
        v = v << 8 | byte(t);
    return scaled(v, most);
}

static void read_row(struct text *t, int kind, uint32_t most, uint8_t *row, size_t width) {
    const bool colour = kind == 3 || kind == 6;
    if (kind == 4)
        bits_row(t, row, width);
    for (size_t x = 0; x < width && !t->failed; x++) {
        uint8_t *p = row + 3 * x;
        if (kind != 4)
            p[0] = value(t, kind, most);
        p[1] = colour ? value(t, kind, most) : p[0];
        p[2] = colour ? value(t, kind, most) : p[0];
    }
}

enum image_result image_pnm_decode(struct image_job *job) {
    struct text t = {job->data, job->size, 2, false};
    if (job->size < 3 || job->data[1] < '1' || job->data[1] > '6')
        return IMAGE_BAD;
    const int kind = job->data[1] - '0';
    const uint32_t width = number(&t), height = number(&t);
    const uint32_t most = kind == 1 || kind == 4 ? 1 : number(&t);
    if (t.failed || most < 1 || most > 65535)
        return IMAGE_BAD;
    /* Bytes begin after just one white space. */
    if (kind >= 4 && (t.at == t.size || !is_space(t.data[t.at++])))
        return IMAGE_BAD;
    enum image_result r = image_begin(job, width, height);
    for (size_t y = 0; r == IMAGE_OK && y < job->height; y++) {
        read_row(&t, kind, most, job->rgb + y * job->width * 3, job->width);
        if (t.failed)
            r = IMAGE_BAD;
    }
    return r;
}
