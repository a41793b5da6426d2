#include "base/config.h"

#include <arpa/inet.h>
#include <cyaml/cyaml.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/config_report.h"

/* What libcyaml fills: absent settings stay NULL or point nowhere, so that "absent" and "0" are
 * told apart. */
struct yaml_tls {
    char *certificate, *key;
};
struct yaml_root {
    char *identity;
};
struct yaml_signing {
    char *key;
};
struct yaml_worker {
    uint32_t *threads, *slots, *memory_mib;
    bool *allow_unlocked_memory;
};
struct yaml_limits {
    uint64_t *body_bytes, *model_bytes;
    uint32_t *connections, *connections_per_source, *request_timeout_ms, *deadline_ms;
};
struct yaml_config {
    char **listen;
    unsigned listen_count;
    char *data;
    uint32_t *user_base;
    struct yaml_tls *tls;
    struct yaml_root *root;
    struct yaml_signing *signing;
    struct yaml_worker *worker;
    struct yaml_limits *limits;
};

#define OPTIONAL (CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL)
#define PATH_FIELD(type, name)                                                                     \
    CYAML_FIELD_STRING_PTR(#name, OPTIONAL, struct type, name, 1, CONFIG_PATH_MAX - 1)
#define NUMBER_FIELD(type, name) CYAML_FIELD_UINT_PTR(#name, OPTIONAL, struct type, name)

static const cyaml_schema_field_t tls_fields[] = {PATH_FIELD(yaml_tls, certificate),
                                                  PATH_FIELD(yaml_tls, key), CYAML_FIELD_END};
static const cyaml_schema_field_t root_fields[] = {PATH_FIELD(yaml_root, identity),
                                                   CYAML_FIELD_END};
static const cyaml_schema_field_t signing_fields[] = {PATH_FIELD(yaml_signing, key),
                                                      CYAML_FIELD_END};
/* libcyaml's own boolean takes every word that it does not know for true. */
static const cyaml_strval_t truths[] = {{"true", true}, {"false", false}};
static const cyaml_schema_field_t worker_fields[] = {
    NUMBER_FIELD(yaml_worker, threads), NUMBER_FIELD(yaml_worker, slots),
    NUMBER_FIELD(yaml_worker, memory_mib),
    CYAML_FIELD_ENUM_PTR("allow_unlocked_memory", OPTIONAL | CYAML_FLAG_STRICT, struct yaml_worker,
                         allow_unlocked_memory, truths, sizeof truths / sizeof truths[0]),
    CYAML_FIELD_END};
static const cyaml_schema_field_t limits_fields[] = {
    NUMBER_FIELD(yaml_limits, body_bytes),
    NUMBER_FIELD(yaml_limits, model_bytes),
    NUMBER_FIELD(yaml_limits, connections),
    NUMBER_FIELD(yaml_limits, connections_per_source),
    NUMBER_FIELD(yaml_limits, request_timeout_ms),
    NUMBER_FIELD(yaml_limits, deadline_ms),
    CYAML_FIELD_END};
static const cyaml_schema_value_t listen_entry = {
    CYAML_VALUE_STRING(CYAML_FLAG_POINTER, char *, 1, CONFIG_ADDRESS_MAX - 1)};
static const cyaml_schema_field_t config_fields[] = {
    CYAML_FIELD_SEQUENCE("listen", OPTIONAL, struct yaml_config, listen, &listen_entry, 1,
                         CONFIG_LISTEN_MAX),
    PATH_FIELD(yaml_config, data),
    NUMBER_FIELD(yaml_config, user_base),
    CYAML_FIELD_MAPPING_PTR("tls", OPTIONAL, struct yaml_config, tls, tls_fields),
    CYAML_FIELD_MAPPING_PTR("root", OPTIONAL, struct yaml_config, root, root_fields),
    CYAML_FIELD_MAPPING_PTR("signing", OPTIONAL, struct yaml_config, signing, signing_fields),
    CYAML_FIELD_MAPPING_PTR("worker", OPTIONAL, struct yaml_config, worker, worker_fields),
    CYAML_FIELD_MAPPING_PTR("limits", OPTIONAL, struct yaml_config, limits, limits_fields),
    CYAML_FIELD_END};
static const cyaml_schema_value_t config_schema = {
    CYAML_VALUE_MAPPING(CYAML_FLAG_POINTER, struct yaml_config, config_fields)};

static enum status set_path(const char *folder, const char *given, const char *fallback,
                            char out[CONFIG_PATH_MAX], const char *field, struct error *error) {
    const char *path = given ? given : fallback;
    int n;
    if (path[0] == '/')
        n = snprintf(out, CONFIG_PATH_MAX, "%s", path);
    else if (strcmp(path, ".") == 0)
        n = snprintf(out, CONFIG_PATH_MAX, "%s", folder);
    else
        n = snprintf(out, CONFIG_PATH_MAX, "%s/%s", folder, path);
    if (n < 0 || n >= CONFIG_PATH_MAX)
        return status_fail(error, STATUS_INVALID, "%s: the path is longer than %d bytes", field,
                           CONFIG_PATH_MAX - 1);
    return STATUS_OK;
}

static enum status in_range(const char *field, uint64_t value, uint64_t low, uint64_t high,
                            struct error *error) {
    if (value < low || value > high)
        return status_fail(error, STATUS_INVALID, "%s: found %llu, expected %llu to %llu", field,
                           (unsigned long long)value, (unsigned long long)low,
                           (unsigned long long)high);
    return STATUS_OK;
}

enum status config_address(const char *address, char *host, size_t host_size, uint16_t *port,
                           struct error *error) {
    const char *colon = strrchr(address, ':');
    const char *start = address, *end = colon;
    bool six = address[0] == '[';
    if (six) {
        start = address + 1;
        end = colon && colon > start && colon[-1] == ']' ? colon - 1 : NULL;
    }
    char name[CONFIG_ADDRESS_MAX];
    struct in6_addr any;
    char *rest = NULL;
    unsigned long number = colon ? strtoul(colon + 1, &rest, 10) : 0;
    if (!end || (size_t)(end - start) >= sizeof name || number > 65535 || colon[1] < '0' ||
        colon[1] > '9' || *rest)
        goto bad;
    memcpy(name, start, (size_t)(end - start));
    name[end - start] = '\0';
    if (inet_pton(six ? AF_INET6 : AF_INET, name, &any) != 1 || strlen(name) >= host_size)
        goto bad;
    memcpy(host, name, strlen(name) + 1);
    *port = (uint16_t)number;
    return STATUS_OK;
bad:
    return status_fail(error, STATUS_INVALID,
                       "listen: found \"%s\", expected ADDRESS:PORT such as 127.0.0.1:8443 or "
                       "[::1]:8443",
                       address);
}

static enum status fill(const struct yaml_config *y, const char *folder, struct config *c,
                        struct error *error) {
    static const struct yaml_tls no_tls;
    static const struct yaml_root no_root;
    static const struct yaml_signing no_signing;
    static const struct yaml_worker no_worker;
    static const struct yaml_limits no_limits;
    const struct yaml_tls *tls = y->tls ? y->tls : &no_tls;
    const struct yaml_root *root = y->root ? y->root : &no_root;
    const struct yaml_signing *signing = y->signing ? y->signing : &no_signing;
    const struct yaml_worker *worker = y->worker ? y->worker : &no_worker;
    const struct yaml_limits *limits = y->limits ? y->limits : &no_limits;
    enum status s;

    c->listen_count = y->listen_count ? y->listen_count : 1;
    for (size_t i = 0; i < c->listen_count; i++) {
        char host[CONFIG_ADDRESS_MAX];
        uint16_t port;
        const char *address = y->listen_count ? y->listen[i] : "127.0.0.1:8443";
        if ((s = config_address(address, host, sizeof host, &port, error)) != STATUS_OK)
            return s;
        snprintf(c->listen[i], sizeof c->listen[i], "%s", address);
    }
    if ((s = set_path(folder, y->data, ".", c->data, "data", error)) ||
        (s = set_path(folder, tls->certificate, "tls/cert.pem", c->tls_certificate,
                      "tls.certificate", error)) ||
        (s = set_path(folder, tls->key, "tls/key.pem", c->tls_key, "tls.key", error)) ||
        (s = set_path(folder, root->identity, "keys/root.txt", c->root_identity, "root.identity",
                      error)) ||
        (s = set_path(folder, signing->key, "keys/signing.age", c->signing_key, "signing.key",
                      error)))
        return s;

#define PICK(from, name, fallback) (from->name ? *from->name : (fallback))
    c->user_base = y->user_base ? *y->user_base : 1879048192u;
    c->worker.threads = PICK(worker, threads, 0);
    c->worker.slots = PICK(worker, slots, 64);
    c->worker.memory_mib = PICK(worker, memory_mib, 16384);
    c->worker.allow_unlocked_memory = PICK(worker, allow_unlocked_memory, false);
    c->limits.body_bytes = PICK(limits, body_bytes, (uint64_t)64 << 20);
    c->limits.model_bytes = PICK(limits, model_bytes, (uint64_t)4 << 30);
    c->limits.connections = PICK(limits, connections, 128);
    c->limits.connections_per_source = PICK(limits, connections_per_source, 64);
    c->limits.request_timeout_ms = PICK(limits, request_timeout_ms, 30000);
    c->limits.deadline_ms = PICK(limits, deadline_ms, 60000);
#undef PICK

    if ((s = in_range("user_base", c->user_base, 1000, 4000000000u, error)) ||
        (s = in_range("worker.threads", c->worker.threads, 0, 256, error)) ||
        (s = in_range("worker.slots", c->worker.slots, 1, 256, error)) ||
        (s = in_range("worker.memory_mib", c->worker.memory_mib, 1024, 1u << 24, error)) ||
        (s = in_range("limits.body_bytes", c->limits.body_bytes, 1024, (uint64_t)4 << 30, error)) ||
        (s = in_range("limits.model_bytes", c->limits.model_bytes, 1024, (uint64_t)1 << 40,
                      error)) ||
        (s = in_range("limits.connections", c->limits.connections, 1, 4096, error)) ||
        (s = in_range("limits.connections_per_source", c->limits.connections_per_source, 1, 4096,
                      error)) ||
        (s = in_range("limits.request_timeout_ms", c->limits.request_timeout_ms, 100, 3600000,
                      error)) ||
        (s = in_range("limits.deadline_ms", c->limits.deadline_ms, 1, 3600000, error)))
        return s;
    return STATUS_OK;
}

enum status config_parse(const void *bytes, size_t size, const char *folder, struct config *config,
                         struct error *error) {
    struct config_report report = {0};
    const cyaml_config_t how = {.log_fn = config_report_collect,
                                .log_ctx = &report,
                                .log_level = CYAML_LOG_WARNING,
                                .mem_fn = cyaml_mem,
                                .flags = CYAML_CFG_NO_ALIAS};
    struct yaml_config *yaml = NULL;
    struct config filled = {0};
    enum status status;
    if (size > CONFIG_BYTES_MAX)
        return status_fail(error, STATUS_TOO_LARGE, "the configuration has %zu bytes, at most %d",
                           size, CONFIG_BYTES_MAX);
    cyaml_err_t e =
        cyaml_load_data(bytes, size, &how, &config_schema, (cyaml_data_t **)&yaml, NULL);
    if (e != CYAML_OK) {
        status = config_report_fail(&report, e, error);
        goto out;
    }
    status = fill(yaml ? yaml : &(struct yaml_config){0}, folder, &filled, error);
    if (status == STATUS_OK)
        *config = filled;
out:
    cyaml_free(&how, &config_schema, yaml, 0);
    return status;
}

enum status config_load(const char *path, struct config *config, struct error *error) {
    char real[PATH_MAX];
    char *bytes = NULL;
    enum status status;
    int fd = -1;
    size_t size = 0;
    if (!realpath(path, real))
        return status_fail(error, STATUS_NOT_FOUND, "%s: %s", path, strerror(errno));
    fd = open(real, O_RDONLY | O_CLOEXEC);
    bytes = fd >= 0 ? malloc(CONFIG_BYTES_MAX + 1) : NULL;
    if (!bytes) {
        status = status_fail(error, STATUS_NOT_FOUND, "%s: %s", path, strerror(errno));
        goto out;
    }
    for (;;) {
        ssize_t n = read(fd, bytes + size, CONFIG_BYTES_MAX + 1 - size);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0) {
            status = status_fail(error, STATUS_INVALID, "%s: %s", path, strerror(errno));
            goto out;
        }
        if (n == 0)
            break;
        size += (size_t)n;
    }
    char *slash = strrchr(real, '/');
    *(slash == real ? slash + 1 : slash) = '\0';
    status = config_parse(bytes, size, real, config, error);
    if (status != STATUS_OK)
        status = status_prefix(error, "%s: ", path);
out:
    free(bytes);
    if (fd >= 0)
        close(fd);
    return status;
}
