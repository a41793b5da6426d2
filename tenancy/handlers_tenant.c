#include <stdio.h>
#include <string.h>

#include "crypto/age_x25519.h"
#include "crypto/encoding.h"
#include "tenancy/arguments.h"
#include "tenancy/handlers.h"

static json_t *describe(const struct store_tenant *tenant) {
    return json_pack("{s:s,s:s,s:s,s:s,s:s,s:I}", "name", tenant->name, "uid", tenant->uid, "state",
                     store_tenant_state_name(tenant->state), "policy", tenant->policy, "recipient",
                     tenant->recipient, "created", (json_int_t)tenant->created);
}

static enum status read_new(const json_t *request, struct store_tenant *tenant,
                            struct error *error) {
    const char *wrapped = NULL, *policy = NULL;
    struct age_recipient recipient;
    enum status status = arguments_copy(request, "name", tenant->name, sizeof tenant->name, error);
    if (status == STATUS_OK)
        status = arguments_copy(request, "uid", tenant->uid, sizeof tenant->uid, error);
    if (status == STATUS_OK)
        status = arguments_copy(request, "recipient", tenant->recipient, sizeof tenant->recipient,
                                error);
    if (status == STATUS_OK)
        status = age_x25519_recipient_parse(tenant->recipient, strlen(tenant->recipient),
                                            &recipient, error);
    if (status == STATUS_OK)
        status = arguments_text(request, "wrapped", &wrapped, error);
    if (status == STATUS_OK &&
        !encoding_unbase64(wrapped, strlen(wrapped), ENCODING_PADDED, tenant->wrapped,
                           sizeof tenant->wrapped, &tenant->wrapped_size))
        status = status_fail(error, STATUS_INVALID, "wrapped: must be base64 of at most %d bytes",
                             STORE_WRAPPED_MAX);
    if (status == STATUS_OK)
        status = arguments_optional_text(request, "policy", &policy, error);
    memcpy(tenant->policy, STORE_POLICY_DEFAULT, sizeof STORE_POLICY_DEFAULT);
    if (status == STATUS_OK && policy)
        status = arguments_copy(request, "policy", tenant->policy, sizeof tenant->policy, error);
    return status;
}

enum status handlers_tenant_create(struct tenancy *tenancy, const json_t *request,
                                   json_t **response, struct error *error) {
    struct store_tenant tenant = {.state = STORE_TENANT_ENABLED};
    enum status status = read_new(request, &tenant, error);
    if (status == STATUS_OK && !name_valid(tenant.name, strlen(tenant.name)))
        status = status_fail(error, STATUS_INVALID,
                             "name: \"%s\" must be a letter or digit, then up to %d letters, "
                             "digits, \".\", \"_\" or \"-\"",
                             tenant.name, NAME_MAX_LENGTH - 1);
    if (status == STATUS_OK && name_is_uid(tenant.name))
        status = status_fail(error, STATUS_INVALID,
                             "name: \"%s\" is of 32 hexadecimal digits and could be taken for a "
                             "uid: choose another",
                             tenant.name);
    if (status == STATUS_OK)
        status = tenancy->hooks->sign_recipient(tenancy->context, &tenant, tenant.note,
                                                sizeof tenant.note, error);
    if (status != STATUS_OK)
        return status;
    char target[2 * NAME_MAX_LENGTH + 16];
    const bool usual = strcmp(tenant.policy, STORE_POLICY_DEFAULT) == 0;
    snprintf(target, sizeof target, "%s%s%s", tenant.name,
             usual ? "" : " policy=", usual ? "" : tenant.policy);
    struct audit_record record = handlers_record(tenancy, "tenant.create", tenant.uid, target);
    tenant.created = record.time;
    status = store_tenant_create(tenancy->store, &tenant, &record, error);
    if (status != STATUS_OK)
        return status;
    handlers_tell(tenancy, &(struct tenancy_change){.event = TENANCY_TENANT_CREATED,
                                                    .tenant = tenant.id,
                                                    .tenant_uid = tenant.uid});
    json_t *made = describe(&tenant);
    if (made && !handlers_put(made, "note", json_string(tenant.note)))
        return handlers_no_memory(made, error);
    return handlers_respond(made, response, error);
}

static enum status add_row(void *context, const struct store_tenant *tenant, struct error *error) {
    if (json_array_append_new(context, describe(tenant)) != 0)
        return handlers_no_memory(NULL, error);
    return STATUS_OK;
}

enum status handlers_tenant_list(struct tenancy *tenancy, const json_t *request, json_t **response,
                                 struct error *error) {
    (void)request;
    json_t *rows = json_array();
    if (!rows)
        return handlers_no_memory(NULL, error);
    enum status status = store_tenant_list(tenancy->store, add_row, rows, error);
    if (status != STATUS_OK) {
        json_decref(rows);
        return status;
    }
    return handlers_respond(json_pack("{s:o}", "tenants", rows), response, error);
}

