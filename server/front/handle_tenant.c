/* What a tenant learns about itself: its signed recipient, its audit records, its usage. */
#include "base/instant.h"
#include "server/front/exchange.h"
#include "server/front/handlers.h"
#include "server/front/query.h"

#include <string.h>
#include <time.h>

#define AUDIT_DEFAULT 50
#define USAGE_DEFAULT 500
#define PAGE_MAX 500
#define USAGE_DAYS 30

void handle_tenant_recipient(struct exchange *e) {
    struct message_perform message = {0};
    exchange_perform(e, &message);
}

static struct bytes text_of(const struct query_value *value) {
    return bytes_text(value->given ? value->text : "");
}

/* The message has room for so much; what is longer names nothing that there is. */
static enum status fits(const struct query_value *value, size_t most, struct error *error) {
    if (value->given && strlen(value->text) > most)
        return status_fail(error, STATUS_INVALID, "%s: longer than %zu characters", value->name,
                           most);
    return STATUS_OK;
}

/* Outcomes are few and known; an action may be one that only another version records. */
static enum status is_outcome(const struct query_value *value, struct error *error) {
    for (int i = 0; i < STATUS_COUNT; i++)
        if (!value->given || strcmp(status_name((enum status)i), value->text) == 0)
            return STATUS_OK;
    char names[ERROR_MESSAGE_MAX / 2];
    struct buf known = buf_of(names, sizeof names - 1);
    for (int i = 0; i < STATUS_COUNT; i++)
        buf_printf(&known, "%s%s", i ? ", " : "", status_name((enum status)i));
    names[known.size] = '\0';
    return status_fail(error, STATUS_INVALID, "outcome: found \"%.40s\", expected one of %s",
                       value->text, names);
}

void handle_tenant_audit(struct exchange *e) {
    enum { LIMIT, BEFORE, KEY, MODEL, ACTION, OUTCOME, REQUEST, FROM, TO, COUNT };
    struct query_value v[COUNT] = {{.name = "limit"},   {.name = "before"}, {.name = "key"},
                                   {.name = "model"},   {.name = "action"}, {.name = "outcome"},
                                   {.name = "request"}, {.name = "from"},   {.name = "to"}};
    struct error error = {0};
    uint64_t limit = AUDIT_DEFAULT, before = 0, from = 0, to = 0;
    enum status status;
    if ((status = query_parse(e->query, v, COUNT, &error)) ||
        (status = query_number(&v[LIMIT], 1, PAGE_MAX, &limit, &error)) ||
        (status = query_number(&v[BEFORE], 0, INT64_C(1) << 53, &before, &error)) ||
        (status = query_time(&v[FROM], &from, &error)) ||
        (status = query_time(&v[TO], &to, &error)) ||
        (status = fits(&v[KEY], MESSAGE_NAME_MAX, &error)) ||
        (status = fits(&v[MODEL], MESSAGE_TARGET_MAX, &error)) ||
        (status = fits(&v[ACTION], MESSAGE_NAME_MAX, &error)) ||
        (status = is_outcome(&v[OUTCOME], &error)) ||
        (status = fits(&v[REQUEST], MESSAGE_REQUEST_ID_MAX, &error))) {
        exchange_fail(e, &error);
        return;
    }
    if (v[FROM].given && v[TO].given && from > to) {
        status_fail(&error, STATUS_INVALID, "from: lies after to");
        exchange_fail(e, &error);
        return;
    }
    struct message_perform message = {.limit = (uint32_t)limit,
                                      .before = before,
                                      .from = from,
                                      .to = v[TO].given && !to ? 1 : to,
                                      .key = text_of(&v[KEY]),
                                      .model = text_of(&v[MODEL]),
                                      .action = text_of(&v[ACTION]),
                                      .outcome = text_of(&v[OUTCOME]),
                                      .request = text_of(&v[REQUEST])};
    exchange_perform(e, &message);
}

static int32_t today(void) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (int32_t)(now.tv_sec / 86400);
}

void handle_tenant_usage(struct exchange *e) {
    enum { LIMIT, AFTER, KEY, MODEL, FROM, TO, COUNT };
    struct query_value v[COUNT] = {{.name = "limit"}, {.name = "after"}, {.name = "key"},
                                   {.name = "model"}, {.name = "from"},  {.name = "to"}};
    struct error error = {0};
    uint64_t limit = USAGE_DEFAULT;
    int32_t last = today(), first;
    enum status status;
    if ((status = query_parse(e->query, v, COUNT, &error)) ||
        (status = query_number(&v[LIMIT], 1, PAGE_MAX, &limit, &error)) ||
        (status = query_day(&v[TO], &last, &error)) ||
        (status = fits(&v[KEY], MESSAGE_NAME_MAX, &error)) ||
        (status = fits(&v[MODEL], MESSAGE_TARGET_MAX, &error)))
        goto refuse;
    first = last > USAGE_DAYS ? last - USAGE_DAYS : 0;
    if ((status = query_day(&v[FROM], &first, &error)))
        goto refuse;
    if (first > last) {
        status_fail(&error, STATUS_INVALID, "from: lies after to");
        goto refuse;
    }
    struct message_perform message = {.limit = (uint32_t)limit,
                                      .after = text_of(&v[AFTER]),
                                      .from = (uint64_t)first,
                                      .to = (uint64_t)last,
                                      .key = text_of(&v[KEY]),
                                      .model = text_of(&v[MODEL])};
    exchange_perform(e, &message);
    return;
refuse:
    exchange_fail(e, &error);
}
