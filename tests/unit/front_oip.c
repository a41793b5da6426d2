/* Requests and responses of the Open Inference Protocol, JSON and binary. */
#include "server/front/oip_request.h"
#include "server/front/oip_response.h"
#include "server/front/oip_type.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char signature_json[] =
    "{\"platform\":\"onnx_onnxv1\",\"inputs\":["
    "{\"name\":\"x\",\"datatype\":\"FP32\",\"shape\":[-1,3]},"
    "{\"name\":\"t\",\"datatype\":\"BYTES\",\"shape\":[2]}],"
    "\"outputs\":[{\"name\":\"y\",\"datatype\":\"FP32\",\"shape\":[-1]},"
    "{\"name\":\"h\",\"datatype\":\"FP16\",\"shape\":[1]},"
    "{\"name\":\"s\",\"datatype\":\"BYTES\",\"shape\":[-1]}]}";

#define AREA 4096
static _Alignas(64) uint8_t area_bytes[AREA];
static struct oip_request request;
static struct error error;

static struct oip_signature *parse_signature(const char *json) {
    struct oip_signature *signature = NULL;
    cr_assert_eq(oip_signature_parse(json, strlen(json), &signature, &error), STATUS_OK, "%s",
                 error.message);
    return signature;
}

/* The body is put at the end of its own allocation, so that a sanitizer sees reads past it. */
static enum status parse_with(const struct oip_signature *signature, const void *body, size_t size,
                              size_t json_size, size_t capacity) {
    uint8_t *exact = malloc(size ? size : 1);
    memcpy(exact, body, size);
    struct oip_area area = {.data = area_bytes, .capacity = capacity};
    memset(area_bytes, 0, sizeof area_bytes);
    error.message[0] = '\0';
    enum status status =
        oip_request_parse(signature, exact, size, json_size, &area, &request, &error);
    free(exact);
    /* Whatever the outcome, nothing lies beyond what is to be wiped. */
    for (size_t i = area.touched; i < sizeof area_bytes; i++)
        cr_assert_eq(area_bytes[i], 0, "byte %zu of the area is not accounted for", i);
    return status;
}

static enum status parse(const char *body) {
    struct oip_signature *signature = parse_signature(signature_json);
    enum status status = parse_with(signature, body, strlen(body), OIP_JSON_ONLY, AREA);
    oip_signature_free(signature);
    return status;
}

#define X "{\"name\":\"x\",\"shape\":[1,3],\"datatype\":\"FP32\",\"data\":[1,2.5,-3]}"
#define T "{\"name\":\"t\",\"shape\":[2],\"datatype\":\"BYTES\",\"data\":[\"a\\u00e4\",\"\"]}"
#define Y ",\"outputs\":[{\"name\":\"y\"}]"

static void expect_good(void) {
    float want[3] = {1, 2.5f, -3};
    cr_assert_eq(request.input_count, 2);
    cr_expect_eq(request.inputs[0].type, OIP_FP32);
    cr_expect_eq(request.inputs[0].bytes, 12);
    cr_expect_eq(request.inputs[0].offset % RING_ALIGN, 0);
    cr_expect_eq(memcmp(area_bytes + request.inputs[0].offset, want, 12), 0);
    cr_expect_eq(request.inputs[1].bytes, 4 + 3 + 4);
    cr_expect_eq(request.inputs[1].offset % RING_ALIGN, 0);
    cr_expect_eq(memcmp(area_bytes + request.inputs[1].offset, "\3\0\0\0a\xc3\xa4\0\0\0\0", 11), 0);
}

