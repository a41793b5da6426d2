/* The model repository extension: index, load, unload, delete. Ledger does and records; what these
 * add is that a body which asks for something we do not honour is refused. */
#include "server/front/exchange.h"
#include "server/front/handlers.h"
#include "server/front/json_reader.h"

#define BODY_MAX 65536

/* A body is optional; where there is one it is an object. `member` (may be NULL) is the one member
 * that may stand there, a boolean that must be `wanted`; with `inside`, within that object. */
static enum status check_object(struct json_reader *r, const char *inside, const char *member,
                                bool wanted, struct error *error) {
    enum status status = json_reader_object(r, error);
    bool in_parameters = false;
    while (status == STATUS_OK) {
        struct json_text name;
        bool more, value;
        status = json_reader_next_member(r, &name, &more, error);
        if (status != STATUS_OK)
            return status;
        if (!more) {
            if (!in_parameters)
                return STATUS_OK;
            in_parameters = false;
            continue;
        }
        if (inside && !in_parameters && json_text_is(&name, inside)) {
            in_parameters = true;
            status = json_reader_object(r, error);
            continue;
        }
        if (!member || (inside && !in_parameters) || !json_text_is(&name, member))
            return status_fail(error, STATUS_INVALID, "the body holds a member that is not known");
        status = json_reader_boolean(r, &value, error);
        if (status == STATUS_OK && value != wanted)
            return status_fail(error, STATUS_INVALID, "%s can only be %s here", member,
                               wanted ? "true" : "false");
    }
    return status;
}

static void perform(struct exchange *e, const char *inside, const char *member) {
    struct error error = {0};
    const uint8_t *body = NULL;
    size_t size = 0;
    enum status status = STATUS_OK;
    if (e->screen.has_length && e->screen.content_length)
        status = exchange_body(e, BODY_MAX, &body, &size, &error);
    if (status == STATUS_OK && size) {
        struct json_reader r = json_reader_of(body, size);
        status = check_object(&r, inside, member, false, &error);
        if (status == STATUS_OK)
            status = json_reader_end(&r, &error);
    }
    if (status != STATUS_OK) {
        exchange_fail(e, &error);
        return;
    }
    struct message_perform message = {0};
    exchange_perform(e, &message);
}

void handle_repository_index(struct exchange *e) {
    perform(e, NULL, "ready");
}

/* Parameters of a load override a model's configuration or files: there is nothing to override. */
void handle_repository_load(struct exchange *e) {
    perform(e, "parameters", NULL);
}

void handle_repository_unload(struct exchange *e) {
    perform(e, "parameters", "unload_dependents");
}

void handle_repository_delete(struct exchange *e) {
    perform(e, NULL, NULL);
}
