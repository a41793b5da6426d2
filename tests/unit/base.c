#include "base/buf.h"
#include "base/checked.h"
#include "base/name.h"
#include "base/sort.h"
#include "base/status.h"

#include <criterion/criterion.h>
#include <stdint.h>
#include <string.h>

Test(status, categories_carry_http_and_exit_statuses) {
    cr_expect_eq(status_http(STATUS_UNSERVABLE), 422);
    cr_expect_eq(status_http(STATUS_OK), 200);
    cr_expect_eq(status_exit(STATUS_OK), 0);
    for (int s = 1; s < STATUS_COUNT; s++) {
        cr_expect_neq(status_exit((enum status)s), 0);
        cr_expect_geq(status_http((enum status)s), 400);
    }
    cr_expect_eq(status_http((enum status)999), 500);
    cr_expect_str_eq(status_name(STATUS_NOT_FOUND), "not_found");
}

Test(status, messages_are_kept_cut_and_prefixed) {
    struct error e = {0};
    cr_expect_eq(status_fail(&e, STATUS_INVALID, "shape %d", 3), STATUS_INVALID);
    cr_expect_eq(status_prefix(&e, "input \"%s\": ", "x"), STATUS_INVALID);
    cr_expect_str_eq(e.message, "input \"x\": shape 3");
    char text[2 * ERROR_MESSAGE_MAX];
    memset(text, 'a', sizeof text - 1);
    text[sizeof text - 1] = 0;
    status_fail(&e, STATUS_INTERNAL, "%s", text);
    cr_expect_eq(strlen(e.message), ERROR_MESSAGE_MAX - 1);
    cr_expect_eq(status_prefix(&e, "%s", text), STATUS_INTERNAL);
    cr_expect_eq(strlen(e.message), ERROR_MESSAGE_MAX - 1);
    cr_expect_eq(status_fail(NULL, STATUS_RATE, "x"), STATUS_RATE);
}

Test(buf, what_is_written_is_read) {
    uint8_t room[64];
    struct buf b = buf_of(room, sizeof room);
    buf_u8(&b, 1);
    buf_u16(&b, 0x0203);
    buf_u32(&b, 0x04050607);
    buf_u64(&b, 0x08090a0b0c0d0e0f);
    buf_printf(&b, "%s\n", "line");
    cr_assert_not(b.failed);
    cr_expect_eq(room[1], 3, "integers are little-endian");
    struct cursor c = cursor_of(room, b.size);
    cr_expect_eq(cursor_u8(&c), 1);
    cr_expect_eq(cursor_u16(&c), 0x0203);
    cr_expect_eq(cursor_u32(&c), 0x04050607u);
    cr_expect_eq(cursor_u64(&c), 0x08090a0b0c0d0e0fu);
    const uint8_t *line;
    size_t length;
    cr_assert(cursor_line(&c, 10, &line, &length));
    cr_expect_eq(length, 4);
    cr_expect(cursor_done(&c));
}

Test(buf, a_short_region_fails_and_stays_failed) {
    uint8_t room[4] = {9, 9, 9, 9};
    struct buf b = buf_of(room, 3);
    buf_u32(&b, 1);
    cr_expect(b.failed);
    cr_expect_eq(room[0], 9, "nothing is written in part");
    buf_u8(&b, 1);
    cr_expect_eq(b.size, 0);
    b = buf_of(room, 4);
    buf_printf(&b, "four");
    cr_expect(b.failed, "vsnprintf needs room for its terminator");

    struct cursor c = cursor_of(room, 3);
    cr_expect_eq(cursor_u32(&c), 0);
    cr_expect(c.failed);
    cr_expect_eq(cursor_u8(&c), 0);
    cr_expect_eq(cursor_left(&c), 0);
    cr_expect_not(cursor_done(&c));
    c = cursor_of("abc", 3);
    cr_expect_null(cursor_take(&c, SIZE_MAX));
    const uint8_t *line;
    size_t length;
    c = cursor_of("abcdef\n", 7);
    cr_expect_not(cursor_line(&c, 6, &line, &length), "the newline is past the limit");
    c = cursor_of("abcdef\n", 7);
    cr_expect(cursor_line(&c, 7, &line, &length));
}

Test(checked, sizes_do_not_wrap) {
    size_t out = 5;
    cr_expect_not(checked_add(SIZE_MAX, 1, &out));
    cr_expect_not(checked_mul(SIZE_MAX / 2, 3, &out));
    cr_expect_not(checked_align(SIZE_MAX, 64, &out));
    cr_expect_eq(out, 5, "untouched on failure");
    cr_expect(checked_align(65, 64, &out));
    cr_expect_eq(out, 128);
    int64_t product = 7;
    cr_expect(checked_product(NULL, 0, &product));
    cr_expect_eq(product, 1);
    const int64_t negative[] = {2, -1}, huge[] = {INT64_MAX, 2}, zero[] = {INT64_MAX, 0};
    cr_expect_not(checked_product(negative, 2, &product));
    cr_expect_not(checked_product(huge, 2, &product));
    cr_expect(checked_product(zero, 2, &product));
    cr_expect_eq(product, 0);
}

Test(name, follows_its_rule) {
    cr_expect(name_valid("a", 1));
    cr_expect(name_valid("A9._-", 5));
    char text[66];
    memset(text, 'x', sizeof text);
    cr_expect(name_valid(text, 64));
    cr_expect_not(name_valid(text, 65));
    cr_expect_not(name_valid("", 0));
    cr_expect_not(name_valid(".a", 2));
    cr_expect_not(name_valid("-a", 2));
    cr_expect_not(name_valid("a/b", 3));
    cr_expect_not(name_valid("a\0b", 3));
    cr_expect_not(name_valid("\xc3\xa4", 2));
}

/* --- sorting ------------------------------------------------------------------------------------
 */

static int ascending(const void *a, const void *b, void *calls) {
    const unsigned x = *(const unsigned *)a, y = *(const unsigned *)b;
    ++*(size_t *)calls;
    return x < y ? -1 : x > y;
}

Test(sort, every_length_and_order_ends_sorted) {
    unsigned numbers[200], seed = 1;
    for (size_t count = 0; count <= 200; count++)
        for (unsigned kind = 0; kind < 4; kind++) {
            size_t calls = 0, sum = 0, after = 0;
            for (size_t i = 0; i < count; i++) {
                seed = seed * 1664525u + 1013904223u;
                numbers[i] = kind == 0   ? (unsigned)i
                             : kind == 1 ? (unsigned)(count - i)
                             : kind == 2 ? seed >> 8
                                         : seed >> 30;
                sum += numbers[i];
            }
            sort_heap(numbers, count, sizeof *numbers, ascending, &calls);
            for (size_t i = 0; i < count; i++) {
                after += numbers[i];
                cr_assert(i == 0 || numbers[i - 1] <= numbers[i]);
            }
            cr_assert_eq(sum, after);
            cr_assert_leq(calls, count * 16 + 1);
        }
}
