#include "tenancy/permission.h"

#include <stdbool.h>
#include <string.h>

#include "store/scope.h"

/* The first row that fits counts; one of its scopes is enough. A name that ends with a dot stands
 * for all that begin with it. */
static const struct {
    const char *command;
    uint32_t scope;
} rows[] = {
    {"status", SCOPE_TENANTS_READ},
    {"tenant.list",
     SCOPE_TENANTS_READ | SCOPE_ALL_AUDIT_READ}, /* a log without names says little */
    {"tenant.show", SCOPE_TENANTS_READ},
    {"tenant.", SCOPE_TENANTS_WRITE},
    {"key.list", SCOPE_TENANTS_READ},
    {"key.", SCOPE_ALL_KEYS_WRITE},
    {"model.list", SCOPE_TENANTS_READ},
    {"model.show", SCOPE_TENANTS_READ},
    {"model.", SCOPE_ALL_MODELS_WRITE},
    {"audit.", SCOPE_ALL_AUDIT_READ},
    {"usage.", SCOPE_TENANTS_READ},
    {"policy.list", SCOPE_TENANTS_READ},
    {"policy.show", SCOPE_TENANTS_READ},
    {"policy.", SCOPE_POLICIES_WRITE},
    {"operator.", SCOPE_OPERATORS_WRITE},
};

static bool fits(const char *row, const char *command) {
    size_t size = strlen(row);
    return row[size - 1] == '.' ? strncmp(row, command, size) == 0 : strcmp(row, command) == 0;
}

enum status permission_check(uint32_t scopes, const char *command, struct error *error) {
    char name[SCOPE_TEXT_MAX];
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (!fits(rows[i].command, command))
            continue;
        if (scopes & rows[i].scope)
            return STATUS_OK;
        scope_format(rows[i].scope, name);
        return status_fail(error, STATUS_FORBIDDEN, "the operator key lacks the scope %s", name);
    }
    return status_fail(error, STATUS_FORBIDDEN,
                       "this takes root or the server's own user, not an operator key");
}
