/* Queries and times: what is taken, what is refused, and with which words. */
#include "base/instant.h"
#include "server/front/query.h"

#include <criterion/criterion.h>
#include <string.h>
#include <time.h>

static enum status parse(const char *query, struct query_value v[2], struct error *error) {
    v[0] = (struct query_value){.name = "limit"};
    v[1] = (struct query_value){.name = "key"};
    return query_parse(query, v, 2, error);
}

Test(front_query, values_are_decoded) {
    struct query_value v[2];
    struct error error = {0};
    cr_assert_eq(parse(NULL, v, &error), STATUS_OK);
    cr_expect(!v[0].given && !v[1].given);
    cr_assert_eq(parse("", v, &error), STATUS_OK);
    cr_assert_eq(parse("key=a%2Fb+c%25=d&limit=7", v, &error), STATUS_OK);
    cr_expect_str_eq(v[1].text, "a/b+c%=d");
    uint64_t limit = 1;
    cr_assert_eq(query_number(&v[0], 1, 7, &limit, &error), STATUS_OK);
    cr_expect_eq(limit, 7);
    cr_expect_eq(query_number(&v[0], 8, 9, &limit, &error), STATUS_INVALID);
    cr_expect_str_eq(error.message, "limit: found \"7\", expected a number from 8 to 9");
    cr_expect_eq(limit, 7);
}

Test(front_query, what_is_not_known_is_refused) {
    static const struct {
        const char *query, *message;
    } bad[] = {
        {"x=1", "a query parameter is not known here; this path takes limit, key"},
        {"=1", "a query parameter is not known here; this path takes limit, key"},
        {"&", "a query parameter is not known here; this path takes limit, key"},
        {"key=a&&limit=1", "a query parameter is not known here; this path takes limit, key"},
        {"key=a&key=a", "key: given twice"},
        {"key", "key: no value is given"},
        {"key=", "key: empty; leave it out instead"},
        {"key=%", "key: a percent escape is malformed"},
        {"key=%4", "key: a percent escape is malformed"},
        {"key=%4g", "key: a percent escape is malformed"},
        {"key=%00", "key: only printable characters without spaces are taken"},
        {"key=a%20b", "key: only printable characters without spaces are taken"},
        {"key=\xc3\xa4", "key: only printable characters without spaces are taken"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct query_value v[2];
        struct error error = {0};
        cr_expect_eq(parse(bad[i].query, v, &error), STATUS_INVALID, "%s", bad[i].query);
        cr_expect_str_eq(error.message, bad[i].message);
    }
    struct query_value v[2];
    struct error error = {0};
    char long_one[QUERY_VALUE_MAX + 8] = "key=";
    memset(long_one + 4, 'a', QUERY_VALUE_MAX);
    cr_expect_eq(parse(long_one, v, &error), STATUS_OK);
    long_one[4 + QUERY_VALUE_MAX] = 'a';
    cr_expect_eq(parse(long_one, v, &error), STATUS_INVALID);
    for (const char *const *n =
             (const char *const[]){"limit=", "limit=-1", "limit=1e3", "limit=0x1",
                                   "limit=9999999999999999999", NULL};
         *n; n++) {
        uint64_t value = 3;
        cr_expect(parse(*n, v, &error) != STATUS_OK ||
                  query_number(&v[0], 0, UINT64_MAX, &value, &error) != STATUS_OK);
        cr_expect_eq(value, 3);
    }
}

Test(instant, agrees_with_the_system_for_every_day) {
    char text[INSTANT_TEXT_SIZE], wanted[INSTANT_TEXT_SIZE];
    for (int32_t day = 0; day <= 2932896; day += day < 60000 ? 1 : 97) {
        int32_t back = -1;
        struct tm tm;
        time_t seconds = (time_t)day * 86400;
        gmtime_r(&seconds, &tm);
        strftime(wanted, sizeof wanted, "%Y-%m-%d", &tm);
        instant_format_day(day, text);
        cr_assert_str_eq(text, wanted);
        cr_assert(instant_parse_day(text, &back));
        cr_assert_eq(back, day);
    }
}

Test(instant, forms_and_faults) {
    static const struct {
        const char *text;
        int64_t us;
    } good[] = {
        {"1970-01-01", 0},
        {"1970-01-01T00:00:01Z", 1000000},
        {"2000-02-29T12:34:56.789Z", INT64_C(951827696789000)},
        {"2026-11-23T00:00:00.000001Z", INT64_C(1795392000000001)},
        {"9999-12-31T23:59:59Z", INT64_C(253402300799000000)},
        {"0", 0},
        {"1795392000000000", INT64_C(1795392000000000)},
    };
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        int64_t us = -1, again = -1;
        char text[INSTANT_TEXT_SIZE];
        cr_assert(instant_parse(good[i].text, &us), "%s", good[i].text);
        cr_expect_eq(us, good[i].us, "%s", good[i].text);
        instant_format(us, text);
        cr_expect(instant_parse(text, &again) && again == us, "%s", text);
    }
    static const char *const bad[] = {
        "",
        "2026",
        "2026-1-1",
        "2026-13-01",
        "2026-00-01",
        "2026-02-29",
        "2100-02-29",
        "2026-11-31",
        "2026-11-23T",
        "1969-12-31",
        "2026-11-23 ",
        "2026-11-23T12:00:00",
        "-1",
        "10000-01-01",
        "2026-11-23T24:00:00Z",
        "12:00:00",
        "2026-11-23Z",
        "2026-11-23T12:60:00Z",
        "0x10",
        "2026-11-00",
        "2026-11-23T12:00:60Z",
        "1e3",
        "1795392000",
        "1795392000000",
        "2026/11/23",
        "2026-11-23T12:00:00.Z",
        "9999999999999999999",
        "2026-11-23T12:00:00.1234567Z",
        "2026-11-23T12:00:00+00:00",
        "999999999999999999",
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        int64_t us = -7;
        cr_expect(!instant_parse(bad[i], &us), "%s", bad[i]);
        cr_expect_eq(us, -7);
    }
    char text[INSTANT_TEXT_SIZE];
    instant_format(-1, text);
    cr_expect_str_eq(text, "1970-01-01T00:00:00Z");
    instant_format(INT64_MAX, text);
    cr_expect_str_eq(text, "9999-12-31T23:59:59.999999Z");
}
