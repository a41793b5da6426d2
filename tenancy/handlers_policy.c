#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/name.h"
#include "tenancy/arguments.h"
#include "tenancy/handlers.h"
#include "tenancy/policy.h"

/* A change writes one record for each field, and one for each network that came or went. */
#define RECORDS_MAX (32 + 2 * POLICY_NETWORKS_MAX)
#define TARGET_MAX (AUDIT_RECORD_TARGET_MAX + 1)

static json_t *values_of(const struct policy *policy) {
    json_t *values = json_object(), *networks = json_array();
    char text[POLICY_VALUE_MAX], network[NETWORK_TEXT_MAX];
    bool good = values && networks;
    for (size_t i = 0; good && i < policy->network_count; i++) {
        network_format(&policy->networks[i], network);
        good = json_array_append_new(networks, json_string(network)) == 0;
    }
    for (size_t i = 0; good && i < policy_fields_count; i++) {
        const struct policy_field *field = &policy_fields[i];
        policy_value(policy, field, text);
        good = handlers_put(values, field->path,
                            field->kind == POLICY_KIND_NETWORKS ? json_incref(networks)
                                                                : json_string(text));
    }
    json_decref(networks);
    if (good)
        return values;
    json_decref(values);
    return NULL;
}

struct listing {
    json_t *rows, *tenants; /* how many tenants have each */
};

static enum status count_tenant(void *context, const struct store_tenant *tenant,
                                struct error *error) {
    const json_int_t before = json_integer_value(json_object_get(context, tenant->policy));
    if (!handlers_put(context, tenant->policy, json_integer(before + 1)))
        return handlers_no_memory(NULL, error);
    return STATUS_OK;
}

static json_t *describe(const struct store_policy *policy, const json_t *tenants) {
    return json_pack("{s:s,s:I,s:I}", "name", policy->name, "tenants",
                     json_integer_value(json_object_get(tenants, policy->name)), "changed",
                     (json_int_t)policy->changed);
}

static enum status add_row(void *context, const struct store_policy *policy, struct error *error) {
    const struct listing *listing = context;
    if (json_array_append_new(listing->rows, describe(policy, listing->tenants)) != 0)
        return handlers_no_memory(NULL, error);
    return STATUS_OK;
}

enum status handlers_policy_list(struct tenancy *tenancy, const json_t *request, json_t **response,
                                 struct error *error) {
    struct listing listing = {.rows = json_array(), .tenants = json_object()};
    enum status status =
        listing.rows && listing.tenants ? STATUS_OK : handlers_no_memory(NULL, error);
    (void)request;
    if (status == STATUS_OK)
        status = store_tenant_list(tenancy->store, count_tenant, listing.tenants, error);
    if (status == STATUS_OK)
        status = store_policy_list(tenancy->store, add_row, &listing, error);
    if (status == STATUS_OK)
        status = handlers_respond(json_pack("{s:O}", "policies", listing.rows), response, error);
    json_decref(listing.rows);
    json_decref(listing.tenants);
    return status;
}

enum status handlers_policy_show(struct tenancy *tenancy, const json_t *request, json_t **response,
                                 struct error *error) {
    const char *name = NULL;
    struct store_policy row;
    struct policy policy;
    json_t *tenants = json_object();
    enum status status = tenants ? STATUS_OK : handlers_no_memory(NULL, error);
    if (status == STATUS_OK)
        status = arguments_text(request, "policy", &name, error);
    if (status == STATUS_OK)
        status = store_policy_find(tenancy->store, name, &row, error);
    if (status == STATUS_OK)
        status = handlers_policy_read(&row, &policy, error);
    if (status == STATUS_OK)
        status = store_tenant_list(tenancy->store, count_tenant, tenants, error);
    if (status == STATUS_OK) {
        json_t *made = describe(&row, tenants);
        if (made && (!handlers_put(made, "values", values_of(&policy)) ||
                     !handlers_put(made, "text", json_string(row.text))))
            status = handlers_no_memory(made, error);
        else
            status = handlers_respond(made, response, error);
    }
    json_decref(tenants);
    return status;
}

