#include <stdio.h>
#include <string.h>

#include "base/instant.h"
#include "base/name.h"
#include "crypto/apikey.h"
#include "crypto/encoding.h"
#include "tenancy/arguments.h"
#include "tenancy/handlers.h"

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

static enum status done(struct tenancy *tenancy, enum tenancy_event event,
                        const struct store_key *key, json_t **response, struct error *error) {
    handlers_tell(tenancy,
                  &(struct tenancy_change){.event = event, .tenant_uid = "", .key = key->id});
    return handlers_respond(handlers_key_json(key, NULL), response, error);
}

/* A key that ends makes none that outlives it: what is left open ends with its maker. */
static enum status bound_expiry(const struct tenancy *tenancy, int64_t now, struct store_key *key,
                                struct error *error) {
    struct store_key maker;
    if (!tenancy->by)
        return STATUS_OK;
    enum status status = store_key_find(tenancy->store, tenancy->by->key, &maker, error);
    if (status != STATUS_OK)
        return status;
    if (maker.revoked || (maker.expires && maker.expires <= now))
        return status_fail(error, STATUS_UNAUTHENTICATED, "the operator key is not valid any more");
    if (maker.expires && key->expires > maker.expires) {
        char until[INSTANT_TEXT_SIZE];
        instant_format(maker.expires, until);
        return status_fail(error, STATUS_FORBIDDEN,
                           "expires: an operator key makes none that lives longer than itself, "
                           "until %s",
                           until);
    }
    if (!key->expires)
        key->expires = maker.expires;
    return STATUS_OK;
}

enum status handlers_operator_create(struct tenancy *tenancy, const json_t *request,
                                     json_t **response, struct error *error) {
    struct store_key key = {0};
    enum status status = handlers_key_read(request, &key, error);
    if (status == STATUS_OK)
        status = read_scopes(tenancy, request, &key.scopes, error);
    if (status != STATUS_OK)
        return status;
    struct audit_record record = handlers_record(tenancy, "operator.create", "", key.id);
    key.created = record.time;
    snprintf(key.maker, sizeof key.maker, "%s", record.key);
    status = bound_expiry(tenancy, record.time, &key, error);
    if (status == STATUS_OK)
        status = store_key_create(tenancy->store, &key, &record, error);
    if (status != STATUS_OK)
        return status;
    return done(tenancy, TENANCY_OPERATOR_KEY_CREATED, &key, response, error);
}

static enum status add_row(void *context, const struct store_key *key, struct error *error) {
    return json_array_append_new(context, handlers_key_json(key, NULL)) == 0
               ? STATUS_OK
               : handlers_no_memory(NULL, error);
}

enum status handlers_operator_list(struct tenancy *tenancy, const json_t *request,
                                   json_t **response, struct error *error) {
    json_t *rows = json_array();
    (void)request;
    if (!rows)
        return handlers_no_memory(NULL, error);
    enum status status = store_key_list(tenancy->store, STORE_OPERATORS, add_row, rows, error);
    if (status == STATUS_OK)
        status = handlers_respond(json_pack("{s:O}", "keys", rows), response, error);
    json_decref(rows);
    return status;
}

enum status handlers_operator_revoke(struct tenancy *tenancy, const json_t *request,
                                     json_t **response, struct error *error) {
    struct store_key key;
    enum status status = handlers_key_named(tenancy, request, true, &key, error);
    if (status != STATUS_OK)
        return status;
    struct audit_record record = handlers_record(tenancy, "operator.revoke", "", key.id);
    status = store_key_revoke(tenancy->store, key.id, record.time, &record, error);
    if (status != STATUS_OK)
        return status;
    if (!key.revoked)
        key.revoked = record.time;
    return done(tenancy, TENANCY_OPERATOR_KEY_REVOKED, &key, response, error);
}
