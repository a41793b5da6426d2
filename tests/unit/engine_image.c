/* Image files: the formats that are ours, pixel by pixel; all of them from the fuzzer's seeds,
 * whole and cut at every length; sizes that no memory has. */
#include "engine/image/image.h"

#include <criterion/criterion.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CORPUS "tests/fuzz/image-corpus"
#define PARTS 8

struct pool {
    void *parts[PARTS];
    size_t used, largest;
};

static void *take(void *ctx, size_t size) {
    struct pool *p = ctx;
    cr_assert_lt(p->used, (size_t)PARTS);
    p->largest = size > p->largest ? size : p->largest;
    return p->parts[p->used++] = malloc(size);
}

static void *take_nothing(void *ctx, size_t size) {
    (void)ctx;
    (void)size;
    return NULL;
}

static void pool_free(struct pool *p) {
    for (size_t i = 0; i < p->used; i++)
        free(p->parts[i]);
    p->used = 0;
}

/* Decodes a copy of just `size` bytes, so that a read past them is seen by a sanitizer. */
static enum image_result decode(struct pool *p, const void *bytes, size_t size,
                                struct image_job *job) {
    uint8_t *copy = malloc(size ? size : 1);
    memcpy(copy, bytes, size);
    *job = (struct image_job){.data = copy, .size = size, .alloc = take, .ctx = p};
    const enum image_result r = image_decode(job);
    free(copy);
    return r;
}

static void check(const void *bytes, size_t size, size_t width, size_t height,
                  const uint8_t *pixels) {
    struct pool p = {.used = 0};
    struct image_job job;
    cr_assert_eq(decode(&p, bytes, size, &job), IMAGE_OK);
    cr_assert(job.width == width && job.height == height);
    for (size_t i = 0; i < width * height * 3; i++)
        cr_assert_eq(job.rgb[i], pixels[i], "byte %zu is %d, not %d", i, job.rgb[i], pixels[i]);
    pool_free(&p);
}

#define CHECK(text, width, height, ...)                                                            \
    check(text, sizeof text - 1, width, height, (const uint8_t[]){__VA_ARGS__})

#define BLACK 0, 0, 0
#define WHITE 255, 255, 255

Test(image, portable) {
    CHECK("P1 3 1 # three\n1 01", 3, 1, BLACK, WHITE, BLACK);
    CHECK("P4 3 2\n\xa0\x40", 3, 2, BLACK, WHITE, BLACK, WHITE, BLACK, WHITE);
    CHECK("P2\n2 1\n# most\n4\n0 4", 2, 1, BLACK, WHITE);
    CHECK("P2 1 1 3 1", 1, 1, 85, 85, 85);
    CHECK("P5 2 1 255\n\x07\xff", 2, 1, 7, 7, 7, WHITE);
    CHECK("P5 1 1 65535\n\x80\x80", 1, 1, 128, 128, 128);
    CHECK("P3 1 1 255 1 2 3", 1, 1, 1, 2, 3);
    CHECK("P6 1 2 255\n\x01\x02\x03\x04\x05\x06", 1, 2, 1, 2, 3, 4, 5, 6);
}

/* Header of 54 bytes: size of the file and of the pixels are left out, as readers do not use them.
 */
static size_t bitmap(uint8_t *to, int32_t width, int32_t height, uint16_t bits,
                     uint32_t compression, uint32_t colours, uint32_t at) {
    memset(to, 0, 54);
    memcpy(to, "BM", 2);
    memcpy(to + 10, &at, 4);
    memcpy(to + 14, &(uint32_t){40}, 4);
    memcpy(to + 18, &width, 4);
    memcpy(to + 22, &height, 4);
    memcpy(to + 26, &(uint16_t){1}, 2);
    memcpy(to + 28, &bits, 2);
    memcpy(to + 30, &compression, 4);
    memcpy(to + 46, &colours, 4);
    return 54;
}

static size_t put(uint8_t *to, size_t at, const void *bytes, size_t size) {
    memcpy(to + at, bytes, size);
    return at + size;
}

