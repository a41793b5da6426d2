/* libFuzzer target: tensor data as JSON, and numbers in both directions. The first byte chooses:
 *
 *   D  the next is the type, two dimensions and a rank follow (digits), then the data's text. What
 * is accepted must be what the C library reads, token by token, must be passed over by
 *      json_reader_skip in the same way, and must come back when it is printed and read again;
 *      what is refused leaves the outputs alone, and writes nothing that is not accounted for.
 *   P  eight bytes are a double and a float, which are printed: they come back, and no shorter
 *      number does.
 *   H  eight bytes are a double and a float, one the number of digits: the point half-way to the
 *      next float, rounded to so many digits, is read as the C library reads it. */
#include <ctype.h>
#include <errno.h>
#include <math.h>

#include "server/front/json_writer.h"
#include "server/front/oip_data.h"
#include "server/front/oip_type.h"
#include "tests/fuzz/front_json.h"
#include "tests/fuzz/fuzz.h"

#define AREA 256
#define FILL 0xa5

static const char *const types[] = {"FP32",  "FP64",   "INT8",   "INT16",  "INT32", "INT64",
                                    "UINT8", "UINT16", "UINT32", "UINT64", "BOOL",  "BYTES"};
#define TYPES (sizeof types / sizeof *types)

/* --- data ---------------------------------------------------------------------------------- */

/* The bytes that the next token of `*at` stands for, by the C library. */
static void wanted_element(const struct oip_type *type, char **at, uint8_t out[8]) {
    while (**at && strchr(" \t\r\n[],", **at))
        (*at)++;
    errno = 0;
    float narrow;
    double wide;
    uint64_t whole;
    switch (type->onnx) {
    case OIP_FP32:
        narrow = strtof(*at, at);
        memcpy(out, &narrow, sizeof narrow);
        return;
    case OIP_FP64:
        wide = strtod(*at, at);
        memcpy(out, &wide, sizeof wide);
        return;
    case OIP_BOOL:
        out[0] = **at == 't' || **at == '1';
        while (isalnum((unsigned char)**at) || **at == '-')
            (*at)++;
        return;
    case OIP_UINT64:
        whole = strtoull(*at, at, 10);
        break;
    default:
        whole = (uint64_t)strtoll(*at, at, 10);
        break;
    }
    FUZZ_REQUIRE(errno == 0);
    memcpy(out, &whole, sizeof whole); /* little-endian */
}

static void print_element(const struct oip_type *type, const uint8_t **at, struct buf *out) {
    float narrow;
    double wide;
    int64_t whole = 0;
    uint32_t length;
    switch (type->onnx) {
    case OIP_FP32:
        memcpy(&narrow, *at, sizeof narrow);
        FUZZ_REQUIRE(json_writer_f32(out, narrow));
        break;
    case OIP_FP64:
        memcpy(&wide, *at, sizeof wide);
        FUZZ_REQUIRE(json_writer_f64(out, wide));
        break;
    case OIP_BYTES:
        memcpy(&length, *at, sizeof length);
        json_writer_string(out, *at + 4, length);
        *at += 4 + (size_t)length;
        return;
    case OIP_BOOL:
        buf_string(out, **at ? "true" : "false");
        break;
    case OIP_UINT64:
        memcpy(&whole, *at, sizeof whole);
        json_writer_u64(out, (uint64_t)whole);
        break;
    default:
        memcpy(&whole, *at, type->size);
        if (type->name[0] == 'I') { /* the sign's bit to the top and back */
            unsigned shift = 64 - 8 * (unsigned)type->size;
            whole = (int64_t)((uint64_t)whole << shift) >> shift;
        }
        json_writer_i64(out, whole);
        break;
    }
    *at += type->size;
}

static void check_same_again(const struct ring_tensor *tensor, const uint8_t *bytes,
                             uint64_t count) {
    const struct oip_type *type = oip_type_of(tensor->type);
    size_t room = 64 + 40 * (size_t)count + 6 * (size_t)tensor->bytes;
    struct buf out = buf_of(malloc(room), room);
    const uint8_t *at = bytes;
    struct error error;
    uint8_t *again = aligned_alloc(RING_ALIGN, AREA);
    FUZZ_REQUIRE(out.data != NULL && again != NULL);
    buf_u8(&out, '[');
    for (uint64_t i = 0; i < count; i++) {
        if (i)
            buf_u8(&out, ',');
        print_element(type, &at, &out);
    }
    buf_u8(&out, ']');
    FUZZ_REQUIRE(!out.failed && at == bytes + tensor->bytes);
    struct oip_area area = {.data = again, .capacity = AREA};
    struct ring_tensor copy = *tensor;
    struct json_reader r = json_reader_of(out.data, out.size);
    FUZZ_REQUIRE(oip_data_json(&r, &copy, &area, &error) == STATUS_OK && r.offset == r.size);
    FUZZ_REQUIRE(copy.bytes == tensor->bytes);
    FUZZ_REQUIRE(memcmp(again + copy.offset, bytes, (size_t)copy.bytes) == 0);
    free(out.data);
    free(again);
}

