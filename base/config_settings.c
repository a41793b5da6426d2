#include "base/config_settings.h"

#include "base/config_yaml.h"

#include <inttypes.h>
#include <stdbool.h>
#include <string.h>

#define IN(group_name, name)                                                                       \
    .group = offsetof(struct config_yaml, group_name),                                             \
    .value = offsetof(struct config_yaml_##group_name, name)
#define TOP(name) .group = CONFIG_NO_GROUP, .value = offsetof(struct config_yaml, name)
#define TO(name) .place = offsetof(struct config, name)

const struct config_setting config_settings[] = {
    {"listen", CONFIG_ADDRESSES, TOP(listen), TO(listen), .text = "127.0.0.1:8443",
     .help = "addresses to listen on, up to 8: a number and a port, [::1]:8443 for IPv6"},
    {"data", CONFIG_PATH, TOP(data), TO(data), .text = ".",
     .help = "folder of the store and of sealed models"},
    {"user_base", CONFIG_U32, TOP(user_base), TO(user_base), .number = 1879048192u, .least = 1000,
     .most = 4000000000u, .help = "when started as root, roles run as this uid and those after it"},
    {"tls.certificate", CONFIG_PATH, IN(tls, certificate), TO(tls_certificate),
     .text = "tls/cert.pem",
     .help = "PEM: the certificate and its chain; taken anew when it changes"},
    {"tls.key", CONFIG_PATH, IN(tls, key), TO(tls_key), .text = "tls/key.pem",
     .help = "PEM: its key, mode 0600; taken anew when it changes"},
    {"tls.client_ca", CONFIG_PATH, IN(tls, client_ca), TO(tls_client_ca),
     .help =
         "PEM: authorities of client certificates; clients are asked for one, and may have none"},
    {"tls.minimum_version", CONFIG_VERSION, IN(tls, minimum_version), TO(tls_minimum), .number = 13,
     .help = "the oldest TLS that is spoken: 1.2 or 1.3"},
    {"root.identity", CONFIG_PATH, IN(root, identity), TO(root_identity), .text = "keys/root.txt",
     .help = "the age identity that everything is sealed to, mode 0600"},
    {"signing.key", CONFIG_PATH, IN(signing, key), TO(signing_key), .text = "keys/signing.age",
     .help = "the key that signs recipients and checkpoints, sealed to the root"},
    {"admin.socket", CONFIG_PATH, IN(admin, socket), TO(admin_socket),
     .help = "the admin socket; admin.sock in the data folder where nothing is given"},
    {"admin.group", CONFIG_TEXT, IN(admin, group), TO(admin_group),
     .help = "group whose members may connect to it (mode 0660), each with an operator key"},
    {"metrics.listen", CONFIG_ADDRESS, IN(metrics, listen), TO(metrics_listen),
     .help = "a loopback address where GET /metrics is answered over HTTP, without a key"},
    {"audit.plain_failures", CONFIG_TRUTH, IN(audit, plain_failures), TO(audit.plain_failures),
     .number = false,
     .help = "counts of requests without a valid key name the address, not its keyed hash"},
    {"worker.threads", CONFIG_U32, IN(worker, threads), TO(worker.threads), .number = 0, .least = 0,
     .most = 256, .help = "compute threads of a worker; 0: one per CPU"},
    {"worker.slots", CONFIG_U32, IN(worker, slots), TO(worker.slots), .number = 64, .least = 1,
     .most = 256, .help = "requests that a worker has at once"},
    {"worker.memory_mib", CONFIG_U32, IN(worker, memory_mib), TO(worker.memory_mib),
     .number = 16384, .least = 1024, .most = 1u << 24,
     .help = "address space of a worker; OpenBLAS takes 128 for each thread"},
    {"worker.allow_unlocked_memory", CONFIG_TRUTH, IN(worker, allow_unlocked_memory),
     TO(worker.allow_unlocked_memory), .number = false,
     .help = "weights may stand in memory that can be swapped"},
    {"limits.body_bytes", CONFIG_U64, IN(limits, body_bytes), TO(limits.body_bytes),
     .number = UINT64_C(64) << 20, .least = 1024, .most = UINT64_C(4) << 30,
     .help = "of an inference request"},
    {"limits.model_bytes", CONFIG_U64, IN(limits, model_bytes), TO(limits.model_bytes),
     .number = UINT64_C(4) << 30, .least = 1024, .most = UINT64_C(1) << 40,
     .help = "of a sealed model"},
    {"limits.memory_bytes", CONFIG_U64, IN(limits, memory_bytes), TO(limits.memory_bytes),
     .number = UINT64_C(1) << 30, .least = UINT64_C(1) << 20, .most = UINT64_C(1) << 44,
     .help = "of all bodies and answers over 1 MiB; never less than 4 limits.body_bytes"},
    {"limits.connections", CONFIG_U32, IN(limits, connections), TO(limits.connections),
     .number = 128, .least = 1, .most = CONFIG_CONNECTIONS_MAX,
     .help = "at once, a thread each; further ones are told 503"},
    {"limits.connections_per_source", CONFIG_U32, IN(limits, connections_per_source),
     TO(limits.connections_per_source), .number = 64, .least = 1, .most = CONFIG_CONNECTIONS_MAX,
     .help = "at once from one address; at most limits.connections"},
    {"limits.failures_per_source", CONFIG_U32, IN(limits, failures_per_source),
     TO(limits.failures_per_source), .number = 3000, .least = 1, .most = 1000000,
     .help = "answers 401 to one address in a minute; after that it is told 429"},
    {"limits.request_timeout_ms", CONFIG_U32, IN(limits, request_timeout_ms),
     TO(limits.request_timeout_ms), .number = 30000, .least = 100, .most = 3600000,
     .help = "for the headers and body of a request; large bodies have longer"},
    {"limits.idle_timeout_ms", CONFIG_U32, IN(limits, idle_timeout_ms), TO(limits.idle_timeout_ms),
     .number = 15000, .least = 100, .most = 3600000,
     .help = "a connection that asks nothing is closed after this time"},
    {"limits.deadline_ms", CONFIG_U32, IN(limits, deadline_ms), TO(limits.deadline_ms),
     .number = 60000, .least = 1, .most = 3600000, .help = "for a model's run"},
    {"drain.time_ms", CONFIG_U32, IN(drain, time_ms), TO(drain.time_ms), .number = 10000,
     .least = 1000, .most = 3600000,
     .help = "after SIGTERM, requests under way have this long to finish"},
    {"drain.notice_ms", CONFIG_U32, IN(drain, notice_ms), TO(drain.notice_ms), .number = 0,
     .least = 0, .most = 3600000,
     .help = "after SIGTERM, readiness is false for this long before the port closes"},
};
const size_t config_settings_count = sizeof config_settings / sizeof config_settings[0];

void config_settings_default(const struct config_setting *s, struct buf *out) {
    switch (s->kind) {
    case CONFIG_TRUTH:
        buf_string(out, s->number ? "true" : "false");
        return;
    case CONFIG_VERSION:
        buf_printf(out, "\"%" PRIu64 ".%" PRIu64 "\"", s->number / 10, s->number % 10);
        return;
    case CONFIG_U32:
    case CONFIG_U64:
        buf_printf(out, "%" PRIu64, s->number);
        return;
    case CONFIG_ADDRESSES:
        buf_printf(out, "[\"%s\"]", s->text);
        return;
    default:
        buf_string(out, s->text ? s->text : "");
    }
}

static bool optional(const struct config_setting *s) {
    return !s->text && s->kind < CONFIG_VERSION;
}

void config_settings_print(struct buf *out) {
    for (size_t i = 0; i < config_settings_count; i++) {
        const struct config_setting *s = &config_settings[i];
        buf_printf(out, "%s: ", s->name);
        if (optional(s))
            buf_string(out, "(none)");
        else
            config_settings_default(s, out);
        if (s->most)
            buf_printf(out, "  (%" PRIu64 " to %" PRIu64 ")", s->least, s->most);
        buf_printf(out, "\n    %s\n", s->help);
    }
}

static bool named(const char *const *list, const char *name) {
    for (; *list; list++)
        if (strcmp(*list, name) == 0)
            return true;
    return false;
}

void config_settings_yaml(const char *const *but, struct buf *out) {
    const char *group = "";
    size_t group_size = 0;
    for (size_t i = 0; i < config_settings_count; i++) {
        const struct config_setting *s = &config_settings[i];
        const char *dot = strchr(s->name, '.');
        size_t size = dot ? (size_t)(dot - s->name) : 0;
        if (named(but, s->name))
            continue;
        if (size != group_size || memcmp(s->name, group, size) != 0) {
            buf_string(out, "#\n");
            if (size)
                buf_printf(out, "# %.*s:\n", (int)size, s->name);
            group = s->name;
            group_size = size;
        }
        buf_printf(out, "# %s# %s\n# %s%s:", dot ? "  " : "", s->help, dot ? "  " : "",
                   dot ? dot + 1 : s->name);
        if (!optional(s))
            buf_string(out, " ");
        config_settings_default(s, out);
        buf_string(out, "\n");
    }
}
