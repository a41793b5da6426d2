/* Classification: the highest values of an output, as text; and the labels of a signature. */
#include "server/front/classification.h"
#include "server/front/oip_request.h"
#include "server/front/oip_response.h"
#include "server/front/oip_type.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct error error;

static struct oip_signature *signature_of(const char *outputs) {
    static char json[1 << 20];
    struct oip_signature *signature = NULL;
    snprintf(json, sizeof json,
             "{\"inputs\":[{\"name\":\"x\",\"datatype\":\"FP32\",\"shape\":[1]}],\"outputs\":[%s]}",
             outputs);
    error.message[0] = '\0';
    if (oip_signature_parse(json, strlen(json), &signature, &error) != STATUS_OK)
        return NULL;
    return signature;
}

static struct ring_tensor tensor_of(uint32_t type, uint32_t rank, int64_t a, int64_t b) {
    struct ring_tensor tensor = {.type = type, .rank = rank, .dims = {a, b}};
    tensor.bytes = (uint64_t)(a * (rank > 1 ? b : 1)) * oip_type_of(type)->size;
    return tensor;
}

/* The texts of all classes, a line each. */
static const char *classes(const struct oip_port *port, const struct ring_tensor *tensor,
                           const void *data, uint32_t wanted) {
    static char lines[1 << 16];
    struct buf out = buf_of(lines, sizeof lines - 1);
    struct classification_shape shape;
    cr_assert(classification_shape_of(port, tensor, wanted, &shape));
    struct classification_rank *ranks = calloc(shape.rows * shape.kept + 1, sizeof *ranks);
    uint8_t *exact = malloc(tensor->bytes + 1);
    memcpy(exact, data, tensor->bytes);
    classification_rank(&shape, port->type, exact, ranks);
    for (size_t i = 0; i < shape.rows * shape.kept; i++) {
        size_t before = out.size;
        classification_text(port, &ranks[i], &out);
        cr_expect_leq(out.size - before, CLASSIFICATION_NUMBER_MAX + port->labels.longest);
        buf_u8(&out, '\n');
    }
    lines[out.size] = '\0';
    free(exact);
    free(ranks);
    return lines;
}

Test(front_classes, the_highest_come_first_row_by_row) {
    const struct oip_port batch = {.type = OIP_FP32, .rank = 2, .dims = {-1, 4}};
    const struct oip_port one = {.type = OIP_FP32, .rank = 2, .dims = {2, 4}};
    const struct ring_tensor tensor = tensor_of(OIP_FP32, 2, 2, 4);
    const float data[8] = {1, 5, 10, 4, 0.25f, 0.25f, -1e30f, 0.1f};
    cr_expect_str_eq(classes(&batch, &tensor, data, 2), "10.0:2\n5.0:1\n0.25:0\n0.25:1\n");
    cr_expect_str_eq(classes(&batch, &tensor, data, 9),
                     "10.0:2\n5.0:1\n4.0:3\n1.0:0\n0.25:0\n0.25:1\n0.1:3\n-1e30:2\n");
    cr_expect_str_eq(classes(&one, &tensor, data, 3), "10.0:2\n5.0:1\n4.0:3\n");
    const struct oip_port flat = {.type = OIP_FP32, .rank = 1, .dims = {-1}};
    const struct ring_tensor row = tensor_of(OIP_FP32, 1, 3, 1),
                             none = tensor_of(OIP_FP32, 1, 0, 1);
    cr_expect_str_eq(classes(&flat, &row, data, 1), "1.0:0\n5.0:0\n10.0:0\n");
    cr_expect_str_eq(classes(&flat, &none, data, 1), "");
    struct ring_tensor empty_rows = tensor_of(OIP_FP32, 2, 1, 0);
    empty_rows.dims[0] = INT64_MAX;
    cr_expect_str_eq(classes(&batch, &empty_rows, data, 1), "");
}

Test(front_classes, each_type_in_its_own_order) {
    struct oip_port port = {.type = OIP_FP32, .rank = 1, .dims = {4}};
    struct ring_tensor tensor = tensor_of(OIP_FP32, 1, 5, 1);
    const float floats[5] = {NAN, -INFINITY, -0.0f, INFINITY, 1e-30f};
    cr_expect_str_eq(classes(&port, &tensor, floats, 5), "inf:3\n1e-30:4\n0.0:2\n-inf:1\nnan:0\n");
    const double doubles[3] = {0.1, -1e300, 1e300};
    port.type = OIP_FP64;
    tensor = tensor_of(OIP_FP64, 1, 3, 1);
    cr_expect_str_eq(classes(&port, &tensor, doubles, 3), "1e300:2\n0.1:0\n-1e300:1\n");
    const int64_t wide[3] = {INT64_MIN, INT64_MAX, -1};
    port.type = OIP_INT64;
    tensor = tensor_of(OIP_INT64, 1, 3, 1);
    cr_expect_str_eq(classes(&port, &tensor, wide, 3),
                     "9223372036854775807:1\n-1:2\n-9223372036854775808:0\n");
    port.type = OIP_UINT64;
    tensor = tensor_of(OIP_UINT64, 1, 3, 1);
    cr_expect_str_eq(classes(&port, &tensor, wide, 2),
                     "18446744073709551615:2\n9223372036854775808:0\n");
    const int8_t small[3] = {-128, 127, -1};
    port.type = OIP_INT8;
    tensor = tensor_of(OIP_INT8, 1, 3, 1);
    cr_expect_str_eq(classes(&port, &tensor, small, 3), "127:1\n-1:2\n-128:0\n");
    for (uint32_t type = 0; type < 20; type++) {
        const struct oip_type *known = oip_type_of(type);
        cr_expect_eq(classification_takes(type), known && known->size && type != OIP_BOOL &&
                                                     type != OIP_FP16 && type != OIP_BF16);
    }
}

