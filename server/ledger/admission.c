#include "server/ledger/admission.h"

#include "base/buf.h"
#include "base/log.h"
#include "base/name.h"
#include "server/ledger/policy_gate.h"
#include "server/ledger/statistics.h"
#include "server/ledger/upload.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define SCOPE_NONE 0u
static const uint32_t scope_of[ACTION_COUNT] = {
#define ROW(NAME, scope, text) [ACTION_##NAME] = SCOPE_##scope,
    MESSAGE_ACTIONS(ROW)
#undef ROW
};

static void end(struct ledger *ledger, struct ticket *ticket, enum status outcome,
                struct commit_answer *answer) {
    struct commit_record *record = &ticket->record;
    record->outcome = status_name(outcome);
    record->reply = ticket->channel;
    record->ticket = ticket->number;
    record->answer = answer;
    /* Usage counts inference of models that are there: names that a caller makes up must not fill
     * the store. */
    if (ticket->action != ACTION_INFER || !ticket->model.id)
        record->usage_tenant = 0;
    ticket_remember(ticket);
    commit_append(ledger->commit, record);
    if (ticket->upload >= 0)
        close(ticket->upload);
    ticket->upload = -1;
    ticket_close(ledger->tickets, ticket);
}

void admission_refuse(struct ledger *ledger, struct ticket *ticket, enum status status,
                      const char *message, uint32_t retry_after_s) {
    struct commit_answer *answer = commit_answer_new(false, status, message, NULL, 0);
    ledger->figures.admissions[status]++;
    if (answer)
        answer->retry_after_s = retry_after_s;
    end(ledger, ticket, status, answer);
}

static void refuse_now(struct link *channel, enum status status, const char *message,
                       uint32_t retry_after_s) {
    const struct message_refused m = {
        .status = (uint8_t)status, .message = bytes_text(message), .retry_after_s = retry_after_s};
    if (link_answer_refused(channel, &m) != STATUS_OK)
        log_warn("a channel of front does not take its answer");
}

void admission_grant(struct ledger *ledger, struct ticket *ticket) {
    ledger->figures.admissions[STATUS_OK]++;
    ticket->state = TICKET_OPEN;
    const struct message_admitted m = {.ticket = ticket->number,
                                       .worker = ticket->worker ? ticket->worker->number : 0,
                                       .slot = ticket->slot,
                                       .model = (uint64_t)ticket->model.id,
                                       .version = bytes_text(ticket->model.version),
                                       .body_bytes = ticket->terms.body_bytes,
                                       .deadline_ms = ticket->terms.deadline_ms};
    if (link_answer_admitted(ticket->channel, &m) != STATUS_OK)
        log_warn("a channel of front does not take its answer");
}

/* "name/version", or "name" where the caller named no version. */
static void set_target(struct ticket *ticket, const char *name, const char *version) {
    struct buf target = buf_of(ticket->record.target, sizeof ticket->record.target - 1);
    buf_string(&target, name);
    if (version[0])
        buf_u8(&target, '/');
    buf_string(&target, version);
    ticket->record.target[target.size] = '\0';
}

static void admit_model(struct ledger *ledger, struct ticket *ticket, const char *name,
                        const char *version) {
    struct error error = {0};
    enum status status = directory_model(ledger->directory, ticket->record.usage_tenant, name,
                                         version, &ticket->model, &error);
    if (status != STATUS_OK) {
        admission_refuse(ledger, ticket, status, error.message, 0);
        return;
    }
    /* Statistics of a name are those of all its versions. */
    if (ticket->action == ACTION_STATISTICS && !version[0])
        ticket->model.version[0] = '\0';
    set_target(ticket, name, ticket->model.version);
    if (ticket->action == ACTION_DELETE || ticket->action == ACTION_STATISTICS) {
        admission_grant(ledger, ticket);
        return;
    }
    if (ticket->model.state != STORE_MODEL_READY) {
        char text[224];
        snprintf(text, sizeof text, "model \"%s\" version \"%s\" is still being checked", name,
                 ticket->model.version);
        admission_refuse(ledger, ticket, STATUS_UNAVAILABLE, text, 1);
        return;
    }
    if (ticket->model.unloaded && ticket->action != ACTION_LOAD &&
        ticket->action != ACTION_UNLOAD) {
        char text[224];
        snprintf(text, sizeof text, "model \"%s\" version \"%s\" is unloaded; load it first", name,
                 ticket->model.version);
        admission_refuse(ledger, ticket, STATUS_INVALID, text, 0);
        return;
    }
    /* A model that is ready is loaded on first use: being asked whether it is must not do that. */
    if (ticket->action == ACTION_INFER || ticket->action == ACTION_METADATA ||
        ticket->action == ACTION_CONFIG)
        workers_need(ledger, ticket);
    else
        admission_grant(ledger, ticket);
}

