#include "server/front/gate.h"

#include "base/log.h"
#include "server/front/head.h"
#include "server/front/routes.h"

#include <string.h>
#include <strings.h>

/* The library keeps the headers in its connection buffer, which outlives the request. */
static void wipe_keys(const struct screen_field *fields, size_t count) {
    for (size_t i = 0; i < count; i++)
        if (strcasecmp(fields[i].name, "Authorization") == 0 ||
            strcasecmp(fields[i].name, "X-Api-Key") == 0)
            explicit_bzero((char *)(uintptr_t)fields[i].value, strlen(fields[i].value));
}

static void refuse(struct exchange *e, const struct message_refused *refused) {
    char message[MESSAGE_ERROR_MAX + 1];
    if (!bytes_to_text(refused->message, message, sizeof message))
        message[0] = '\0';
    /* Whatever else the client has sent on this connection was not asked for. */
    e->close = true;
    exchange_error(e, (enum status)refused->status, message, refused->retry_after_s);
}

static void take_admission(struct exchange *e, struct message *reply) {
    e->has_ticket = true;
    if (reply->type == MESSAGE_ADMITTED_UPLOAD) {
        e->ticket = reply->admitted_upload.ticket;
        e->payload = reply->descriptors[0];
        reply->descriptors[0] = -1;
        return;
    }
    e->ticket = reply->admitted.ticket;
    e->worker = reply->admitted.worker;
    e->slot = reply->admitted.slot;
    e->model = reply->admitted.model;
    e->policy_body_bytes = reply->admitted.body_bytes;
    e->policy_deadline_ms = reply->admitted.deadline_ms;
    if (!bytes_to_text(reply->admitted.version, e->version, sizeof e->version))
        e->version[0] = '\0';
}

/* False where the exchange has been answered. */
static bool admit(struct exchange *e, const struct screen_field *fields, size_t field_count) {
    const struct route *route = e->match.route;
    struct message_admit message = {
        .action = (uint8_t)(route ? route->action : ACTION_UNROUTED),
        .token = bytes_of(e->screen.token, e->screen.token_size),
        .model = bytes_text(e->match.model),
        .version = bytes_text(e->match.version),
        .request = bytes_text(e->request_id),
        .client = bytes_text(e->client),
        .content_length = e->screen.content_length,
        .tls = (uint8_t)e->peer.tls_version,
        .certificate =
            bytes_of(e->peer.certificate, e->peer.has_certificate ? sizeof e->peer.certificate : 0),
    };
    struct message reply;
    struct error error = {0};
    enum status status = channel_admit(&e->thread->channel, &message, &reply, &error);
    wipe_keys(fields, field_count);
    if (status != STATUS_OK) {
        exchange_error(e, status, error.message, 0);
        return false;
    }
    if (reply.type == MESSAGE_REFUSED) {
        refuse(e, &reply.refused);
        return false;
    }
    take_admission(e, &reply);
    return true;
}

/* It asks with no key, and for an action that no route has. */
void gate_report_malformed(struct front_thread *thread, const char *client) {
    const struct message_admit message = {.action = ACTION_MALFORMED, .client = bytes_text(client)};
    struct message reply;
    if (channel_admit(&thread->channel, &message, &reply, NULL) == STATUS_OK)
        message_close_descriptors(&reply);
}

static void pass(struct exchange *e, const char *version, const struct screen_field *fields,
                 size_t field_count, bool intact) {
    struct error error = {0}, unrouted = {0};
    /* Of too many headers the last ones have not been looked at, so nobody knows whether they are
     * well-formed. */
    enum status status =
        intact || field_count > SCREEN_HEADERS_MAX
            ? screen_headers(e->method, version, fields, field_count, &e->screen, &error)
            : status_fail(&error, STATUS_INVALID, "a header line is malformed");
    exchange_identify(e);
    if (status == STATUS_OK && e->path[0] != '/')
        status = head_target(e->method, e->path, !e->loopback, &e->path, &error);
    if (status == STATUS_OK)
        status = routes_match(e->method, e->path, &e->match, &unrouted);
    if (error.status != STATUS_OK || status == STATUS_INVALID) {
        wipe_keys(fields, field_count);
        gate_report_malformed(e->thread, e->client);
        e->close = true;
        const struct error *why = error.status != STATUS_OK ? &error : &unrouted;
        exchange_error(e, why->status, why->message, 0);
        return;
    }
    if (e->loopback && !(e->match.route && e->match.route->action == ACTION_METRICS)) {
        wipe_keys(fields, field_count);
        e->close = true;
        exchange_error(e, STATUS_NOT_FOUND, "only GET /metrics is answered here", 0);
        return;
    }
    if (atomic_load(&e->thread->front->draining) && !(e->match.route && e->match.route->open)) {
        wipe_keys(fields, field_count);
        e->close = true;
        exchange_error(e, STATUS_UNAVAILABLE, "the server is shutting down", 5);
        return;
    }
    if (e->match.route && (e->match.route->open || e->loopback)) {
        wipe_keys(fields, field_count);
        e->match.route->handle(e);
        return;
    }
    if (!admit(e, fields, field_count))
        return;
    if (!e->match.route) {
        e->close = true;
        exchange_fail(e, &unrouted);
    } else if (e->query && *e->query && !e->match.route->takes_query) {
        status_fail(&error, STATUS_INVALID, "this path takes no query parameters");
        e->close = true;
        exchange_fail(e, &error);
    } else {
        e->match.route->handle(e);
    }
}

void gate_handle(struct exchange *e, const char *version, const struct screen_field *fields,
                 size_t field_count, bool intact) {
    pass(e, version, fields, field_count, intact);
    if (e->has_ticket) {
        /* A handler that forgot its ticket: the record must end all the same. */
        struct error error = {.status = STATUS_INTERNAL};
        log_error("a request ended without an outcome");
        struct message_settle settle = {.outcome = STATUS_INTERNAL};
        (void)!exchange_settle(e, &settle, &error);
    }
    exchange_finish(e);
}
