#include <string.h>

#include "base/name.h"
#include "crypto/encoding.h"
#include "crypto/random.h"
#include "crypto/secret.h"
#include "tenancy/arguments.h"
#include "tenancy/handlers.h"

#define AUDIT_LIMIT_DEFAULT 50

/* A record as it is stored, with its leaf beside it for who wants to check a proof. */
static enum status add_record(void *context, const struct store_audit_row *row,
                              struct error *error) {
    char leaf[ENCODING_HEX_SIZE(AUDIT_RECORD_LEAF_SIZE)];
    json_t *record = json_loadb((const char *)row->record, row->size, 0, NULL);
    if (!record)
        return status_fail(error, STATUS_INTERNAL, "audit record %llu is damaged",
                           (unsigned long long)row->seq);
    encoding_hex(row->leaf, AUDIT_RECORD_LEAF_SIZE, leaf);
    json_t *both = json_pack("{s:o,s:s}", "record", record, "leaf", leaf);
    if (json_array_append_new(context, both) != 0)
        return handlers_no_memory(NULL, error);
    return STATUS_OK;
}

/* The uid whose records are asked for: of the tenant of that name, or that uid itself, since the
 * records of a tenant that was deleted stay. */
static enum status find_uid(struct tenancy *tenancy, const char *name,
                            char uid[STORE_UID_LENGTH + 1], struct error *error) {
    struct store_tenant tenant;
    uint64_t records = 0;
    enum status status = store_tenant_find(tenancy->store, name, &tenant, error);
    if (status == STATUS_OK) {
        memcpy(uid, tenant.uid, sizeof tenant.uid);
        return STATUS_OK;
    }
    if (status != STATUS_NOT_FOUND || !name_is_uid(name))
        return status;
    status = store_audit_count(tenancy->store, name, &records, error);
    if (status == STATUS_OK && records == 0)
        status = status_fail(error, STATUS_NOT_FOUND, "there are no records of the uid %s", name);
    if (status == STATUS_OK)
        memcpy(uid, name, STORE_UID_LENGTH + 1);
    return status;
}

enum status handlers_audit_list(struct tenancy *tenancy, const json_t *request, json_t **response,
                                struct error *error) {
    const char *name = NULL;
    char uid[STORE_UID_LENGTH + 1];
    int64_t limit = 0, before = 0;
    uint64_t size = 0;
    json_t *rows = json_array();
    if (!rows)
        return handlers_no_memory(NULL, error);
    enum status status = arguments_optional_text(request, "tenant", &name, error);
    if (status == STATUS_OK)
        status = arguments_optional_integer(request, "limit", 1, TENANCY_AUDIT_LIMIT_MAX,
                                            AUDIT_LIMIT_DEFAULT, &limit, error);
    if (status == STATUS_OK)
        status = arguments_optional_integer(request, "before", 0, AUDIT_RECORD_INTEGER_MAX,
                                            AUDIT_RECORD_INTEGER_MAX, &before, error);
    if (status == STATUS_OK && name)
        status = find_uid(tenancy, name, uid, error);
    if (status == STATUS_OK)
        status = store_audit_size(tenancy->store, &size, error);
    if (status == STATUS_OK)
        status = store_audit_list(tenancy->store, name ? uid : NULL, (uint64_t)before,
                                  (size_t)limit, add_record, rows, error);
    if (status == STATUS_OK)
        status = handlers_respond(json_pack("{s:O,s:I}", "records", rows, "size", (json_int_t)size),
                                  response, error);
    json_decref(rows);
    return status;
}

struct counts {
    json_int_t tenants, keys, models;
};

static enum status count_tenant(void *context, const struct store_tenant *row,
                                struct error *error) {
    (void)row, (void)error;
    ((struct counts *)context)->tenants++;
    return STATUS_OK;
}

static enum status count_key(void *context, const struct store_key *row, struct error *error) {
    (void)row, (void)error;
    ((struct counts *)context)->keys++;
    return STATUS_OK;
}

static enum status count_model(void *context, const struct store_model *row, struct error *error) {
    (void)row, (void)error;
    ((struct counts *)context)->models++;
    return STATUS_OK;
}

enum status handlers_status(struct tenancy *tenancy, const json_t *request, json_t **response,
                            struct error *error) {
    (void)request;
    struct store_meta meta;
    struct counts counts = {0};
    int version = 0;
    uint64_t records = 0;
    enum status status = store_meta(tenancy->store, &meta, error);
    if (status == STATUS_OK)
        status = store_version(tenancy->store, &version, error);
    if (status == STATUS_OK)
        status = store_tenant_list(tenancy->store, count_tenant, &counts, error);
    if (status == STATUS_OK)
        status = store_key_list(tenancy->store, 0, count_key, &counts, error);
    if (status == STATUS_OK)
        status = store_model_list(tenancy->store, 0, count_model, &counts, error);
    if (status == STATUS_OK)
        status = store_audit_size(tenancy->store, &records, error);
    if (status != STATUS_OK)
        return status;
    json_t *made =
        json_pack("{s:s,s:I,s:s,s:s,s:i,s:i,s:I,s:I,s:I,s:I,s:b}", "store", meta.uid, "created",
                  (json_int_t)meta.created, "root_recipient", meta.recipient, "verifier",
                  meta.verifier, "store_version", version, "store_version_known",
                  store_version_known(), "tenants", counts.tenants, "keys", counts.keys, "models",
                  counts.models, "records", (json_int_t)records, "recording", !tenancy->unrecorded);
    return handlers_respond(made, response, error);
}

/* Hashes of before stay in the log and say nothing any more: who has the store cannot try addresses
 * against them, and what one address did before cannot be joined to what it does from now on. */
enum status handlers_client_key_rotate(struct tenancy *tenancy, const json_t *request,
                                       json_t **response, struct error *error) {
    uint8_t fresh[STORE_SECRET_SIZE];
    (void)request;
    random_bytes(fresh, sizeof fresh);
    struct audit_record record = handlers_record(tenancy, "client-key.rotate", "", "");
    enum status status =
        store_secret_replace(tenancy->store, TENANCY_CLIENT_KEY, fresh, &record, error);
    if (status == STATUS_OK) {
        handlers_tell(tenancy, &(struct tenancy_change){.event = TENANCY_CLIENT_KEY_CHANGED,
                                                        .secret = fresh});
        status = handlers_respond(json_pack("{s:I}", "rotated", (json_int_t)record.time), response,
                                  error);
    }
    secret_wipe(fresh, sizeof fresh);
    return status;
}
