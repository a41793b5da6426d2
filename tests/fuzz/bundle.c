/* libFuzzer target: the files of a bundle, as an archive made of them: model with external data,
 * manifest, labels. The input is the files one after the other, each after its length (2 bytes). A
 * bundle may be refused at any stage; what was acquired is given back. */
#include "bundle/bundle.h"
#include "bundle/tar.h"
#include "tests/fuzz/fuzz.h"

#include <sanitizer/asan_interface.h>

#define ROOM (1 << 16)
#define BUDGET ((size_t)16 << 20)

static size_t live;

static void *acquire(void *ctx, size_t size) {
    (void)ctx;
    if (size > 2 * BUDGET)
        return NULL;
    void *p = aligned_alloc(64, (size + 63) / 64 * 64);
    if (p) {
        memset(p, 0xa5, size);
        live += size;
    }
    return p;
}

static void release(void *ctx, void *data, size_t size) {
    (void)ctx;
    live -= size;
    __asan_unpoison_memory_region(data, size);
    free(data);
}

/* Whoever reads what was given back is caught, as in the worker, where it is not there any more. */
static void discard(void *ctx, const void *data, size_t size) {
    (void)ctx;
    __asan_poison_memory_region(data, size);
}

static void check_labels(const struct bundle *bundle) {
    const struct session *session = bundle_session(bundle);
    for (size_t i = 0; i < session_output_count(session); i++) {
        size_t count;
        const struct str *labels = bundle_labels(bundle, i, &count);
        FUZZ_REQUIRE((labels != NULL) == (count > 0));
        for (size_t k = 0; k < count; k++)
            FUZZ_REQUIRE(labels[k].size >= 1 && labels[k].size <= 255);
    }
    if (bundle_documentation(bundle))
        FUZZ_REQUIRE(strlen(bundle_documentation(bundle)) <= 4096);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const char *const names[] = {"model.onnx", "manifest.yaml", "w", "labels.txt"};
    static uint8_t archive[ROOM + 16 * TAR_BLOCK];
    const struct memory memory = {acquire, release, NULL};
    const struct session_options options = {.memory = memory,
                                            .secret = memory,
                                            .max_memory = BUDGET,
                                            .max_weights = BUDGET,
                                            .max_trips = 20,
                                            .discard = discard};
    size_t used = 0, at = 0;
    if (size > ROOM / 2)
        return 0;
    for (size_t i = 0; i < sizeof names / sizeof *names && at + 2 <= size; i++) {
        size_t length = (size_t)data[at] | (size_t)data[at + 1] << 8;
        at += 2;
        if (length > size - at)
            length = size - at;
        used += tar_header(names[i], length, archive + used);
        memcpy(archive + used, data + at, length);
        memset(archive + used + length, 0, tar_padding(length));
        used += length + tar_padding(length);
        at += length;
    }
    memset(archive + used, 0, TAR_END_SIZE);
    used += TAR_END_SIZE;
    char *copy = aligned_alloc(64, (used + 63) / 64 * 64);
    FUZZ_REQUIRE(copy != NULL);
    memcpy(copy, archive, used);
    struct bundle *bundle = NULL;
    struct error error;
    memset(&error, 0xa5, sizeof error);
    if (bundle_open((struct str){copy, used}, &options, &bundle, &error) == STATUS_OK) {
        check_labels(bundle);
        bundle_free(bundle);
    } else {
        FUZZ_REQUIRE(bundle == NULL && fuzz_explained(error.message, sizeof error.message));
    }
    FUZZ_REQUIRE(live == 0);
    __asan_unpoison_memory_region(copy, used);
    free(copy);
    return 0;
}
