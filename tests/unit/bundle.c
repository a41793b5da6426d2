/* Parts of a bundle by themselves: tar headers that tests/e2e/bundle.py does not reach, external
 * data that is shared, labels, names, and outputs that stay as they are on failure. */
#include "bundle/bundle.h"
#include "bundle/labels.h"
#include "bundle/manifest.h"
#include "bundle/member.h"
#include "bundle/tar.h"
#include "bundle/text.h"
#include "tests/unit/engine_model.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct error error;

static struct str str_of(const char *text) {
    return (struct str){text, strlen(text)};
}

/* --- tar ---------------------------------------------------------------------------------------
 */

/* An archive in the making. */
static uint8_t bytes[1 << 16];
static size_t size;

static void put(const char *name, const void *data, size_t length) {
    size += tar_header(name, length, bytes + size);
    memcpy(bytes + size, data, length);
    size += length;
    memset(bytes + size, 0, tar_padding(length));
    size += tar_padding(length);
}

static void put_end(void) {
    memset(bytes + size, 0, TAR_END_SIZE);
    size += TAR_END_SIZE;
}

Test(bundle, what_the_writer_writes_the_reader_reads) {
    char name[TAR_NAME_MAX + 1];
    static const size_t lengths[] = {1, 99, 100, 101, 155, 200, 245, 246, 254, 255};
    static const char data[] = "twelve bytes";
    size = 0;
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        memset(name, 'a' + (int)i, lengths[i]);
        name[lengths[i]] = '\0';
        put(name, data, i);
    }
    put_end();
    cr_assert(tar_is(bytes, size));
    struct tar tar = tar_of(bytes, size);
    struct tar_member m;
    bool more = false;
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        cr_assert_eq(tar_next(&tar, &m, &more, &error), STATUS_OK, "%s", error.message);
        cr_assert(more);
        cr_expect_eq(m.name_size, lengths[i]);
        cr_expect_eq(strlen(m.name), lengths[i]);
        cr_expect_eq(m.name[lengths[i] - 1], 'a' + (int)i);
        cr_expect_eq(m.size, i);
        cr_expect_eq(memcmp(m.data, data, i), 0);
        cr_expect_not(m.is_folder);
    }
    cr_assert_eq(tar_next(&tar, &m, &more, &error), STATUS_OK);
    cr_expect_not(more);
}

/* The size of a header alone: its data is not there, so the reader says that it goes past the end,
 * which is the size it read. */
Test(bundle, sizes_past_eight_gib_go_into_a_pax_header) {
    uint8_t header[TAR_HEADER_MAX];
    cr_expect_eq(tar_header("x", 077777777777, header), TAR_BLOCK);
    cr_expect_eq(memcmp(header + 124, "77777777777", 12), 0);
    cr_assert_eq(tar_header("x", 0100000000000, header), TAR_HEADER_MAX);
    cr_expect_eq(header[156], 'x');
    cr_expect_eq(memcmp(header + TAR_BLOCK, "19 size=8589934592\n", 20), 0);
    struct tar tar = tar_of(header, sizeof header);
    struct tar_member m;
    bool more;
    cr_expect_eq(tar_next(&tar, &m, &more, &error), STATUS_INVALID);
    cr_expect(strstr(error.message, "past the end") != NULL, "%s", error.message);
}

