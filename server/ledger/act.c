#include "server/ledger/act.h"

#include "base/log.h"
#include "server/ledger/act_job.h"
#include "server/ledger/key_act.h"
#include "server/ledger/reading.h"
#include "server/ledger/statistics.h"
#include "server/ledger/upload.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* --- removal ------------------------------------------------------------------------------- */

/* Row and record in one transaction, then the file. */
static void run_delete(struct commit_job *job, struct store *store) {
    struct act *act = (struct act *)job;
    struct audit_record record = commit_audit_record(&act->record);
    char path[48];
    act->status = store_model_delete(store, act->model, &record, &act->error);
    if (act->status != STATUS_OK)
        return;
    act_job_model_path(act->model, path, sizeof path);
    if (unlinkat(act->ledger->store_folder, path, 0) != 0 && errno != ENOENT)
        log_error("a removed model's file stays: %s", strerror(errno));
    directory_changed(act->ledger->directory);
}

static void done_delete(struct commit_job *job, void *context) {
    struct act *act = (struct act *)job;
    struct ledger *ledger = context;
    if (act->status == STATUS_OK) {
        size_t size;
        /* A request that was admitted just before may have had it loaded again. */
        workers_unload(ledger, act->tenant, act->model, STATUS_NOT_FOUND);
        statistics_forget(ledger->statistics, act->model);
        char *json = act_job_model_json(act->ticket->model.name, act->ticket->model.version,
                                        "DELETED", &size);
        act_job_finish(ledger, act->ticket, json ? STATUS_OK : STATUS_INTERNAL, "memory is short",
                       json, size);
        free(json);
    } else {
        act_job_record(ledger, act->ticket, act->status, act->error.message, NULL, 0);
    }
    act_job_free(act);
}

/* --- load and unload ------------------------------------------------------------------------ */

/* Row and record in one transaction: what a tenant has unloaded stays so over a restart. */
static void run_unload(struct commit_job *job, struct store *store) {
    struct act *act = (struct act *)job;
    struct audit_record record = commit_audit_record(&act->record);
    act->status =
        store_model_set_unloaded(store, act->tenant, act->name, true, &record, &act->error);
    directory_changed(act->ledger->directory);
}

static void done_unload(struct commit_job *job, void *context) {
    struct act *act = (struct act *)job;
    struct ledger *ledger = context;
    if (act->status == STATUS_OK) {
        size_t size;
        workers_unload_named(ledger, act->tenant, act->name, STATUS_INVALID);
        char *json = act_job_model_json(act->name, act->version, "UNLOADED", &size);
        act_job_finish(ledger, act->ticket, json ? STATUS_OK : STATUS_INTERNAL, "memory is short",
                       json, size);
        free(json);
    } else {
        act_job_record(ledger, act->ticket, act->status, act->error.message, NULL, 0);
    }
    act_job_free(act);
}

static void run_load(struct commit_job *job, struct store *store) {
    struct act *act = (struct act *)job;
    act->status = store_model_set_unloaded(store, act->tenant, act->name, false, NULL, &act->error);
    directory_changed(act->ledger->directory);
}

static void done_load(struct commit_job *job, void *context) {
    struct act *act = (struct act *)job;
    if (act->status == STATUS_OK)
        workers_need(context, act->ticket); /* goes on with act_loaded */
    else
        act_job_record(context, act->ticket, act->status, act->error.message, NULL, 0);
    act_job_free(act);
}

void act_loaded(struct ledger *ledger, struct ticket *ticket, enum status status,
                const char *message, struct bytes commitment) {
    if (ticket->action == ACTION_UPLOAD) {
        upload_loaded(ledger, ticket, status, message, commitment);
    } else {
        size_t size = 0;
        char *json = status == STATUS_OK ? act_job_model_json(ticket->model.name,
                                                              ticket->model.version, "READY", &size)
                                         : NULL;
        act_job_record(ledger, ticket, status, message, json, size);
        free(json);
    }
}

