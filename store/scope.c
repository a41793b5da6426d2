#include "store/scope.h"

#include <string.h>

#include "base/buf.h"

static const struct {
    uint32_t bit;
    const char *name;
} scopes_known[] = {
    {SCOPE_MODELS_READ, "models:read"},
    {SCOPE_MODELS_WRITE, "models:write"},
    {SCOPE_INFER, "infer"},
    {SCOPE_AUDIT_READ, "audit:read"},
    {SCOPE_USAGE_READ, "usage:read"},
    {SCOPE_KEYS_WRITE, "keys:write"},
    {SCOPE_METRICS, "metrics"},
    {SCOPE_TENANTS_READ, "tenants:read"},
    {SCOPE_TENANTS_WRITE, "tenants:write"},
    {SCOPE_ALL_KEYS_WRITE, "keys:write"},
    {SCOPE_ALL_MODELS_WRITE, "models:write"},
    {SCOPE_ALL_AUDIT_READ, "audit:read"},
    {SCOPE_POLICIES_WRITE, "policies:write"},
    {SCOPE_OPERATORS_WRITE, "operators:write"},
};
#define SCOPE_COUNT (sizeof scopes_known / sizeof scopes_known[0])

/* Of those in `among`. */
static uint32_t scope_bit(const char *name, size_t length, uint32_t among) {
    for (size_t i = 0; i < SCOPE_COUNT; i++)
        if ((scopes_known[i].bit & among) && strlen(scopes_known[i].name) == length &&
            memcmp(scopes_known[i].name, name, length) == 0)
            return scopes_known[i].bit;
    return 0;
}

static enum status parse(const char *text, uint32_t among, uint32_t *scopes, struct error *error) {
    uint32_t found = 0;
    for (;;) {
        size_t length = strcspn(text, ",");
        uint32_t bit = scope_bit(text, length, among);
        if (!bit) {
            char known[SCOPE_TEXT_MAX];
            scope_format(among, known);
            return status_fail(error, STATUS_INVALID,
                               "scopes: \"%.*s\" is not a scope, known are %s",
                               length > 32 ? 32 : (int)length, text, known);
        }
        if (found & bit)
            return status_fail(error, STATUS_INVALID, "scopes: \"%.*s\" stands there twice",
                               (int)length, text);
        found |= bit;
        text += length;
        if (*text == '\0')
            break;
        text++;
    }
    *scopes = found;
    return STATUS_OK;
}

enum status scope_parse(const char *text, uint32_t *scopes, struct error *error) {
    return parse(text, SCOPE_ALL, scopes, error);
}

enum status scope_parse_operator(const char *text, uint32_t *scopes, struct error *error) {
    return parse(text, SCOPE_OPERATOR_ALL, scopes, error);
}

void scope_format(uint32_t scopes, char text[SCOPE_TEXT_MAX]) {
    struct buf out = buf_of(text, SCOPE_TEXT_MAX);
    for (size_t i = 0; i < SCOPE_COUNT; i++) {
        if (!(scopes & scopes_known[i].bit))
            continue;
        if (out.size)
            buf_u8(&out, ',');
        buf_string(&out, scopes_known[i].name);
    }
    buf_u8(&out, 0);
}
