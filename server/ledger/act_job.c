#include "server/ledger/act_job.h"

#include "base/log.h"
#include "crypto/secret.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct act *act_job_new(struct ledger *ledger, struct ticket *ticket, struct bytes header,
                        act_run *run, act_done *done) {
    struct act *act = calloc(1, sizeof *act + header.size);
    if (!act)
        return NULL;
    act->job.run = run;
    act->job.done = done;
    act->ledger = ledger;
    act->ticket = ticket;
    act->action = ticket->action;
    act->record = ticket->record;
    act->tenant = ticket->record.usage_tenant;
    act->model = ticket->model.id;
    act->payload = ticket->upload;
    memcpy(act->name, ticket->model_name[0] ? ticket->model_name : ticket->model.name,
           sizeof act->name);
    memcpy(act->version, ticket->model.version, sizeof act->version);
    act->header_size = header.size;
    if (header.size)
        memcpy(act->header, header.data, header.size);
    return act;
}

void act_job_free(struct act *act) {
    if (act && act->secret)
        secret_free(act->result);
    else if (act)
        free(act->result);
    free(act);
}

void act_job_close_upload(struct ticket *ticket) {
    if (ticket->upload >= 0)
        close(ticket->upload);
    ticket->upload = -1;
}

void act_job_finish(struct ledger *ledger, struct ticket *ticket, enum status status,
                    const char *message, const char *result, size_t result_size) {
    const struct message_performed m = {.status = (uint8_t)status,
                                        .message = bytes_text(status == STATUS_OK ? "" : message),
                                        .result =
                                            bytes_of(result, status == STATUS_OK ? result_size : 0),
                                        .retry_after_s = status == STATUS_UNAVAILABLE ? 1 : 0};
    if (ticket->state != TICKET_ORPHAN &&
        message_send_performed(ticket->channel->socket, &m, NULL, NULL) != STATUS_OK)
        log_warn("a channel of front does not take its answer");
    ticket_remember(ticket);
    act_job_close_upload(ticket);
    ticket_close(ledger->tickets, ticket);
}

void act_job_record(struct ledger *ledger, struct ticket *ticket, enum status status,
                    const char *message, const char *result, size_t result_size) {
    struct commit_record *r = &ticket->record;
    r->outcome = status_name(status);
    r->usage_tenant = 0; /* usage counts inference */
    r->reply = ticket->state == TICKET_ORPHAN ? NULL : ticket->channel;
    r->ticket = ticket->number;
    r->answer = commit_answer_new(true, status, message, result, result_size);
    if (!r->answer) {
        act_job_finish(ledger, ticket, STATUS_UNAVAILABLE, "memory is short", NULL, 0);
        return;
    }
    r->answer->retry_after_s = status == STATUS_UNAVAILABLE ? 1 : 0;
    ticket_remember(ticket);
    commit_append(ledger->commit, r);
    act_job_close_upload(ticket);
    ticket_close(ledger->tickets, ticket);
}

void act_job_done(struct commit_job *job, void *ledger) {
    struct act *act = (struct act *)job;
    act_job_record(ledger, act->ticket, act->status, act->error.message, act->result,
                   act->result_size);
    act_job_free(act);
}

void act_job_model_path(int64_t model, char *path, size_t size) {
    snprintf(path, size, "models/%" PRId64, model);
}

char *act_job_model_json(const char *name, const char *version, const char *state, size_t *size) {
    json_t *o = json_pack("{s:s, s:s, s:s}", "name", name, "version", version, "state", state);
    char *text = o ? json_dumps(o, JSON_COMPACT) : NULL;
    json_decref(o);
    *size = text ? strlen(text) : 0;
    return text;
}
