#include "tenancy/handlers.h"

#include <inttypes.h>
#include <stdio.h>

#include "crypto/random.h"

struct audit_record handlers_record(struct tenancy *tenancy, const char *action,
                                    const char *tenant_uid, const char *target) {
    struct audit_record record = {
        .time = tenancy->hooks->now(tenancy->context),
        .tenant = tenant_uid,
        .key = "operator",
        .action = action,
        .target = target,
        .outcome = "ok",
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

enum status handlers_tenant_names(struct tenancy *tenancy, json_t **names, struct error *error) {
    json_t *made = json_object();
    if (!made)
        return handlers_no_memory(NULL, error);
    enum status status = store_tenant_list(tenancy->store, add_name, made, error);
    if (status == STATUS_OK)
        *names = made;
    else
        json_decref(made);
    return status;
}

const char *handlers_tenant_name(const json_t *names, int64_t id) {
    char text[24];
    format_id(text, id);
    const char *name = json_string_value(json_object_get(names, text));
    return name ? name : "";
}