static void admit_upload(struct ledger *ledger, struct ticket *ticket, const char *name,
                         const char *version, uint64_t size, uint64_t limit) {
    char text[160];
    if (size > limit) {
        snprintf(text, sizeof text, "the sealed model has %llu bytes, at most %llu are taken",
                 (unsigned long long)size, (unsigned long long)limit);
        admission_refuse(ledger, ticket, STATUS_TOO_LARGE, text, 0);
        return;
    }
    memcpy(ticket->model_name, name, strlen(name) + 1);
    memcpy(ticket->model.version, version, strlen(version) + 1);
    set_target(ticket, name, version);
    upload_begin(ledger, ticket);
}

static void begin_record(struct ledger *ledger, struct commit_record *r, enum message_action action,
                         const struct directory_caller *caller, const struct policy *policy,
                         const struct message_admit *m) {
    r->time = ledger_now_us();
    memcpy(r->tenant, caller->tenant_uid, sizeof r->tenant);
    memcpy(r->key, caller->key, sizeof r->key);
    r->action = message_action_name(action);
    /* Sizes were checked by the decoder; text that is no text is left out rather than believed. */
    if (!bytes_to_text(m->request, r->request, sizeof r->request))
        r->request[0] = '\0';
    if (!bytes_to_text(m->client, r->client, sizeof r->client))
        r->client[0] = '\0';
    r->usage_tenant = caller->tenant;
    r->bytes_in = m->content_length;
    policy_gate_record(&ledger->gate, policy, action, r);
}

static void refuse_without_ticket(struct ledger *ledger, struct link *channel,
                                  enum message_action action, const struct directory_caller *caller,
                                  const struct policy *policy,
                                  const struct message_admit *message) {
    struct commit_record record = {.outcome = status_name(STATUS_UNAVAILABLE), .reply = channel};
    begin_record(ledger, &record, action, caller, policy, message);
    record.usage_tenant = 0;
    ledger->figures.admissions[STATUS_UNAVAILABLE]++;
    record.answer =
        commit_answer_new(false, STATUS_UNAVAILABLE, "too many requests are under way", NULL, 0);
    commit_append(ledger->commit, &record);
}

void admission_admit(struct ledger *ledger, struct link *channel,
                     const struct message_admit *message) {
    struct directory_caller caller;
    struct error error = {0};
    char name[NAME_MAX_LENGTH + 1], version[NAME_MAX_LENGTH + 1];
    enum status status =
        directory_authenticate(ledger->directory, message->token, ledger_now_us(), &caller, &error);
    const enum message_action action =
        message->action < ACTION_COUNT ? (enum message_action)message->action : ACTION_UNROUTED;
    /* Over HTTPS an operator's key opens what is made for operators; elsewhere it is no key at all:
     * it speaks for no tenant. */
    if (status == STATUS_OK && caller.is_operator && !(scope_of[action] & SCOPE_OPERATOR_ALL))
        status =
            status_fail(&error, STATUS_UNAUTHENTICATED, "%s", status_text(STATUS_UNAUTHENTICATED));
    if (status != STATUS_OK) {
        if (status == STATUS_UNAUTHENTICATED)
            failures_count(ledger->failures, message->client, message->action == ACTION_MALFORMED);
        ledger->figures.admissions[status]++;
        refuse_now(channel, status, error.message, 0);
        return;
    }
    const struct policy *policy = NULL; /* stays NULL where it cannot be had */
    status = directory_policy(ledger->directory, caller.policy, &policy, &error);
    struct ticket *ticket = ticket_open(ledger->tickets, channel);
    if (!ticket) {
        refuse_without_ticket(ledger, channel, action, &caller, policy, message);
        return;
    }
    ticket->action = action;
    begin_record(ledger, &ticket->record, action, &caller, policy, message);
    if (!policy) {
        admission_refuse(ledger, ticket, status, error.message, 5);
        return;
    }
    ticket->terms = policy_gate_terms(policy);
    if (ledger->draining) {
        admission_refuse(ledger, ticket, STATUS_UNAVAILABLE, "the server is shutting down", 5);
        return;
    }
    if (!bytes_to_text(message->model, name, sizeof name) ||
        !bytes_to_text(message->version, version, sizeof version) ||
        (name[0] && !name_valid(name, strlen(name))) ||
        (version[0] && !name_valid(version, strlen(version)))) {
        admission_refuse(ledger, ticket, STATUS_INVALID,
                         "the model's name or version is not a name", 0);
        return;
    }
    set_target(ticket, name, version);
    if (!caller.tenant_enabled) {
        admission_refuse(ledger, ticket, STATUS_FORBIDDEN, "the tenant is disabled", 0);
        return;
    }
    uint32_t scope = scope_of[ticket->action];
    status = policy_gate_check(policy, &caller, message, scope, &error);
    if (status != STATUS_OK) {
        admission_refuse(ledger, ticket, status, error.message, 0);
        return;
    }
    if ((caller.scopes & scope) != scope) {
        char names[SCOPE_TEXT_MAX], text[SCOPE_TEXT_MAX + 64];
        scope_format(scope, names);
        snprintf(text, sizeof text, "the API key lacks the scope %s", names);
        admission_refuse(ledger, ticket, STATUS_FORBIDDEN, text, 0);
        return;
    }
    switch (ticket->action) {
    case ACTION_INFER:
    case ACTION_METADATA:
    case ACTION_CONFIG:
    case ACTION_MODEL_READY:
    case ACTION_LOAD:
    case ACTION_UNLOAD:
    case ACTION_DELETE:
        admit_model(ledger, ticket, name, version);
        break;
    case ACTION_UPLOAD:
        admit_upload(ledger, ticket, name, version, message->content_length,
                     policy_gate_model_bytes(policy, ledger->config->limits.model_bytes));
        break;
    case ACTION_STATISTICS:
        if (name[0])
            admit_model(ledger, ticket, name, version);
        else
            admission_grant(ledger, ticket);
        break;
    case ACTION_SERVER_METADATA:
    case ACTION_INDEX:
    case ACTION_RECIPIENT:
    case ACTION_AUDIT:
    case ACTION_USAGE:
    case ACTION_KEY_READ:
    case ACTION_KEY_CREATE:
    case ACTION_KEY_REVOKE:
    case ACTION_METRICS:
    case ACTION_NOT_OFFERED:
    case ACTION_MALFORMED:
    case ACTION_UNROUTED:
    case ACTION_COUNT:
        admission_grant(ledger, ticket);
        break;
    }
}

