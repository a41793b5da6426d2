#include "tenancy/handlers.h"

#include <inttypes.h>
#include <stdio.h>

#include "crypto/random.h"
#include "tenancy/arguments.h"

struct audit_record handlers_record(struct tenancy *tenancy, const char *action,
                                    const char *tenant_uid, const char *target) {
    struct audit_record record = {
        .time = tenancy->hooks->now(tenancy->context),
        .tenant = tenant_uid,
        .key = tenancy->by ? tenancy->by->key : "operator",
        .action = action,
        .target = target,
        .outcome = status_name(STATUS_OK),
        .request = "",
        .client = tenancy->client ? tenancy->client : "",
    };
    random_bytes(record.salt, sizeof record.salt);
    return record;
}

void handlers_tell(struct tenancy *tenancy, const struct tenancy_change *change) {
    if (tenancy->hooks->changed)
        tenancy->hooks->changed(tenancy->context, change);
}

bool handlers_put(json_t *object, const char *name, json_t *value) {
    return json_object_set_new(object, name, value) == 0;
}

enum status handlers_no_memory(json_t *object, struct error *error) {
    json_decref(object);
    return status_fail(error, STATUS_UNAVAILABLE, "out of memory");
}

enum status handlers_respond(json_t *made, json_t **response, struct error *error) {
    if (!made)
        return handlers_no_memory(NULL, error);
    *response = made;
    return STATUS_OK;
}

enum status handlers_tenant_named(struct tenancy *tenancy, const json_t *request,
                                  struct store_tenant *tenant, struct error *error) {
    const char *name = NULL;
    enum status status = arguments_text(request, "tenant", &name, error);
    if (status == STATUS_OK)
        status = store_tenant_find(tenancy->store, name, tenant, error);
    return status;
}

static void format_id(char text[24], int64_t id) {
    snprintf(text, 24, "%" PRId64, id);
}

static enum status add_name(void *context, const struct store_tenant *tenant, struct error *error) {
    char id[24];
    format_id(id, tenant->id);
    if (!handlers_put(context, id, json_string(tenant->name)))
        return handlers_no_memory(NULL, error);
    return STATUS_OK;
}

enum status handlers_listing_open(struct tenancy *tenancy, const json_t *request,
                                  struct handlers_listing *listing, struct error *error) {
    const char *name = NULL;
    struct store_tenant tenant = {0};
    struct handlers_listing opened = {.rows = json_array(), .names = json_object()};
    enum status status = opened.rows && opened.names ? STATUS_OK : handlers_no_memory(NULL, error);
    if (status == STATUS_OK)
        status = arguments_optional_text(request, "tenant", &name, error);
    if (status == STATUS_OK && name)
        status = store_tenant_find(tenancy->store, name, &tenant, error);
    if (status == STATUS_OK)
        status = store_tenant_list(tenancy->store, add_name, opened.names, error);
    if (status != STATUS_OK) {
        json_decref(opened.rows);
        json_decref(opened.names);
        return status;
    }
    opened.tenant = tenant.id;
    *listing = opened;
    return STATUS_OK;
}

const char *handlers_listing_tenant(const struct handlers_listing *listing, int64_t id) {
    char text[24];
    format_id(text, id);
    const char *name = json_string_value(json_object_get(listing->names, text));
    return name ? name : "";
}

enum status handlers_listing_add(struct handlers_listing *listing, json_t *row,
                                 struct error *error) {
    return json_array_append_new(listing->rows, row) == 0 ? STATUS_OK
                                                          : handlers_no_memory(NULL, error);
}

enum status handlers_listing_close(struct handlers_listing *listing, const char *name,
                                   enum status status, json_t **response, struct error *error) {
    if (status == STATUS_OK)
        status = handlers_respond(json_pack("{s:O}", name, listing->rows), response, error);
    json_decref(listing->rows);
    json_decref(listing->names);
    return status;
}
