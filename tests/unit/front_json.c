/* The front's JSON reader and writer. */
#include "server/front/json_reader.h"
#include "server/front/json_writer.h"

#include <criterion/criterion.h>
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static enum status whole(const char *text, size_t size, struct error *error) {
    struct json_reader r = json_reader_of(text, size);
    enum status status = json_reader_skip(&r, error);
    return status == STATUS_OK ? json_reader_end(&r, error) : status;
}

Test(front_json, accepts_what_the_grammar_has) {
    static const char *const good[] = {
        "null",
        "true",
        " false\n",
        "0",
        "-0",
        "12.5e-3",
        "1E+2",
        "\"\"",
        "[]",
        "{}",
        "[1,[2,[3]],{\"a\":{\"b\":[]}}]",
        "\"\\u00e4\\ud83d\\ude00\\\"\\/\\b\"",
        "\"\xc3\xa4\xf0\x9f\x98\x80\"",
        "{\"\":0}",
        "\t[ 1 , 2 ]\r\n",
    };
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        struct error error = {0};
        cr_expect_eq(whole(good[i], strlen(good[i]), &error), STATUS_OK, "%s: %s", good[i],
                     error.message);
    }
}

Test(front_json, refuses_everything_else) {
    static const char *const bad[] = {
        "",
        " ",
        "nul",
        "tru",
        "01",
        "-",
        "1.",
        ".5",
        "1e",
        "+1",
        "1e+",
        "0x1",
        "NaN",
        "Infinity",
        "[1,]",
        "[,1]",
        "[1 2]",
        "[",
        "]",
        "[1",
        "{\"a\"}",
        "{\"a\":}",
        "{\"a\":1,}",
        "{a:1}",
        "{1:2}",
        "{\"a\":1 \"b\":2}",
        "\"",
        "\"\\\"",
        "\"\\x\"",
        "\"\\u12\"",
        "\"\\u12g4\"",
        "\"\\ud800\"",
        "\"\\ud800\\u0041\"",
        "\"\\udc00\"",
        "\"\x01\"",
        "\"\x80\"",
        "\"\xc0\x80\"",
        "\"\xed\xa0\x80\"",
        "\"\xf4\x90\x80\x80\"",
        "\"\xe2\x82\"",
        "1 2",
        "[] []",
        "'a'",
        "\xef\xbb\xbf[]",
        "{\"a\":1}}",
        "/**/1",
        "[1}",
        "{\"a\":1]",
        "-a",
        "00",
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct error error = {0};
        cr_expect_eq(whole(bad[i], strlen(bad[i]), &error), STATUS_INVALID, "accepted: %s", bad[i]);
        cr_expect(strstr(error.message, "byte") != NULL, "%s: no place in: %s", bad[i],
                  error.message);
    }
    struct error error;
    cr_expect_eq(whole("\"a\0b\"", 5, &error), STATUS_INVALID);
}

Test(front_json, every_prefix_of_a_document_is_refused) {
    static const char text[] = "{\"a\":[1.5e3,true,null,\"x\\u00e4\\ud83d\\ude00\"],\"b\":{}}";
    for (size_t size = 0; size + 1 < sizeof text - 1; size++) {
        char *exact = malloc(size ? size : 1); /* so that a read past the end is found */
        memcpy(exact, text, size);
        struct error error;
        cr_expect_eq(whole(exact, size, &error), STATUS_INVALID, "prefix of %zu bytes", size);
        free(exact);
    }
}

Test(front_json, nesting_is_bounded) {
    char text[2 * (JSON_DEPTH_MAX + 1)];
    struct error error;
    for (size_t depth = JSON_DEPTH_MAX; depth <= JSON_DEPTH_MAX + 1; depth++) {
        memset(text, '[', depth);
        memset(text + depth, ']', depth);
        cr_expect_eq(whole(text, 2 * depth, &error),
                     depth == JSON_DEPTH_MAX ? STATUS_OK : STATUS_INVALID);
    }
    cr_expect(strstr(error.message, "deeper") != NULL);
}

Test(front_json, strings_decode) {
    static const char text[] = "\"a\\n\\u00e4\\ud83d\\ude00\\u0000z\"";
    static const uint8_t want[] = "a\n\xc3\xa4\xf0\x9f\x98\x80\0z";
    struct json_reader r = json_reader_of(text, sizeof text - 1);
    struct json_text value;
    struct error error;
    uint8_t out[32];
    size_t size = 99;
    cr_assert_eq(json_reader_string(&r, &value, &error), STATUS_OK);
    cr_assert(json_text_decode(&value, out, sizeof out, &size));
    cr_assert_eq(size, sizeof want - 1);
    cr_expect_eq(memcmp(out, want, size), 0);
    size = 99;
    cr_expect_not(json_text_decode(&value, out, sizeof want - 2, &size));
    cr_expect_eq(size, 99, "output touched on failure");
    struct json_text name = {(const uint8_t *)"na\\u006de", 9, true};
    cr_expect(json_text_is(&name, "name"));
    cr_expect_not(json_text_is(&name, "names"));
    cr_expect_not(json_text_is(&name, "nam"));
}

