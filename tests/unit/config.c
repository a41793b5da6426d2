#include "base/config.h"
#include "base/config_place.h"
#include "base/config_settings.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

static enum status parse(const char *text, struct config *c, struct error *e) {
    return config_parse(text, strlen(text), "/etc/strongroom", c, e);
}

Test(config, an_empty_mapping_gives_every_default) {
    struct config c;
    struct error e = {0};
    cr_assert_eq(parse("{}\n", &c, &e), STATUS_OK, "%s", e.message);
    cr_expect_eq(c.listen_count, 1);
    cr_expect_str_eq(c.listen[0], "127.0.0.1:8443");
    cr_expect_str_eq(c.data, "/etc/strongroom");
    cr_expect_str_eq(c.tls_key, "/etc/strongroom/tls/key.pem");
    cr_expect_eq(c.worker.slots, 64);
    cr_expect_not(c.worker.allow_unlocked_memory);
    cr_expect_eq(c.limits.deadline_ms, 60000);
}

Test(config, what_is_given_is_taken) {
    struct config c;
    struct error e = {0};
    cr_assert_eq(parse("listen: ['0.0.0.0:443', '[::1]:8443']\n"
                       "data: /var/lib/strongroom\n"
                       "tls: {certificate: c.pem, key: /k.pem}\n"
                       "worker: {threads: 2, slots: 8, allow_unlocked_memory: true}\n"
                       "limits: {body_bytes: 2048}\n",
                       &c, &e),
                 STATUS_OK, "%s", e.message);
    cr_expect_eq(c.listen_count, 2);
    cr_expect_str_eq(c.listen[1], "[::1]:8443");
    cr_expect_str_eq(c.tls_certificate, "/etc/strongroom/c.pem");
    cr_expect_str_eq(c.tls_key, "/k.pem");
    cr_expect_eq(c.worker.slots, 8);
    cr_expect(c.worker.allow_unlocked_memory);
    cr_expect_eq(c.limits.body_bytes, 2048);
}

static void refused(const char *text, const char *needle) {
    struct config c;
    struct config untouched;
    memset(&c, 7, sizeof c);
    untouched = c;
    struct error e = {0};
    cr_expect_eq(parse(text, &c, &e), STATUS_INVALID, "accepted: %s", text);
    cr_expect(strstr(e.message, needle), "\"%s\" does not name \"%s\"", e.message, needle);
    cr_expect_eq(memcmp(&c, &untouched, sizeof c), 0);
}

Test(config, what_is_wrong_is_refused_by_name) {
    refused("lisen: ['127.0.0.1:1']\n", "lisen");
    refused("worker: {slots: 0}\n", "worker.slots: found 0, expected 1 to 256");
    refused("worker: {slots: many}\n", "slots");
    refused("listen: ['localhost:8443']\n", "localhost:8443");
    refused("listen: ['127.0.0.1']\n", "127.0.0.1");
    refused("listen: ['127.0.0.1:99999']\n", "99999");
    refused("listen: ['[::1:8443']\n", "[::1:8443");
    refused("limits: {body_bytes: 3}\n", "limits.body_bytes");
    refused("worker: [1]\n", "worker");
    refused("a: b: c\n", "configuration");
}

/* libcyaml would pass over the one, and take the other for shorter than it is. */
Test(config, nothing_of_the_file_is_passed_over) {
    refused("worker: {slots: 8}\n---\nlimits: {body_bytes: 2048}\n",
            "line 2: a second document begins");
    refused("worker: {slots: 8}\n---\n{{{\n", "line 2: a second document begins");
    refused("worker: {slots: 8}\n...\nlimits\n", "configuration");
    refused("data: \"/var/lib\\0/strongroom\"\n", "line 1: a value has a zero byte");
}

/* One line of our own words: setting, what was found, what was expected, line of the file. */
Test(config, what_libcyaml_refuses_is_told_in_one_clear_line) {
    refused("data: x\nworker:\n  slots: many\n",
            "line 3: worker.slots: found \"many\", expected a whole number");
    refused("limits:\n  deadline_ms: 99999999999\n",
            "line 2: limits.deadline_ms: found \"99999999999\", expected a whole number from 0 to "
            "4294967295");
    refused("data: x\nworker:\n  threads: 2\n  slos: 3\n",
            "after line 3: worker: there is no setting \"slos\"");
    refused("worker: [1]\n", "line 1: worker: found a list, expected settings (name: value)");
    refused("listen: [[1]]\n", "listen, entry 1: found a list, expected a single value");
    refused("listen: []\n", "found 0 entries, expected at least 1");
    refused("data: ''\n", "data: found an empty value");
    refused("worker: {allow_unlocked_memory: perhaps}\n",
            "worker.allow_unlocked_memory: found \"perhaps\", expected true or false");
    struct config c;
    struct error e = {0};
    cr_expect_eq(parse("worker: {slots: many}\n", &c, &e), STATUS_INVALID);
    cr_expect_null(strstr(e.message, "Load"), "%s", e.message);
    cr_expect_null(strstr(e.message, "trace"), "%s", e.message);
}

