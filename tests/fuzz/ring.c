/* libFuzzer target: what a worker that was broken into could leave in the ring. Headers are written
 * into the shared slot as the bytes say; what ring_wait and ring_take let pass must lie inside the
 * slot, and the answer that front makes of it must fit its bound and be well-formed JSON. */
#include <unistd.h>

#include "base/buf.h"
#include "base/ring.h"
#include "server/front/json_reader.h"
#include "server/front/oip_response.h"
#include "server/front/oip_type.h"
#include "tests/fuzz/fuzz.h"

#define SLOT_BYTES 4096

static const char model[] =
    "{\"inputs\":[{\"name\":\"x\",\"datatype\":\"FP32\",\"shape\":[-1]}],\"outputs\":["
    "{\"name\":\"f\",\"datatype\":\"FP32\",\"shape\":[-1]},"
    "{\"name\":\"d\",\"datatype\":\"FP64\",\"shape\":[-1,-1]},"
    "{\"name\":\"i\",\"datatype\":\"INT8\",\"shape\":[-1]},"
    "{\"name\":\"l\",\"datatype\":\"INT64\",\"shape\":[]},"
    "{\"name\":\"u\",\"datatype\":\"UINT64\",\"shape\":[-1]},"
    "{\"name\":\"b\",\"datatype\":\"BOOL\",\"shape\":[-1]},"
    "{\"name\":\"s\",\"datatype\":\"BYTES\",\"shape\":[-1]},"
    "{\"name\":\"h\",\"datatype\":\"FP16\",\"shape\":[-1]}]}";

static struct oip_signature *signature;
static struct ring *ring;
/* The worker's view of the slot: a worker can write it all, whatever base/ring.h offers. */
static volatile uint32_t *slot_state;
static struct ring_response *slot_response;
static uint32_t state_done;

int LLVMFuzzerInitialize(int *argc, char ***argv) {
    (void)argc;
    (void)argv;
    int memory = -1;
    static struct ring_response mark = {.status = STATUS_DEADLINE, .message = "here"};
    FUZZ_REQUIRE(oip_signature_parse(model, sizeof model - 1, &signature, NULL) == STATUS_OK);
    FUZZ_REQUIRE(ring_create(1, SLOT_BYTES, &memory, NULL) == STATUS_OK);
    FUZZ_REQUIRE(ring_attach(memory, 1, SLOT_BYTES, false, &ring, NULL) == STATUS_OK);
    close(memory);
    /* State, request and answer follow each other; that this is so is tried, not believed. */
    uint8_t *request = (uint8_t *)ring_request_of(ring, 0);
    slot_state = (volatile uint32_t *)(void *)(request - 8);
    slot_response = (struct ring_response *)(void *)(request + sizeof(struct ring_request));
    ring_complete(ring, 0, &mark);
    FUZZ_REQUIRE(slot_response->status == STATUS_DEADLINE &&
                 strcmp(slot_response->message, "here") == 0 && *slot_state != 0);
    state_done = *slot_state;
    return 0;
}

/* A number of two bytes, or of eight where the tensor is `wide`. */
static uint64_t number(struct cursor *in, bool wide) {
    return wide ? cursor_u64(in) : (uint64_t)(int64_t)(int16_t)cursor_u16(in);
}

static void read_tensor(struct cursor *in, struct ring_tensor *t) {
    uint8_t shape = cursor_u8(in);
    bool wide = shape & 0x80;
    t->rank = shape & 0x0f;
    t->index = cursor_u8(in);
    t->type = cursor_u8(in);
    for (uint32_t d = 0; d < t->rank && d < RING_RANK_MAX; d++)
        t->dims[d] = (int64_t)number(in, wide);
    t->offset = number(in, wide);
    t->bytes = number(in, wide);
}

static void check_tensors(const struct ring_tensor *tensors, uint32_t count, uint64_t end) {
    FUZZ_REQUIRE(count <= RING_TENSORS_MAX && end <= SLOT_BYTES);
    for (uint32_t i = 0; i < count; i++) {
        FUZZ_REQUIRE(tensors[i].rank <= RING_RANK_MAX && tensors[i].index < RING_TENSORS_MAX);
        FUZZ_REQUIRE(tensors[i].offset % RING_ALIGN == 0 && tensors[i].offset <= end &&
                     tensors[i].bytes <= end - tensors[i].offset);
    }
}

