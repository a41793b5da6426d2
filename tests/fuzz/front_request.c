/* libFuzzer target: a request's body. The first byte chooses the form; a request is decoded against
 * a fixed signature into an area of its own size, and what is accepted must be what the worker will
 * be told: tensors inside the area, aligned, apart from each other, of the sizes that their shapes
 * say. The JSON reader is compared with Jansson's and the C library's. */
#include "base/checked.h"
#include "server/front/json_reader.h"
#include "server/front/oip_request.h"
#include "server/front/oip_type.h"
#include "tests/fuzz/front_json.h"
#include "tests/fuzz/fuzz.h"

#define PORT(name, type, shape)                                                                    \
    "{\"name\":\"" name "\",\"datatype\":\"" type "\",\"shape\":" shape "}"
#define MODEL(inputs, outputs) "{\"inputs\":[" inputs "],\"outputs\":[" outputs "]}"

static const char *const models[] = {
    MODEL(PORT("x", "FP32", "[-1,3]") "," PORT("t", "BYTES", "[2]"),
          PORT("y", "FP32", "[-1]") "," PORT("h", "FP16", "[1]")),
    MODEL(PORT("n", "INT8", "[-1]") "," PORT("b", "BOOL", "[2,-1]") "," PORT("d", "FP64", "[]"),
          PORT("y", "INT64", "[-1]")),
    MODEL(PORT("x", "FP32", "[-1,-1,2]"), PORT("y", "FP32", "[-1]")),
    MODEL(PORT("t", "BYTES", "[-1]"), PORT("y", "BYTES", "[-1]")),
    MODEL(PORT("h", "BF16", "[-1,4]"), PORT("y", "UINT16", "[-1]")),
};
#define MODELS (sizeof models / sizeof *models)
static struct oip_signature *signatures[MODELS];

int LLVMFuzzerInitialize(int *argc, char ***argv) {
    (void)argc;
    (void)argv;
    for (size_t i = 0; i < MODELS; i++)
        FUZZ_REQUIRE(oip_signature_parse(models[i], strlen(models[i]), &signatures[i], NULL) ==
                     STATUS_OK);
    return 0;
}

static void check_strings(const uint8_t *at, size_t size, int64_t count) {
    for (int64_t i = 0; i < count; i++) {
        FUZZ_REQUIRE(size >= 4);
        size_t length = at[0] | (size_t)at[1] << 8 | (size_t)at[2] << 16 | (size_t)at[3] << 24;
        FUZZ_REQUIRE(length <= size - 4);
        at += 4 + length;
        size -= 4 + length;
    }
    FUZZ_REQUIRE(size == 0);
}

static void check_input(const struct oip_port *port, const struct ring_tensor *tensor,
                        const struct oip_area *area) {
    const struct oip_type *type = oip_type_of(port->type);
    int64_t count = 0;
    FUZZ_REQUIRE(tensor->type == port->type && tensor->rank == port->rank);
    for (uint32_t d = 0; d < port->rank; d++)
        FUZZ_REQUIRE(port->dims[d] == -1 ? tensor->dims[d] >= 0 : tensor->dims[d] == port->dims[d]);
    FUZZ_REQUIRE(checked_product(tensor->dims, tensor->rank, &count));
    FUZZ_REQUIRE(tensor->offset % RING_ALIGN == 0 && tensor->offset <= area->used &&
                 tensor->bytes <= area->used - tensor->offset);
    if (type->size)
        FUZZ_REQUIRE(tensor->bytes == (uint64_t)count * type->size);
    else
        check_strings(area->data + tensor->offset, (size_t)tensor->bytes, count);
    if (port->type == OIP_BOOL)
        for (uint64_t i = 0; i < tensor->bytes; i++)
            FUZZ_REQUIRE(area->data[tensor->offset + i] <= 1);
}

