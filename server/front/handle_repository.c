/* The model repository extension: index, load, unload, delete. Ledger does and records; what these
 * add is that a body which asks for something we do not honour is refused. */
#include "server/front/exchange.h"
#include "server/front/handlers.h"
#include "server/front/json_reader.h"

/* Triton's client may send a whole model as base64 to a load; it is refused without being read to
 * the end where it is larger than this. */
#define BODY_MAX 65536

/* The one member that a body may have: a boolean, on top or inside `parameters`. */
struct shape {
    bool inside; /* parameters */
    const char *member;
    const char *otherwise; /* why another member inside is refused */
};

static enum status take_members(struct json_reader *r, const struct shape *shape, bool here,
                                bool *value, struct error *error) {
    bool seen = false, nested = false;
    enum status status = json_reader_object(r, error);
    while (status == STATUS_OK) {
        struct json_text name;
        bool more;
        status = json_reader_next_member(r, &name, &more, error);
        if (status != STATUS_OK || !more)
            break;
        if (shape->inside && !here && json_text_is(&name, "parameters")) {
            if (nested)
                return status_fail(error, STATUS_INVALID, "the body holds parameters twice");
            nested = true;
            status = take_members(r, shape, true, value, error);
        } else if (shape->member && shape->inside == here && json_text_is(&name, shape->member)) {
            if (seen)
                return status_fail(error, STATUS_INVALID, "the body holds %s twice", shape->member);
            seen = true;
            status = json_reader_boolean(r, value, error);
            if (status != STATUS_OK)
                status_prefix(error, "%s: ", shape->member);
        } else if (here) {
            return status_fail(error, STATUS_INVALID, "parameters: %s", shape->otherwise);
        } else {
            return status_fail(error, STATUS_INVALID, "the body holds a member that is not known");
        }
    }
    return status;
}

/* A body is optional; where there is one it is an object. Depth: two calls at most. */
static enum status read_body(struct exchange *e, const struct shape *shape, bool *value,
                             struct error *error) {
    const uint8_t *body = NULL;
    size_t size = 0;
    enum status status = STATUS_OK;
    if (e->screen.has_length && e->screen.content_length)
        status = exchange_body(e, BODY_MAX, &body, &size, error);
    if (status != STATUS_OK || !size)
        return status;
    struct json_reader r = json_reader_of(body, size);
    status = take_members(&r, shape, false, value, error);
    return status == STATUS_OK ? json_reader_end(&r, error) : status;
}

static void perform(struct exchange *e, const struct shape *shape) {
    struct error error = {0};
    bool value = false;
    if (read_body(e, shape, &value, &error) != STATUS_OK) {
        exchange_fail(e, &error);
        return;
    }
    struct message_perform message = {.ready = value};
    exchange_perform(e, &message);
}

void handle_repository_index(struct exchange *e) {
    perform(e, &(const struct shape){.member = "ready"});
}

void handle_repository_load(struct exchange *e) {
    perform(e, &(const struct shape){
                   .inside = true,
                   .otherwise = "a model is what its tenant sealed; its configuration and files "
                                "cannot be overridden"});
}

/* No model depends on another, so there is nothing to unload besides. */
void handle_repository_unload(struct exchange *e) {
    perform(e, &(const struct shape){.inside = true,
                                     .member = "unload_dependents",
                                     .otherwise = "only unload_dependents is known here"});
}

void handle_repository_delete(struct exchange *e) {
    perform(e, &(const struct shape){0});
}