static void check_accepted(const struct ring_tensor *tensor, const uint8_t *bytes,
                           const uint8_t *text, size_t size) {
    const struct oip_type *type = oip_type_of(tensor->type);
    uint64_t count = 1;
    for (uint32_t d = 0; d < tensor->rank; d++)
        count *= (uint64_t)tensor->dims[d];
    FUZZ_REQUIRE(!type->size || tensor->bytes == count * type->size);
    if (type->size) {
        char *copy = fuzz_text(text, size), *at = copy;
        for (uint64_t i = 0; i < count; i++) {
            uint8_t wanted[8];
            wanted_element(type, &at, wanted);
            FUZZ_REQUIRE(memcmp(bytes + i * type->size, wanted, type->size) == 0);
        }
        free(copy);
    }
    check_same_again(tensor, bytes, count);
}

static void fuzz_data(const uint8_t *data, size_t size) {
    if (size < 4)
        return;
    const char *name = types[data[0] % TYPES];
    const struct ring_tensor before = {.type = oip_type_named(name, strlen(name))->onnx,
                                       .rank = data[3] % 3,
                                       .dims = {data[1] % 10, data[2] % 10},
                                       .offset = 77,
                                       .bytes = 88};
    struct ring_tensor tensor = before;
    uint8_t *text = fuzz_copy(data + 4, size - 4), *bytes = aligned_alloc(RING_ALIGN, AREA);
    FUZZ_REQUIRE(bytes != NULL);
    size -= 4;
    memset(bytes, FILL, AREA);
    struct oip_area area = {.data = bytes, .capacity = AREA};
    struct json_reader r = json_reader_of(text, size), skip = r;
    struct error error;
    memset(&error, 0xa5, sizeof error);
    if (oip_data_json(&r, &tensor, &area, &error) == STATUS_OK) {
        FUZZ_REQUIRE(json_reader_skip(&skip, NULL) == STATUS_OK && skip.offset == r.offset);
        FUZZ_REQUIRE(tensor.offset % RING_ALIGN == 0 && area.used == tensor.offset + tensor.bytes);
        check_accepted(&tensor, bytes + tensor.offset, text, r.offset);
    } else {
        FUZZ_REQUIRE(fuzz_explained(error.message, sizeof error.message));
        FUZZ_REQUIRE(memcmp(&tensor, &before, sizeof tensor) == 0 && area.used == 0);
    }
    FUZZ_REQUIRE(area.touched <= AREA && area.used <= area.touched);
    for (size_t i = area.touched; i < AREA; i++)
        FUZZ_REQUIRE(bytes[i] == FILL);
    free(bytes);
    free(text);
}

/* --- numbers ------------------------------------------------------------------------------- */

static double read_back(const char *text, bool narrow) {
    front_json_number((const uint8_t *)text, strlen(text));
    return narrow ? (double)strtof(text, NULL) : strtod(text, NULL);
}

static void check_printed(const struct buf *out, double value, bool narrow) {
    char text[64], digits[32];
    FUZZ_REQUIRE(!out->failed && out->size <= JSON_WRITER_NUMBER_MAX);
    memcpy(text, out->data, out->size);
    text[out->size] = '\0';
    double back = read_back(text, narrow);
    FUZZ_REQUIRE(memcmp(&back, &value, sizeof back) == 0);
    /* All digits without zeros at either end, and what they would be with one digit less. */
    size_t count = 0;
    for (const char *at = text; *at && *at != 'e'; at++)
        if (isdigit((unsigned char)*at) && (count || *at != '0'))
            digits[count++] = *at;
    while (count && digits[count - 1] == '0')
        count--;
    if (count < 2)
        return;
    snprintf(text, sizeof text, "%.*e", (int)count - 2, value);
    FUZZ_REQUIRE(read_back(text, narrow) != value);
}

static void fuzz_print(double wide, float narrow) {
    char text[64];
    struct buf out = buf_of(text, sizeof text);
    FUZZ_REQUIRE(json_writer_f64(&out, wide) == (isfinite(wide) != 0));
    if (isfinite(wide))
        check_printed(&out, wide, false);
    out = buf_of(text, sizeof text);
    FUZZ_REQUIRE(json_writer_f32(&out, narrow) == (isfinite(narrow) != 0));
    FUZZ_REQUIRE(isfinite(narrow) || out.size == 0);
    if (isfinite(narrow))
        check_printed(&out, (double)narrow, true);
}

static void fuzz_half(double wide, float narrow, int digits) {
    char text[512];
    float next = nextafterf(narrow, INFINITY);
    if (isfinite(narrow) && isfinite(next)) {
        snprintf(text, sizeof text, "%.*e", digits, ((double)narrow + (double)next) / 2);
        (void)read_back(text, true);
    }
    double after = nextafter(wide, INFINITY);
    if (isfinite(wide) && isfinite(after)) {
        snprintf(text, sizeof text, "%.*Le", digits, ((long double)wide + (long double)after) / 2);
        (void)read_back(text, false);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size && data[0] == 'D') {
        fuzz_data(data + 1, size - 1);
    } else if (size >= 10) {
        double wide;
        float narrow;
        memcpy(&wide, data + 1, sizeof wide);
        memcpy(&narrow, data + 1, sizeof narrow);
        if (data[0] == 'P')
            fuzz_print(wide, narrow);
        else if (data[0] == 'H')
            fuzz_half(wide, narrow, data[9]);
    }
    return 0;
}