static struct json_number number_of(const char *text) {
    struct json_reader r = json_reader_of(text, strlen(text));
    struct json_number n = {0};
    struct error error;
    cr_assert_eq(json_reader_number(&r, &n, &error), STATUS_OK, "%s", text);
    return n;
}

Test(front_json, integers_are_exact) {
    struct json_number n = number_of("18446744073709551615");
    uint64_t u = 0;
    int64_t i = 0;
    cr_expect(json_number_u64(&n, &u) && u == UINT64_MAX);
    cr_expect_not(json_number_i64(&n, &i));
    n = number_of("18446744073709551616");
    cr_expect_not(json_number_u64(&n, &u));
    n = number_of("-9223372036854775808");
    cr_expect(json_number_i64(&n, &i) && i == INT64_MIN);
    n = number_of("-9223372036854775809");
    cr_expect_not(json_number_i64(&n, &i));
    n = number_of("9007199254740993");
    cr_expect(json_number_i64(&n, &i) && i == 9007199254740993);
    n = number_of("1.0");
    cr_expect_not(json_number_i64(&n, &i));
    n = number_of("-1");
    cr_expect_not(json_number_u64(&n, &u));
}

Test(front_json, floats_round_as_the_c_library_rounds) {
    static const char *const texts[] = {
        "0",
        "-0.0",
        "1",
        "0.1",
        "3.4028235e38",
        "1e-45",
        "1.17549435e-38",
        "16777217",
        "1.00000017881393432617187499",
        "1.00000017881393432617187500",
        "1.00000017881393432617187501",
        "123456789012345678901234567890",
        "7.0e-46",
        "2.2250738585072014e-308",
        "4.9e-324",
        "1.7976931348623157e308",
        "0.30000001192092896",
        "8.589973e9",
        "33554435",
        "9007199254740993e-5",
        "1.000000059604644775390625",
        "1.00000005960464477539062500000001",
    };
    for (size_t k = 0; k < sizeof texts / sizeof *texts; k++) {
        struct json_number n = number_of(texts[k]);
        float f = 7, want = strtof(texts[k], NULL);
        double d = 7;
        if (isfinite(want)) {
            cr_assert(json_number_f32(&n, &f), "%s", texts[k]);
            cr_expect_eq(memcmp(&f, &want, sizeof f), 0, "%s", texts[k]);
        } else {
            cr_expect_not(json_number_f32(&n, &f));
        }
        cr_assert(json_number_f64(&n, &d));
        double wide = strtod(texts[k], NULL);
        cr_expect_eq(memcmp(&d, &wide, sizeof d), 0, "%s", texts[k]);
    }
    struct json_number n = number_of("1e39");
    float f = 7;
    cr_expect_not(json_number_f32(&n, &f));
    cr_expect_eq(f, 7);
    n = number_of("1e309");
    double d = 7;
    cr_expect_not(json_number_f64(&n, &d));
}

static uint64_t state = 88172645463325252u;
static uint64_t next_random(void) {
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state;
}

Test(front_json, every_float_reads_back) {
    char text[64];
    for (int i = 0; i < 400000; i++) {
        uint32_t bits = (uint32_t)next_random();
        float f;
        memcpy(&f, &bits, sizeof f);
        struct buf b = buf_of(text, sizeof text - 1);
        if (!isfinite(f)) {
            cr_assert_not(json_writer_f32(&b, f));
            continue;
        }
        cr_assert(json_writer_f32(&b, f) && !b.failed && b.size <= JSON_WRITER_NUMBER_MAX);
        text[b.size] = '\0';
        float back = strtof(text, NULL);
        cr_assert_eq(memcmp(&back, &f, sizeof f), 0, "%.9g became %s", (double)f, text);
        struct json_number n = number_of(text);
        cr_assert(n.size == b.size && json_number_f32(&n, &back) &&
                      memcmp(&back, &f, sizeof f) == 0,
                  "%s", text);
    }
}

Test(front_json, floats_are_as_short_as_can_be) {
    char text[64], shortest[64];
    for (int i = 0; i < 100000; i++) {
        float f = (float)((double)(next_random() % 2000001) / 1000 - 1000);
        struct buf b = buf_of(text, sizeof text - 1);
        cr_assert(json_writer_f32(&b, f));
        text[b.size] = '\0';
        size_t digits = 0, wanted = 0;
        for (int precision = 1; precision <= 9; precision++) {
            snprintf(shortest, sizeof shortest, "%.*e", precision - 1, (double)f);
            wanted = (size_t)precision;
            if (strtof(shortest, NULL) == f)
                break;
        }
        const char *at = text;
        while (*at == '-' || *at == '0' || *at == '.')
            at++;
        size_t end = strlen(at);
        while (end && (at[end - 1] == '0' || at[end - 1] == '.'))
            end--;
        for (size_t k = 0; k < end; k++)
            digits += at[k] != '.';
        cr_assert(digits <= wanted, "%s has %zu digits, %zu suffice (%s)", text, digits, wanted,
                  shortest);
    }
}