/* Ask for every output, and in binary where its bit says so or there is no other form. */
static void encode(const struct ring_response *answer, uint8_t binary_bits, uint32_t wanted) {
    static struct oip_request request;
    struct error error;
    request.has_id = true;
    request.id_size = 3;
    memcpy(request.id, "a\"\xc3", 3);
    request.output_count = 0;
    for (uint32_t i = 0; i < signature->output_count; i++) {
        bool binary = binary_bits >> i & 1 || !oip_type_of(signature->outputs[i].type)->json;
        for (uint32_t j = 0; j < answer->output_count; j++)
            if (answer->outputs[j].index == i) {
                uint32_t classes = classification_takes(signature->outputs[i].type) ? wanted : 0;
                request.outputs[request.output_count++] = (struct oip_output){i, binary, classes};
                break;
            }
    }
    uint8_t *data = fuzz_copy(ring_data(ring, 0), SLOT_BYTES);
    struct oip_response response = {signature, &request, answer, data, "model", "1", NULL};
    size_t bound = 0, json_size = 0;
    bool binary = false;
    if (oip_response_check(&response, &bound, &error) == STATUS_OK) {
        struct buf out = buf_of(malloc(bound), bound);
        response.ranks = malloc((oip_response_ranks(&response) + 1) * sizeof *response.ranks);
        FUZZ_REQUIRE(out.data != NULL && response.ranks != NULL);
        enum status status = oip_response_write(&response, &out, &json_size, &binary, &error);
        FUZZ_REQUIRE(!out.failed);
        if (status == STATUS_OK) {
            struct json_reader reader = json_reader_of(out.data, json_size);
            FUZZ_REQUIRE(json_size <= out.size && (binary || json_size == out.size));
            FUZZ_REQUIRE(json_reader_skip(&reader, &error) == STATUS_OK);
            FUZZ_REQUIRE(json_reader_end(&reader, &error) == STATUS_OK);
        }
        free(out.data);
        free(response.ranks);
    }
    free(data);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static struct ring_response answer;
    static struct ring_request taken;
    struct cursor in = cursor_of(data, size);
    struct error error;
    struct ring_request *request = ring_request_of(ring, 0);
    uint8_t state = cursor_u8(&in), binary_bits = cursor_u8(&in);

    memset(request, 0, sizeof *request);
    memset(slot_response, 0, sizeof *slot_response);
    memset(slot_response->message, 'm', sizeof slot_response->message);
    slot_response->status = cursor_u8(&in);
    slot_response->output_count = request->input_count = cursor_u8(&in);
    slot_response->output_end = request->input_end = number(&in, state & 0x80);
    for (uint32_t i = 0; i < slot_response->output_count && i < RING_TENSORS_MAX; i++) {
        read_tensor(&in, &slot_response->outputs[i]);
        request->inputs[i] = slot_response->outputs[i];
    }
    size_t left = cursor_left(&in);
    memset(ring_data(ring, 0), 0, SLOT_BYTES);
    if (left && !in.failed)
        memcpy(ring_data(ring, 0), cursor_take(&in, left), left < SLOT_BYTES ? left : SLOT_BYTES);

    if (ring_take(ring, 0, &taken, &error) == STATUS_OK)
        check_tensors(taken.inputs, taken.input_count, taken.input_end);
    /* The deadline has passed: whatever the worker wrote, front does not wait longer than that. */
    *slot_state = state & 0x7f ? state & 0x7f : state_done;
    if (ring_wait(ring, 0, 1, &answer, &error) == STATUS_OK) {
        check_tensors(answer.outputs, answer.output_count, answer.output_end);
        FUZZ_REQUIRE(memchr(answer.message, '\0', sizeof answer.message) != NULL);
        encode(&answer, binary_bits, 0);
        encode(&answer, binary_bits, 1 + (state & 7));
    }
    return 0;
}
