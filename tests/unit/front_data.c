/* Tensor data in JSON: every type, flat and nested, in every place of a request; what is refused,
 * and in which words. */
#include "server/front/oip_data.h"
#include "server/front/oip_rows.h"
#include "server/front/oip_type.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define AREA 512
static _Alignas(64) uint8_t area_bytes[AREA];
static struct ring_tensor tensor;
static struct error error;

/* `shape` is -1 at its end. The text is put at the end of its own allocation. */
static enum status decode(const char *type, const int64_t *shape, const char *text) {
    size_t size = strlen(text);
    uint8_t *exact = malloc(size ? size : 1);
    memcpy(exact, text, size);
    struct json_reader r = json_reader_of(exact, size);
    struct oip_area area = {.data = area_bytes, .capacity = AREA};
    memset(area_bytes, 0xee, AREA);
    tensor = (struct ring_tensor){.type = oip_type_named(type, strlen(type))->onnx, .bytes = 99};
    for (; shape[tensor.rank] >= 0; tensor.rank++)
        tensor.dims[tensor.rank] = shape[tensor.rank];
    error.message[0] = '\0';
    enum status status = oip_data_json(&r, &tensor, &area, &error);
    if (status == STATUS_OK) {
        cr_expect_eq(r.offset, size, "%s: read to byte %zu", text, r.offset);
        cr_expect_eq(r.depth, 0);
        cr_expect_eq(area.used, tensor.offset + tensor.bytes);
    } else {
        cr_expect_eq(tensor.bytes, 99, "output touched on failure");
        cr_expect_eq(area.used, 0);
    }
    for (size_t i = area.touched; i < AREA; i++)
        cr_assert_eq(area_bytes[i], 0xee, "byte %zu is not accounted for", i);
    free(exact);
    return status;
}

#define SHAPE(...) ((const int64_t[]){__VA_ARGS__, -1})
#define SCALAR ((const int64_t[]){-1})

static void expect(const char *type, const int64_t *shape, const char *text, const void *want,
                   size_t size) {
    cr_assert_eq(decode(type, shape, text), STATUS_OK, "%s %s: %s", type, text, error.message);
    cr_assert_eq(tensor.bytes, size, "%s: %zu bytes", text, (size_t)tensor.bytes);
    cr_expect_eq(memcmp(area_bytes + tensor.offset, want, size), 0, "%s %s", type, text);
}

Test(front_data, flat_and_nested_are_the_same) {
    static const float want[6] = {1, -2.5f, 3e4f, 0.125f, -0.0f, 6};
    static const char *const texts[] = {
        "[1,-2.5,3e4,0.125,-0,6]",
        "[ 1 ,\t-2.5,\n3E+4 ,\r0.125, -0.0 ,6.000 ]",
        "[[1,-2.5,3e4],[0.125,-0,6]]",
        " [ [ 1 , -2.5 , 3e4 ] , [ 0.125 , -0 , 6 ] ]",
    };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        expect("FP32", SHAPE(2, 3), texts[i], want, sizeof want);
    expect("FP32", SHAPE(6), "[1,-2.5,3e4,0.125,-0,6]", want, sizeof want);
    expect("FP32", SHAPE(1, 2, 1, 3), "[[[[1,-2.5,3e4]],[[0.125,-0,6]]]]", want, sizeof want);
    expect("FP32", SHAPE(3, 2, 1), "[[[1],[-2.5]],[[3e4],[0.125]],[[-0],[6]]]", want, sizeof want);
    expect("FP32", SCALAR, "[1]", want, 4);
    expect("FP32", SHAPE(0), "[]", want, 0);
    expect("FP32", SHAPE(2, 0), "[[],[]]", want, 0);
    expect("FP32", SHAPE(2, 0), "[]", want, 0);
    expect("FP32", SHAPE(0, 2), " [ ]", want, 0);
}

