#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "admin/certificate.h"
#include "admin/files.h"
#include "admin/npy.h"
#include "admin/options.h"
#include "admin/output.h"
#include "crypto/crypto.h"
#include "crypto/secret.h"
#include "tests/unit/store_fixture.h"

static struct error error;
static char *folder;

static void set_up(void) {
    cr_assert_eq(crypto_init(&error), STATUS_OK);
    folder = store_fixture_folder();
    cr_assert_eq(chdir(folder), 0);
}

static void tear_down(void) {
    cr_assert_eq(chdir("/"), 0);
    store_fixture_remove(folder);
}

TestSuite(admin, .init = set_up, .fini = tear_down);

static const struct options_row rows[] = {
    {"name", 'n', "TEXT", "", false},
    {"input", 'i', "TEXT", "", true},
    {"yes", 'y', NULL, "", false},
};
static const struct options_row common[] = {{"json", 0, NULL, "", false}};

static enum status parse(struct options *options, size_t count, const char *const *words) {
    return options_parse((char *const *)words, count, rows, 3, common, 1, options, &error);
}
#define PARSE(options, ...)                                                                        \
    parse(options, sizeof((const char *[]){__VA_ARGS__}) / sizeof(char *),                         \
          (const char *[]){__VA_ARGS__})

Test(admin, options) {
    struct options o = {.value_count = 77};
    cr_assert_eq(PARSE(&o, "a", "--name=x=y", "-i", "1", "--json", "--input", "2", "--", "-y"),
                 STATUS_OK);
    cr_assert_str_eq(options_value(&o, "name"), "x=y");
    cr_assert_str_eq(options_value(&o, "input"), "2");
    cr_assert(options_flag(&o, "json"));
    cr_assert_not(options_flag(&o, "yes"));
    cr_assert_eq(o.positional_count, 2);
    cr_assert_str_eq(o.positional[1], "-y");
    o.value_count = 77;
    cr_assert_eq(PARSE(&o, "--name"), STATUS_INVALID);
    cr_assert_eq(PARSE(&o, "--name", "a", "--name", "b"), STATUS_INVALID);
    cr_assert_eq(PARSE(&o, "--nam", "a"), STATUS_INVALID);
    cr_assert_eq(PARSE(&o, "--names", "a"), STATUS_INVALID);
    cr_assert_eq(PARSE(&o, "-yn", "a"), STATUS_INVALID);
    cr_assert_eq(PARSE(&o, "--yes=1"), STATUS_INVALID);
    cr_assert_eq(PARSE(&o, "1", "2", "3", "4", "5"), STATUS_INVALID);
    cr_assert_eq(o.value_count, 77, "outputs are untouched");
}

Test(admin, numbers) {
    struct options o;
    long long number = 7;
    cr_assert_eq(PARSE(&o, "--name", "42"), STATUS_OK);
    cr_assert_eq(options_number(&o, "name", 1, 50, 0, &number, &error), STATUS_OK);
    cr_assert_eq(number, 42);
    cr_assert_eq(options_number(&o, "name", 43, 50, 0, &number, &error), STATUS_INVALID);
    cr_assert_eq(options_number(&o, "input", 1, 50, 9, &number, &error), STATUS_OK);
    cr_assert_eq(number, 9);
    static const char *const bad[] = {"", "x", "4x", "99999999999999999999", "0x10"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        cr_assert_eq(PARSE(&o, "--name", bad[i]), STATUS_OK);
        cr_assert_eq(options_number(&o, "name", 0, 100, 0, &number, &error), STATUS_INVALID, "%s",
                     bad[i]);
    }
}

Test(admin, new_files_replace_nothing_and_are_read_into_secret_memory) {
    struct stat s;
    uint8_t *bytes = NULL;
    size_t size = 0;
    cr_assert_eq(files_write_new("f", "hello", 5, 0600, &error), STATUS_OK);
    cr_assert_eq(files_write_new("f", "other", 5, 0600, &error), STATUS_CONFLICT);
    cr_assert_eq(stat("f", &s), 0);
    cr_assert_eq(s.st_mode & 07777, 0600);
    cr_assert_eq(files_read_secret("f", "thing", 5, &bytes, &size, &error), STATUS_OK);
    cr_assert_eq(size, 5);
    cr_assert_arr_eq(bytes, "hello", 5);
    secret_free(bytes);
    bytes = NULL;
    cr_assert_eq(files_read_secret("f", "thing", 4, &bytes, &size, &error), STATUS_TOO_LARGE);
    cr_assert_eq(files_read_secret("g", "thing", 4, &bytes, &size, &error), STATUS_NOT_FOUND);
    cr_assert(strstr(error.message, "thing"));
    cr_assert_null(bytes);
}

Test(admin, certificate_and_when_it_ends) {
    int64_t seconds = 0;
    cr_assert_eq(certificate_make("c.pem", "k.pem", 10, &error), STATUS_OK);
    cr_assert_eq(certificate_remaining("c.pem", &seconds, &error), STATUS_OK);
    cr_assert(seconds > 10 * 86400 - 60 && seconds <= 10 * 86400);
    cr_assert_eq(certificate_remaining("k.pem", &seconds, &error), STATUS_INVALID);
    cr_assert_eq(certificate_make("c.pem", "k2.pem", 10, &error), STATUS_CONFLICT);
    cr_assert_neq(access("k2.pem", F_OK), 0, "no key without its certificate");
}