struct counts {
    int64_t keys, models;
};

static enum status count_key(void *context, const struct store_key *key, struct error *error) {
    (void)key, (void)error;
    ((struct counts *)context)->keys++;
    return STATUS_OK;
}

static enum status count_model(void *context, const struct store_model *model,
                               struct error *error) {
    (void)model, (void)error;
    ((struct counts *)context)->models++;
    return STATUS_OK;
}

enum status handlers_tenant_show(struct tenancy *tenancy, const json_t *request, json_t **response,
                                 struct error *error) {
    struct store_tenant tenant;
    struct counts counts = {0};
    uint64_t records = 0;
    enum status status = handlers_tenant_named(tenancy, request, &tenant, error);
    if (status == STATUS_OK)
        status = store_key_list(tenancy->store, tenant.id, count_key, &counts, error);
    if (status == STATUS_OK)
        status = store_model_list(tenancy->store, tenant.id, count_model, &counts, error);
    if (status == STATUS_OK)
        status = store_audit_count(tenancy->store, tenant.uid, &records, error);
    if (status != STATUS_OK)
        return status;
    json_t *made = describe(&tenant);
    if (made && (!handlers_put(made, "note", json_string(tenant.note)) ||
                 !handlers_put(made, "keys", json_integer(counts.keys)) ||
                 !handlers_put(made, "models", json_integer(counts.models)) ||
                 !handlers_put(made, "records", json_integer((json_int_t)records))))
        return handlers_no_memory(made, error);
    return handlers_respond(made, response, error);
}

static enum status set_state(struct tenancy *tenancy, const json_t *request,
                             enum store_tenant_state state, const char *action,
                             enum tenancy_event event, json_t **response, struct error *error) {
    struct store_tenant tenant;
    enum status status = handlers_tenant_named(tenancy, request, &tenant, error);
    if (status != STATUS_OK)
        return status;
    struct audit_record record = handlers_record(tenancy, action, tenant.uid, tenant.name);
    status = store_tenant_set_state(tenancy->store, tenant.id, state, &record, error);
    if (status != STATUS_OK)
        return status;
    tenant.state = state;
    handlers_tell(tenancy, &(struct tenancy_change){
                               .event = event, .tenant = tenant.id, .tenant_uid = tenant.uid});
    return handlers_respond(describe(&tenant), response, error);
}

enum status handlers_tenant_disable(struct tenancy *tenancy, const json_t *request,
                                    json_t **response, struct error *error) {
    return set_state(tenancy, request, STORE_TENANT_DISABLED, "tenant.disable",
                     TENANCY_TENANT_DISABLED, response, error);
}

enum status handlers_tenant_enable(struct tenancy *tenancy, const json_t *request,
                                   json_t **response, struct error *error) {
    return set_state(tenancy, request, STORE_TENANT_ENABLED, "tenant.enable",
                     TENANCY_TENANT_ENABLED, response, error);
}

static enum status add_model_id(void *context, const struct store_model *model,
                                struct error *error) {
    if (json_array_append_new(context, json_integer(model->id)) != 0)
        return handlers_no_memory(NULL, error);
    return STATUS_OK;
}

enum status handlers_tenant_delete(struct tenancy *tenancy, const json_t *request,
                                   json_t **response, struct error *error) {
    struct store_tenant tenant;
    enum status status = handlers_tenant_named(tenancy, request, &tenant, error);
    if (status != STATUS_OK)
        return status;
    json_t *models = json_array(), *made = NULL;
    if (!models)
        return handlers_no_memory(NULL, error);
    status = store_model_list(tenancy->store, tenant.id, add_model_id, models, error);
    if (status != STATUS_OK)
        goto out;
    made = json_pack("{s:s,s:s,s:I}", "tenant", tenant.name, "uid", tenant.uid, "models",
                     (json_int_t)json_array_size(models));
    if (!made) {
        status = handlers_no_memory(NULL, error);
        goto out;
    }
    struct audit_record record = handlers_record(tenancy, "tenant.delete", tenant.uid, tenant.name);
    status = store_tenant_delete(tenancy->store, tenant.id, &record, error);
    if (status != STATUS_OK)
        goto out;
    handlers_tell(tenancy, &(struct tenancy_change){.event = TENANCY_TENANT_DELETED,
                                                    .tenant = tenant.id,
                                                    .tenant_uid = tenant.uid});
    for (size_t i = 0; i < json_array_size(models); i++)
        tenancy->hooks->remove_payload(tenancy->context,
                                       json_integer_value(json_array_get(models, i)));
    *response = json_incref(made);
out:
    json_decref(models);
    json_decref(made);
    return status;
}