Test(front_json, every_double_reads_back) {
    char text[64];
    for (int i = 0; i < 200000; i++) {
        uint64_t bits = next_random();
        double d;
        memcpy(&d, &bits, sizeof d);
        if (i % 2)
            d = (double)(int64_t)(bits >> 20) / 4096;
        if (!isfinite(d))
            continue;
        struct buf b = buf_of(text, sizeof text - 1);
        cr_assert(json_writer_f64(&b, d) && !b.failed && b.size <= JSON_WRITER_NUMBER_MAX);
        text[b.size] = '\0';
        double back = strtod(text, NULL);
        cr_assert_eq(memcmp(&back, &d, sizeof d), 0, "%.17g became %s", d, text);
    }
}

Test(front_json, known_forms) {
    static const struct {
        double value;
        const char *narrow, *wide;
    } cases[] = {
        {1, "1.0", "1.0"},
        {-0.5, "-0.5", "-0.5"},
        {1e21, "1e21", "1e21"},
        {1234567, "1234567.0", "1234567.0"},
        {0.0001, "0.0001", "0.0001"},
        {1e-7, "1e-7", "1e-7"},
        {-0.0, "-0.0", "-0.0"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char text[64] = {0};
        struct buf b = buf_of(text, sizeof text - 1);
        cr_assert(json_writer_f32(&b, (float)cases[i].value));
        cr_expect_str_eq(text, cases[i].narrow);
        memset(text, 0, sizeof text);
        b = buf_of(text, sizeof text - 1);
        cr_assert(json_writer_f64(&b, cases[i].value));
        cr_expect_str_eq(text, cases[i].wide);
    }
}

Test(front_json, strings_are_escaped) {
    char text[64] = {0};
    struct buf b = buf_of(text, sizeof text - 1);
    json_writer_string(&b, "a\"\\\n\x01\xc3\xa4\xff", 8);
    cr_expect_str_eq(text, "\"a\\\"\\\\\\n\\u0001\xc3\xa4\xef\xbf\xbd\"");
    struct error error;
    cr_expect_eq(whole(text, b.size, &error), STATUS_OK);
    cr_expect(json_writer_is_utf8("\xc3\xa4", 2));
    cr_expect_not(json_writer_is_utf8("\xc3", 1));
    memset(text, 0, sizeof text);
    b = buf_of(text, sizeof text - 1);
    json_writer_i64(&b, INT64_MIN);
    json_writer_u64(&b, UINT64_MAX);
    cr_expect_str_eq(text, "-922337203685477580818446744073709551615");
}

/* Strings are passed eight bytes at a time: what is special is seen wherever it stands. */
Test(front_json, special_bytes_at_every_place) {
    static const struct {
        const char *raw, *escaped;
        bool readable; /* as it stands */
    } specials[] = {
        {"\"", "\\\"", false},
        {"\\", "\\\\", false},
        {"\x01", "\\u0001", false},
        {"\x1f", "\\u001f", false},
        {"\n", "\\n", false},
        {"\x80", "\xef\xbf\xbd", false},
        {"\xff", "\xef\xbf\xbd", false},
        {"\xc3\xa4", "\xc3\xa4", true},
        {"\x7f", "\x7f", true},
        {" ", " ", true},
        {"!", "!", true},
        {"]", "]", true},
    };
    for (size_t i = 0; i < sizeof specials / sizeof *specials; i++)
        for (int before = 0; before < 20; before++)
            for (int behind = 0; behind < 20; behind++) {
                char raw[64], want[80], out[128] = {0};
                int size =
                    snprintf(raw, sizeof raw, "\"%.*s%s%.*s\"", before, "abcdefghijklmnopqrst",
                             specials[i].raw, behind, "ABCDEFGHIJKLMNOPQRST");
                struct json_text text;
                struct error error;
                char *exact = malloc((size_t)size);
                memcpy(exact, raw, (size_t)size);
                struct json_reader r = json_reader_of(exact, (size_t)size);
                bool whole =
                    json_reader_string(&r, &text, &error) == STATUS_OK && r.offset == (size_t)size;
                cr_assert_eq(whole, specials[i].readable, "%s", raw);
                struct buf b = buf_of(out, sizeof out - 1);
                json_writer_string(&b, exact + 1, (size_t)size - 2);
                snprintf(want, sizeof want, "\"%.*s%s%.*s\"", before, "abcdefghijklmnopqrst",
                         specials[i].escaped, behind, "ABCDEFGHIJKLMNOPQRST");
                cr_assert_str_eq(out, want);
                cr_assert_eq(json_writer_is_utf8(exact + 1, (size_t)size - 2),
                             (specials[i].raw[0] & 0xff) < 0x80 || specials[i].readable);
                free(exact);
            }
    char out[8] = {0};
    struct buf b = buf_of(out, sizeof out - 1);
    json_writer_string(&b, NULL, 0);
    cr_expect_str_eq(out, "\"\"");
}