Test(admin, times) {
    char text[OUTPUT_TIME_SIZE];
    output_time(0, text);
    cr_assert_str_eq(text, "-");
    output_time(INT64_C(1750000000999999), text);
    cr_assert_str_eq(text, "2025-06-15T15:06:40Z");
}

static void round_trip(enum dtype dtype, const void *data, const char *code) {
    struct tensor tensor;
    struct npy back;
    const int64_t dims[] = {2, 3};
    char head[128];
    cr_assert_eq(tensor_shape(&tensor, dtype, 2, dims, &error), STATUS_OK);
    tensor.data = (void *)data;
    cr_assert_eq(npy_write("a.npy", &tensor, &error), STATUS_OK);
    FILE *file = fopen("a.npy", "r");
    cr_assert_eq(fread(head, 1, sizeof head, file), sizeof head);
    fclose(file);
    cr_assert_not_null(memmem(head, sizeof head, code, strlen(code)), "%s", code);
    cr_assert_eq(npy_read("a.npy", &back, &error), STATUS_OK, "%s", error.message);
    cr_assert_eq(back.tensor.dtype, dtype);
    cr_assert(tensor_same_shape(&back.tensor, &tensor));
    cr_assert_arr_eq(back.tensor.data, data, tensor.bytes);
    npy_free(&back);
}

Test(admin, arrays_come_back_as_they_went) {
    uint8_t bytes[48];
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (uint8_t)(i * 37);
    round_trip(DTYPE_FLOAT, bytes, "'<f4'");
    round_trip(DTYPE_DOUBLE, bytes, "'<f8'");
    round_trip(DTYPE_FLOAT16, bytes, "'<f2'");
    round_trip(DTYPE_INT64, bytes, "'<i8'");
    round_trip(DTYPE_UINT32, bytes, "'<u4'");
    round_trip(DTYPE_INT16, bytes, "'<i2'");
    round_trip(DTYPE_UINT8, bytes, "'|u1'");
    round_trip(DTYPE_BOOL, bytes, "'|b1'");
}

Test(admin, arrays_of_text) {
    struct tensor tensor;
    struct npy back;
    const int64_t dims[] = {3};
    struct str texts[] = {{"one", 3}, {"", 0}, {"gr\xc3\xbc\xc3\x9f", 6}};
    cr_assert_eq(tensor_shape(&tensor, DTYPE_STRING, 1, dims, &error), STATUS_OK);
    tensor.data = texts;
    cr_assert_eq(npy_write("s.npy", &tensor, &error), STATUS_OK);
    cr_assert_eq(npy_read("s.npy", &back, &error), STATUS_OK, "%s", error.message);
    const struct str *found = back.tensor.data;
    for (size_t i = 0; i < 3; i++)
        cr_assert(str_equal(found[i], texts[i]), "%zu", i);
    npy_free(&back);
}

static enum status read_raw(const char *head, const void *body, size_t size) {
    struct npy npy = {.data = &error};
    uint16_t length = (uint16_t)strlen(head);
    FILE *file = fopen("r.npy", "w");
    fwrite("\x93NUMPY\x01\x00", 1, 8, file);
    fwrite(&length, 1, 2, file);
    fwrite(head, 1, length, file);
    fwrite(body, 1, size, file);
    fclose(file);
    memset(&error, 0, sizeof error);
    enum status status = npy_read("r.npy", &npy, &error);
    if (status == STATUS_OK)
        npy_free(&npy);
    else
        cr_assert_eq(npy.data, &error, "outputs are untouched");
    return status;
}

Test(admin, arrays_that_are_not_read) {
    static const uint8_t body[64] = {65};
#define HEAD(descr, order, shape)                                                                  \
    "{'descr': '" descr "', 'fortran_order': " order ", 'shape': " shape ", }"
    cr_assert_eq(read_raw(HEAD("<f4", "False", "(2, 2)"), body, 16), STATUS_OK);
    cr_assert_eq(read_raw(HEAD("<f4", "False", "()"), body, 4), STATUS_OK);
    cr_assert_eq(read_raw(HEAD("<U2", "False", "(2,)"), body, 16), STATUS_OK);
    static const char *const bad[] = {
        HEAD(">f4", "False", "(2,2)"),
        HEAD("<f4", "True", "(2,2)"),
        HEAD("<f4", "False", "(2,3)"),
        HEAD("<c8", "False", "(2,)"),
        HEAD("<f4", "False", "(-1,)"),
        HEAD("<f4", "False", "(99999999999,99999999999)"),
        HEAD("<f4", "False", "(2,2"),
        HEAD("|O", "False", "(2,)"),
        HEAD("<U", "False", "(2,)"),
        HEAD("<U99999999", "False", "(2,)"),
        HEAD("<U3", "False", "(2,)"),
        HEAD("", "False", "(2,)"),
        "{'descr': '<f4', 'shape': (2,2)}",
        "{}",
        "",
        HEAD("<f4", "False", "(1,1,1,1,1,1,1,1,1,1,1,1,1,4)"),
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        cr_assert_neq(read_raw(bad[i], body, 16), STATUS_OK, "%s", bad[i]);
    static const uint32_t no_character[] = {0xd800, 0};
    cr_assert_neq(read_raw(HEAD("<U2", "False", "(1,)"), no_character, 8), STATUS_OK);
}
