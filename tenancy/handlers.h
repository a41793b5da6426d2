/* The handlers behind the table of command.c, one file for each kind of thing, and what they share.
 * A handler may believe that no argument outside its row of the table is there. */
#ifndef TENANCY_HANDLERS_H
#define TENANCY_HANDLERS_H

#include "tenancy/command.h"

typedef enum status handlers_function(struct tenancy *tenancy, const json_t *request,
                                      json_t **response, struct error *error);

handlers_function handlers_tenant_create, handlers_tenant_list, handlers_tenant_show,
    handlers_tenant_disable, handlers_tenant_enable, handlers_tenant_delete;
handlers_function handlers_key_create, handlers_key_list, handlers_key_revoke;
handlers_function handlers_model_list, handlers_model_show, handlers_model_remove;
handlers_function handlers_audit_list, handlers_status;

/* The record of an act that went well; strings are borrowed. */
struct audit_record handlers_record(struct tenancy *tenancy, const char *action,
                                    const char *tenant_uid, const char *target);
void handlers_tell(struct tenancy *tenancy, const struct tenancy_change *change);
/* Put `value` (its reference is taken) under `name`; false where either ran out of memory. */
bool handlers_put(json_t *object, const char *name, json_t *value);
/* STATUS_UNAVAILABLE for want of memory; drops `object`. */
enum status handlers_no_memory(json_t *object, struct error *error);
/* Names of tenants by row id, for listings over all tenants. */
MUST_USE enum status handlers_tenant_names(struct tenancy *tenancy, json_t **names,
                                           struct error *error);
/* Name of the tenant with this row id in what handlers_tenant_names gave; "" where it is not. */
const char *handlers_tenant_name(const json_t *names, int64_t id);

#endif
