#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "admin/commands.h"
#include "admin/connection.h"
#include "admin/folder.h"
#include "admin/output.h"
#include "tenancy/policy.h"

static const struct output_field fields[] = {
    {"name", "name", OUTPUT_TEXT},
    {"tenants", "tenants", OUTPUT_NUMBER},
    {"changed", "changed", OUTPUT_TIME},
};
#define FIELDS (sizeof fields / sizeof fields[0])

/* The file as a text from malloc, at most one byte longer than a policy may be. */
static enum status read_file(const char *path, char **text, size_t *size, struct error *error) {
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    char *bytes = fd >= 0 ? malloc(POLICY_TEXT_MAX + 2) : NULL;
    size_t have = 0;
    ssize_t n = -1;
    if (bytes)
        while ((n = read(fd, bytes + have, POLICY_TEXT_MAX + 1 - have)) > 0 ||
               (n < 0 && errno == EINTR))
            have += n > 0 ? (size_t)n : 0;
    int reason = errno;
    if (fd >= 0)
        close(fd);
    if (n < 0) {
        free(bytes);
        return status_fail(error, reason == ENOENT ? STATUS_NOT_FOUND : STATUS_INVALID, "%s: %s",
                           path, strerror(reason));
    }
    bytes[have] = '\0';
    *text = bytes;
    *size = have;
    return STATUS_OK;
}

/* Of the listener in the server's configuration; 0 where there is none here. */
static unsigned listener_minimum(const struct cli *cli) {
    struct config config;
    struct error ignored;
    return folder_config(cli, &config, &ignored) == STATUS_OK ? config.tls_minimum : 0;
}

/* Read and check; *text is the caller's to free. */
static enum status read_policy(const struct cli *cli, const char *path, char **text,
                               struct policy *policy, struct error *error) {
    size_t size = 0;
    enum status status = read_file(path, text, &size, error);
    if (status != STATUS_OK)
        return status;
    status = policy_parse(*text, size, policy, error);
    if (status == STATUS_OK)
        status = policy_check_listener(policy, listener_minimum(cli), error);
    if (status != STATUS_OK)
        status_prefix(error, "%s: ", path);
    return status;
}

static enum status check(struct cli *cli, struct error *error) {
    const char *path = cli->options.positional[0];
    char *text = NULL, value[POLICY_VALUE_MAX];
    struct policy policy;
    json_t *values = json_object(), *result = NULL;
    enum status status = read_policy(cli, path, &text, &policy, error);
    if (status != STATUS_OK)
        goto out;
    if (!cli->json)
        printf("%s: a good policy, \"%s\"\n", path, policy.name);
    for (size_t i = 0; i < policy_fields_count; i++) {
        const struct policy_field *field = &policy_fields[i];
        policy_value(&policy, field, value);
        if (!cli->json && field->kind != POLICY_KIND_NAME)
            printf("  %-20s %s\n", field->path, strcmp(value, "-") ? value : field->without);
        json_object_set_new(values, field->path, json_string(value));
    }
    if (cli->json) {
        result = json_pack("{s:s,s:O}", "name", policy.name, "values", values);
        status = output_facts(cli, result, fields, FIELDS, error);
    } else {
        status = output_done(error);
    }
out:
    json_decref(result);
    json_decref(values);
    free(text);
    return status;
}

static enum status set(struct cli *cli, struct error *error) {
    static const struct output_field done[] = {
        {"policy", "name", OUTPUT_TEXT},
        {"fields changed", "fields", OUTPUT_NUMBER},
    };
    char *text = NULL;
    struct policy policy;
    json_t *result = NULL;
    enum status status = read_policy(cli, cli->options.positional[0], &text, &policy, error);
    if (status == STATUS_OK)
        status = connection_once(cli, json_pack("{s:s,s:s}", "command", "policy.set", "text", text),
                                 &result, error);
    if (status == STATUS_OK)
        status = output_facts(cli, result, done, sizeof done / sizeof done[0], error);
    json_decref(result);
    free(text);
    return status;
}

static enum status list(struct cli *cli, struct error *error) {
    json_t *result = NULL;
    enum status status =
        connection_once(cli, json_pack("{s:s}", "command", "policy.list"), &result, error);
    if (status == STATUS_OK)
        status = output_table(cli, result, "policies", fields, FIELDS, "no policies", error);
    json_decref(result);
    return status;
}

static enum status show(struct cli *cli, struct error *error) {
    json_t *result = NULL;
    enum status status = connection_once(
        cli, json_pack("{s:s,s:s}", "command", "policy.show", "policy", cli->options.positional[0]),
        &result, error);
    if (status == STATUS_OK && cli->json) {
        status = output_facts(cli, result, fields, FIELDS, error);
    } else if (status == STATUS_OK) {
        /* As it was given, comments and all: what is printed can be changed and set again. It has
         * no control characters: the parser took none. */
        const char *text = json_string_value(json_object_get(result, "text"));
        fputs(text ? text : "", stdout);
        status = output_done(error);
    }
    json_decref(result);
    return status;
}

static enum status remove_policy(struct cli *cli, struct error *error) {
    static const struct output_field done[] = {{"removed", "removed", OUTPUT_TEXT}};
    json_t *result = NULL;
    enum status status = connection_once(
        cli,
        json_pack("{s:s,s:s}", "command", "policy.remove", "policy", cli->options.positional[0]),
        &result, error);
    if (status == STATUS_OK)
        status = output_facts(cli, result, done, 1, error);
    json_decref(result);
    return status;
}

static enum status give(struct cli *cli, struct error *error) {
    static const struct output_field done[] = {
        {"tenant", "tenant", OUTPUT_TEXT},
        {"policy", "policy", OUTPUT_TEXT},
        {"before", "before", OUTPUT_TEXT},
    };
    json_t *result = NULL;
    enum status status =
        connection_once(cli,
                        json_pack("{s:s,s:s,s:s}", "command", "tenant.set-policy", "tenant",
                                  cli->options.positional[0], "policy", cli->options.positional[1]),
                        &result, error);
    if (status == STATUS_OK)
        status = output_facts(cli, result, done, sizeof done / sizeof done[0], error);
    json_decref(result);
    return status;
}

const struct cli_command policy_commands[COMMANDS_POLICY] = {
    {.name = "tenant set-policy",
     .positional = "NAME POLICY",
     .least = 2,
     .most = 2,
     .summary = "give a tenant another policy, from the next request on",
     .run = give},
    {.name = "policy list",
     .positional = "",
     .summary = "all policies, and how many tenants have each",
     .run = list},
    {.name = "policy show",
     .positional = "NAME",
     .least = 1,
     .most = 1,
     .summary = "a policy as it was given; with --json its values too",
     .run = show},
    {.name = "policy check",
     .positional = "FILE",
     .least = 1,
     .most = 1,
     .summary = "check a policy without storing it",
     .help = "An error names line and column. Every field is described in docs/POLICIES.md; what\n"
             "this version does not enforce is an error too.",
     .run = check},
    {.name = "policy set",
     .positional = "FILE",
     .least = 1,
     .most = 1,
     .summary = "store a policy, or replace the one of its name",
     .help = "It holds for every tenant that has it, from the next request on. The audit log gets\n"
             "each field that changes, with its old and new value.",
     .run = set},
    {.name = "policy remove",
     .positional = "NAME",
     .least = 1,
     .most = 1,
     .summary = "remove a policy that no tenant has",
     .destroys = "the policy's text",
     .run = remove_policy},
};