void admission_settle(struct ledger *ledger, struct link *channel,
                      const struct message_settle *message) {
    struct ticket *ticket = ticket_find(ledger->tickets, message->ticket, channel);
    if (!ticket || ticket->state != TICKET_OPEN) {
        log_warn("front settles a ticket that is not open");
        commit_tell(channel, message->ticket, NULL, STATUS_UNAVAILABLE, 0);
        return;
    }
    enum status outcome =
        message->outcome < STATUS_COUNT ? (enum status)message->outcome : STATUS_INTERNAL;
    workers_release_slot(ledger, ticket, message->slot_stuck != 0);
    statistics_count(ledger->statistics, ticket, message);
    struct commit_record *r = &ticket->record;
    r->units = message->units;
    r->compute_us = message->compute_us;
    r->bytes_in = message->bytes_in;
    r->bytes_out = message->bytes_out;
    if (ticket->action == ACTION_UPLOAD)
        upload_abandon(ledger, ticket, outcome);
    else
        end(ledger, ticket, outcome, NULL);
}

void admission_undelivered(struct ledger *ledger, struct link *channel,
                           const struct message_undelivered *message) {
    struct channel *last = channel->owner;
    if (!last || !last->ticket || last->ticket != message->ticket) {
        log_warn("front reports an answer that it was not given");
        return;
    }
    struct commit_record r = last->record;
    last->ticket = 0; /* told once */
    r.time = ledger_now_us();
    r.action = "answer.undelivered";
    r.hide_target = false; /* it is another record's number */
    r.outcome = status_name(STATUS_OK);
    snprintf(r.target, sizeof r.target, "%llu", (unsigned long long)message->sequence);
    commit_append(ledger->commit, &r);
}

void admission_channel_closed(struct ledger *ledger, struct link *channel) {
    struct ticket *ticket;
    for (uint32_t position = 0; (ticket = ticket_next(ledger->tickets, &position));) {
        if (ticket->channel != channel)
            continue;
        switch (ticket->state) {
        case TICKET_PARKED:
            workers_forget_waiter(ledger, ticket);
            admission_refuse(ledger, ticket, STATUS_UNAVAILABLE, "", 0);
            break;
        case TICKET_OPEN:
            workers_lose_slot(ledger, ticket);
            if (ticket->action == ACTION_UPLOAD)
                upload_abandon(ledger, ticket, STATUS_UNAVAILABLE);
            else
                end(ledger, ticket, STATUS_UNAVAILABLE, NULL);
            break;
        case TICKET_ACTING:
            ticket->state = TICKET_ORPHAN;
            break;
        case TICKET_ORPHAN:
        case TICKET_FREE:
            break;
        }
    }
}