/* Blue, green, red and a byte more, as a palette holds them: index 0 is (1,2,3), 1 is (4,5,6). */
static const uint8_t palette[8] = {3, 2, 1, 0, 6, 5, 4, 0};
#define ZERO 1, 2, 3
#define ONE 4, 5, 6

Test(image, bitmap_with_palette) {
    uint8_t file[256];
    size_t n = put(file, bitmap(file, 3, 2, 1, 0, 2, 62), palette, 8);
    n = put(file, n, "\xa0\0\0\0\x40\0\0\0", 8);
    check(file, n, 3, 2, (const uint8_t[]){ZERO, ONE, ZERO, ONE, ZERO, ONE});
    n = put(file, bitmap(file, 3, -1, 4, 0, 2, 62), palette, 8);
    n = put(file, n, "\x01\x10\0\0", 4);
    check(file, n, 3, 1, (const uint8_t[]){ZERO, ONE, ONE});
    /* An index past the palette is black. */
    n = put(file, bitmap(file, 3, 1, 8, 0, 2, 62), palette, 8);
    n = put(file, n, "\x01\x02\x00\0", 4);
    check(file, n, 3, 1, (const uint8_t[]){ONE, BLACK, ZERO});
}

Test(image, bitmap_of_true_colour) {
    uint8_t file[256];
    size_t n = put(file, bitmap(file, 1, 2, 24, 0, 0, 54), "\x03\x02\x01\0\x06\x05\x04\0", 8);
    check(file, n, 1, 2, (const uint8_t[]){ONE, ZERO});
    n = put(file, bitmap(file, 1, 1, 32, 0, 0, 54), "\x03\x02\x01\xff", 4);
    check(file, n, 1, 1, (const uint8_t[]){ZERO});
    n = put(file, bitmap(file, 2, 1, 16, 0, 0, 54), "\x1f\x00\x00\x7c", 4);
    check(file, n, 2, 1, (const uint8_t[]){0, 0, 255, 255, 0, 0});
    /* Masks of 5, 6 and 5 bits. */
    n = put(file, bitmap(file, 2, 1, 16, 3, 0, 66), "\0\xf8\0\0\xe0\x07\0\0\x1f\0\0\0", 12);
    n = put(file, n, "\xe0\x07\x00\xf8", 4);
    check(file, n, 2, 1, (const uint8_t[]){0, 255, 0, 255, 0, 0});
}

Test(image, bitmap_of_runs) {
    uint8_t file[256];
    /* Two of 1, a literal of three, next line; skip one to the right, one of 1; end. */
    size_t n = put(file, bitmap(file, 5, 2, 8, 1, 2, 62), palette, 8);
    n = put(file, n, "\x02\x01\0\x03\x00\x01\x00\0\0\0\0\x02\x01\0\x01\x01\0\x01", 18);
    check(file, n, 5, 2, (const uint8_t[]){ZERO, ONE, ZERO, ZERO, ZERO, ONE, ONE, ZERO, ONE, ZERO});
    n = put(file, bitmap(file, 4, 1, 4, 2, 2, 62), palette, 8);
    n = put(file, n, "\x04\x01\0\x01", 4);
    check(file, n, 4, 1, (const uint8_t[]){ZERO, ONE, ZERO, ONE});
    /* Runs that leave the image at its right and its top change nothing. */
    n = put(file, bitmap(file, 1, 1, 8, 1, 2, 62), palette, 8);
    n = put(file, n, "\xff\x01\0\0\xff\x01\0\x02\xff\xff\0\x01", 12);
    check(file, n, 1, 1, (const uint8_t[]){ONE});
}

static size_t read_seed(const char *name, uint8_t *to, size_t room) {
    char path[512];
    snprintf(path, sizeof path, CORPUS "/%s", name);
    FILE *f = fopen(path, "rb");
    cr_assert_not_null(f, "%s", path);
    const size_t n = fread(to, 1, room, f);
    fclose(f);
    return n;
}

/* The seeds show (36 x, 51 y, 19 (x + y)) on 8 by 6 pixels, or one colour; lossless ones exactly.
 */
