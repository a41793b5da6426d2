/* What a tenant learns about itself: its signed recipient, its newest audit records. */
#include "server/front/exchange.h"
#include "server/front/handlers.h"

#include <string.h>

#define AUDIT_DEFAULT 50
#define AUDIT_MAX 500

void handle_tenant_recipient(struct exchange *e) {
    struct message_perform message = {0};
    exchange_perform(e, &message);
}

static bool number(const char *text, size_t size, uint64_t *out) {
    uint64_t value = 0;
    if (!size || size > 18)
        return false;
    for (size_t i = 0; i < size; i++) {
        if (text[i] < '0' || text[i] > '9')
            return false;
        value = value * 10 + (uint64_t)(text[i] - '0');
    }
    *out = value;
    return true;
}

/* limit=N and before=SEQUENCE, each once at most. */
static enum status parse_query(const char *query, uint64_t *limit, uint64_t *before,
                               struct error *error) {
    bool has_limit = false, has_before = false;
    for (const char *at = query ? query : ""; *at;) {
        size_t size = strcspn(at, "&");
        if (size > 6 && memcmp(at, "limit=", 6) == 0 && !has_limit) {
            if (!number(at + 6, size - 6, limit) || *limit < 1 || *limit > AUDIT_MAX)
                return status_fail(error, STATUS_INVALID, "limit is a number from 1 to %d",
                                   AUDIT_MAX);
            has_limit = true;
        } else if (size > 7 && memcmp(at, "before=", 7) == 0 && !has_before) {
            if (!number(at + 7, size - 7, before))
                return status_fail(error, STATUS_INVALID, "before is a sequence number");
            has_before = true;
        } else {
            return status_fail(error, STATUS_INVALID,
                               "the query takes limit and before, each once, as numbers");
        }
        at += size;
        if (*at == '&')
            at++;
    }
    return STATUS_OK;
}

void handle_tenant_audit(struct exchange *e) {
    struct error error = {0};
    uint64_t limit = AUDIT_DEFAULT, before = 0;
    if (parse_query(e->query, &limit, &before, &error) != STATUS_OK) {
        exchange_fail(e, &error);
        return;
    }
    struct message_perform message = {.limit = (uint32_t)limit, .before = before};
    exchange_perform(e, &message);
}
