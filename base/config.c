#include "base/config.h"

#include <arpa/inet.h>
#include <cyaml/cyaml.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/config_place.h"
#include "base/config_report.h"
#include "base/config_settings.h"
#include "base/config_yaml.h"

static enum status set_path(const char *folder, const char *path, const char *field, char *out,
                            struct error *error) {
    int n;
    if (path[0] == '/')
        n = snprintf(out, CONFIG_PATH_MAX, "%s", path);
    else if (strcmp(path, ".") == 0)
        n = snprintf(out, CONFIG_PATH_MAX, "%s", folder);
    else
        n = snprintf(out, CONFIG_PATH_MAX, "%s/%s", folder, path);
    if (n < 0 || n >= CONFIG_PATH_MAX)
        return status_fail(error, STATUS_INVALID, "%s: the path has %d bytes, expected at most %d",
                           field, n, CONFIG_PATH_MAX - 1);
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
                       "found \"%s\", expected ADDRESS:PORT such as 127.0.0.1:8443 or "
                       "[::1]:8443",
                       address);
}

/* --- from libcyaml's struct to ours, by the table of settings --------------------------------- */

static enum status set_version(const char *given, const char *field, uint32_t *out,
                               struct error *error) {
    bool two = strcmp(given, "1.2") == 0;
    if (!two && strcmp(given, "1.3") != 0)
        return status_fail(error, STATUS_INVALID, "%s: found \"%.32s\", expected 1.2 or 1.3", field,
                           given);
    *out = two ? 12 : 13;
    return STATUS_OK;
}

static enum status set_loopback(const char *given, const char *field, char *out,
                                struct error *error) {
    char host[CONFIG_ADDRESS_MAX];
    uint16_t port;
    enum status status = config_address(given, host, sizeof host, &port, error);
    if (status != STATUS_OK || (strncmp(host, "127.", 4) != 0 && strcmp(host, "::1") != 0))
        return status_fail(error, STATUS_INVALID,
                           "%s: found \"%.64s\", expected a loopback address and a port such as "
                           "127.0.0.1:9090 or [::1]:9090",
                           field, given);
    snprintf(out, CONFIG_ADDRESS_MAX, "%s", given);
    return STATUS_OK;
}

static enum status set_number(const struct config_setting *s, uint64_t value, void *out,
                              struct error *error) {
    if (value < s->least || value > s->most)
        return status_fail(error, STATUS_INVALID,
                           "%s: found %" PRIu64 ", expected %" PRIu64 " to %" PRIu64, s->name,
                           value, s->least, s->most);
    if (s->kind == CONFIG_U64)
        *(uint64_t *)out = value;
    else
        *(uint32_t *)out = (uint32_t)value;
    return STATUS_OK;
}

static enum status set_listen(const struct config_yaml *yaml, const char *fallback,
                              struct config *c, struct error *error) {
    c->listen_count = yaml->listen_count ? yaml->listen_count : 1;
    for (size_t i = 0; i < c->listen_count; i++) {
        char host[CONFIG_ADDRESS_MAX];
        uint16_t port;
        const char *address = yaml->listen_count ? yaml->listen[i] : fallback;
        enum status status = config_address(address, host, sizeof host, &port, error);
        if (status != STATUS_OK)
            return status_prefix(error, "listen: ");
        snprintf(c->listen[i], sizeof c->listen[i], "%s", address);
    }
    return STATUS_OK;
}

static enum status set_one(const struct config_setting *s, const struct config_yaml *yaml,
                           const char *folder, struct config *c, struct error *error) {
    const char *group = (const char *)yaml;
    void *out = (char *)c + s->place;
    /* libcyaml's struct holds a pointer for every group and for every value of one. */
    if (s->group != CONFIG_NO_GROUP)
        memcpy(&group, (const char *)yaml + s->group, sizeof group);
    const void *given = NULL;
    if (group && s->kind != CONFIG_ADDRESSES)
        memcpy(&given, group + s->value, sizeof given);
    const char *text = given ? given : s->text;
    switch (s->kind) {
    case CONFIG_ADDRESSES:
        return set_listen(yaml, s->text, c, error);
    case CONFIG_ADDRESS:
        return text ? set_loopback(text, s->name, out, error) : STATUS_OK;
    case CONFIG_PATH:
        return text ? set_path(folder, text, s->name, out, error) : STATUS_OK;
    case CONFIG_TEXT:
        if (text && strlen(text) >= CONFIG_NAME_MAX)
            return status_fail(error, STATUS_INVALID,
                               "%s: the name has %zu bytes, expected at most %d", s->name,
                               strlen(text), CONFIG_NAME_MAX - 1);
        snprintf(out, CONFIG_NAME_MAX, "%s", text ? text : "");
        return STATUS_OK;
    case CONFIG_VERSION:
        *(uint32_t *)out = (uint32_t)s->number;
        return given ? set_version(given, s->name, out, error) : STATUS_OK;
    case CONFIG_TRUTH:
        *(bool *)out = given ? *(const bool *)given : s->number != 0;
        return STATUS_OK;
    case CONFIG_U32:
        return set_number(s, given ? *(const uint32_t *)given : s->number, out, error);
    case CONFIG_U64:
        return set_number(s, given ? *(const uint64_t *)given : s->number, out, error);
    }
    return status_fail(error, STATUS_INTERNAL, "%s: a setting of no kind", s->name);
}

