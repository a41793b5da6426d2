/* A tenant's own API keys. What a key may make is ledger's to decide; here a body is read strictly
 * and passed on as fields. */
#include "base/instant.h"
#include "server/front/exchange.h"
#include "server/front/handlers.h"
#include "server/front/json_reader.h"
#include "server/front/query.h"

#include <string.h>

#define BODY_MAX 4096
#define PAGE_DEFAULT 100
#define PAGE_MAX 500

void handle_key_list(struct exchange *e) {
    struct query_value values[] = {{.name = "limit"}, {.name = "after"}};
    struct error error = {0};
    uint64_t limit = PAGE_DEFAULT;
    enum status status = query_parse(e->query, values, 2, &error);
    if (status == STATUS_OK)
        status = query_number(&values[0], 1, PAGE_MAX, &limit, &error);
    if (status != STATUS_OK) {
        exchange_fail(e, &error);
        return;
    }
    struct message_perform message = {.limit = (uint32_t)limit,
                                      .after = bytes_text(values[1].given ? values[1].text : "")};
    exchange_perform(e, &message);
}

void handle_key_show(struct exchange *e) {
    struct message_perform message = {.key = bytes_text(e->match.key)};
    exchange_perform(e, &message);
}

void handle_key_revoke(struct exchange *e) {
    struct message_perform message = {.key = bytes_text(e->match.key)};
    exchange_perform(e, &message);
}

struct new_key {
    bool has_label, has_scopes, has_expires;
    char label[MESSAGE_NAME_MAX + 1];
    char scopes[MESSAGE_SCOPES_MAX + 1]; /* separated by commas */
    int64_t expires;
};

static enum status take_text(struct json_reader *r, const char *member, char *out, size_t room,
                             struct error *error) {
    struct json_text text;
    size_t size;
    enum status status = json_reader_string(r, &text, error);
    if (status != STATUS_OK) {
        status_prefix(error, "%s: ", member);
        return status;
    }
    if (!json_text_decode(&text, (uint8_t *)out, room, &size) || memchr(out, '\0', size))
        return status_fail(error, STATUS_INVALID, "%s: longer than %zu bytes, or with a zero byte",
                           member, room);
    out[size] = '\0';
    return STATUS_OK;
}

static enum status take_scopes(struct json_reader *r, struct new_key *key, struct error *error) {
    size_t used = 0;
    enum status status = json_reader_array(r, error);
    if (status != STATUS_OK)
        return status_prefix(error, "scopes: ");
    for (;;) {
        char name[32];
        bool more;
        if (status == STATUS_OK)
            status = json_reader_next_element(r, &more, error);
        if (status != STATUS_OK || !more)
            break;
        status = take_text(r, "scopes", name, sizeof name - 1, error);
        if (status != STATUS_OK)
            return status;
        size_t size = strlen(name);
        if (strchr(name, ',') || !size)
            return status_fail(error, STATUS_INVALID, "scopes: \"%s\" is not a scope", name);
        if (used + size + 2 > sizeof key->scopes)
            return status_fail(error, STATUS_INVALID, "scopes: more than there are");
        if (used)
            key->scopes[used++] = ',';
        memcpy(key->scopes + used, name, size + 1);
        used += size;
    }
    if (status == STATUS_OK && !used)
        status = status_fail(error, STATUS_INVALID, "scopes: at least one is needed");
    return status;
}

static enum status take_expires(struct json_reader *r, struct new_key *key, struct error *error) {
    enum json_kind kind;
    char text[INSTANT_TEXT_SIZE];
    enum status status = json_reader_peek(r, &kind, error);
    if (status == STATUS_OK && kind == JSON_NULL)
        return json_reader_null(r, error);
    if (status == STATUS_OK)
        status = take_text(r, "expires", text, sizeof text - 1, error);
    if (status == STATUS_OK && (!instant_parse(text, &key->expires) || key->expires == 0))
        status = status_fail(error, STATUS_INVALID,
                             "expires: expected a time such as 2027-01-31T00:00:00Z, or null");
    return status;
}

static enum status parse(const uint8_t *body, size_t size, struct new_key *key,
                         struct error *error) {
    struct json_reader r = json_reader_of(body, size);
    enum status status = json_reader_object(&r, error);
    while (status == STATUS_OK) {
        struct json_text member;
        bool more, *seen = NULL;
        status = json_reader_next_member(&r, &member, &more, error);
        if (status != STATUS_OK || !more)
            break;
        if (json_text_is(&member, "label"))
            seen = &key->has_label;
        else if (json_text_is(&member, "scopes"))
            seen = &key->has_scopes;
        else if (json_text_is(&member, "expires"))
            seen = &key->has_expires;
        else
            return status_fail(error, STATUS_INVALID,
                               "the body holds a member that is not known; it takes label, scopes "
                               "and expires");
        if (*seen)
            return status_fail(error, STATUS_INVALID, "the body holds a member twice");
        *seen = true;
        status = seen == &key->has_label
                     ? take_text(&r, "label", key->label, sizeof key->label - 1, error)
                 : seen == &key->has_scopes ? take_scopes(&r, key, error)
                                            : take_expires(&r, key, error);
    }
    if (status == STATUS_OK)
        status = json_reader_end(&r, error);
    if (status == STATUS_OK && !key->has_scopes)
        status = status_fail(error, STATUS_INVALID,
                             "scopes: missing; name what the key may do, such as [\"infer\"]");
    return status;
}

void handle_key_create(struct exchange *e) {
    struct new_key key = {0};
    struct error error = {0};
    const uint8_t *body;
    size_t size;
    enum status status = exchange_body(e, BODY_MAX, &body, &size, &error);
    if (status == STATUS_OK)
        status = parse(body, size, &key, &error);
    if (status != STATUS_OK) {
        exchange_fail(e, &error);
        return;
    }
    struct message_perform message = {.label = bytes_text(key.label),
                                      .scopes = bytes_text(key.scopes),
                                      .expires = (uint64_t)key.expires};
    exchange_perform(e, &message);
}