static int compare(const void *a, const void *b) {
    float x = *(const float *)a, y = *(const float *)b;
    return x < y ? 1 : x > y ? -1 : 0;
}

Test(front_classes, as_a_full_sort_would) {
    static float data[1000], sorted[1000];
    static struct classification_rank ranks[1000];
    const struct oip_port port = {.type = OIP_FP32, .rank = 1, .dims = {1000}};
    const struct ring_tensor tensor = tensor_of(OIP_FP32, 1, 1000, 1);
    uint32_t state = 7;
    for (size_t i = 0; i < 1000; i++) {
        state = state * 1664525u + 1013904223u;
        data[i] = (float)(int32_t)state / 1e6f;
    }
    memcpy(sorted, data, sizeof data);
    qsort(sorted, 1000, sizeof *sorted, compare);
    for (uint32_t k = 1; k <= 1000; k += 37) {
        struct classification_shape shape;
        cr_assert(classification_shape_of(&port, &tensor, k, &shape));
        classification_rank(&shape, OIP_FP32, (const uint8_t *)data, ranks);
        for (uint32_t i = 0; i < k; i++)
            cr_assert_eq(data[ranks[i].index], sorted[i], "k %u, place %u", k, i);
    }
}

Test(front_classes, labels_come_with_the_signature) {
    struct oip_signature *s =
        signature_of("{\"name\":\"y\",\"datatype\":\"INT32\",\"shape\":[-1,3],"
                     "\"labels\":[\"c\\u00e4t\",\"a:b\",\"\"]}");
    cr_assert_not_null(s, "%s", error.message);
    cr_expect_eq(s->outputs[0].labels.count, 3);
    cr_expect_eq(s->outputs[0].labels.longest, 4);
    const int32_t data[6] = {3, 2, 1, -1, 0, 1};
    const struct ring_tensor tensor = tensor_of(OIP_INT32, 2, 2, 3);
    cr_expect_str_eq(classes(&s->outputs[0], &tensor, data, 2),
                     "3:0:c\xc3\xa4t\n2:1:a:b\n1:2:\n0:1:a:b\n");
    oip_signature_free(s);
    /* Fewer labels than classes: the rest have none. */
    s = signature_of("{\"labels\":[\"only\"],\"name\":\"y\",\"datatype\":\"INT32\",\"shape\":[3]}");
    const struct ring_tensor row = tensor_of(OIP_INT32, 1, 3, 1);
    cr_expect_str_eq(classes(&s->outputs[0], &row, data, 2), "3:0:only\n2:1\n");
    oip_signature_free(s);
    static const char *const bad[] = {"\"a\"", "[1]", "[\"a\",]", "[\"\\ud800\"]", "{}", "[[]]"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        char output[128];
        snprintf(output, sizeof output,
                 "{\"name\":\"y\",\"datatype\":\"INT32\",\"shape\":[3],\"labels\":%s}", bad[i]);
        cr_expect_null(signature_of(output), "%s", bad[i]);
        cr_expect(error.message[0] != '\0');
    }
    cr_expect_null(signature_of("{\"name\":\"y\",\"datatype\":\"INT32\",\"shape\":[3],"
                                "\"labels\":[\"a\"],\"labels\":[\"a\"]}"));
    for (int size = OIP_LABEL_MAX; size <= OIP_LABEL_MAX + 1; size++) {
        char output[512];
        snprintf(output, sizeof output,
                 "{\"name\":\"y\",\"datatype\":\"INT32\",\"shape\":[3],\"labels\":[\"%0*d\"]}",
                 size, 7);
        s = signature_of(output);
        cr_expect_eq(s != NULL, size == OIP_LABEL_MAX);
        oip_signature_free(s);
    }
}