/* On failure *wrong is the setting that is at fault. */
static enum status fill(const struct config_yaml *yaml, const char *folder, struct config *c,
                        const char **wrong, struct error *error) {
    for (size_t i = 0; i < config_settings_count; i++) {
        enum status status = set_one(&config_settings[i], yaml, folder, c, error);
        *wrong = config_settings[i].name;
        if (status != STATUS_OK)
            return status;
    }
    *wrong = "limits.connections_per_source";
    if (c->limits.connections_per_source <= c->limits.connections)
        return STATUS_OK;
    if (yaml->limits && yaml->limits->connections_per_source)
        return status_fail(error, STATUS_INVALID,
                           "%s: found %" PRIu32 ", expected at most limits.connections, which is "
                           "%" PRIu32,
                           *wrong, c->limits.connections_per_source, c->limits.connections);
    c->limits.connections_per_source = c->limits.connections; /* the default gives way */
    return STATUS_OK;
}

/* libcyaml reads numbers as strtoull does: "1.5" is 1 for it. config_faults does not. */
struct config_fault_first {
    unsigned line;
    char message[ERROR_MESSAGE_MAX / 2];
};

static void keep_first(void *context, unsigned line, unsigned column, const char *message) {
    struct config_fault_first *first = context;
    (void)column;
    if (first->line)
        return;
    first->line = line;
    snprintf(first->message, sizeof first->message, "%s", message);
}

enum status config_parse(const void *bytes, size_t size, const char *folder, struct config *config,
                         struct error *error) {
    struct config_report report = {0};
    const cyaml_config_t how = {.log_fn = config_report_collect,
                                .log_ctx = &report,
                                .log_level = CYAML_LOG_WARNING,
                                .mem_fn = cyaml_mem,
                                .flags = CYAML_CFG_NO_ALIAS};
    struct config_yaml *yaml = NULL;
    struct config filled = {0};
    const char *wrong = NULL;
    enum status status;
    if (size > CONFIG_BYTES_MAX)
        return status_fail(error, STATUS_TOO_LARGE, "the configuration has %zu bytes, at most %d",
                           size, CONFIG_BYTES_MAX);
    if ((status = config_place_whole(bytes, size, "the configuration is wrong", error)) !=
        STATUS_OK)
        return status;
    cyaml_err_t e =
        cyaml_load_data(bytes, size, &how, &config_yaml_schema, (cyaml_data_t **)&yaml, NULL);
    if (e != CYAML_OK) {
        status = config_report_fail(&report, e, error);
        goto out;
    }
    status = fill(yaml ? yaml : &(struct config_yaml){0}, folder, &filled, &wrong, error);
    struct config_fault_first first = {0};
    if (status == STATUS_OK && config_faults(bytes, size, keep_first, &first) > 0) {
        status = status_fail(error, STATUS_INVALID, "the configuration is wrong: line %u: %s",
                             first.line, first.message);
    } else if (status == STATUS_OK) {
        *config = filled;
    } else {
        unsigned line = config_place_line(bytes, size, wrong, NULL);
        status = line ? status_prefix(error, "the configuration is wrong: line %u: ", line)
                      : status_prefix(error, "the configuration is wrong: ");
    }
out:
    cyaml_free(&how, &config_yaml_schema, yaml, 0);
    return status;
}

/* The file's bytes, from malloc, and its real path. */
static enum status read_file(const char *path, char real[PATH_MAX], char **out, size_t *out_size,
                             struct error *error) {
    char *bytes = NULL;
    enum status status = STATUS_OK;
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
    *out = bytes;
    *out_size = size;
    bytes = NULL;
out:
    free(bytes);
    if (fd >= 0)
        close(fd);
    return status;
}

enum status config_load(const char *path, struct config *config, struct error *error) {
    char real[PATH_MAX], *bytes = NULL;
    size_t size = 0;
    enum status status = read_file(path, real, &bytes, &size, error);
    if (status != STATUS_OK)
        return status;
    char *slash = strrchr(real, '/');
    *(slash == real ? slash + 1 : slash) = '\0';
    status = config_parse(bytes, size, real, config, error);
    if (status != STATUS_OK)
        status = status_prefix(error, "%s: ", path);
    free(bytes);
    return status;
}

size_t config_survey(const char *path, config_fault *say, void *context) {
    char real[PATH_MAX], *bytes = NULL;
    size_t size = 0;
    if (read_file(path, real, &bytes, &size, NULL) != STATUS_OK)
        return 0;
    size_t count = size > CONFIG_BYTES_MAX ? 0 : config_faults(bytes, size, say, context);
    free(bytes);
    return count;
}

unsigned config_line(const char *path, const char *setting, unsigned *column) {
    char real[PATH_MAX], *bytes = NULL;
    size_t size = 0;
    if (read_file(path, real, &bytes, &size, NULL) != STATUS_OK)
        return 0;
    unsigned line = config_place_line(bytes, size, setting, column);
    free(bytes);
    return line;
}
