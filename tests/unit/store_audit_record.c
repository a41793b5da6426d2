#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "store/audit_record.h"
#include "tests/unit/store_fixture.h"

static const char *canonical(const char *text) {
    static char bytes[4096];
    struct buf out = buf_of(bytes, sizeof bytes - 1);
    struct error error;
    if (audit_record_string(text, &out, &error) != STATUS_OK)
        return NULL;
    bytes[out.size] = '\0';
    return bytes;
}

/* RFC 8785, section 3.2.2: the "string" member of the sample and its canonical form. */
Test(audit_record, string_of_the_rfc) {
    cr_assert_str_eq(canonical("\xe2\x82\xac$\x0f\nA'B\"\\\\\"/"),
                     "\"\xe2\x82\xac$\\u000f\\nA'B\\\"\\\\\\\\\\\"/\"");
}

/* RFC 8785, section 3.2.3: the names of the sorting sample, as they are serialised. */
Test(audit_record, names_of_the_rfc) {
    cr_assert_str_eq(canonical("\r"), "\"\\r\"");
    cr_assert_str_eq(canonical("1"), "\"1\"");
    cr_assert_str_eq(canonical("\xc2\x80"), "\"\xc2\x80\"");
    cr_assert_str_eq(canonical("\xc3\xb6"), "\"\xc3\xb6\"");
    cr_assert_str_eq(canonical("\xe2\x82\xac"), "\"\xe2\x82\xac\"");
    cr_assert_str_eq(canonical("\xf0\x9f\x98\x80"), "\"\xf0\x9f\x98\x80\"");
    cr_assert_str_eq(canonical("\xef\xac\xb3"), "\"\xef\xac\xb3\"");
}

/* Section 3.2.2.2: the two-character escapes, \u00xx in lower case for the rest, nothing else. */
Test(audit_record, control_characters) {
    cr_assert_str_eq(canonical("\b\t\n\f\r"), "\"\\b\\t\\n\\f\\r\"");
    cr_assert_str_eq(canonical("\x01\x0b\x1f\x7f"), "\"\\u0001\\u000b\\u001f\x7f\"");
    cr_assert_str_eq(canonical("</script>"), "\"</script>\"");
}