enum status handlers_policy_read(const struct store_policy *row, struct policy *policy,
                                 struct error *error) {
    struct error why = {0};
    /* It was checked when it was stored: by a version that enforced what this one does not. */
    if (policy_parse(row->text, strlen(row->text), policy, &why) != STATUS_OK)
        return status_fail(error, STATUS_INTERNAL, "the stored policy \"%s\" is not understood: %s",
                           row->name, why.message);
    return STATUS_OK;
}

struct change {
    struct audit_record records[RECORDS_MAX];
    char targets[RECORDS_MAX][TARGET_MAX];
    size_t count;
};

static void note(struct tenancy *tenancy, struct change *change, const char *format, ...)
    PRINTF_LIKE(3, 4);
static void note(struct tenancy *tenancy, struct change *change, const char *format, ...) {
    va_list args;
    if (change->count == RECORDS_MAX)
        return; /* the table of fields is shorter than that by far */
    char *target = change->targets[change->count];
    va_start(args, format);
    vsnprintf(target, TARGET_MAX, format, args);
    va_end(args);
    change->records[change->count++] = handlers_record(tenancy, "policy.set", "", target);
}

static bool has_network(const struct policy *policy, const struct network *network) {
    for (size_t i = 0; i < policy->network_count; i++)
        if (network_equal(&policy->networks[i], network))
            return true;
    return false;
}

static void note_networks(struct tenancy *tenancy, struct change *change, const struct policy *in,
                          const struct policy *not_in, const char *what) {
    char text[NETWORK_TEXT_MAX];
    for (size_t i = 0; i < in->network_count; i++) {
        if (has_network(not_in, &in->networks[i]))
            continue;
        network_format(&in->networks[i], text);
        note(tenancy, change, "%s networks: %s %s", in->name[0] ? in->name : not_in->name, what,
             text);
    }
}

/* The policy's name, then each field that changes with its old and new value. */
static void note_change(struct tenancy *tenancy, struct change *change, const struct policy *old,
                        const struct policy *new) {
    char before[POLICY_VALUE_MAX], after[POLICY_VALUE_MAX];
    note(tenancy, change, "%s", new->name);
    for (size_t i = 0; i < policy_fields_count; i++) {
        const struct policy_field *field = &policy_fields[i];
        if (field->kind == POLICY_KIND_NAME)
            continue;
        if (field->kind == POLICY_KIND_NETWORKS) {
            note_networks(tenancy, change, old, new, "removed");
            note_networks(tenancy, change, new, old, "added");
            continue;
        }
        policy_value(old, field, before);
        policy_value(new, field, after);
        if (strcmp(before, after) != 0)
            note(tenancy, change, "%s %s: %s -> %s", new->name, field->path, before, after);
    }
}

/* What is there under that name; without one, what no field at all gives. */
static enum status read_old(struct tenancy *tenancy, const char *name, struct policy *old,
                            struct error *error) {
    struct store_policy row;
    struct error ignored;
    enum status status = store_policy_find(tenancy->store, name, &row, error);
    *old = policy_of_nothing();
    if (status == STATUS_NOT_FOUND)
        return STATUS_OK;
    if (status != STATUS_OK)
        return status;
    /* One that this version does not understand may be replaced all the same. */
    if (handlers_policy_read(&row, old, &ignored) != STATUS_OK)
        *old = policy_of_nothing();
    return STATUS_OK;
}

