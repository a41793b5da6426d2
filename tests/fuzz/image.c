/* libFuzzer target: bytes as an image file, of whatever format they claim. A file is decoded or it
 * is not; where it is, its pixels are all there, and memory stays within what is given. */
#include "engine/image/image.h"
#include "tests/fuzz/fuzz.h"

#define PARTS 4
#define ROOM ((size_t)4 << 20)

struct pool {
    void *parts[PARTS];
    size_t used;
};

static void *take(void *ctx, size_t size) {
    struct pool *p = ctx;
    if (p->used == PARTS || size > ROOM)
        return NULL;
    return p->parts[p->used++] = malloc(size ? size : 1);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct pool pool = {.used = 0};
    uint8_t *copy = fuzz_copy(data, size);
    struct image_job job = {.data = copy, .size = size, .alloc = take, .ctx = &pool};
    if (image_decode(&job) == IMAGE_OK) {
        unsigned sum = 0;
        FUZZ_REQUIRE(job.rgb && job.width > 0 && job.height > 0);
        for (size_t i = 0; i < job.width * job.height * 3; i++)
            sum += job.rgb[i];
        FUZZ_REQUIRE(sum <= job.width * job.height * 3 * 255);
    }
    for (size_t i = 0; i < pool.used; i++)
        free(pool.parts[i]);
    free(copy);
    return 0;
}