Test(audit_record, text_that_is_not_utf8_is_refused) {
    static const char *const bad[] = {
        "\x80",             /* continuation alone */
        "\xc0\x80",         /* overlong NUL */
        "\xc1\xbf",         /* overlong */
        "\xe0\x9f\xbf",     /* overlong */
        "\xed\xa0\x80",     /* surrogate */
        "\xed\xbf\xbf",     /* surrogate */
        "\xf0\x8f\xbf\xbf", /* overlong */
        "\xf4\x90\x80\x80", /* above U+10FFFF */
        "\xf5\x80\x80\x80",
        "\xff",
        "a\xc3",
        "\xe2\x82",
        "\xf0\x9f\x98",
        "\xc3(",
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        cr_assert_null(canonical(bad[i]), "text %zu", i);
    cr_assert_str_eq(canonical("\xed\x9f\xbf\xee\x80\x80\xf4\x8f\xbf\xbf"),
                     "\"\xed\x9f\xbf\xee\x80\x80\xf4\x8f\xbf\xbf\"");
}

Test(audit_record, bytes_are_canonical) {
    struct audit_record record = {
        .time = INT64_C(1750000000123456),
        .salt = {0x00, 0x01, 0xfe, 0xff},
        .tenant = "0123456789abcdef0123456789abcdef",
        .key = "k1",
        .action = "infer",
        .target = "digits/1",
        .outcome = "ok",
        .request = "r\"1",
        .units = 9007199254740991,
        .client = "127.0.0.1",
    };
    char bytes[AUDIT_RECORD_MAX + 1];
    struct buf out = buf_of(bytes, AUDIT_RECORD_MAX);
    struct error error;
    cr_assert_eq(audit_record_write(&record, 7, &out, &error), STATUS_OK);
    bytes[out.size] = '\0';
    cr_assert_str_eq(bytes,
                     "{\"action\":\"infer\",\"client\":\"127.0.0.1\",\"key\":\"k1\","
                     "\"outcome\":\"ok\",\"request\":\"r\\\"1\","
                     "\"salt\":\"0001feff000000000000000000000000\",\"seq\":7,"
                     "\"target\":\"digits/1\",\"tenant\":\"0123456789abcdef0123456789abcdef\","
                     "\"time\":1750000000123456,\"units\":9007199254740991,\"v\":1}");
}

/* SHA-256(0x00 || "abc"), computed with coreutils. */
Test(audit_record, leaf_is_the_one_of_rfc_6962) {
    uint8_t leaf[AUDIT_RECORD_LEAF_SIZE];
    char hex[2 * sizeof leaf + 1];
    audit_record_leaf((const uint8_t *)"abc", 3, leaf);
    for (size_t i = 0; i < sizeof leaf; i++)
        snprintf(hex + 2 * i, 3, "%02x", leaf[i]);
    cr_assert_str_eq(hex, "609f6e36d2405585188d5cfd761f407c7cc46a7d3f314c88270469dde315fcd1");
}

Test(audit_record, what_breaks_a_rule_is_refused_and_named) {
    struct error error;
    struct audit_record good = store_fixture_record(""), bad;
    char bytes[AUDIT_RECORD_MAX];
    cr_assert_eq(audit_record_check(&good, &error), STATUS_OK);

    char longer[AUDIT_RECORD_TARGET_MAX + 2];
    memset(longer, 'x', sizeof longer - 1);
    longer[sizeof longer - 1] = '\0';
    struct buf out = buf_of(bytes, sizeof bytes);
    bad = good, bad.target = longer;
    cr_assert_eq(audit_record_write(&bad, 0, &out, &error), STATUS_INVALID);
    cr_assert(strstr(error.message, "target"));
    cr_assert_eq(out.size, 0);
    bad = good, bad.client = "\xff";
    cr_assert_eq(audit_record_check(&bad, &error), STATUS_INVALID);
    cr_assert(strstr(error.message, "client"));
    bad = good, bad.request = NULL;
    cr_assert_eq(audit_record_check(&bad, &error), STATUS_INVALID);
    bad = good, bad.action = "";
    cr_assert_eq(audit_record_check(&bad, &error), STATUS_INVALID);
    bad = good, bad.time = -1;
    cr_assert_eq(audit_record_check(&bad, &error), STATUS_INVALID);
    bad = good, bad.units = INT64_C(1) << 53;
    cr_assert_eq(audit_record_check(&bad, &error), STATUS_INVALID);
    cr_assert(strstr(error.message, "units"));
}

/* Every string at its limit and of characters that escape to six bytes each. */
Test(audit_record, the_largest_record_fits) {
    char text[AUDIT_RECORD_TARGET_MAX + 1];
    memset(text, 1, sizeof text - 1);
    text[sizeof text - 1] = '\0';
    struct audit_record record = store_fixture_record(text + sizeof text - 1 - 64);
    record.key = record.action = record.client = record.tenant;
    record.target = record.outcome = text;
    record.request = text + sizeof text - 1 - AUDIT_RECORD_REQUEST_MAX;
    record.time = record.units = AUDIT_RECORD_INTEGER_MAX;
    char bytes[AUDIT_RECORD_MAX];
    struct buf out = buf_of(bytes, sizeof bytes);
    struct error error;
    cr_assert_eq(audit_record_write(&record, (uint64_t)AUDIT_RECORD_INTEGER_MAX, &out, &error),
                 STATUS_OK, "%s", error.message);
    struct buf small = buf_of(bytes, out.size - 1);
    cr_assert_eq(audit_record_write(&record, (uint64_t)AUDIT_RECORD_INTEGER_MAX, &small, &error),
                 STATUS_TOO_LARGE);
    cr_assert_eq(small.size, 0);
}

Test(scope, names_and_bits) {
    struct error error;
    uint32_t scopes = 77;
    char text[SCOPE_TEXT_MAX];
    cr_assert_eq(scope_parse("infer,models:read", &scopes, &error), STATUS_OK);
    cr_assert_eq(scopes, SCOPE_INFER | SCOPE_MODELS_READ);
    scope_format(scopes, text);
    cr_assert_str_eq(text, "models:read,infer");
    scope_format(SCOPE_ALL, text);
    cr_assert_str_eq(text, "models:read,models:write,infer,audit:read,usage:read,keys:write");
    static const char *const bad[] = {"", "infer,", ",infer", "inferx", "infe", "infer,infer", "*"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        cr_assert_eq(scope_parse(bad[i], &scopes, &error), STATUS_INVALID, "%s", bad[i]);
    cr_assert_eq(scopes, SCOPE_INFER | SCOPE_MODELS_READ);
}
