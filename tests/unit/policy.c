/* Policies and networks: what is taken, what is refused and where, and that the table of fields is
 * what docs/POLICIES.md says. */
#include "tenancy/policy.h"
#include "store/scope.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct error error;
static struct policy policy;

static enum status parse(const char *text) {
    memset(&error, 0, sizeof error);
    return policy_parse(text, strlen(text), &policy, &error);
}

static void takes(const char *text) {
    cr_assert_eq(parse(text), STATUS_OK, "%s: %s", text, error.message);
}

static void refuses(const char *text, const char *message) {
    memset(&policy, 0x5a, sizeof policy);
    const struct policy before = policy;
    cr_expect_eq(parse(text), STATUS_INVALID, "%s", text);
    cr_expect_str_eq(error.message, message);
    cr_expect_eq(memcmp(&before, &policy, sizeof policy), 0, "the output is untouched: %s", text);
}

static char *read_file(const char *path) {
    FILE *file = fopen(path, "r");
    cr_assert_not_null(file, "%s", path);
    char *text = calloc(1, 65536);
    cr_assert_gt(fread(text, 1, 65535, file), 0);
    fclose(file);
    return text;
}

Test(policy, every_field_is_read) {
    takes("# a comment\n"
          "name: all-of-it\n"
          "scopes: [infer, models:read]\n"
          "networks:\n  - 10.0.0.0/8\n  - 2001:db8::/32\n"
          "tls: \"1.3\"\n"
          "certificates: required\n"
          "limits:\n  body_bytes: 4096\n  model_bytes: 8192\n  models: 2\n  deadline_ms: 50\n"
          "models: {domains: [ai.onnx.ml], memory: secret}\n"
          "audit: {detail: minimal, client: none}\n");
    cr_expect_str_eq(policy.name, "all-of-it");
    cr_expect_eq(policy.scopes, SCOPE_INFER | SCOPE_MODELS_READ);
    cr_expect_eq(policy.network_count, 2);
    cr_expect_eq(policy.tls, 13);
    cr_expect_eq(policy.certificates, POLICY_CERTIFICATES_REQUIRED);
    cr_expect_eq(policy.body_bytes, 4096);
    cr_expect_eq(policy.model_bytes, 8192);
    cr_expect_eq(policy.models, 2);
    cr_expect_eq(policy.deadline_ms, 50);
    cr_expect_eq(policy.domains, POLICY_DOMAIN_ML);
    cr_expect_eq(policy.memory, POLICY_MEMORY_SECRET);
    cr_expect_eq(policy.detail, POLICY_DETAIL_MINIMAL);
    cr_expect_eq(policy.client, POLICY_CLIENT_NONE);
}

Test(policy, what_is_left_out_is_as_the_table_says) {
    takes("name: empty\n");
    cr_expect_eq(policy.scopes, SCOPE_ALL);
    cr_expect_eq(policy.domains, POLICY_DOMAIN_ONNX | POLICY_DOMAIN_ML | POLICY_DOMAIN_MICROSOFT);
    cr_expect_eq(policy.client, POLICY_CLIENT_HASH);
    for (size_t i = 0; i < policy_fields_count; i++) {
        char value[POLICY_VALUE_MAX];
        policy_value(&policy, &policy_fields[i], value);
        cr_expect_str_eq(value, policy_fields[i].kind == POLICY_KIND_NAME ? "empty" : "-");
    }
}

