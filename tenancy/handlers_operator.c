#include <string.h>

#include "base/name.h"
#include "crypto/apikey.h"
#include "crypto/encoding.h"
#include "tenancy/arguments.h"
#include "tenancy/handlers.h"

static json_t *describe(const struct store_key *key) {
    char scopes[SCOPE_TEXT_MAX];
    scope_format(key->scopes, scopes);
    return json_pack("{s:s,s:s,s:s,s:I,s:I,s:I}", "id", key->id, "label", key->label, "scopes",
                     scopes, "created", (json_int_t)key->created, "expires",
                     (json_int_t)key->expires, "revoked", (json_int_t)key->revoked);
}

static enum status read_scopes(const struct tenancy *tenancy, const json_t *request,
                               uint32_t *scopes, struct error *error) {
    const char *text = NULL;
    uint32_t asked = 0;
    enum status status = arguments_text(request, "scopes", &text, error);
    if (status == STATUS_OK)
        status = scope_parse_operator(text, &asked, error);
    if (status == STATUS_OK && tenancy->by && (asked & ~tenancy->by->scopes)) {
        char more[SCOPE_TEXT_MAX];
        scope_format(asked & ~tenancy->by->scopes, more);
        status = status_fail(error, STATUS_FORBIDDEN,
                             "scopes: an operator key gives only what it has itself, which is not "
                             "%s",
                             more);
    }
    if (status == STATUS_OK)
        *scopes = asked;
    return status;
}

static enum status read_label(const json_t *request, struct store_key *key, struct error *error) {
    const char *label = NULL;
    enum status status = arguments_optional_text(request, "label", &label, error);
    if (status == STATUS_OK && label)
        status = arguments_copy(request, "label", key->label, sizeof key->label, error);
    if (status == STATUS_OK && key->label[0] && !name_valid(key->label, strlen(key->label)))
        status = status_fail(error, STATUS_INVALID,
                             "label: found \"%s\", expected a letter or digit, then up to %d "
                             "letters, digits, \".\", \"_\" or \"-\"",
                             key->label, NAME_MAX_LENGTH - 1);
    return status;
}

static enum status read_new(const struct tenancy *tenancy, const json_t *request,
                            struct store_key *key, struct error *error) {
    const char *hash = NULL;
    enum status status = arguments_copy(request, "id", key->id, sizeof key->id, error);
    if (status == STATUS_OK && !apikey_id_valid(key->id, strlen(key->id)))
        status = status_fail(error, STATUS_INVALID, "id: \"%s\" is not a key id", key->id);
    if (status == STATUS_OK)
        status = arguments_text(request, "hash", &hash, error);
    if (status == STATUS_OK && !encoding_unhex(hash, strlen(hash), key->hash, sizeof key->hash))
        status = status_fail(error, STATUS_INVALID, "hash: must be %zu hexadecimal digits",
                             2 * sizeof key->hash);
    if (status == STATUS_OK)
        status = read_scopes(tenancy, request, &key->scopes, error);
    if (status == STATUS_OK)
        status = read_label(request, key, error);
    if (status == STATUS_OK)
        status = arguments_optional_integer(request, "expires", 0, AUDIT_RECORD_INTEGER_MAX, 0,
                                            &key->expires, error);
    return status;
}

static enum status done(struct tenancy *tenancy, enum tenancy_event event,
                        const struct store_key *key, json_t **response, struct error *error) {
    handlers_tell(tenancy,
                  &(struct tenancy_change){.event = event, .tenant_uid = "", .key = key->id});
    return handlers_respond(describe(key), response, error);
}

enum status handlers_operator_create(struct tenancy *tenancy, const json_t *request,
                                     json_t **response, struct error *error) {
    struct store_key key = {0}, other;
    enum status status = read_new(tenancy, request, &key, error);
    if (status == STATUS_OK)
        status = handlers_id_free(store_key_find(tenancy->store, key.id, &other, error), error);
    if (status != STATUS_OK)
        return status;
    struct audit_record record = handlers_record(tenancy, "operator.create", "", key.id);
    key.created = record.time;
    status = store_operator_key_create(tenancy->store, &key, &record, error);
    if (status != STATUS_OK)
        return status;
    return done(tenancy, TENANCY_OPERATOR_KEY_CREATED, &key, response, error);
}

static enum status add_row(void *context, const struct store_key *key, struct error *error) {
    return json_array_append_new(context, describe(key)) == 0 ? STATUS_OK
                                                              : handlers_no_memory(NULL, error);
}

enum status handlers_operator_list(struct tenancy *tenancy, const json_t *request,
                                   json_t **response, struct error *error) {
    json_t *rows = json_array();
    (void)request;
    if (!rows)
        return handlers_no_memory(NULL, error);
    enum status status = store_operator_key_list(tenancy->store, add_row, rows, error);
    if (status == STATUS_OK)
        status = handlers_respond(json_pack("{s:O}", "keys", rows), response, error);
    json_decref(rows);
    return status;
}

enum status handlers_operator_revoke(struct tenancy *tenancy, const json_t *request,
                                     json_t **response, struct error *error) {
    const char *id = NULL;
    struct store_key key;
    enum status status = arguments_text(request, "id", &id, error);
    if (status == STATUS_OK)
        status = store_operator_key_find(tenancy->store, id, &key, error);
    if (status != STATUS_OK)
        return status;
    struct audit_record record = handlers_record(tenancy, "operator.revoke", "", key.id);
    status = store_operator_key_revoke(tenancy->store, key.id, record.time, &record, error);
    if (status != STATUS_OK)
        return status;
    if (!key.revoked)
        key.revoked = record.time;
    return done(tenancy, TENANCY_OPERATOR_KEY_REVOKED, &key, response, error);
}