Test(bundle, every_truncation_and_every_flipped_bit_of_a_header_ends_in_a_status) {
    struct member_list list = {0};
    size = 0;
    put("model.onnx", "model", 5);
    put("b", "", 0);
    put_end();
    for (size_t cut = 0; cut < size; cut++) {
        uint8_t *copy = malloc(cut ? cut : 1);
        memcpy(copy, bytes, cut);
        cr_expect_neq(member_list_read((struct str){(char *)copy, cut}, &list, &error), STATUS_OK);
        cr_expect_null(list.members);
        free(copy);
    }
    /* The checksum covers all of a header: no bit may change, but in the checksum itself, where a
     * space says the same as a zero. */
    for (size_t bit = 0; bit < (size_t)TAR_BLOCK * 8; bit++) {
        if (bit / 8 >= 148 && bit / 8 < 156)
            continue;
        bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
        cr_expect_neq(member_list_read((struct str){(char *)bytes, size}, &list, &error), STATUS_OK,
                      "bit %zu", bit);
        bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    cr_assert_eq(member_list_read((struct str){(char *)bytes, size}, &list, &error), STATUS_OK);
    cr_assert_eq(list.count, 2);
    cr_expect_null(member_find(&list, str_of("c")));
    cr_expect_null(member_find(&list, str_of("")));
    cr_assert_not_null(member_find(&list, str_of("b")));
    cr_expect_eq(member_all_used(&list, &error), STATUS_INVALID);
    cr_expect(strstr(error.message, "\"model.onnx\"") != NULL);
    cr_assert_not_null(member_find(&list, str_of("model.onnx")));
    cr_expect_eq(member_all_used(&list, &error), STATUS_OK);
    member_list_free(&list);
}

Test(bundle, names_lose_their_dot_and_nothing_else) {
    struct str name = str_of("./a/b..c/.d");
    cr_expect_eq(member_name(&name, &error), STATUS_OK);
    cr_expect(str_is(name, "a/b..c/.d"));
    static const char *const bad[] = {"",    "/",    "./",   "././a", "..", "a/..",    "../a",
                                      "a//", "a\\b", "\x7f", "a\n",   ".",  "\xc2\x80"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        name = str_of(bad[i]);
        cr_expect_eq(member_name(&name, &error), STATUS_INVALID, "%s", bad[i]);
        cr_expect_eq(name.data, bad[i], "untouched");
    }
}

/* --- labels and manifest ------------------------------------------------------------------------
 */

Test(bundle, labels_end_with_either_kind_of_line) {
    struct labels labels = {0};
    cr_assert_eq(labels_parse(str_of("one\r\ntwo words\nd\xc3\xa9j\xc3\xa0"), "l", &labels, &error),
                 STATUS_OK, "%s", error.message);
    cr_assert_eq(labels.count, 3);
    cr_expect(str_is(labels.texts[0], "one"));
    cr_expect(str_is(labels.texts[1], "two words"));
    cr_expect(str_is(labels.texts[2], "d\xc3\xa9j\xc3\xa0"));
    labels_free(&labels);
    static const char *const bad[] = {"", "\n", "a\n\nb", "\r\n", "a\rb", "a\x80", "a\n\n"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        cr_expect_eq(labels_parse(str_of(bad[i]), "l", &labels, &error), STATUS_INVALID, "%zu", i);
        cr_expect_null(labels.texts);
    }
}

Test(bundle, nothing_of_a_manifest_is_passed_over) {
    struct manifest *m = NULL;
    cr_expect_eq(manifest_parse(str_of("batching: off\n---\nfast: true\n"), &m, &error),
                 STATUS_INVALID);
    cr_expect_str_eq(error.message,
                     "manifest.yaml: line 2: a second document begins; the file is one");
    cr_expect_eq(manifest_parse(str_of("batching: \"off\\0on\"\n"), &m, &error), STATUS_INVALID);
    cr_expect_str_eq(error.message, "manifest.yaml: line 1: a value has a zero byte");
    cr_expect_null(m);
}

Test(bundle, a_key_of_a_manifest_is_a_name) {
    static const struct {
        const char *text, *where;
    } rows[] = {
        {"? [a]\n", "line 1, column 3"},
        {"? {a: b}\n: c\n", "line 1, column 3"},
        {"batching: off\n[a, b]: off\n", "line 2, column 1"},
        {"batching: off\nlabels:\n  - {output: y, file: a}\n? - a\n", "line 4, column 3"},
        {"labels:\n  - {output: y, [x]: a}\n", "line 2, column 17"},
        {"labels: [{output: y, file: a}, {{a: b}: y}]\n", "line 1, column 33"},
        {"? [a]\n: off\n", "line 1, column 3"},
    };
    struct manifest *m = NULL;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char wanted[160];
        snprintf(wanted, sizeof wanted,
                 "manifest.yaml: %s: found a list or mapping as a key, expected a name",
                 rows[i].where);
        cr_expect_eq(manifest_parse(str_of(rows[i].text), &m, &error), STATUS_INVALID);
        cr_expect_str_eq(error.message, wanted, "%s: %s", rows[i].text, error.message);
        cr_expect_null(m);
    }
}