/* --- the table ----------------------------------------------------------------------------- */

static const struct {
    act_run *run;
    act_done *done;
    bool writes; /* on the commit thread, else on the desk */
} table[ACTION_COUNT] = {
    /* A large file takes its time to reach the disk, and records must not wait for it. */
    [ACTION_UPLOAD] = {upload_run, upload_done, false},
    [ACTION_DELETE] = {run_delete, done_delete, true},
    [ACTION_LOAD] = {run_load, done_load, true},
    [ACTION_UNLOAD] = {run_unload, done_unload, true},
    [ACTION_KEY_CREATE] = {key_act_create, key_act_done, true},
    [ACTION_KEY_REVOKE] = {key_act_revoke, key_act_done, true},
    [ACTION_METADATA] = {reading_versions, act_job_done, false},
    [ACTION_INDEX] = {reading_index, act_job_done, false},
    [ACTION_RECIPIENT] = {reading_recipient, act_job_done, false},
    [ACTION_AUDIT] = {reading_audit, act_job_done, false},
    [ACTION_USAGE] = {reading_usage, act_job_done, false},
    [ACTION_KEY_READ] = {reading_keys, act_job_done, false},
    [ACTION_STATISTICS] = {statistics_run, statistics_done, false},
};

/* False where a text is none: it holds a zero byte. */
static bool take_question(const struct message_perform *m, struct act_question *q) {
    q->limit = m->limit;
    q->before = m->before;
    q->from = m->from;
    q->to = m->to;
    q->expires = m->expires;
    q->payload_bytes = m->payload_bytes;
    q->ready = m->ready != 0;
    return bytes_to_text(m->after, q->after, sizeof q->after) &&
           bytes_to_text(m->key, q->key, sizeof q->key) &&
           bytes_to_text(m->model, q->model, sizeof q->model) &&
           bytes_to_text(m->action, q->action, sizeof q->action) &&
           bytes_to_text(m->outcome, q->outcome, sizeof q->outcome) &&
           bytes_to_text(m->request, q->request, sizeof q->request) &&
           bytes_to_text(m->label, q->label, sizeof q->label) &&
           bytes_to_text(m->scopes, q->scopes, sizeof q->scopes);
}

void act_perform(struct ledger *ledger, struct ticket *ticket,
                 const struct message_perform *message) {
    const enum message_action action = ticket->action;
    ticket->state = TICKET_ACTING;
    if (!table[action].run) {
        workers_release_slot(ledger, ticket, false);
        act_job_record(ledger, ticket, STATUS_INTERNAL, status_text(STATUS_INTERNAL), NULL, 0);
        return;
    }
    if (action == ACTION_LOAD && !ticket->model.unloaded) {
        workers_need(ledger, ticket);
        return;
    }
    if (action == ACTION_DELETE)
        workers_unload(ledger, ticket->record.usage_tenant, ticket->model.id, STATUS_NOT_FOUND);
    /* What is done to a key is recorded with its id, found or not. */
    if ((action == ACTION_KEY_READ || action == ACTION_KEY_REVOKE) && message->key.size &&
        !bytes_to_text(message->key, ticket->record.target, sizeof ticket->record.target))
        ticket->record.target[0] = '\0';
    ticket->record.outcome = status_name(STATUS_OK);
    struct act *act =
        act_job_new(ledger, ticket, message->header, table[action].run, table[action].done);
    if (!act) {
        act_job_record(ledger, ticket, STATUS_UNAVAILABLE, "memory is short", NULL, 0);
    } else if (!take_question(message, &act->question)) {
        act_job_free(act);
        act_job_record(ledger, ticket, STATUS_INVALID, "the request holds a zero byte", NULL, 0);
    } else {
        commit_post(table[action].writes ? ledger->commit : ledger->desk, &act->job);
    }
}
