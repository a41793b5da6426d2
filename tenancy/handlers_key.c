#include <stdio.h>
#include <string.h>

#include "base/name.h"
#include "crypto/apikey.h"
#include "crypto/encoding.h"
#include "tenancy/arguments.h"
#include "tenancy/handlers.h"

json_t *handlers_key_json(const struct store_key *key, const char *tenant_name) {
    char scopes[SCOPE_TEXT_MAX];
    char certificate[ENCODING_HEX_SIZE(STORE_CERTIFICATE_SIZE)] = "";
    scope_format(key->scopes, scopes);
    if (key->has_certificate)
        encoding_hex(key->certificate, sizeof key->certificate, certificate);
    return json_pack("{s:s,s:s*,s:s*,s:s,s:s,s:I,s:I,s:I,s:s*}", "id", key->id, "certificate",
                     tenant_name ? certificate : NULL, "tenant", tenant_name, "label", key->label,
                     "scopes", scopes, "created", (json_int_t)key->created, "expires",
                     (json_int_t)key->expires, "revoked", (json_int_t)key->revoked, "created_by",
                     key->maker[0] ? key->maker : NULL);
}

enum status handlers_key_read(const json_t *request, struct store_key *key, struct error *error) {
    const char *hash = NULL, *label = NULL;
    enum status status = arguments_copy(request, "id", key->id, sizeof key->id, error);
    if (status == STATUS_OK && !apikey_id_valid(key->id, strlen(key->id)))
        status = status_fail(error, STATUS_INVALID, "id: \"%s\" is not a key id", key->id);
    if (status == STATUS_OK)
        status = arguments_text(request, "hash", &hash, error);
    if (status == STATUS_OK && !encoding_unhex(hash, strlen(hash), key->hash, sizeof key->hash))
        status = status_fail(error, STATUS_INVALID, "hash: must be %zu hexadecimal digits",
                             2 * sizeof key->hash);
    if (status == STATUS_OK)
        status = arguments_optional_text(request, "label", &label, error);
    if (status == STATUS_OK && label)
        status = arguments_copy(request, "label", key->label, sizeof key->label, error);
    if (status == STATUS_OK && key->label[0] && !name_valid(key->label, strlen(key->label)))
        status = status_fail(error, STATUS_INVALID,
                             "label: found \"%s\", expected a letter or digit, then up to %d "
                             "letters, digits, \".\", \"_\" or \"-\"",
                             key->label, NAME_MAX_LENGTH - 1);
    if (status == STATUS_OK)
        status = arguments_optional_integer(request, "expires", 0, AUDIT_RECORD_INTEGER_MAX, 0,
                                            &key->expires, error);
    return status;
}

enum status handlers_key_named(struct tenancy *tenancy, const json_t *request, bool of_operator,
                               struct store_key *key, struct error *error) {
    const char *id = NULL;
    enum status status = arguments_text(request, "id", &id, error);
    if (status == STATUS_OK)
        status = store_key_find(tenancy->store, id, key, error);
    if (status == STATUS_OK && (key->tenant == 0) != of_operator)
        status = status_fail(error, STATUS_NOT_FOUND, "no such key");
    return status;
}

/* What a tenant's key has besides. */
static enum status read_new(const json_t *request, struct store_key *key, struct error *error) {
    const char *scopes = NULL, *certificate = NULL;
    enum status status = handlers_key_read(request, key, error);
    if (status == STATUS_OK)
        status = arguments_text(request, "scopes", &scopes, error);
    if (status == STATUS_OK)
        status = scope_parse(scopes, &key->scopes, error);
    if (status == STATUS_OK)
        status = arguments_optional_text(request, "certificate", &certificate, error);
    if (status == STATUS_OK && certificate) {
        key->has_certificate = encoding_unhex(certificate, strlen(certificate), key->certificate,
                                              sizeof key->certificate);
        if (!key->has_certificate)
            status = status_fail(error, STATUS_INVALID,
                                 "certificate: must be %zu hexadecimal digits, the SHA-256 of its "
                                 "DER form",
                                 2 * sizeof key->certificate);
    }
    return status;
}

/* Tell of what was done to the key, and answer with it. */
static enum status done(struct tenancy *tenancy, enum tenancy_event event,
                        const struct store_tenant *tenant, const struct store_key *key,
                        json_t **response, struct error *error) {
    handlers_tell(tenancy, &(struct tenancy_change){.event = event,
                                                    .tenant = tenant->id,
                                                    .tenant_uid = tenant->uid,
                                                    .key = key->id});
    return handlers_respond(handlers_key_json(key, tenant->name), response, error);
}

enum status handlers_key_create(struct tenancy *tenancy, const json_t *request, json_t **response,
                                struct error *error) {
    struct store_key key = {0};
    struct store_tenant tenant;
    const char *name = NULL;
    enum status status = arguments_text(request, "tenant", &name, error);
    if (status == STATUS_OK)
        status = read_new(request, &key, error);
    if (status == STATUS_OK)
        status = store_tenant_find(tenancy->store, name, &tenant, error);
    if (status == STATUS_OK)
        status = handlers_policy_scopes(tenancy, &tenant, key.scopes, error);
    if (status != STATUS_OK)
        return status;
    struct audit_record record = handlers_record(tenancy, "key.create", tenant.uid, key.id);
    key.tenant = tenant.id;
    key.created = record.time;
    snprintf(key.maker, sizeof key.maker, "%s", record.key);
    status = store_key_create(tenancy->store, &key, &record, error);
    if (status != STATUS_OK)
        return status;
    return done(tenancy, TENANCY_KEY_CREATED, &tenant, &key, response, error);
}

static enum status add_row(void *context, const struct store_key *key, struct error *error) {
    struct handlers_listing *listing = context;
    const char *tenant = handlers_listing_tenant(listing, key->tenant);
    return handlers_listing_add(listing, handlers_key_json(key, tenant), error);
}

enum status handlers_key_list(struct tenancy *tenancy, const json_t *request, json_t **response,
                              struct error *error) {
    struct handlers_listing listing;
    enum status status = handlers_listing_open(tenancy, request, &listing, error);
    if (status != STATUS_OK)
        return status;
    status = store_key_list(tenancy->store, listing.tenant, add_row, &listing, error);
    return handlers_listing_close(&listing, "keys", status, response, error);
}

enum status handlers_key_revoke(struct tenancy *tenancy, const json_t *request, json_t **response,
                                struct error *error) {
    struct store_key key;
    struct store_tenant tenant;
    enum status status = handlers_key_named(tenancy, request, false, &key, error);
    if (status == STATUS_OK)
        status = store_tenant_get(tenancy->store, key.tenant, &tenant, error);
    if (status != STATUS_OK)
        return status;
    struct audit_record record = handlers_record(tenancy, "key.revoke", tenant.uid, key.id);
    status = store_key_revoke(tenancy->store, key.id, record.time, &record, error);
    if (status != STATUS_OK)
        return status;
    if (!key.revoked)
        key.revoked = record.time;
    return done(tenancy, TENANCY_KEY_REVOKED, &tenant, &key, response, error);
}