Test(bundle, a_manifest_may_leave_everything_out_but_must_say_something) {
    struct manifest *m = NULL;
    cr_assert_eq(manifest_parse(str_of("batching: off\n"), &m, &error), STATUS_OK, "%s",
                 error.message);
    cr_expect_null(m->documentation);
    cr_expect_eq(m->label_count, 0);
    manifest_free(m);
    m = NULL;
    cr_expect_eq(manifest_parse(str_of("batching: maybe\n"), &m, &error), STATUS_UNSERVABLE);
    cr_expect_str_eq(error.message, "manifest.yaml: line 1, column 11: batching: found \"maybe\", "
                                    "expected \"off\": this version runs requests one by one");
    cr_expect_eq(manifest_parse(str_of("batching: off\n\n# as small as it gets\nprecision:\n"
                                       "    int8\n"),
                                &m, &error),
                 STATUS_UNSERVABLE);
    cr_expect_str_eq(error.message,
                     "manifest.yaml: line 5, column 5: precision: found \"int8\", "
                     "expected \"float32\": this version computes with nothing less");
    cr_expect_eq(manifest_parse(str_of("labels:\n  - {output: y, file: a}\n"
                                       "  - {output: y, file: b}\n"),
                                &m, &error),
                 STATUS_INVALID);
    cr_expect_str_eq(error.message,
                     "manifest.yaml: line 2, column 3: labels: entries 0 and 1 are for "
                     "the same output");
    cr_expect_eq(manifest_parse(str_of("batching: off\nfast: true\n"), &m, &error), STATUS_INVALID);
    cr_expect(strstr(error.message, "there is no setting \"fast\"") != NULL, "%s", error.message);
    cr_expect_eq(manifest_parse(str_of("documentation: \"a\\x1bb\"\n"), &m, &error),
                 STATUS_INVALID);
    cr_expect_null(m, "untouched");
}

/* --- external data ------------------------------------------------------------------------------
 */

static _Alignas(64) char file[256];
static size_t lookups;

static bool find(void *ctx, struct str location, struct str *found) {
    lookups++;
    if (!str_is(location, "w"))
        return false;
    *found = (struct str){file, *(size_t *)ctx};
    return true;
}

static struct message external(const char *name, const char *offset, const char *length) {
    const char *const entries[3][2] = {{"location", "w"}, {"offset", offset}, {"length", length}};
    struct message t = {.size = 0};
    model_int(&t, 1, 4);
    model_int(&t, 2, DTYPE_FLOAT);
    model_text(&t, 8, name);
    model_int(&t, 14, 1);
    for (size_t i = 0; i < 3; i++) {
        struct message entry = {.size = 0};
        if (!entries[i][1])
            continue;
        model_text(&entry, 1, entries[i][0]);
        model_text(&entry, 2, entries[i][1]);
        model_put(&t, 13, &entry);
    }
    return t;
}