static void check_request(const struct oip_signature *signature, const struct oip_request *request,
                          const struct oip_area *area) {
    FUZZ_REQUIRE(area->used <= area->capacity);
    FUZZ_REQUIRE(request->input_count == signature->input_count);
    for (uint32_t i = 0; i < request->input_count; i++) {
        const struct ring_tensor *a = &request->inputs[i];
        check_input(&signature->inputs[i], a, area);
        for (uint32_t j = 0; j < i; j++) {
            const struct ring_tensor *b = &request->inputs[j];
            FUZZ_REQUIRE(a->offset + a->bytes <= b->offset || b->offset + b->bytes <= a->offset);
        }
    }
    uint64_t wanted = oip_request_wanted(request);
    FUZZ_REQUIRE(request->output_count >= 1 && wanted >> signature->output_count == 0);
    FUZZ_REQUIRE((uint32_t)__builtin_popcountll(wanted) == request->output_count);
    FUZZ_REQUIRE(request->id_size <= OIP_ID_MAX);
}

static void fuzz_request(const struct oip_signature *signature, const uint8_t *body, size_t size,
                         size_t json_size) {
    static struct oip_request request;
    struct error error;
    struct oip_area area = {.data = aligned_alloc(RING_ALIGN, 512), .capacity = 512};
    FUZZ_REQUIRE(area.data != NULL);
    memset(&error, 0xa5, sizeof error);
    if (oip_request_parse(signature, body, size, json_size, &area, &request, &error) == STATUS_OK)
        check_request(signature, &request, &area);
    else
        FUZZ_REQUIRE(fuzz_explained(error.message, sizeof error.message));
    free(area.data);
}

static void check_same(const struct oip_port *a, const struct oip_port *b) {
    FUZZ_REQUIRE(strcmp(a->name, b->name) == 0 && a->type == b->type && a->rank == b->rank);
    for (uint32_t d = 0; d < a->rank; d++)
        FUZZ_REQUIRE(a->dims[d] == b->dims[d]);
}

/* A signature is a worker's, so it may hold anything; what is accepted can be written, and is the
 * same when it is read again. */
static void fuzz_signature(const uint8_t *data, size_t size) {
    struct oip_signature *signature = NULL, *again = NULL;
    struct error error;
    memset(&error, 0xa5, sizeof error);
    if (oip_signature_parse(data, size, &signature, &error) != STATUS_OK) {
        FUZZ_REQUIRE(!signature && fuzz_explained(error.message, sizeof error.message));
        return;
    }
    size_t room = 128 * 1024 + 8 * size;
    struct buf out = buf_of(malloc(room), room);
    FUZZ_REQUIRE(out.data != NULL);
    oip_signature_write(signature, "model", bytes_text("[\"1\"]"), &out);
    FUZZ_REQUIRE(!out.failed);
    FUZZ_REQUIRE(oip_signature_parse(out.data, out.size, &again, &error) == STATUS_OK);
    FUZZ_REQUIRE(again->input_count == signature->input_count &&
                 again->output_count == signature->output_count);
    for (size_t i = 0; i < again->input_count; i++)
        check_same(&again->inputs[i], &signature->inputs[i]);
    oip_signature_free(again);
    oip_signature_free(signature);
    free(out.data);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size < 3)
        return 0;
    /* Letters, so that seeds can be read: form, model, and (binary form) the length of the JSON in
     * units of four bytes; a JSON text may end with spaces. */
    const struct oip_signature *signature = signatures[data[1] % MODELS];
    size_t json_size = 4 * (size_t)data[2];
    uint8_t *copy = fuzz_copy(data + 3, size - 3);
    size -= 3;
    switch (data[0]) {
    case 'B':
        fuzz_request(signature, copy, size, json_size);
        break;
    case 'R':
        fuzz_request(signature, copy, size, 0);
        break;
    case 'T':
        front_json_text(copy, size);
        break;
    case 'N':
        front_json_number(copy, size);
        break;
    case 'S':
        fuzz_signature(copy, size);
        break;
    default:
        fuzz_request(signature, copy, size, OIP_JSON_ONLY);
        break;
    }
    free(copy);
    return 0;
}