Test(config, messages_name_the_line_of_a_value_that_is_out_of_range) {
    refused("data: x\nworker:\n  threads: 1\n  slots: 0\n",
            "line 4: worker.slots: found 0, expected 1 to 256");
    refused("limits: {connections: 10, connections_per_source: 11}\n",
            "line 1: limits.connections_per_source: found 11, expected at most limits.connections");
    refused("metrics:\n  listen: '10.0.0.1:9090'\n",
            "line 2: metrics.listen: found \"10.0.0.1:9090\"");
    refused("tls: {minimum_version: '1.0'}\n", "expected 1.2 or 1.3");
    refused("listen:\n  - 'x'\n", "line 1: listen: found \"x\"");
}

Test(config, places_of_settings) {
    static const char text[] = "# tls:\n"
                               "data: tls\n"
                               "listen: [tls, key]\n"
                               "other: {key: [a, {key: 1}], tls: {key: 1}}\n"
                               "tls:\n"
                               "  certificate: key\n"
                               "  key: x\n"
                               "key: last\n";
    cr_expect_eq(config_place_line(text, sizeof text - 1, "tls.key", NULL), 7);
    cr_expect_eq(config_place_line(text, sizeof text - 1, "data", NULL), 2);
    cr_expect_eq(config_place_line(text, sizeof text - 1, "key", NULL), 8);
    cr_expect_eq(config_place_line(text, sizeof text - 1, "tls.absent", NULL), 0);
    cr_expect_eq(config_place_line("a: [", 4, "b", NULL), 0);
    const struct config_place place = config_place_value(text, sizeof text - 1, "tls.key");
    cr_expect_eq(place.line, 7);
    cr_expect_gt(place.column, 1);
    cr_expect_eq(config_place_value(text, sizeof text - 1, "tls.absent").line, 0);
}

Test(config, a_default_share_of_one_source_gives_way) {
    struct config c;
    struct error e = {0};
    cr_assert_eq(parse("limits: {connections: 10}\n", &c, &e), STATUS_OK, "%s", e.message);
    cr_expect_eq(c.limits.connections_per_source, 10);
}

/* Every number at its bounds is taken, and one beyond is not. */
Test(config, the_table_is_what_holds) {
    struct config c;
    struct error e = {0};
    for (size_t i = 0; i < config_settings_count; i++) {
        const struct config_setting *s = &config_settings[i];
        char text[160];
        const char *dot = strchr(s->name, '.');
        if (!s->most)
            continue;
        for (int at = 0; at < 4; at++) {
            uint64_t values[] = {s->least, s->most, s->least - 1, s->most + 1};
            if (at == 2 && s->least == 0)
                continue;
            snprintf(text, sizeof text, "%.*s%s%s: %llu%s\n", dot ? (int)(dot - s->name) : 0,
                     s->name, dot ? ": {" : "", dot ? dot + 1 : s->name,
                     (unsigned long long)values[at], dot ? "}" : "");
            bool per_source = strcmp(s->name, "limits.connections_per_source") == 0;
            if (at < 2 && !per_source)
                cr_expect_eq(parse(text, &c, &e), STATUS_OK, "%s: %s", text, e.message);
            else if (at >= 2)
                cr_expect_eq(parse(text, &c, &e), STATUS_INVALID, "accepted: %s", text);
        }
    }
}

static void count_fault(void *context, unsigned line, unsigned column, const char *message) {
    (void)context;
    cr_expect(line > 0 && column > 0 && message[0], "%u:%u: %s", line, column, message);
}

/* config_faults.c reads the text by code of its own: both must refuse the same. */
Test(config, what_a_start_refuses_has_a_fault_and_nothing_else) {
    static const char *const texts[] = {"worker: {slots: 0x10}",
                                        "worker: {slots: 010}",
                                        "worker: {slots: 08}",
                                        "worker: {slots: -1}",
                                        "worker: {slots: 1.5}",
                                        "worker: {slots: '12'}",
                                        "worker: {slots: }",
                                        "worker: {slots: 257}",
                                        "tls: {minimum_version: 1.2}",
                                        "tls: {minimum_version: 1.20}",
                                        "user_base: 999",
                                        "metrics: {listen: '127.0.0.1:1'}",
                                        "metrics: {listen: '10.0.0.1:1'}",
                                        "admin: {group: ''}",
                                        "admin: {group: x}",
                                        "worker: {allow_unlocked_memory: True}",
                                        "worker: {allow_unlocked_memory: true}",
                                        "limits: {body_bytes: 99999999999999999999}",
                                        "audit: {plain_failures: 1}",
                                        "tls.key: x",
                                        "[]",
                                        "data: [x]",
                                        "listen: []",
                                        "listen: 127.0.0.1:1",
                                        "listen: ['127.0.0.1:1']",
                                        "limits: {connections_per_source: 129}",
                                        "limits: {connections_per_source: 64, connections: 64}",
                                        "worker: {slots: 1, slots: 1}",
                                        "drain: {time_ms: 1000}",
                                        "data: &x y\nlisten: [*x]",
                                        "a: [",
                                        "data: x\n"};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        struct config config;
        struct error why = {0};
        bool refused = config_parse(texts[i], strlen(texts[i]), "/f", &config, &why) != STATUS_OK;
        size_t faults = config_faults(texts[i], strlen(texts[i]), count_fault, NULL);
        cr_expect_eq(faults > 0, refused, "%s: %zu faults, and a start says %s", texts[i], faults,
                     refused ? why.message : "nothing");
    }
}