/* An answer with one output as classes between two tensors. */
static void respond(bool binary, char *out, size_t room, size_t *size, size_t *json_size) {
    static _Alignas(64) uint8_t data[512];
    static struct oip_request request;
    static struct ring_response answer;
    struct classification_rank ranks[8];
    struct oip_signature *s = signature_of("{\"name\":\"a\",\"datatype\":\"INT32\",\"shape\":[1]},"
                                           "{\"name\":\"y\",\"datatype\":\"FP32\",\"shape\":[-1,3],"
                                           "\"labels\":[\"zero\",\"o\\\"ne\",\"two\"]},"
                                           "{\"name\":\"b\",\"datatype\":\"INT32\",\"shape\":[1]}");
    cr_assert_not_null(s);
    request = (struct oip_request){.output_count = 3};
    for (uint32_t i = 0; i < 3; i++)
        request.outputs[i] = (struct oip_output){i, binary, i == 1 ? 2 : 0};
    answer = (struct ring_response){.output_count = 3};
    answer.outputs[0] = tensor_of(OIP_INT32, 1, 1, 1);
    answer.outputs[1] = tensor_of(OIP_FP32, 2, 2, 3);
    answer.outputs[2] = tensor_of(OIP_INT32, 1, 1, 1);
    for (uint32_t i = 0; i < 3; i++) {
        answer.outputs[i].index = i;
        answer.outputs[i].offset = i * 64;
    }
    const float values[6] = {0.5f, 2, 1, 9, 7, 8};
    data[0] = 5;
    memcpy(data + 64, values, sizeof values);
    data[128] = 6;
    struct oip_response response = {s, &request, &answer, data, "m", "1", ranks};
    size_t bound = 0;
    bool any = false;
    cr_assert_eq(oip_response_check(&response, &bound, &error), STATUS_OK, "%s", error.message);
    cr_assert_eq(oip_response_ranks(&response), 4);
    cr_assert_leq(bound, room);
    struct buf b = buf_of(out, bound);
    cr_assert_eq(oip_response_write(&response, &b, json_size, &any, &error), STATUS_OK, "%s",
                 error.message);
    cr_expect_eq(any, binary);
    *size = b.size;
    oip_signature_free(s);
}

/* No memory for places is taken where there are none. */
Test(front_classes, of_no_rows_there_are_none) {
    static _Alignas(64) uint8_t data[64];
    char out[4096];
    struct oip_signature *s =
        signature_of("{\"name\":\"y\",\"datatype\":\"FP32\",\"shape\":[-1,3]}");
    cr_assert_not_null(s);
    for (int binary = 0; binary < 2; binary++) {
        struct oip_request request = {.output_count = 1, .outputs[0] = {0, binary, 2}};
        struct ring_response answer = {.output_count = 1,
                                       .outputs[0] = tensor_of(OIP_FP32, 2, 0, 3)};
        struct oip_response response = {s, &request, &answer, data, "m", "1", NULL};
        struct buf b = buf_of(out, sizeof out);
        size_t bound = 0, json = 0;
        bool any = false;
        cr_assert_eq(oip_response_check(&response, &bound, &error), STATUS_OK, "%s", error.message);
        cr_assert_eq(oip_response_ranks(&response), 0);
        cr_assert_eq(oip_response_write(&response, &b, &json, &any, &error), STATUS_OK, "%s",
                     error.message);
        cr_expect_not_null(memmem(out, json, "\"shape\":[0,2]", 13), "%.*s", (int)json, out);
        cr_expect_eq(b.size, json);
    }
    oip_signature_free(s);
}

Test(front_classes, in_an_answer_of_either_form) {
    static char out[16384];
    size_t size, json;
    respond(false, out, sizeof out, &size, &json);
    static const char want[] =
        "{\"model_name\":\"m\",\"model_version\":\"1\",\"outputs\":["
        "{\"name\":\"a\",\"datatype\":\"INT32\",\"shape\":[1],\"data\":[5]},"
        "{\"name\":\"y\",\"datatype\":\"BYTES\",\"shape\":[2,2],\"data\":[\"2.0:1:o\\\"ne\","
        "\"1.0:2:two\",\"9.0:0:zero\",\"8.0:2:two\"]},"
        "{\"name\":\"b\",\"datatype\":\"INT32\",\"shape\":[1],\"data\":[6]}]}";
    cr_expect_eq(size, sizeof want - 1);
    cr_expect_eq(memcmp(out, want, sizeof want - 1), 0, "%.*s", (int)size, out);

    respond(true, out, sizeof out, &size, &json);
    static const char part[] = "\"datatype\":\"BYTES\",\"shape\":[2,2],\"parameters\":"
                               "{\"binary_data_size\":54}}";
    cr_expect_not_null(memmem(out, json, part, sizeof part - 1), "%.*s", (int)json, out);
    static const char bytes[] = "\5\0\0\0"
                                "\x0a\0\0\0"
                                "2.0:1:o\"ne"
                                "\x09\0\0\0"
                                "1.0:2:two"
                                "\x0a\0\0\0"
                                "9.0:0:zero"
                                "\x09\0\0\0"
                                "8.0:2:two"
                                "\6\0\0\0";
    cr_expect_eq(size - json, sizeof bytes - 1);
    cr_expect_eq(memcmp(out + json, bytes, sizeof bytes - 1), 0);
}
