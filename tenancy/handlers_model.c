#include <stdio.h>

#include "crypto/encoding.h"
#include "tenancy/arguments.h"
#include "tenancy/handlers.h"

static json_t *describe(const struct store_model *model, const char *tenant_name) {
    char commitment[ENCODING_HEX_SIZE(STORE_COMMITMENT_SIZE)] = "";
    if (model->has_commitment)
        encoding_hex(model->commitment, sizeof model->commitment, commitment);
    return json_pack("{s:s,s:s,s:s,s:s,s:I,s:I,s:I,s:I,s:s}", "tenant", tenant_name, "name",
                     model->name, "version", model->version, "state",
                     store_model_state_name(model->state), "id", (json_int_t)model->id,
                     "header_bytes", (json_int_t)model->header_size, "payload_bytes",
                     (json_int_t)model->payload_size, "created", (json_int_t)model->created,
                     "commitment", commitment);
}

static enum status add_row(void *context, const struct store_model *model, struct error *error) {
    struct handlers_listing *listing = context;
    const char *tenant = handlers_listing_tenant(listing, model->tenant);
    return handlers_listing_add(listing, describe(model, tenant), error);
}

enum status handlers_model_list(struct tenancy *tenancy, const json_t *request, json_t **response,
                                struct error *error) {
    struct handlers_listing listing;
    enum status status = handlers_listing_open(tenancy, request, &listing, error);
    if (status != STATUS_OK)
        return status;
    status = store_model_list(tenancy->store, listing.tenant, add_row, &listing, error);
    return handlers_listing_close(&listing, "models", status, response, error);
}

/* `version` NULL means the latest. */
static enum status find_model(struct tenancy *tenancy, const json_t *request, const char *version,
                              struct store_tenant *tenant, struct store_model *model,
                              struct error *error) {
    const char *tenant_name = NULL, *name = NULL;
    enum status status = arguments_text(request, "tenant", &tenant_name, error);
    if (status == STATUS_OK)
        status = arguments_text(request, "model", &name, error);
    if (status == STATUS_OK)
        status = store_tenant_find(tenancy->store, tenant_name, tenant, error);
    if (status == STATUS_OK)
        status = store_model_find(tenancy->store, tenant->id, name, version, model, error);
    return status;
}

enum status handlers_model_show(struct tenancy *tenancy, const json_t *request, json_t **response,
                                struct error *error) {
    const char *version = NULL;
    struct store_tenant tenant;
    struct store_model model;
    enum status status = arguments_optional_text(request, "version", &version, error);
    if (status == STATUS_OK)
        status = find_model(tenancy, request, version, &tenant, &model, error);
    if (status != STATUS_OK)
        return status;
    return handlers_respond(describe(&model, tenant.name), response, error);
}

enum status handlers_model_remove(struct tenancy *tenancy, const json_t *request, json_t **response,
                                  struct error *error) {
    const char *version = NULL;
    struct store_tenant tenant;
    struct store_model model;
    char target[STORE_MODEL_NAME_MAX + 1];
    enum status status = arguments_text(request, "version", &version, error);
    if (status == STATUS_OK)
        status = find_model(tenancy, request, version, &tenant, &model, error);
    if (status != STATUS_OK)
        return status;
    snprintf(target, sizeof target, "%s/%s", model.name, model.version);
    struct audit_record record = handlers_record(tenancy, "model.remove", tenant.uid, target);
    json_t *made = describe(&model, tenant.name);
    if (!made)
        return handlers_no_memory(NULL, error);
    status = store_model_delete(tenancy->store, model.id, &record, error);
    if (status != STATUS_OK) {
        json_decref(made);
        return status;
    }
    handlers_tell(tenancy, &(struct tenancy_change){.event = TENANCY_MODEL_REMOVED,
                                                    .tenant = tenant.id,
                                                    .tenant_uid = tenant.uid,
                                                    .model = model.id});
    tenancy->hooks->remove_payload(tenancy->context, model.id);
    *response = made;
    return STATUS_OK;
}