/* y = x + a + b, with a and b at these places of a file of `file_size` bytes. */
static enum status run(const char *a_at, const char *b_at, const char *length, size_t file_size,
                       float y[4]) {
    struct counted counted = {0};
    struct session_options options = {.memory = model_memory(&counted),
                                      .secret = model_memory(&counted),
                                      .external = {find, &file_size}};
    static struct message g, m;
    struct message part;
    float x[4] = {0};
    struct session *s = NULL;
    struct value in = {.kind = VALUE_TENSOR}, out;
    g.size = 0;
    part = model_node("Add", "x a", "t");
    model_put(&g, GRAPH_NODE, &part);
    part = model_node("Add", "t b", "y");
    model_put(&g, GRAPH_NODE, &part);
    part = external("a", a_at, length);
    model_put(&g, GRAPH_INITIALIZER, &part);
    part = external("b", b_at, length);
    model_put(&g, GRAPH_INITIALIZER, &part);
    part = model_value("x", DTYPE_FLOAT, 1, (int64_t[]){4});
    model_put(&g, GRAPH_INPUT, &part);
    part = model_value("y", DTYPE_FLOAT, 1, (int64_t[]){4});
    model_put(&g, GRAPH_OUTPUT, &part);
    m = model_of(&g, 17);
    enum status status = session_open(model_str(&m), &options, &s, &error);
    if (status != STATUS_OK) {
        cr_expect_eq(counted.live, 0);
        return status;
    }
    cr_assert_eq(tensor_shape(&in.tensor, DTYPE_FLOAT, 1, (int64_t[]){4}, &error), STATUS_OK);
    in.tensor.data = x;
    cr_assert_eq(session_run(s, &in, 1, 0, &out, 1, &error), STATUS_OK, "%s", error.message);
    memcpy(y, out.tensor.data, 4 * sizeof *y);
    session_release(s);
    session_free(s);
    cr_expect_eq(counted.live, 0);
    return STATUS_OK;
}

Test(bundle, external_tensors_are_read_from_their_places) {
    const float numbers[] = {1, 2, 3, 4, 10, 20, 30, 40};
    float y[4];
    memcpy(file, numbers, sizeof numbers);
    cr_assert_eq(run("0", "16", "16", 32, y), STATUS_OK, "%s", error.message);
    cr_expect_eq(memcmp(y, (float[]){11, 22, 33, 44}, sizeof y), 0);
    cr_assert_eq(run("16", "16", NULL, 32, y), STATUS_OK, "%s", error.message);
    cr_expect_eq(memcmp(y, (float[]){20, 40, 60, 80}, sizeof y), 0, "the same bytes twice");
    cr_assert_eq(run(NULL, "0", "16", 32, y), STATUS_OK, "an offset left out is 0: %s",
                 error.message);
    memmove(file + 3, numbers, sizeof numbers);
    cr_assert_eq(run("3", "19", "16", 35, y), STATUS_OK, "%s", error.message);
    cr_expect_eq(memcmp(y, (float[]){11, 22, 33, 44}, sizeof y), 0, "not aligned");
}

Test(bundle, external_tensors_may_not_overlap_in_part_or_leave_the_file) {
    float y[4];
    static const char *const rows[][4] = {
        {"0", "15", "16", "overlap in part"},
        {"15", "0", "16", "overlap in part"},
        {"0", "17", "16", "past the end"},
        {"0", "33", "16", "past the end"},
        {"0", "32", "16", "past the end"},
        {"0", "16", "17", "17 bytes"},
        {"0", "18446744073709551615", "16", "past the end"},
        {"0", "18446744073709551616", "16", "whole number"},
        {"0", "1 ", "16", "whole number"},
        {"0", "", "16", "whole number"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        cr_expect_eq(run(rows[i][0], rows[i][1], rows[i][2], 32, y), STATUS_INVALID, "%zu", i);
        cr_expect(strstr(error.message, rows[i][3]) != NULL, "%zu: %s", i, error.message);
    }
    lookups = 0;
    cr_expect_eq(run("0", "16", "16", 31, y), STATUS_INVALID);
    cr_expect_gt(lookups, 0);
}
