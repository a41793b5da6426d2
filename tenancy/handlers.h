/* The handlers behind the table of command.c, one file for each kind of thing, and what they share.
 * A handler may believe that no argument outside its row of the table is there. */
#ifndef TENANCY_HANDLERS_H
#define TENANCY_HANDLERS_H

#include "tenancy/command.h"
#include "tenancy/policy.h"

typedef enum status handlers_function(struct tenancy *tenancy, const json_t *request,
                                      json_t **response, struct error *error);

handlers_function handlers_tenant_create, handlers_tenant_list, handlers_tenant_show,
    handlers_tenant_disable, handlers_tenant_enable, handlers_tenant_delete;
handlers_function handlers_key_create, handlers_key_list, handlers_key_revoke;
handlers_function handlers_model_list, handlers_model_show, handlers_model_remove;
handlers_function handlers_audit_list, handlers_status, handlers_client_key_rotate;
handlers_function handlers_usage_list;
handlers_function handlers_operator_create, handlers_operator_list, handlers_operator_revoke;
handlers_function handlers_policy_list, handlers_policy_show, handlers_policy_set,
    handlers_policy_remove, handlers_tenant_set_policy;

/* The record of an act that went well; strings are borrowed. */
struct audit_record handlers_record(struct tenancy *tenancy, const char *action,
                                    const char *tenant_uid, const char *target);
void handlers_tell(struct tenancy *tenancy, const struct tenancy_change *change);
/* Put `value` (its reference is taken) under `name`; false where either ran out of memory. */
bool handlers_put(json_t *object, const char *name, json_t *value);
/* Answer with `made` (its reference is taken); NULL means that memory ran out. */
MUST_USE enum status handlers_respond(json_t *made, json_t **response, struct error *error);
/* STATUS_UNAVAILABLE for want of memory; drops `object`. */
enum status handlers_no_memory(json_t *object, struct error *error);
/* What keys of tenants and of operators have in common, in handlers_key.c: `id`, `hash`, `label`
 * and `expires` of a new one; the key of that id, which must be of the kind asked for, else it is
 * as if there were none; and its JSON, with the tenant's name and certificate (NULL: an
 * operator's). */
MUST_USE enum status handlers_key_read(const json_t *request, struct store_key *key,
                                       struct error *error);
MUST_USE enum status handlers_key_named(struct tenancy *tenancy, const json_t *request,
                                        bool of_operator, struct store_key *key,
                                        struct error *error);
json_t *handlers_key_json(const struct store_key *key, const char *tenant_name);
/* The tenant that the argument `tenant` names. */
MUST_USE enum status handlers_tenant_named(struct tenancy *tenancy, const json_t *request,
                                           struct store_tenant *tenant, struct error *error);

/* Parse a stored policy; STATUS_INTERNAL where this version does not understand it. */
MUST_USE enum status handlers_policy_read(const struct store_policy *row, struct policy *policy,
                                          struct error *error);
/* STATUS_FORBIDDEN where the tenant's policy does not allow all of these scopes. */
MUST_USE enum status handlers_policy_scopes(struct tenancy *tenancy,
                                            const struct store_tenant *tenant, uint32_t scopes,
                                            struct error *error);

/* A listing over one tenant, or over all: rows, and the names of tenants by row id. */
struct handlers_listing {
    json_t *rows, *names;
    int64_t tenant; /* row id, 0: all */
};

/* Begin a listing over the tenant of the optional argument `tenant`. */
MUST_USE enum status handlers_listing_open(struct tenancy *tenancy, const json_t *request,
                                           struct handlers_listing *listing, struct error *error);
/* Name of the tenant with this row id; "" where there is none. */
const char *handlers_listing_tenant(const struct handlers_listing *listing, int64_t id);
/* Append `row`, whose reference is taken; NULL means that memory ran out. */
MUST_USE enum status handlers_listing_add(struct handlers_listing *listing, json_t *row,
                                          struct error *error);
/* The end of one: where `status` is STATUS_OK answer {"`name`": rows}. Drops the listing. */
MUST_USE enum status handlers_listing_close(struct handlers_listing *listing, const char *name,
                                            enum status status, json_t **response,
                                            struct error *error);

#endif
