#include "tenancy/command.h"

#include <stdlib.h>
#include <string.h>

#include "tenancy/arguments.h"
#include "tenancy/handlers.h"
#include "tenancy/permission.h"

#define ARGUMENTS_MAX 7

struct command {
    const char *name;
    handlers_function *handler;
    const char *arguments[ARGUMENTS_MAX + 1]; /* that it knows, NULL after the last */
};

static const struct command commands[] = {
    {"tenant.create", handlers_tenant_create, {"name", "uid", "recipient", "wrapped", "policy"}},
    {"tenant.list", handlers_tenant_list, {NULL}},
    {"tenant.show", handlers_tenant_show, {"tenant"}},
    {"tenant.disable", handlers_tenant_disable, {"tenant"}},
    {"tenant.enable", handlers_tenant_enable, {"tenant"}},
    {"tenant.delete", handlers_tenant_delete, {"tenant"}},
    {"tenant.set-policy", handlers_tenant_set_policy, {"tenant", "policy"}},
    {"policy.list", handlers_policy_list, {NULL}},
    {"policy.show", handlers_policy_show, {"policy"}},
    {"policy.set", handlers_policy_set, {"text"}},
    {"policy.remove", handlers_policy_remove, {"policy"}},
    {"key.create",
     handlers_key_create,
     {"tenant", "id", "hash", "scopes", "label", "expires", "certificate"}},
    {"key.list", handlers_key_list, {"tenant"}},
    {"key.revoke", handlers_key_revoke, {"id"}},
    {"model.list", handlers_model_list, {"tenant"}},
    {"model.show", handlers_model_show, {"tenant", "model", "version"}},
    {"model.remove", handlers_model_remove, {"tenant", "model", "version"}},
    {"audit.list", handlers_audit_list, {"tenant", "limit", "before"}},
    {"usage.list", handlers_usage_list, {"tenant", "first", "last"}},
    {"operator.create", handlers_operator_create, {"id", "hash", "scopes", "label", "expires"}},
    {"operator.list", handlers_operator_list, {NULL}},
    {"operator.revoke", handlers_operator_revoke, {"id"}},
    {"client-key.rotate", handlers_client_key_rotate, {NULL}},
    {"status", handlers_status, {NULL}},
};

static const struct command *find(const char *name) {
    for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++)
        if (strcmp(commands[i].name, name) == 0)
            return &commands[i];
    return NULL;
}

static bool knows(const struct command *command, const char *argument) {
    for (size_t i = 0; command->arguments[i]; i++)
        if (strcmp(command->arguments[i], argument) == 0)
            return true;
    return strcmp(argument, "command") == 0;
}

enum status tenancy_execute(struct tenancy *tenancy, const json_t *request, json_t **response,
                            struct error *error) {
    const char *name = NULL, *argument;
    json_t *value;
    if (!json_is_object(request))
        return status_fail(error, STATUS_INVALID, "the request must be a JSON object");
    enum status status = arguments_text(request, "command", &name, error);
    if (status != STATUS_OK)
        return status;
    const struct command *command = find(name);
    if (!command)
        return status_fail(error, STATUS_INVALID, "command: \"%.64s\" is not known", name);
    json_object_foreach((json_t *)request, argument, value) {
        if (!knows(command, argument))
            return status_fail(error, STATUS_INVALID,
                               "%s: \"%.64s\" is no argument of this command", name, argument);
    }
    if (tenancy->by && (status = permission_check(tenancy->by->scopes, name, error)) != STATUS_OK)
        return status;
    return command->handler(tenancy, request, response, error);
}

/* Dump an envelope with its newline; takes the reference. */
static char *dump_line(json_t *envelope, size_t *length) {
    char *text = envelope ? json_dumps(envelope, JSON_COMPACT) : NULL;
    json_decref(envelope);
    if (!text)
        return NULL;
    size_t size = strlen(text);
    char *line = realloc(text, size + 2);
    if (!line) {
        free(text);
        return NULL;
    }
    line[size] = '\n';
    line[size + 1] = '\0';
    *length = size + 1;
    return line;
}

/* A message may quote a text that was cut inside a character, and Jansson takes only UTF-8: what is
 * not ASCII in it then becomes '?'. */
static json_t *message_of(const struct error *error) {
    json_t *message = json_string(error->message);
    if (message)
        return message;
    char plain[ERROR_MESSAGE_MAX];
    size_t size = strnlen(error->message, sizeof plain - 1);
    for (size_t i = 0; i < size; i++)
        plain[i] = (unsigned char)error->message[i] < 0x80 ? error->message[i] : '?';
    plain[size] = '\0';
    return json_string(plain);
}

static char *refusal(const struct error *error, size_t *length) {
    return dump_line(json_pack("{s:b,s:s,s:o}", "ok", 0, "status", status_name(error->status),
                               "error", message_of(error)),
                     length);
}

char *tenancy_answer(struct tenancy *tenancy, const char *line, size_t length,
                     size_t *answer_length) {
    struct error error = {.status = STATUS_INTERNAL};
    json_error_t where;
    json_t *result = NULL;
    json_t *request = json_loadb(line, length, JSON_REJECT_DUPLICATES, &where);
    if (!request) {
        status_fail(&error, STATUS_INVALID, "the request is not JSON: %s", where.text);
        return refusal(&error, answer_length);
    }
    enum status status = tenancy_execute(tenancy, request, &result, &error);
    json_decref(request);
    if (status != STATUS_OK) {
        error.status = status;
        return refusal(&error, answer_length);
    }
    char *answer = dump_line(json_pack("{s:b,s:o}", "ok", 1, "result", result), answer_length);
    if (answer && *answer_length > TENANCY_RESPONSE_MAX) {
        free(answer);
        status_fail(&error, STATUS_TOO_LARGE, "the answer is too long: ask for less");
        return refusal(&error, answer_length);
    }
    return answer;
}

static enum status status_of_name(const char *name) {
    for (int i = STATUS_OK + 1; i < STATUS_COUNT; i++)
        if (strcmp(status_name((enum status)i), name) == 0)
            return (enum status)i;
    return STATUS_INTERNAL;
}

enum status tenancy_read_answer(const char *line, size_t length, json_t **result,
                                struct error *error) {
    json_t *answer = json_loadb(line, length, JSON_REJECT_DUPLICATES, NULL);
    const json_t *ok = json_object_get(answer, "ok");
    json_t *found = json_object_get(answer, "result");
    const char *name = json_string_value(json_object_get(answer, "status"));
    const char *message = json_string_value(json_object_get(answer, "error"));
    enum status status;
    if (json_is_true(ok) && found) {
        *result = json_incref(found);
        status = STATUS_OK;
    } else if (json_is_false(ok) && name && message) {
        status = status_fail(error, status_of_name(name), "%s", message);
    } else {
        status = status_fail(error, STATUS_INTERNAL, "the server's answer is not understood");
    }
    json_decref(answer);
    return status;
}