Test(front_oip, members_come_in_any_order) {
    static const char *const bodies[] = {
        "{\"inputs\":[" X "," T "]" Y "}",
        "{\"id\":\"7\",\"inputs\":[" T "," X "]" Y "}",
        /* The same letters, as escapes. */
        "{\"\\u0069nputs\":[{\"name\":\"\\u0078\",\"shape\":[1,3],\"datatype\":"
        "\"\\u0046\\u0050\\u0033\\u0032\",\"data\":[1,2.5,-3]}," T "]" Y "}",
        "{\"inputs\":[{\"data\":[[1,2.5,-3]],\"datatype\":\"FP32\",\"name\":\"x\",\"shape\":[1,3]},"
        "{\"shape\":[2],\"data\":[\"a\xc3\xa4\",\"\"],\"name\":\"t\",\"datatype\":\"BYTES\"}]" Y
        "}",
        "{\"outputs\":[{\"name\":\"y\",\"parameters\":{\"binary_data\":false}}],"
        "\"parameters\":{\"priority\":3,\"sequence_id\":0,\"sequence_start\":false,"
        "\"sequence_end\":false,\"timeout\":5000,\"binary_data_output\":true},"
        "\"inputs\":[" X "," T "]}",
    };
    for (size_t i = 0; i < sizeof bodies / sizeof *bodies; i++) {
        cr_assert_eq(parse(bodies[i]), STATUS_OK, "%s: %s", bodies[i], error.message);
        expect_good();
        cr_expect_eq(request.output_count, 1);
        cr_expect_not(request.outputs[0].binary);
        cr_expect_eq(oip_request_wanted(&request), 1);
    }
    cr_expect_eq(request.timeout_us, 5000);
}

