/* libFuzzer target: bytes as an ONNX model, through reader, folding, planning and a run on inputs
 * of ones. A model may be refused at any stage; memory and time stay within the options, and what
 * was acquired is given back. */
#include "engine/model/reader.h"
#include "engine/session.h"
#include "tests/fuzz/fuzz.h"

#include <sanitizer/asan_interface.h>
#include <time.h>

#define PORTS 8
#define INPUT_BYTES ((size_t)1 << 16)
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

static const struct memory memory = {acquire, release, NULL};

/* What the first walk measures is what the second takes, unless functions are expanded. */
static void fuzz_measure(struct str bytes) {
    struct arena graph, weights;
    struct model *model = NULL;
    struct error error = {0};
    size_t need = 0;
    arena_init(&graph, memory, 1 << 14, BUDGET, "the graph");
    arena_init(&weights, memory, 1 << 14, BUDGET, "the weights");
    enum status measured = reader_measure(bytes, NULL, &need, &error);
    enum status status = reader_read(bytes, NULL, &graph, &weights, &model, &error);
    if (measured != STATUS_OK)
        FUZZ_REQUIRE(error.message[0] != '\0');
    if (status == STATUS_OK && measured == STATUS_OK)
        FUZZ_REQUIRE(model->graph != NULL && model->graph_count > 0);
    arena_free(&graph);
    arena_free(&weights);
}

/* A tensor of ones for the port; false where it is not one, or is too large. */
static bool make_input(const struct session_port *port, uint64_t *room, struct value *out) {
    int64_t dims[TENSOR_MAX_RANK] = {0};
    const struct type_info *type = &port->type;
    *out = (struct value){.kind = VALUE_TENSOR};
    if (type->kind != VALUE_TENSOR)
        return false;
    for (int d = 0; d < type->rank; d++)
        dims[d] = type->dims[d] < 0 ? 2 : type->dims[d];
    if (tensor_shape(&out->tensor, type->dtype, type->rank < 0 ? 1 : type->rank, dims, NULL) !=
            STATUS_OK ||
        out->tensor.bytes > INPUT_BYTES)
        return false;
    memset(room, type->dtype == DTYPE_STRING ? 0 : 1, INPUT_BYTES);
    out->tensor.data = room;
    return true;
}

static void fuzz_run(struct session *s) {
    static uint64_t room[PORTS][INPUT_BYTES / sizeof(uint64_t)];
    struct value inputs[PORTS], outputs[PORTS];
    struct timespec now;
    size_t n = session_input_count(s), m = session_output_count(s);
    if (n > PORTS || m > PORTS)
        return;
    for (size_t i = 0; i < n; i++)
        if (!make_input(session_input(s, i), room[i], &inputs[i]))
            return;
    clock_gettime(CLOCK_MONOTONIC, &now);
    uint64_t deadline =
        (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec + 500u * 1000000u;
    struct error error = {0};
    for (int turn = 0; turn < 2; turn++) {
        if (session_run(s, inputs, n, deadline, outputs, m, &error) != STATUS_OK) {
            FUZZ_REQUIRE(error.message[0] != '\0');
            continue;
        }
        for (size_t i = 0; i < m; i++)
            if (outputs[i].kind == VALUE_TENSOR)
                FUZZ_REQUIRE(outputs[i].tensor.data != NULL);
        session_release(s);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    char *copy = fuzz_copy(data, size);
    struct str bytes = {copy, size};
    const struct session_options options = {.memory = memory,
                                            .secret = memory,
                                            .max_memory = BUDGET,
                                            .max_weights = BUDGET,
                                            .max_trips = 20,
                                            .discard = discard};
    struct session *s = NULL;
    struct error error = {0};
    fuzz_measure(bytes);
    if (session_open(bytes, &options, &s, &error) == STATUS_OK) {
        fuzz_run(s);
        session_free(s);
    } else {
        FUZZ_REQUIRE(s == NULL && error.message[0] != '\0');
    }
    FUZZ_REQUIRE(live == 0);
    __asan_unpoison_memory_region(copy, size);
    free(copy);
    return 0;
}