Test(image, seeds) {
    static const char *const exact[] = {"rgb.bmp",      "rgb.png",       "alpha.png",
                                        "raw.tiff",     "lzw.tiff",      "deflate.tiff",
                                        "lossless.jp2", "lossless.webp", "rgb.ppm"};
    static const char *const flat[] = {"flat.jpg", "ink.jpg", "flat.webp", "flat.j2k"};
    uint8_t file[4096];
    for (size_t i = 0; i < sizeof exact / sizeof *exact; i++) {
        struct pool p = {.used = 0};
        struct image_job job;
        const size_t n = read_seed(exact[i], file, sizeof file);
        cr_assert_eq(decode(&p, file, n, &job), IMAGE_OK, "%s", exact[i]);
        cr_assert(job.width == 8 && job.height == 6, "%s", exact[i]);
        for (size_t k = 0; k < 48; k++) {
            const size_t x = k % 8, y = k / 8;
            const uint8_t *at = job.rgb + 3 * k;
            cr_assert(at[0] == 36 * x && at[1] == 51 * y && at[2] == 19 * (x + y), "%s, pixel %zu",
                      exact[i], k);
        }
        pool_free(&p);
    }
    for (size_t i = 0; i < sizeof flat / sizeof *flat; i++) {
        struct pool p = {.used = 0};
        struct image_job job;
        const size_t n = read_seed(flat[i], file, sizeof file);
        cr_assert_eq(decode(&p, file, n, &job), IMAGE_OK, "%s", flat[i]);
        for (size_t k = 0; k < 48; k++)
            for (size_t c = 0; c < 3; c++)
                cr_assert_leq(abs(job.rgb[3 * k + c] - (200 - 100 * (c > 0) - 50 * (c > 1))), 4,
                              "%s: %d", flat[i], job.rgb[3 * k + c]);
        pool_free(&p);
    }
}

/* Every seed, cut at every length, and with every byte changed: decoded or not, never more. */
Test(image, damaged_files) {
    uint8_t file[4096];
    DIR *folder = opendir(CORPUS);
    size_t seeds = 0;
    cr_assert_not_null(folder);
    for (struct dirent *e; (e = readdir(folder));) {
        if (e->d_name[0] == '.')
            continue;
        const size_t n = read_seed(e->d_name, file, sizeof file);
        seeds++;
        for (size_t i = 0; i < 2 * n; i++) {
            struct pool p = {.used = 0};
            struct image_job job;
            if (i >= n)
                file[i - n] ^= 0x81;
            (void)decode(&p, file, i < n ? i : n, &job);
            cr_assert_leq(p.largest, IMAGE_MAX_PIXELS * 4);
            if (i >= n)
                file[i - n] ^= 0x81;
            pool_free(&p);
        }
    }
    closedir(folder);
    cr_assert_geq(seeds, (size_t)20);
}

Test(image, sizes_that_are_refused) {
    static const char *const files[] = {"P6 100000 100000 255\n",
                                        "P1 0 4\n",
                                        "P5 4294967297 1 255\n",
                                        "P5 3 3 0\n",
                                        "P9 1 1 1\n1",
                                        "P6 1 1 255",
                                        ""};
    uint8_t file[64];
    struct pool p = {.used = 0};
    struct image_job job;
    for (size_t i = 0; i < sizeof files / sizeof *files; i++)
        cr_assert_eq(decode(&p, files[i], strlen(files[i]), &job), IMAGE_BAD, "%s", files[i]);
    cr_assert_eq(decode(&p, file, bitmap(file, 1, INT32_MIN, 24, 0, 0, 54), &job), IMAGE_BAD);
    cr_assert_eq(decode(&p, file, bitmap(file, -1, 1, 24, 0, 0, 54), &job), IMAGE_BAD);
    cr_assert_eq(decode(&p, file, bitmap(file, 1, 1, 24, 0, 0, 54000), &job), IMAGE_BAD);
    cr_assert_eq(p.used, (size_t)0);
    job =
        (struct image_job){.data = (const uint8_t *)"P1 1 1\n1", .size = 8, .alloc = take_nothing};
    cr_assert_eq(image_decode(&job), IMAGE_NO_MEMORY);
}