Test(policy, errors_have_line_and_column) {
    refuses("", "line 1, column 1: the policy is empty");
    refuses("[]\n", "line 1, column 1: found a list, expected fields (name: value)");
    refuses("tls: \"1.3\"\n", "line 1, column 1: name: is missing");
    refuses("name: a b\n",
            "line 1, column 7: name: found \"a b\", expected a letter or digit, then "
            "up to 63 letters, digits, \".\", \"_\" or \"-\"");
    refuses("name: x\nlabel: \xff\n", "line 2, column 8: invalid leading UTF-8 octet");
    refuses("name: \xc3\xa9\xc3\x28\n", "line 1, column 9: invalid trailing UTF-8 octet");
    refuses("name: x\n# a bell: \x07\n", "line 2, column 11: control characters are not allowed");
    refuses("name: x\nscope: [infer]\n", "line 2, column 1: there is no field \"scope\"");
    refuses("name: x\nlimits:\n  models: 0\n",
            "line 3, column 11: limits.models: found \"0\", expected a whole number from 1 to "
            "1000000");
    refuses("name: x\nlimits: {models: -1}\n",
            "line 2, column 18: limits.models: found \"-1\", expected a whole number from 1 to "
            "1000000");
    refuses("name: x\nlimits: {models: 18446744073709551617}\n",
            "line 2, column 18: limits.models: found \"18446744073709551617\", expected a whole "
            "number from 1 to 1000000");
    refuses("name: x\nlimits: {models: [3]}\n",
            "line 2, column 18: limits.models: found a list, expected a whole number from 1 to "
            "1000000");
    refuses("name: x\nlimits: 3\n", "line 2, column 9: limits: found a single value, expected "
                                    "fields (name: value)");
    refuses("name: x\nlimits: {model: 3}\n",
            "line 2, column 10: there is no field \"limits.model\"");
    refuses("name: x\nlimits.models: 3\n", "line 2, column 1: there is no field \"limits.models\"");
    refuses("name: x\ntls: 1.1\n",
            "line 2, column 6: tls: found \"1.1\", expected one of 1.2, 1.3");
    refuses(
        "name: x\nscopes: [infer, root]\n",
        "line 2, column 17: scopes: found \"root\", known are models:read, models:write, infer, "
        "audit:read, usage:read, keys:write");
    refuses("name: x\nscopes: [infer, infer]\n",
            "line 2, column 17: scopes: \"infer\" stands there twice");
    refuses("name: x\nscopes: infer\n",
            "line 2, column 9: scopes: found a single value, expected a list");
    refuses("name: x\nscopes: []\n", "line 2, column 9: scopes: the list is empty; leave the field "
                                     "out for: all of them");
    refuses("name: x\nnetworks: [10.0.0.1/8]\n",
            "line 2, column 12: networks: \"10.0.0.1/8\": bits are set after the prefix; the "
            "network is 10.0.0.0/8");
    refuses("name: x\nnetworks: [10.0.0.0/8, \"::ffff:10.0.0.0/104\"]\n",
            "line 2, column 24: networks: \"::ffff:10.0.0.0/104\" stands there twice");
    refuses("name: x\nname: y\n", "line 2, column 1: name: stands there twice");
    refuses("name: x\nlimits: {models: 3}\nlimits: {body_bytes: 4096}\n",
            "line 3, column 1: limits: stands there twice");
    refuses("name: x\nlimits: {models: 3, models: 4}\n",
            "line 2, column 21: limits.models: stands there twice");
    refuses("name: x\n? [a]\n: b\n", "line 2, column 3: found a list where a field's name belongs");
    refuses("name: x\n---\nname: y\n", "line 3, column 1: a second document; a policy is one");
    refuses("name: x\n  tls: 1.3\n",
            "line 2, column 6: mapping values are not allowed in this context");
    refuses("name: \x01\n", "line 1, column 7: control characters are not allowed");
}

Test(policy, what_this_version_does_not_enforce_is_refused) {
    static const char *const texts[] = {"rates: {requests_per_second: 5}",
                                        "budgets: {compute_ms_per_day: 5}",
                                        "weight: 3",
                                        "limits: {requests: 3}",
                                        "limits: {resident_models: 3}",
                                        "audit: {durability: buffered}",
                                        "audit: {retention_days: 30}",
                                        "models: {signatures: required}"};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        char text[128];
        snprintf(text, sizeof text, "name: x\n%s\n", texts[i]);
        cr_expect_eq(parse(text), STATUS_INVALID, "%s", text);
        cr_expect(strstr(error.message, "this version does not enforce"), "%s", error.message);
    }
}

Test(policy, bounds_hold) {
    char text[POLICY_TEXT_MAX + 2];
    memset(text, '#', sizeof text);
    cr_expect_eq(policy_parse(text, sizeof text, &policy, &error), STATUS_TOO_LARGE);
    size_t used = (size_t)snprintf(text, sizeof text, "name: x\nnetworks: [");
    for (int i = 0; i <= POLICY_NETWORKS_MAX; i++)
        used += (size_t)snprintf(text + used, sizeof text - used, "10.0.%d.0/24, ", i);
    snprintf(text + used, sizeof text - used, "]\n");
    cr_expect_eq(parse(text), STATUS_INVALID);
    cr_expect(strstr(error.message, "more than 64 networks"), "%s", error.message);
    memset(text, '[', 4000);
    cr_expect_eq(policy_parse(text, 4000, &policy, &error), STATUS_INVALID);
}

Test(policy, only_raises_what_the_listener_asks_for) {
    takes("name: x\ntls: 1.2\n");
    cr_expect_eq(policy_check_listener(&policy, 12, &error), STATUS_OK);
    cr_expect_eq(policy_check_listener(&policy, 0, &error), STATUS_OK);
    cr_expect_eq(policy_check_listener(&policy, 13, &error), STATUS_INVALID);
    cr_expect_str_eq(error.message,
                     "line 2, column 6: tls: found \"1.2\", and the listener takes 1.3 at least: a "
                     "policy may only raise that");
    takes("name: x\n");
    cr_expect_eq(policy_check_listener(&policy, 13, &error), STATUS_OK);
}