enum status handlers_policy_set(struct tenancy *tenancy, const json_t *request, json_t **response,
                                struct error *error) {
    struct store_policy row = {.changed = tenancy->hooks->now(tenancy->context)};
    struct policy policy, old;
    struct change *change = NULL;
    enum status status = arguments_copy(request, "text", row.text, sizeof row.text, error);
    if (status == STATUS_OK)
        status = policy_parse(row.text, strlen(row.text), &policy, error);
    if (status == STATUS_OK)
        status = policy_check_listener(&policy, tenancy->tls_minimum, error);
    if (status == STATUS_OK)
        status = read_old(tenancy, policy.name, &old, error);
    if (status == STATUS_OK && !(change = calloc(1, sizeof *change)))
        status = handlers_no_memory(NULL, error);
    if (status != STATUS_OK)
        return status;
    memcpy(row.name, policy.name, sizeof row.name);
    note_change(tenancy, change, &old, &policy);
    status = store_policy_set(tenancy->store, &row, change->records, change->count, error);
    if (status == STATUS_OK) {
        handlers_tell(tenancy,
                      &(struct tenancy_change){.event = TENANCY_POLICY_CHANGED, .tenant_uid = ""});
        json_t *made = json_pack("{s:s,s:I,s:I}", "name", row.name, "changed",
                                 (json_int_t)row.changed, "fields", (json_int_t)change->count - 1);
        if (made && !handlers_put(made, "values", values_of(&policy)))
            status = handlers_no_memory(made, error);
        else
            status = handlers_respond(made, response, error);
    }
    free(change);
    return status;
}

enum status handlers_policy_remove(struct tenancy *tenancy, const json_t *request,
                                   json_t **response, struct error *error) {
    const char *name = NULL;
    enum status status = arguments_text(request, "policy", &name, error);
    if (status == STATUS_OK && !name_valid(name, strlen(name)))
        status = status_fail(error, STATUS_NOT_FOUND, "there is no such policy");
    if (status != STATUS_OK)
        return status;
    struct audit_record record = handlers_record(tenancy, "policy.remove", "", name);
    status = store_policy_delete(tenancy->store, name, &record, error);
    if (status != STATUS_OK)
        return status;
    handlers_tell(tenancy,
                  &(struct tenancy_change){.event = TENANCY_POLICY_CHANGED, .tenant_uid = ""});
    return handlers_respond(json_pack("{s:s}", "removed", name), response, error);
}

enum status handlers_tenant_set_policy(struct tenancy *tenancy, const json_t *request,
                                       json_t **response, struct error *error) {
    struct store_tenant tenant;
    char policy[NAME_MAX_LENGTH + 1], target[TARGET_MAX];
    enum status status = handlers_tenant_named(tenancy, request, &tenant, error);
    if (status == STATUS_OK)
        status = arguments_copy(request, "policy", policy, sizeof policy, error);
    if (status != STATUS_OK)
        return status;
    snprintf(target, sizeof target, "%s: %s -> %s", tenant.name, tenant.policy, policy);
    struct audit_record record = handlers_record(tenancy, "tenant.set-policy", tenant.uid, target);
    status = store_tenant_set_policy(tenancy->store, tenant.id, policy, &record, error);
    if (status != STATUS_OK)
        return status;
    handlers_tell(tenancy, &(struct tenancy_change){.event = TENANCY_POLICY_CHANGED,
                                                    .tenant = tenant.id,
                                                    .tenant_uid = tenant.uid});
    return handlers_respond(json_pack("{s:s,s:s,s:s}", "tenant", tenant.name, "before",
                                      tenant.policy, "policy", policy),
                            response, error);
}

enum status handlers_policy_scopes(struct tenancy *tenancy, const struct store_tenant *tenant,
                                   uint32_t scopes, struct error *error) {
    struct store_policy row;
    struct policy policy;
    enum status status = store_policy_find(tenancy->store, tenant->policy, &row, error);
    if (status == STATUS_OK)
        status = handlers_policy_read(&row, &policy, error);
    if (status != STATUS_OK)
        return status;
    const uint32_t outside = scopes & ~(uint32_t)policy.scopes;
    if (!outside)
        return STATUS_OK;
    char names[SCOPE_TEXT_MAX];
    scope_format(outside, names);
    return status_fail(error, STATUS_FORBIDDEN,
                       "scopes: the tenant's policy \"%s\" does not allow %s", tenant->policy,
                       names);
}