Test(front_oip, bad_requests_get_a_clear_answer) {
    static const struct {
        const char *body, *says;
    } cases[] = {
        {"[]", "expected an object"},
        {"{}", "inputs is missing"},
        {"{\"inputs\":{}}", "inputs is not an array"},
        {"{\"inputs\":[" X "]" Y "}", "input \"t\" is missing"},
        {"{\"inputs\":[" X "," X "," T "]" Y "}", "given twice"},
        {"{\"inputs\":[" X "," T "],\"inputs\":[]}", "repeated"},
        {"{\"inputs\":[" X "," T "],\"sequence\":1}", "member \"sequence\" is unknown"},
        {"{\"id\":5,\"inputs\":[" X "," T "]}", "id is not a string"},
        {"{\"inputs\":[" X "," T "],\"outputs\":[{\"name\":\"z\"}]}", "no output \"z\""},
        {"{\"inputs\":[" X "," T "],\"outputs\":[{\"name\":\"y\"},{\"name\":\"y\"}]}", "twice"},
        {"{\"inputs\":[" X "," T "],\"outputs\":[{\"name\":\"y\",\"parameters\":"
         "{\"classification\":0}}]}",
         "output 0: classification is a whole number of classes, from 1 to"},
        {"{\"inputs\":[" X "," T "],\"outputs\":[{\"name\":\"y\",\"parameters\":"
         "{\"classification\":\"2\"}}]}",
         "output 0: classification: "},
        {"{\"inputs\":[" X "," T "],\"outputs\":[{\"name\":\"y\",\"parameters\":"
         "{\"classification\":2,\"classification\":2}}]}",
         "parameter \"classification\" is repeated"},
        {"{\"inputs\":[" X "," T "],\"outputs\":[{\"name\":\"s\",\"parameters\":"
         "{\"classification\":2}}]}",
         "output \"s\" is BYTES, whose values cannot be ranked"},
        {"{\"inputs\":[" X "," T "],\"outputs\":[{\"name\":\"y\",\"parameters\":"
         "{\"top_k\":2}}]}",
         "parameter \"top_k\" is not supported"},
        {"{\"inputs\":[" X "," T "],\"outputs\":[{\"name\":\"y\",\"parameters\":"
         "{\"shared_memory_region\":\"r\"}}]}",
         "shared memory is not offered"},
        {"{\"inputs\":[" X "," T "],\"outputs\":[{}]}", "name is missing"},
        {"{\"inputs\":[" X "," T "]}", "output \"h\" is FP16, which has no JSON form"},
        {"{\"parameters\":{\"priority\":-1},\"inputs\":[" X "," T "]" Y "}",
         "parameter priority is a whole number"},
        {"{\"parameters\":{\"sequence_id\":7},\"inputs\":[" X "," T "]" Y "}",
         "sequences are not offered"},
        {"{\"parameters\":{\"sequence_id\":\"a\"},\"inputs\":[" X "," T "]" Y "}",
         "sequences are not offered"},
        {"{\"parameters\":{\"sequence_start\":true},\"inputs\":[" X "," T "]" Y "}",
         "sequences are not offered"},
        {"{\"parameters\":{\"sequence_id\":[]},\"inputs\":[" X "," T "]" Y "}",
         "parameter sequence_id: "},
        {"{\"parameters\":{\"temperature\":1},\"inputs\":[" X "," T "]" Y "}",
         "parameter \"temperature\" is not supported"},
        {"{\"parameters\":{\"priority\":1,\"priority\":1},\"inputs\":[" X "," T "]" Y "}",
         "parameter \"priority\" is repeated"},
        {"{\"id\":null,\"inputs\":[" X "," T "]" Y "}", "id is not a string"},
        {"{\"id\":true,\"inputs\":[" X "," T "]" Y "}", "id is not a string"},
        {"{\"id\":{},\"inputs\":[" X "," T "]" Y "}", "id is not a string"},
        {"{\"parameters\":{\"timeout\":-1},\"inputs\":[" X "," T "]" Y "}", "timeout"},
        {"{\"parameters\":{\"timeout\":\"x\"},\"inputs\":[" X "," T "]" Y "}", "parameter timeout"},
        {"{\"parameters\":{\"binary_data_output\":1},\"inputs\":[" X "," T "]" Y "}",
         "parameter binary_data_output"},
        {"{\"inputs\":[{\"name\":\"q\"}]}", "no input \"q\""},
        {"{\"inputs\":[{\"name\":\"x\",\"shape\":[1,3],\"datatype\":\"FP32\"}]}", "neither data"},
        {"{\"inputs\":[{\"name\":\"x\",\"shape\":[1,3],\"datatype\":\"FP32\",\"data\":[1,2,3],"
         "\"parameters\":{\"binary_data_size\":12}}]}",
         "both data and"},
        {"{\"inputs\":[{\"name\":\"x\",\"shape\":[1,3],\"datatype\":\"FP32\","
         "\"parameters\":{\"binary_data_size\":12}}]}",
         "Inference-Header-Content-Length"},
        {"{\"inputs\":[{\"name\":\"x\",\"shape\":[1,3],\"data\":[1,2,3]}]}", "datatype is missing"},
        {"{\"inputs\":[{\"name\":\"x\",\"parameters\":{\"binary_data_size\":12,\"zip\":1}}]}",
         "parameter \"zip\" is not supported"},
        {"{\"inputs\":[{\"name\":\"x\",\"parameters\":"
         "{\"binary_data_size\":12,\"binary_data_size\":12}}]}",
         "parameter \"binary_data_size\" is repeated"},
        {"{\"inputs\":[{\"name\":\"x\",\"shape\":[3],\"datatype\":\"FP32\",\"data\":[1,2,3]}]}",
         "input \"x\": shape [3] has 1 dimension, the model takes [-1,3]"},
        {"{\"inputs\":[{\"name\":\"x\",\"shape\":[1,4],\"datatype\":\"FP32\",\"data\":[1,2,3,4]}]}",
         "shape is [1,4], the model takes [-1,3]"},
        {"{\"inputs\":[{\"name\":\"x\",\"shape\":[-1,3],\"datatype\":\"FP32\",\"data\":[]}]}",
         "shape: found -1, expected a whole number, 0 or more, written without fraction"},
        {"{\"inputs\":[{\"name\":\"x\",\"shape\":[1,3],\"datatype\":\"FP64\",\"data\":[1,2,3]}]}",
         "datatype is FP64, the model takes FP32"},
        {"{\"inputs\":[{\"name\":\"x\",\"shape\":[1,3],\"datatype\":\"FLOAT\",\"data\":[1]}]}",
         "none of the protocol's"},
        {"{\"inputs\":[{\"name\":\"x\",\"shape\":[1,3],\"datatype\":\"FP32\",\"data\":[1,2]}]}",
         "data has 2 elements, the shape takes 3"},
        {"{\"inputs\":[{\"name\":\"x\",\"shape\":[1,3],\"datatype\":\"FP32\",\"data\":[1,2,3,4]}]}",
         "more than 3 elements"},
        {"{\"inputs\":[{\"name\":\"x\",\"shape\":[2,3],\"datatype\":\"FP32\","
         "\"data\":[[1,2,3,4,5,6]]}]}",
         "nested otherwise"},
        {"{\"inputs\":[{\"name\":\"x\",\"shape\":[2,3],\"datatype\":\"FP32\","
         "\"data\":[[1,2,3],4,5,6]}]}",
         "nested less deeply"},
        {"{\"inputs\":[{\"name\":\"x\",\"shape\":[1,3],\"datatype\":\"FP32\",\"data\":[1,2,1e39]}]"
         "}",
         "input \"x\": element 2 of data is 1e39, FP32 takes numbers from -3.4028235e38 to "
         "3.4028235e38"},
        {"{\"inputs\":[{\"name\":\"x\",\"shape\":[1,3],\"datatype\":\"FP32\",\"data\":[1,2,null]}]"
         "}",
         "input \"x\": element 2 of data is null, FP32 takes numbers"},
        {"{\"inputs\":[{\"name\":\"x\",\"shape\":[4611686018427387904,3],\"datatype\":\"FP32\","
         "\"data\":[]}]}",
         "more elements than fit"},
        {"{\"inputs\":[{\"name\":\"x\",\"shape\":[1,3],\"shape\":[1,3]}]}", "repeated"},
        {"{\"inputs\":[" X "," T "]" Y "} x", "nothing more"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        cr_expect_eq(parse(cases[i].body), STATUS_INVALID, "accepted: %s", cases[i].body);
        cr_expect(strstr(error.message, cases[i].says) != NULL, "%s\nwanted: %s\ngot:    %s",
                  cases[i].body, cases[i].says, error.message);
    }
}

Test(front_oip, integer_types_have_their_ranges) {
    static const struct {
        const char *type, *least, *most, *under, *over;
    } cases[] = {
        {"UINT8", "0", "255", "-1", "256"},
        {"INT8", "-128", "127", "-129", "128"},
        {"UINT16", "0", "65535", "-1", "65536"},
        {"INT16", "-32768", "32767", "-32769", "32768"},
        {"UINT32", "0", "4294967295", "-1", "4294967296"},
        {"INT32", "-2147483648", "2147483647", "-2147483649", "2147483648"},
        {"UINT64", "0", "18446744073709551615", "-1", "18446744073709551616"},
        {"INT64", "-9223372036854775808", "9223372036854775807", "-9223372036854775809",
         "9223372036854775808"},
        {"BOOL", "false", "true", "-1", "2"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char json[512], body[512];
        snprintf(json, sizeof json,
                 "{\"inputs\":[{\"name\":\"n\",\"datatype\":\"%s\",\"shape\":[2]}],"
                 "\"outputs\":[{\"name\":\"n\",\"datatype\":\"%s\",\"shape\":[2]}]}",
                 cases[i].type, cases[i].type);
        struct oip_signature *signature = parse_signature(json);
        static const char format[] = "{\"inputs\":[{\"name\":\"n\",\"shape\":[2],\"datatype\":"
                                     "\"%s\",\"data\":[%s,%s]}]}";
        snprintf(body, sizeof body, format, cases[i].type, cases[i].least, cases[i].most);
        cr_assert_eq(parse_with(signature, body, strlen(body), OIP_JSON_ONLY, AREA), STATUS_OK,
                     "%s: %s", body, error.message);

        /* What went in as JSON comes out as the same JSON. */
        struct ring_response answer = {.output_count = 1, .outputs = {request.inputs[0]}};
        struct oip_response response = {signature, &request, &answer, area_bytes, "m", "1", NULL};
        char out[2048] = {0}, want[256];
        struct buf text = buf_of(out, sizeof out - 1);
        size_t bound, json_size;
        bool binary;
        cr_assert_eq(oip_response_check(&response, &bound, &error), STATUS_OK, "%s", error.message);
        cr_assert_eq(oip_response_write(&response, &text, &json_size, &binary, &error), STATUS_OK);
        snprintf(want, sizeof want, "\"data\":[%s,%s]", cases[i].least, cases[i].most);
        cr_expect(strstr(out, want) != NULL, "%s lacks %s", out, want);
        cr_expect(text.size <= bound);

        snprintf(body, sizeof body, format, cases[i].type, cases[i].least, cases[i].over);
        cr_expect_eq(parse_with(signature, body, strlen(body), OIP_JSON_ONLY, AREA),
                     STATUS_INVALID);
        snprintf(want, sizeof want, "element 1 of data is %s, %s takes ", cases[i].over,
                 cases[i].type);
        cr_expect(strstr(error.message, want) != NULL, "%s lacks %s", error.message, want);
        snprintf(body, sizeof body, format, cases[i].type, cases[i].under, cases[i].most);
        cr_expect_eq(parse_with(signature, body, strlen(body), OIP_JSON_ONLY, AREA),
                     STATUS_INVALID);
        oip_signature_free(signature);
    }
}

/* JSON of the binary form, followed by the tensors. */
static enum status parse_binary(const char *json, const void *tail, size_t tail_size,
                                size_t json_size) {
    uint8_t body[2048];
    size_t size = strlen(json);
    memcpy(body, json, size);
    memcpy(body + size, tail, tail_size);
    struct oip_signature *signature = parse_signature(signature_json);
    enum status status = parse_with(signature, body, size + tail_size, json_size, AREA);
    oip_signature_free(signature);
    return status;
}

static const char binary_json[] =
    "{\"inputs\":[{\"name\":\"x\",\"shape\":[1,3],\"datatype\":\"FP32\",\"parameters\":"
    "{\"binary_data_size\":12}},{\"name\":\"t\",\"shape\":[2],\"datatype\":\"BYTES\","
    "\"parameters\":{\"binary_data_size\":11}}],\"parameters\":{\"binary_data_output\":true}}";

Test(front_oip, binary_tensors) {
    uint8_t tail[24] = {0};
    float x[3] = {1, 2.5f, -3};
    size_t json = strlen(binary_json);
    memcpy(tail, x, 12);
    memcpy(tail + 12, "\3\0\0\0a\xc3\xa4\0\0\0\0", 11);
    cr_assert_eq(parse_binary(binary_json, tail, 23, json), STATUS_OK, "%s", error.message);
    expect_good();
    cr_expect_eq(request.output_count, 3);
    cr_expect(request.outputs[0].binary && request.outputs[2].binary);

    cr_expect_eq(parse_binary(binary_json, tail, 24, json), STATUS_INVALID);
    cr_expect(strstr(error.message, "1 bytes are left over") != NULL, "%s", error.message);
    cr_expect_eq(parse_binary(binary_json, tail, 22, json), STATUS_INVALID);
    cr_expect(strstr(error.message, "the body has 10 bytes left") != NULL, "%s", error.message);
    cr_expect_eq(parse_binary(binary_json, tail, 23, json + 24), STATUS_INVALID);
    cr_expect(strstr(error.message, "Inference-Header-Content-Length is") != NULL);
    cr_expect_eq(parse_binary(binary_json, tail, 23, json - 1), STATUS_INVALID);
    tail[12] = 200; /* a string longer than what is left */
    cr_expect_eq(parse_binary(binary_json, tail, 23, json), STATUS_INVALID);
    cr_expect(strstr(error.message, "element 0 is said to have 200 bytes") != NULL);
    tail[12] = 2;
    cr_expect_eq(parse_binary(binary_json, tail, 23, json), STATUS_INVALID);
}

Test(front_oip, raw_body_is_one_input) {
    struct oip_signature *signature =
        parse_signature("{\"inputs\":[{\"name\":\"x\",\"datatype\":\"FP32\",\"shape\":[-1,-1,2]}],"
                        "\"outputs\":[{\"name\":\"y\",\"datatype\":\"FP16\",\"shape\":[-1]}]}");
    float x[6] = {1, 2, 3, 4, 5, 6};
    cr_assert_eq(parse_with(signature, x, sizeof x, 0, AREA), STATUS_OK, "%s", error.message);
    cr_expect_eq(request.inputs[0].dims[0], 1);
    cr_expect_eq(request.inputs[0].dims[1], 3);
    cr_expect(request.outputs[0].binary);
    cr_expect_eq(parse_with(signature, x, 23, 0, AREA), STATUS_INVALID);
    oip_signature_free(signature);
    signature =
        parse_signature("{\"inputs\":[{\"name\":\"x\",\"datatype\":\"BYTES\",\"shape\":[1]}],"
                        "\"outputs\":[{\"name\":\"y\",\"datatype\":\"FP32\",\"shape\":[]}]}");
    cr_assert_eq(parse_with(signature, "abc", 3, 0, AREA), STATUS_OK, "%s", error.message);
    cr_expect_eq(memcmp(area_bytes + request.inputs[0].offset, "\3\0\0\0abc", 7), 0);
    oip_signature_free(signature);
}

Test(front_oip, a_full_slot_is_too_large) {
    struct oip_signature *signature = parse_signature(signature_json);
    static const char body[] = "{\"inputs\":[" X "," T "]" Y "}";
    for (size_t capacity = 0; capacity < 64 + 11; capacity++)
        cr_expect_eq(parse_with(signature, body, sizeof body - 1, OIP_JSON_ONLY, capacity),
                     STATUS_TOO_LARGE, "%zu bytes sufficed", capacity);
    cr_expect_eq(parse_with(signature, body, sizeof body - 1, OIP_JSON_ONLY, 64 + 11), STATUS_OK);
    oip_signature_free(signature);
}

Test(front_oip, every_prefix_of_a_request_is_refused) {
    struct oip_signature *signature = parse_signature(signature_json);
    static const char body[] = "{\"inputs\":[" X "," T "]" Y "}";
    for (size_t size = 0; size < sizeof body - 2; size++)
        cr_expect_eq(parse_with(signature, body, size, OIP_JSON_ONLY, AREA), STATUS_INVALID,
                     "prefix of %zu", size);
    oip_signature_free(signature);
}

/* --- responses ----------------------------------------------------------------------------- */

static struct oip_signature *signature;
static struct ring_response answer;

static void prepare_answer(bool binary) {
    signature = parse_signature(signature_json);
    float y[2] = {0.1f, 1e10f};
    memset(&answer, 0, sizeof answer);
    memcpy(area_bytes, y, 8);
    memcpy(area_bytes + 64, "\0\x3c", 2);
    memcpy(area_bytes + 128, "\2\0\0\0hi\1\0\0\0\"", 11);
    answer.output_count = 3;
    answer.outputs[0] = (struct ring_tensor){2, OIP_BYTES, 1, 0, {2}, 128, 11};
    answer.outputs[1] = (struct ring_tensor){0, OIP_FP32, 1, 0, {2}, 0, 8};
    answer.outputs[2] = (struct ring_tensor){1, OIP_FP16, 1, 0, {1}, 64, 2};
    memset(&request, 0, sizeof request);
    request.output_count = 3;
    request.outputs[0] = (struct oip_output){0, binary, 0};
    request.outputs[1] = (struct oip_output){1, true, 0};
    request.outputs[2] = (struct oip_output){2, binary, 0};
    memcpy(request.id, "a\"b", 3);
    request.id_size = 3;
    request.has_id = true;
}

static enum status respond(char *out, size_t capacity, size_t *size, size_t *json_size) {
    struct oip_response response = {signature, &request, &answer, area_bytes, "digits", "3", NULL};
    size_t bound;
    bool binary;
    enum status status = oip_response_check(&response, &bound, &error);
    if (status != STATUS_OK)
        return status;
    struct buf b = buf_of(out, capacity);
    status = oip_response_write(&response, &b, json_size, &binary, &error);
    cr_expect(b.size <= bound);
    *size = b.size;
    return status;
}

Test(front_oip, a_response_in_both_forms) {
    char out[2048] = {0};
    size_t size, json;
    prepare_answer(false);
    cr_assert_eq(respond(out, sizeof out - 1, &size, &json), STATUS_OK, "%s", error.message);
    static const char want[] =
        "{\"model_name\":\"digits\",\"model_version\":\"3\",\"id\":\"a\\\"b\",\"outputs\":["
        "{\"name\":\"y\",\"datatype\":\"FP32\",\"shape\":[2],\"data\":[0.1,10000000000.0]},"
        "{\"name\":\"h\",\"datatype\":\"FP16\",\"shape\":[1],\"parameters\":{\"binary_data_size\":"
        "2}},"
        "{\"name\":\"s\",\"datatype\":\"BYTES\",\"shape\":[2],\"data\":[\"hi\",\"\\\"\"]}]}";
    cr_expect_eq(json, sizeof want - 1);
    cr_expect_eq(memcmp(out, want, json), 0, "%.*s", (int)json, out);
    cr_expect_eq(size, json + 2);
    cr_expect_eq(memcmp(out + json, "\0\x3c", 2), 0);
    oip_signature_free(signature);

    prepare_answer(true);
    cr_assert_eq(respond(out, sizeof out - 1, &size, &json), STATUS_OK);
    cr_expect_eq(size, json + 8 + 2 + 11);
    cr_expect_eq(memcmp(out + json + 10, "\2\0\0\0hi\1\0\0\0\"", 11), 0);
    cr_expect_eq(respond(out, json, &size, &json), STATUS_INTERNAL, "a full buffer went unseen");
    oip_signature_free(signature);
}

Test(front_oip, what_has_no_json_form_says_so) {
    char out[2048];
    size_t size, json;
    prepare_answer(false);
    float nan_value = nanf("");
    memcpy(area_bytes + 4, &nan_value, 4);
    cr_expect_eq(respond(out, sizeof out, &size, &json), STATUS_INVALID);
    cr_expect(strstr(error.message, "output \"y\": element 1 is not a finite number") != NULL);
    oip_signature_free(signature);
    prepare_answer(false);
    area_bytes[132] = 0xff;
    cr_expect_eq(respond(out, sizeof out, &size, &json), STATUS_INVALID);
    cr_expect(strstr(error.message, "not UTF-8") != NULL);
    oip_signature_free(signature);
}

Test(front_oip, a_worker_is_not_believed) {
    char out[2048];
    size_t size, json;
    for (int fault = 0; fault < 7; fault++) {
        prepare_answer(false);
        switch (fault) {
        case 0:
            answer.outputs[1].type = OIP_INT32;
            break;
        case 1:
            answer.outputs[1].dims[0] = 3;
            break;
        case 2:
            answer.outputs[1].dims[0] = -1;
            break;
        case 3:
            answer.outputs[1].index = 2;
            break;
        case 4:
            answer.output_count = 2;
            break;
        case 5:
            area_bytes[128] = 90; /* a length past the tensor */
            break;
        case 6:
            answer.outputs[0].dims[0] = 1; /* a string left over */
            break;
        }
        cr_expect_eq(respond(out, sizeof out, &size, &json), STATUS_INTERNAL, "fault %d", fault);
        oip_signature_free(signature);
    }
}

Test(front_oip, bad_signatures_are_refused) {
    static const char *const bad[] = {
        "{}",
        "{\"inputs\":[],\"outputs\":[]}",
        "{\"inputs\":[{\"name\":\"x\",\"datatype\":\"FP32\"}],\"outputs\":[]}",
        "{\"inputs\":[{\"name\":\"x\",\"datatype\":\"COMPLEX\",\"shape\":[]}],\"outputs\":[]}",
        "{\"inputs\":[{\"name\":\"x\",\"datatype\":\"FP32\",\"shape\":[-2]}],\"outputs\":[]}",
        "{\"inputs\":[{\"name\":\"\",\"datatype\":\"FP32\",\"shape\":[]}],\"outputs\":[]}",
        ("{\"inputs\":[{\"name\":\"x\",\"datatype\":\"FP32\",\"shape\":"
         "[1,1,1,1,1,1,1,1,1,1,1,1,1]}],\"outputs\":[]}"),
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct oip_signature *s = NULL;
        cr_expect_neq(oip_signature_parse(bad[i], strlen(bad[i]), &s, &error), STATUS_OK, "%s",
                      bad[i]);
        cr_expect_null(s);
    }
    struct oip_signature *s = parse_signature(signature_json);
    char out[1024] = {0};
    struct buf b = buf_of(out, sizeof out - 1);
    oip_signature_write(s, "m", bytes_text("[\"2\"]"), &b);
    cr_expect_str_eq(out, "{\"name\":\"m\",\"versions\":[\"2\"],\"platform\":\"onnx_onnxv1\","
                          "\"inputs\":[{\"name\":\"x\",\"datatype\":\"FP32\",\"shape\":[-1,3]},"
                          "{\"name\":\"t\",\"datatype\":\"BYTES\",\"shape\":[2]}],\"outputs\":["
                          "{\"name\":\"y\",\"datatype\":\"FP32\",\"shape\":[-1]},"
                          "{\"name\":\"h\",\"datatype\":\"FP16\",\"shape\":[1]},"
                          "{\"name\":\"s\",\"datatype\":\"BYTES\",\"shape\":[-1]}]}");
    oip_signature_free(s);
}