Test(policy, the_shipped_ones_are_good_and_named_for_their_files) {
    static const char *const names[] = {"standard", "strict", "trial"};
    for (size_t i = 0; i < 3; i++) {
        char path[64];
        snprintf(path, sizeof path, "policies/%s.yaml", names[i]);
        char *text = read_file(path);
        takes(text);
        cr_expect_str_eq(policy.name, names[i]);
        free(text);
    }
}

Test(policy, the_reference_has_every_field_as_the_table_has_it) {
    char *reference = read_file("docs/POLICIES.md"), line[512];
    size_t rows = 0;
    for (size_t i = 0; i < policy_fields_count; i++) {
        policy_document(&policy_fields[i], line, sizeof line);
        cr_expect(strstr(reference, line), "docs/POLICIES.md lacks\n%s", line);
    }
    for (const char *at = reference; (at = strstr(at, "\n| `")); at++)
        rows++;
    cr_expect_eq(rows, policy_fields_count, "it has %zu rows", rows);
    free(reference);
}

/* --- networks --------------------------------------------------------------------------------- */

static bool inside(const char *network, const char *address) {
    struct network n;
    uint8_t a[16];
    cr_assert_eq(network_parse(network, &n, &error), STATUS_OK, "%s", error.message);
    cr_assert(network_address(address, a), "%s", address);
    return network_contains(&n, a);
}

Test(network, of_both_families) {
    cr_expect(inside("10.0.0.0/8", "10.255.0.1"));
    cr_expect_not(inside("10.0.0.0/8", "11.0.0.0"));
    cr_expect(inside("192.0.2.128/25", "192.0.2.128"));
    cr_expect_not(inside("192.0.2.128/25", "192.0.2.127"));
    cr_expect(inside("0.0.0.0/0", "203.0.113.9"));
    cr_expect_not(inside("0.0.0.0/0", "2001:db8::1"));
    cr_expect(inside("10.0.0.0/8", "::ffff:10.1.2.3"));
    cr_expect(inside("127.0.0.1", "127.0.0.1"));
    cr_expect_not(inside("127.0.0.1", "127.0.0.2"));
    cr_expect(inside("2001:db8::/33", "2001:db8:7fff::1"));
    cr_expect_not(inside("2001:db8::/33", "2001:db8:8000::1"));
    cr_expect(inside("::/0", "2001:db8::1"));
    cr_expect(inside("::/1", "::1"));
    cr_expect(inside("::1", "::1"));
    cr_expect_not(inside("::1/128", "::2"));
}

/* IPv4 lies within IPv6 here, and who writes an IPv6 network does not mean it. */
Test(network, of_one_family_holds_none_of_the_other) {
    static const char *const wide[] = {"::/0", "::/1", "::/64", "::/80", "::/95", "::fffe:0:0/95"};
    for (size_t i = 0; i < sizeof wide / sizeof wide[0]; i++) {
        cr_expect_not(inside(wide[i], "10.0.0.1"), "%s", wide[i]);
        cr_expect_not(inside(wide[i], "::ffff:10.0.0.1"), "%s", wide[i]);
    }
    cr_expect(inside("::fffe:0:0/95", "::fffe:1:2"));
    cr_expect_not(inside("0.0.0.0/0", "::1"));
    cr_expect_not(inside("0.0.0.0/0", "::10.0.0.1"));
    cr_expect(inside("::ffff:0:0/96", "10.0.0.1"), "0.0.0.0/0 written as IPv6");
}

Test(network, what_is_none_is_refused) {
    static const char *const bad[] = {"",
                                      "10.0.0.0/",
                                      "10.0.0/8",
                                      "10.0.0.0/33",
                                      "::/129",
                                      "10.0.0.0/08",
                                      "10.0.0.0/-1",
                                      "10.0.0.0/8 ",
                                      "10.0.0.0/8/8",
                                      "localhost",
                                      "10.0.0.1/31",
                                      "::1/64",
                                      "fe80::1%lo"};
    struct network n;
    uint8_t a[16];
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        cr_expect_eq(network_parse(bad[i], &n, &error), STATUS_INVALID, "%s", bad[i]);
    cr_expect_not(network_address("other", a));
    cr_expect_not(network_address("", a));
}

Test(network, is_written_as_it_is_read) {
    static const char *const texts[] = {"10.0.0.0/8", "192.0.2.1/32", "2001:db8::/32", "::1/128",
                                        "::/0"};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        struct network n;
        char text[NETWORK_TEXT_MAX];
        cr_assert_eq(network_parse(texts[i], &n, &error), STATUS_OK);
        network_format(&n, text);
        cr_expect_str_eq(text, texts[i]);
    }
}