Test(front_data, every_type_is_little_endian) {
    expect("BOOL", SHAPE(4), "[true,false,1,0]", "\1\0\1\0", 4);
    expect("BOOL", SHAPE(2, 2), "[[true,false],[1,0]]", "\1\0\1\0", 4);
    expect("UINT8", SHAPE(3), "[0,127,255]", "\0\x7f\xff", 3);
    expect("INT8", SHAPE(3), "[-128,-1,127]", "\x80\xff\x7f", 3);
    expect("UINT16", SHAPE(2), "[258,65535]", "\2\1\xff\xff", 4);
    expect("INT16", SHAPE(2), "[-2,32767]", "\xfe\xff\xff\x7f", 4);
    expect("UINT32", SHAPE(2), "[1,4294967295]", "\1\0\0\0\xff\xff\xff\xff", 8);
    expect("INT32", SHAPE(2), "[-1,-2147483648]", "\xff\xff\xff\xff\0\0\0\x80", 8);
    expect("UINT64", SHAPE(1), "[18446744073709551615]", "\xff\xff\xff\xff\xff\xff\xff\xff", 8);
    expect("INT64", SHAPE(1), "[-9223372036854775808]", "\0\0\0\0\0\0\0\x80", 8);
    expect("INT64", SHAPE(1), "[9007199254740993]", "\1\0\0\0\0\0\x20\0", 8);
    expect("UINT64", SHAPE(2), "[-0,0]", "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 16);
    expect("FP64", SHAPE(1), "[0.1]", "\x9a\x99\x99\x99\x99\x99\xb9\x3f", 8);
    expect("FP32", SHAPE(1), "[1]", "\0\0\x80\x3f", 4);
    expect("BYTES", SHAPE(2), "[\"\\u00e4\\n\",\"\"]", "\3\0\0\0\xc3\xa4\n\0\0\0\0", 11);
    expect("BYTES", SHAPE(2, 1), "[[\"\\ud83d\\ude00\"],[\"\\u0000\"]]",
           "\4\0\0\0\xf0\x9f\x98\x80\1\0\0\0\0", 13);
}

#define FP32_TAKES "FP32 takes numbers from -3.4028235e38 to 3.4028235e38"

Test(front_data, refusals_name_position_found_and_expected) {
    static const struct {
        const char *type;
        int64_t shape[4];
        const char *text, *message;
    } cases[] = {
        {"UINT8",
         {3, -1},
         "[1,2,256]",
         "element 2 of data is 256, UINT8 takes whole numbers from 0 to 255"},
        {"UINT8",
         {3, -1},
         "[1,-1,2]",
         "element 1 of data is -1, UINT8 takes whole numbers from 0 to 255"},
        {"INT8",
         {1, -1},
         "[1.0]",
         "element 0 of data is 1.0, INT8 takes whole numbers from -128 to 127, written without "
         "fraction or exponent"},
        {"INT8",
         {1, -1},
         "[1e2]",
         "element 0 of data is 1e2, INT8 takes whole numbers from -128 to 127, written without "
         "fraction or exponent"},
        {"INT16",
         {1, -1},
         "[32768]",
         "element 0 of data is 32768, INT16 takes whole numbers from -32768 to 32767"},
        {"INT32",
         {1, -1},
         "[-2147483649]",
         "element 0 of data is -2147483649, INT32 takes whole numbers from -2147483648 to "
         "2147483647"},
        {"UINT32",
         {1, -1},
         "[4294967296]",
         "element 0 of data is 4294967296, UINT32 takes whole numbers from 0 to 4294967295"},
        {"INT64",
         {2, -1},
         "[0,9223372036854775808]",
         "element 1 of data is 9223372036854775808, INT64 takes whole numbers from "
         "-9223372036854775808 to 9223372036854775807"},
        {"INT64",
         {1, -1},
         "[-9223372036854775809]",
         "element 0 of data is -9223372036854775809, INT64 takes whole numbers from "
         "-9223372036854775808 to 9223372036854775807"},
        {"UINT64",
         {1, -1},
         "[18446744073709551616]",
         "element 0 of data is 18446744073709551616, UINT64 takes whole numbers from 0 to "
         "18446744073709551615"},
        {"UINT64",
         {1, -1},
         "[100000000000000000000000000000000000000000]",
         "element 0 of data is 1000000000000000000000000000000000000..., UINT64 takes whole "
         "numbers from 0 to 18446744073709551615"},
        {"FP32", {2, 2, -1}, "[[1,2],[3,-1e39]]", "element 3 of data is -1e39, " FP32_TAKES},
        {"FP32", {1, -1}, "[3.4028236e38]", "element 0 of data is 3.4028236e38, " FP32_TAKES},
        {"FP64",
         {1, -1},
         "[1e309]",
         "element 0 of data is 1e309, FP64 takes numbers from -1.7976931348623157e308 to "
         "1.7976931348623157e308"},
        {"FP32", {2, -1}, "[1,\"2\"]", "element 1 of data is a string, " FP32_TAKES},
        {"FP32", {2, -1}, "[1,null]", "element 1 of data is null, " FP32_TAKES},
        {"FP32", {2, -1}, "[true,1]", "element 0 of data is a boolean, " FP32_TAKES},
        {"FP32", {2, -1}, "[1,{}]", "element 1 of data is an object, " FP32_TAKES},
        {"FP32", {2, -1}, "[1,[2]]", "element 1 of data is an array, " FP32_TAKES},
        {"FP32", {2, -1}, "[[1,2]]", "element 0 of data is an array, " FP32_TAKES},
        {"BOOL", {2, -1}, "[true,2]", "element 1 of data is 2, BOOL takes true, false, 1 and 0"},
        {"BOOL",
         {2, -1},
         "[\"true\",0]",
         "element 0 of data is a string, BOOL takes true, false, 1 and 0"},
        {"BYTES", {2, -1}, "[\"a\",7]", "element 1 of data is a number, BYTES takes strings"},
        {"BYTES", {1, -1}, "[null]", "element 0 of data is null, BYTES takes strings"},
        {"FP32",
         {2, -1},
         "[1,NaN]",
         "element 1 of data: JSON at byte 3: found 'N', expected a value"},
        {"FP32",
         {2, -1},
         "[1,-Infinity]",
         "element 1 of data: JSON at byte 4: found 'I', expected a digit"},
        {"FP32",
         {2, -1},
         "[+1,2]",
         "element 0 of data: JSON at byte 1: found '+', expected a value"},
        {"FP32",
         {2, -1},
         "[.5,2]",
         "element 0 of data: JSON at byte 1: found '.', expected a value"},
        {"FP32",
         {2, -1},
         "[5.,2]",
         "element 0 of data: JSON at byte 3: found ',', expected a digit"},
        {"FP32",
         {2, -1},
         "[5.e1,2]",
         "element 0 of data: JSON at byte 3: found 'e', expected a digit"},
        {"FP32",
         {2, -1},
         "[5e,2]",
         "element 0 of data: JSON at byte 3: found ',', expected a digit"},
        {"FP32",
         {2, -1},
         "[5e+,2]",
         "element 0 of data: JSON at byte 4: found ',', expected a digit"},
        {"FP32",
         {2, -1},
         "[01,2]",
         "element 0 of data: JSON at byte 1: a number does not begin with a needless 0"},
        {"FP32",
         {2, -1},
         "[-00.5,2]",
         "element 0 of data: JSON at byte 2: a number does not begin with a needless 0"},
        {"FP32", {2, -1}, "[0x1,2]", "JSON at byte 2: found 'x', expected ',' or ']'"},
        {"FP32", {2, -1}, "[1f,2]", "JSON at byte 2: found 'f', expected ',' or ']'"},
        {"FP32", {2, -1}, "[1 2]", "JSON at byte 3: found '2', expected ',' or ']'"},
        {"FP32", {2, -1}, "[1,]", "element 1 of data: JSON at byte 3: found ']', expected a value"},
        {"FP32",
         {2, -1},
         "[1,,2]",
         "element 1 of data: JSON at byte 3: found ',', expected a value"},
        {"FP32", {2, -1}, "[,1]", "element 0 of data: JSON at byte 1: found ',', expected a value"},
        {"FP32", {2, -1}, "[1,2", "JSON ends at byte 4, expected ',' or ']'"},
        {"FP32", {2, -1}, "[1,", "element 1 of data: JSON ends at byte 3, expected a value"},
        {"FP32", {2, -1}, "[1,-", "element 1 of data: JSON ends at byte 4, expected a digit"},
        {"FP32", {2, -1}, "[1}", "JSON at byte 2: found '}', expected ',' or ']'"},
        {"FP32",
         {2, -1},
         "7",
         "data is not an array: JSON at byte 0: found '7', expected an array"},
        {"FP32", {3, -1}, "[1,2]", "data has 2 elements, the shape takes 3"},
        {"FP32", {3, -1}, "[]", "data has 0 elements, the shape takes 3"},
        {"FP32", {2, -1}, "[1,2,3]", "data has more than 2 elements, the shape takes 2"},
        {"FP32", {0, -1}, "[1]", "data has more than 0 elements, the shape takes 0"},
        {"FP32",
         {2, 2, -1},
         "[[1,2]]",
         "data is nested otherwise than the shape says: an array at depth 1 does not have 2 "
         "elements"},
        {"FP32",
         {2, 2, -1},
         "[[1,2],[3]]",
         "data is nested otherwise than the shape says: an array at depth 2 does not have 2 "
         "elements"},
        {"FP32",
         {2, 2, -1},
         "[[1,2],[3,4,5]]",
         "data is nested otherwise than the shape says: an array at depth 2 does not have 2 "
         "elements"},
        {"FP32",
         {2, 2, -1},
         "[[1,2],[3,4],[]]",
         "data is nested otherwise than the shape says: an array at depth 1 does not have 2 "
         "elements"},
        {"FP32",
         {2, 2, -1},
         "[[1,2],3,4]",
         "data is nested less deeply than the shape says: JSON at byte 7: found '3', expected an "
         "array"},
        {"FP32", {2, 2, -1}, "[[[1,2],[3,4]]]", "element 0 of data is an array, " FP32_TAKES},
        {"FP16",
         {1, -1},
         "[1]",
         "FP16 has no JSON form; send the tensor in binary (binary_data_size)"},
        {"BF16",
         {1, -1},
         "[1]",
         "BF16 has no JSON form; send the tensor in binary (binary_data_size)"},
        {"BYTES",
         {1, -1},
         "[\"\\ud800\"]",
         "element 0 of data: JSON at byte 2: half of a surrogate pair"},
        {"BYTES",
         {1, -1},
         "[\"\\udc00\\ud800\"]",
         "element 0 of data: JSON at byte 2: half of a surrogate pair"},
        {"BYTES", {2, -1}, "[\"a\",\"\xc3\"]", "element 1 of data: JSON at byte 6: not UTF-8"},
        {"BYTES", {1, -1}, "[\"\xed\xa0\x80\"]", "element 0 of data: JSON at byte 2: not UTF-8"},
        {"BYTES", {1, -1}, "[\"\xc0\xaf\"]", "element 0 of data: JSON at byte 2: not UTF-8"},
        {"BYTES", {1, -1}, "[\"\\q\"]", "element 0 of data: JSON at byte 2: unknown escape"},
        {"BYTES",
         {1, -1},
         "[\"\\u12x4\"]",
         "element 0 of data: JSON at byte 2: \\u needs four hexadecimal digits"},
        {"BYTES",
         {1, -1},
         "[\"\n\"]",
         "element 0 of data: JSON at byte 2: control characters in a string are escaped"},
        {"BYTES", {1, -1}, "[\"abc", "element 0 of data: JSON ends at byte 5 inside a string"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        cr_expect_eq(decode(cases[i].type, cases[i].shape, cases[i].text), STATUS_INVALID,
                     "%s accepted: %s", cases[i].type, cases[i].text);
        cr_expect_str_eq(error.message, cases[i].message, "%s %s:\n  got    %s\n  wanted %s",
                         cases[i].type, cases[i].text, error.message, cases[i].message);
    }
}

/* Wherever the text ends, it is refused, and no byte behind it is read. */
Test(front_data, every_prefix_is_refused) {
    static const struct {
        const char *type, *text;
    } cases[] = {
        {"FP32", "[[0.12345678901234567890, -1.5e-3],[16777217,1e-45]]"},
        {"INT64", "[[-9223372036854775808, 1],[1234567890123456789,0]]"},
        {"BOOL", "[[true, false],[1,0]]"},
        {"BYTES", "[[\"a\\u00e4\", \"\"],[\"\\ud83d\\ude00\",\"\xe2\x82\xac\"]]"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char prefix[80] = "";
        size_t size = strlen(cases[i].text);
        for (size_t n = 0; n < size; n++) {
            memcpy(prefix, cases[i].text, n);
            prefix[n] = '\0';
            cr_expect_eq(decode(cases[i].type, SHAPE(2, 2), prefix), STATUS_INVALID, "%s", prefix);
        }
        cr_expect_eq(decode(cases[i].type, SHAPE(2, 2), cases[i].text), STATUS_OK, "%s",
                     error.message);
    }
}

/* Numbers are read eight bytes at a time where there are so many: every length at every distance
 * from the end. */
Test(front_data, numbers_of_every_length_near_the_end) {
    static const char digits[] = "9876543210987654321";
    char text[64];
    for (int before = 1; before <= 19; before++)
        for (int behind = 0; behind + before <= 19; behind++)
            for (int spaces = 0; spaces < 10; spaces++) {
                snprintf(text, sizeof text, "[%.*s%s%.*s%*s]", before, digits, behind ? "." : "",
                         behind, digits + before, spaces, "");
                double want = strtod(text + 1, NULL);
                expect("FP64", SHAPE(1), text, &want, sizeof want);
                if (!behind) {
                    uint64_t whole = strtoull(text + 1, NULL, 10);
                    expect("UINT64", SHAPE(1), text, &whole, sizeof whole);
                }
            }
}

Test(front_data, strings_that_do_not_fit_are_too_large) {
    char text[AREA + 16];
    int size = snprintf(text, sizeof text, "[\"%0*d\"]", AREA - 3, 0);
    cr_assert_eq(size, AREA + 1);
    cr_expect_eq(decode("BYTES", SHAPE(1), text), STATUS_TOO_LARGE);
    snprintf(text, sizeof text, "[\"%0*d\"]", AREA - 4, 0);
    cr_expect_eq(decode("BYTES", SHAPE(1), text), STATUS_OK, "%s", error.message);
    cr_expect_eq(decode("FP64", SHAPE(AREA / 8 + 1), "[]"), STATUS_TOO_LARGE);
}
