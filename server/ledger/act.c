#include "server/ledger/act.h"

#include "base/log.h"
#include "server/ledger/admission.h"
#include "server/ledger/policy_gate.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

/* Free bytes that uploads leave to the audit log, at most a sixteenth of the disk. */
#define ROOM_RESERVED ((uint64_t)64 << 20)
/* Records in one answer to an audit query, at most. */
#define AUDIT_PAGE_MAX 100u

/* One act on the commit thread. The ticket stays put until `done`, whoever gives it up. */
struct act {
    struct commit_job job;
    struct ledger *ledger;
    struct ticket *ticket;
    struct commit_record record; /* a copy: the job must not touch the loop's ticket */
    int64_t tenant, model;
    char name[NAME_MAX_LENGTH + 1], version[NAME_MAX_LENGTH + 1];
    uint8_t commitment[STORE_COMMITMENT_SIZE];
    int payload; /* descriptor, or -1 */
    uint64_t payload_bytes;
    uint32_t limit;
    uint64_t before;
    enum status status;      /* out */
    struct error error;      /* out */
    struct store_model made; /* out */
    char *result;            /* out: JSON */
    size_t result_size;
    size_t header_size;
    uint8_t header[]; /* of an upload */
};

static struct act *act_new(struct ledger *ledger, struct ticket *ticket, struct bytes header,
                           void (*run)(struct commit_job *, struct store *),
                           void (*done)(struct commit_job *, void *)) {
    struct act *act = calloc(1, sizeof *act + header.size);
    if (!act)
        return NULL;
    act->job.run = run;
    act->job.done = done;
    act->ledger = ledger;
    act->ticket = ticket;
    act->record = ticket->record;
    act->tenant = ticket->record.usage_tenant;
    act->model = ticket->model.id;
    act->payload = ticket->upload;
    memcpy(act->name, ticket->model_name, sizeof act->name);
    memcpy(act->version, ticket->model.version, sizeof act->version);
    act->header_size = header.size;
    if (header.size)
        memcpy(act->header, header.data, header.size);
    return act;
}

static void act_free(struct act *act) {
    if (act)
        free(act->result);
    free(act);
}

static void close_upload(struct ticket *ticket) {
    if (ticket->upload >= 0)
        close(ticket->upload);
    ticket->upload = -1;
}

/* The act is recorded (or could not be): answer and end. */
static void finish(struct ledger *ledger, struct ticket *ticket, enum status status,
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
    close_upload(ticket);
    ticket_close(ledger->tickets, ticket);
}

/* Record an act that changed nothing in the store, with what it is answered with. */
static void finish_with_record(struct ledger *ledger, struct ticket *ticket, enum status status,
                               const char *message, const char *result, size_t result_size) {
    struct commit_record *r = &ticket->record;
    r->outcome = status_name(status);
    r->usage_tenant = 0; /* usage counts inference */
    r->reply = ticket->state == TICKET_ORPHAN ? NULL : ticket->channel;
    r->ticket = ticket->number;
    r->answer = commit_answer_new(true, status, message, result, result_size);
    if (!r->answer) {
        finish(ledger, ticket, STATUS_UNAVAILABLE, "memory is short", NULL, 0);
        return;
    }
    r->answer->retry_after_s = status == STATUS_UNAVAILABLE ? 1 : 0;
    ticket_remember(ticket);
    commit_append(ledger->commit, r);
    close_upload(ticket);
    ticket_close(ledger->tickets, ticket);
}

static void model_path(int64_t model, char *path, size_t size) {
    snprintf(path, size, "models/%" PRId64, model);
}

/* The model's JSON in answers to acts. */
static char *model_json(const char *name, const char *version, const char *state, size_t *size) {
    json_t *o = json_pack("{s:s, s:s, s:s}", "name", name, "version", version, "state", state);
    char *text = o ? json_dumps(o, JSON_COMPACT) : NULL;
    json_decref(o);
    *size = text ? strlen(text) : 0;
    return text;
}

/* --- upload: row and file, payload, header, first opening, ready ---------------------------- */

/* An upload must not take the room that records need: a part of the disk stays free. */
static enum status check_room(const struct act *act, struct error *error) {
    struct statfs disk;
    if (fstatfs(act->ledger->store_folder, &disk) != 0)
        return status_fail(error, STATUS_UNAVAILABLE, "the model cannot be stored now");
    uint64_t unit = (uint64_t)disk.f_bsize, all = disk.f_blocks * unit;
    uint64_t available = disk.f_bavail * unit;
    uint64_t reserve = all / 16 < ROOM_RESERVED ? all / 16 : ROOM_RESERVED;
    if (available < reserve || available - reserve < act->record.bytes_in)
        return status_fail(error, STATUS_UNAVAILABLE,
                           "the server has no room for a model of %llu bytes now",
                           (unsigned long long)act->record.bytes_in);
    return STATUS_OK;
}

static void run_begin_upload(struct commit_job *job, struct store *store) {
    struct act *act = (struct act *)job;
    char path[48];
    act->status = check_room(act, &act->error);
    if (act->status == STATUS_OK)
        act->status = policy_gate_models(store, act->tenant, &act->error);
    if (act->status != STATUS_OK)
        return;
    act->status = store_model_create(store, act->tenant, act->name, act->version, act->record.time,
                                     &act->made, NULL, &act->error);
    if (act->status != STATUS_OK)
        return;
    model_path(act->made.id, path, sizeof path);
    act->payload = openat(act->ledger->store_folder, path,
                          O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    /* What is promised to this upload is not promised to another one meanwhile. */
    if (act->payload >= 0 &&
        fallocate(act->payload, FALLOC_FL_KEEP_SIZE, 0, (off_t)act->record.bytes_in) != 0 &&
        errno == ENOSPC) {
        close(act->payload);
        act->payload = -1;
        unlinkat(act->ledger->store_folder, path, 0);
    }
    if (act->payload >= 0)
        return;
    act->status = status_fail(&act->error, STATUS_UNAVAILABLE, "the model cannot be stored now");
    log_error("a model's file cannot be made: %s", strerror(errno));
    if (store_model_delete(store, act->made.id, NULL, NULL) != STATUS_OK)
        log_error("a model that was not uploaded stays in the store until the next start");
}

static void done_begin_upload(struct commit_job *job, void *context) {
    struct act *act = (struct act *)job;
    struct ledger *ledger = context;
    struct ticket *ticket = act->ticket;
    if (act->status == STATUS_CONFLICT)
        status_fail(&act->error, STATUS_CONFLICT, "model \"%s\" version \"%s\" already exists",
                    act->name, act->version);
    if (act->status != STATUS_OK) {
        admission_refuse(ledger, ticket, act->status, act->error.message,
                         act->status == STATUS_UNAVAILABLE ? 1 : 0);
    } else {
        ticket->model = act->made;
        ticket->upload = act->payload;
        if (ticket->state == TICKET_ORPHAN) {
            act_abandon_upload(ledger, ticket, STATUS_UNAVAILABLE);
        } else {
            const struct message_admitted_upload m = {.ticket = ticket->number};
            ticket->state = TICKET_OPEN;
            if (message_send_admitted_upload(ticket->channel->socket, &m, &ticket->upload, NULL) !=
                STATUS_OK)
                log_warn("a channel of front does not take its answer");
        }
    }
    act_free(act);
}

void act_begin_upload(struct ledger *ledger, struct ticket *ticket) {
    struct act *act =
        act_new(ledger, ticket, bytes_of(NULL, 0), run_begin_upload, done_begin_upload);
    if (!act) {
        admission_refuse(ledger, ticket, STATUS_UNAVAILABLE, "memory is short", 1);
        return;
    }
    ticket->state = TICKET_ACTING;
    commit_post(ledger->commit, &act->job);
}

/* What an upload left: the file first, since a full disk may not even take the row's removal. A
 * row that stays is removed at the next start. */
static void run_discard(struct commit_job *job, struct store *store) {
    struct act *act = (struct act *)job;
    struct error ignored = {0};
    char path[48];
    model_path(act->model, path, sizeof path);
    if (unlinkat(act->ledger->store_folder, path, 0) != 0 && errno != ENOENT)
        log_error("the file of a refused upload stays: %s", strerror(errno));
    act->status = store_model_delete(store, act->model, NULL, &ignored);
    if (act->status != STATUS_OK && act->status != STATUS_NOT_FOUND)
        log_error("a refused upload stays in the store until the next start: %s", ignored.message);
    directory_changed(act->ledger->directory);
}

static void done_upload_failed(struct commit_job *job, void *context) {
    struct act *act = (struct act *)job;
    workers_unload(context, act->tenant, act->model, STATUS_NOT_FOUND);
    finish_with_record(context, act->ticket, act->error.status, act->error.message, NULL, 0);
    act_free(act);
}

static void upload_failed(struct ledger *ledger, struct ticket *ticket, enum status status,
                          const char *message) {
    struct act *act = act_new(ledger, ticket, bytes_of(NULL, 0), run_discard, done_upload_failed);
    if (!act) {
        finish_with_record(ledger, ticket, STATUS_UNAVAILABLE, "memory is short", NULL, 0);
        return;
    }
    status_fail(&act->error, status, "%s", message);
    commit_post(ledger->commit, &act->job);
}

/* The outcome is in the ticket's record; SETTLED is the answer. */
static void end_abandoned(struct ledger *ledger, struct ticket *ticket) {
    ticket->record.reply = ticket->state == TICKET_ORPHAN ? NULL : ticket->channel;
    ticket->record.ticket = ticket->number;
    ticket->record.usage_tenant = 0;
    ticket_remember(ticket);
    commit_append(ledger->commit, &ticket->record);
    close_upload(ticket);
    ticket_close(ledger->tickets, ticket);
}

static void done_abandon(struct commit_job *job, void *context) {
    struct act *act = (struct act *)job;
    workers_unload(context, act->tenant, act->model, STATUS_NOT_FOUND);
    end_abandoned(context, act->ticket);
    act_free(act);
}

void act_abandon_upload(struct ledger *ledger, struct ticket *ticket, enum status outcome) {
    ticket->record.outcome = status_name(outcome);
    if (ticket->state != TICKET_ORPHAN)
        ticket->state = TICKET_ACTING;
    struct act *act = act_new(ledger, ticket, bytes_of(NULL, 0), run_discard, done_abandon);
    if (act) {
        commit_post(ledger->commit, &act->job);
        return;
    }
    log_error("a model that was not uploaded stays in the store until the next start");
    end_abandoned(ledger, ticket);
}

/* On the desk: a large file takes its time to reach the disk, and records must not wait for it. */
static void run_sync_upload(struct commit_job *job, struct store *store) {
    struct act *act = (struct act *)job;
    struct stat st;
    (void)store;
    if (fsync(act->payload) != 0 || fstat(act->payload, &st) != 0)
        act->status =
            status_fail(&act->error, STATUS_UNAVAILABLE, "the model cannot be stored now");
    else if ((uint64_t)st.st_size != act->payload_bytes)
        act->status = status_fail(&act->error, STATUS_INVALID,
                                  "the sealed model is incomplete: found %lld bytes of payload, "
                                  "expected %llu",
                                  (long long)st.st_size, (unsigned long long)act->payload_bytes);
}

static void run_complete_upload(struct commit_job *job, struct store *store) {
    struct act *act = (struct act *)job;
    act->status = store_model_complete(store, act->model, act->header, act->header_size,
                                       (int64_t)act->payload_bytes, NULL, &act->error);
    if (act->status == STATUS_OK)
        act->status = store_model_get(store, act->model, &act->made, &act->error);
}

static void done_complete_upload(struct commit_job *job, void *context) {
    struct act *act = (struct act *)job;
    struct ledger *ledger = context;
    struct ticket *ticket = act->ticket;
    close_upload(ticket);
    if (act->status != STATUS_OK) {
        upload_failed(ledger, ticket, act->status, act->error.message);
    } else {
        ticket->model = act->made;
        workers_need(ledger, ticket);
    }
    act_free(act);
}

static void done_sync_upload(struct commit_job *job, void *context) {
    struct act *act = (struct act *)job;
    struct ledger *ledger = context;
    if (act->status == STATUS_OK) {
        act->job.run = run_complete_upload;
        act->job.done = done_complete_upload;
        commit_post(ledger->commit, &act->job);
        return;
    }
    upload_failed(ledger, act->ticket, act->status, act->error.message);
    act_free(act);
}

static void run_upload_ready(struct commit_job *job, struct store *store) {
    struct act *act = (struct act *)job;
    struct audit_record record = commit_audit_record(&act->record);
    act->status = store_model_ready(store, act->model, act->commitment, &record, &act->error);
    directory_changed(act->ledger->directory);
}

static void done_upload_ready(struct commit_job *job, void *context) {
    struct act *act = (struct act *)job;
    struct ledger *ledger = context;
    struct ticket *ticket = act->ticket;
    if (act->status == STATUS_OK) {
        size_t size;
        char *json = model_json(ticket->model_name, ticket->model.version, "READY", &size);
        finish(ledger, ticket, json ? STATUS_OK : STATUS_INTERNAL, "memory is short", json, size);
        free(json);
    } else {
        upload_failed(ledger, ticket, act->status, act->error.message);
    }
    act_free(act);
}

static void upload_opened(struct ledger *ledger, struct ticket *ticket, struct bytes commitment) {
    ticket->record.outcome = status_name(STATUS_OK);
    struct act *act =
        act_new(ledger, ticket, bytes_of(NULL, 0), run_upload_ready, done_upload_ready);
    if (!act || commitment.size != sizeof act->commitment) {
        act_free(act);
        upload_failed(ledger, ticket, STATUS_INTERNAL, "the model could not be committed");
        return;
    }
    memcpy(act->commitment, commitment.data, sizeof act->commitment);
    commit_post(ledger->commit, &act->job);
}

void act_loaded(struct ledger *ledger, struct ticket *ticket, enum status status,
                const char *message, struct bytes commitment) {
    if (ticket->action == ACTION_UPLOAD && status == STATUS_OK) {
        upload_opened(ledger, ticket, commitment);
    } else if (ticket->action == ACTION_UPLOAD) {
        upload_failed(ledger, ticket, status, message);
    } else {
        size_t size = 0;
        char *json = status == STATUS_OK
                         ? model_json(ticket->model.name, ticket->model.version, "READY", &size)
                         : NULL;
        finish_with_record(ledger, ticket, status, message, json, size);
        free(json);
    }
}

/* --- removal ------------------------------------------------------------------------------- */

/* Row and record in one transaction, then the file. */
static void run_delete(struct commit_job *job, struct store *store) {
    struct act *act = (struct act *)job;
    struct audit_record record = commit_audit_record(&act->record);
    char path[48];
    act->status = store_model_delete(store, act->model, &record, &act->error);
    if (act->status != STATUS_OK)
        return;
    model_path(act->model, path, sizeof path);
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
        char *json =
            model_json(act->ticket->model.name, act->ticket->model.version, "DELETED", &size);
        finish(ledger, act->ticket, json ? STATUS_OK : STATUS_INTERNAL, "memory is short", json,
               size);
        free(json);
    } else {
        finish_with_record(ledger, act->ticket, act->status, act->error.message, NULL, 0);
    }
    act_free(act);
}

/* --- what only reads: the caller's own models, recipient, records --------------------------- */

static enum status add_model(void *context, const struct store_model *model, struct error *error) {
    struct act *act = context;
    json_t *list = (json_t *)(void *)act->result;
    bool resident = model->state == STORE_MODEL_READY;
    json_t *o = json_pack("{s:s, s:s, s:s, s:s}", "name", model->name, "version", model->version,
                          "state", resident ? "READY" : "UNAVAILABLE", "reason",
                          resident ? "" : store_model_state_name(model->state));
    if (!o || json_array_append_new(list, o) != 0)
        return status_fail(error, STATUS_UNAVAILABLE, "memory is short");
    return STATUS_OK;
}

static void run_index(struct commit_job *job, struct store *store) {
    struct act *act = (struct act *)job;
    json_t *list = json_array();
    act->result = (char *)list; /* for add_model */
    act->status = store_model_list(store, act->tenant, add_model, act, &act->error);
    act->result = act->status == STATUS_OK ? json_dumps(list, JSON_COMPACT) : NULL;
    act->result_size = act->result ? strlen(act->result) : 0;
    json_decref(list);
    if (act->status == STATUS_OK && (!act->result || act->result_size > MESSAGE_RESULT_MAX))
        act->status = status_fail(&act->error, STATUS_TOO_LARGE,
                                  "the list of models does not fit into one answer");
}

static void run_recipient(struct commit_job *job, struct store *store) {
    struct act *act = (struct act *)job;
    struct store_tenant *tenant = malloc(sizeof *tenant);
    json_t *o = NULL;
    act->status = tenant ? store_tenant_get(store, act->tenant, tenant, &act->error)
                         : status_fail(&act->error, STATUS_UNAVAILABLE, "memory is short");
    if (act->status == STATUS_OK) {
        o = json_pack("{s:s, s:s, s:s}", "tenant", tenant->name, "recipient", tenant->recipient,
                      "note", tenant->note);
        act->result = o ? json_dumps(o, JSON_COMPACT) : NULL;
        act->result_size = act->result ? strlen(act->result) : 0;
        if (!act->result)
            act->status = status_fail(&act->error, STATUS_UNAVAILABLE, "memory is short");
    }
    json_decref(o);
    free(tenant);
}

struct audit_page {
    struct buf out;
    uint64_t next;
    uint32_t count;
    bool full;
};

/* Records are canonical JSON already: they go out as they are, so that leaves can be checked. */
static enum status add_record(void *context, const struct store_audit_row *row,
                              struct error *error) {
    struct audit_page *page = context;
    (void)error;
    if (page->full || page->out.size + row->size + 64 > page->out.capacity) {
        page->full = true;
        return STATUS_OK;
    }
    if (page->count++)
        buf_u8(&page->out, ',');
    buf_bytes(&page->out, row->record, row->size);
    page->next = row->seq;
    return STATUS_OK;
}

static void run_audit(struct commit_job *job, struct store *store) {
    struct act *act = (struct act *)job;
    uint32_t limit = act->limit && act->limit < AUDIT_PAGE_MAX ? act->limit : AUDIT_PAGE_MAX;
    struct audit_page page = {0};
    act->result = malloc(MESSAGE_RESULT_MAX);
    if (!act->result) {
        act->status = status_fail(&act->error, STATUS_UNAVAILABLE, "memory is short");
        return;
    }
    page.out = buf_of(act->result, MESSAGE_RESULT_MAX);
    buf_string(&page.out, "{\"records\":[");
    act->status =
        store_audit_list(store, act->record.tenant, act->before ? act->before : UINT64_MAX, limit,
                         add_record, &page, &act->error);
    buf_string(&page.out, "]");
    /* Where there may be more: ask again with before=next. */
    if (page.count == limit || page.full)
        buf_printf(&page.out, ",\"next\":%" PRIu64, page.next);
    buf_string(&page.out, "}");
    act->result_size = page.out.size;
}

static void done_read(struct commit_job *job, void *context) {
    struct act *act = (struct act *)job;
    finish_with_record(context, act->ticket, act->status, act->error.message, act->result,
                       act->result_size);
    act_free(act);
}

/* --- the table ----------------------------------------------------------------------------- */

static void post(struct ledger *ledger, struct commit *where, struct ticket *ticket,
                 const struct message_perform *m, void (*run)(struct commit_job *, struct store *),
                 void (*done)(struct commit_job *, void *)) {
    ticket->record.outcome = status_name(STATUS_OK);
    struct act *act = act_new(ledger, ticket, m->header, run, done);
    if (!act) {
        finish_with_record(ledger, ticket, STATUS_UNAVAILABLE, "memory is short", NULL, 0);
        return;
    }
    act->payload_bytes = m->payload_bytes;
    act->limit = m->limit;
    act->before = m->before;
    commit_post(where, &act->job);
}

void act_perform(struct ledger *ledger, struct ticket *ticket,
                 const struct message_perform *message) {
    ticket->state = TICKET_ACTING;
    switch (ticket->action) {
    case ACTION_UPLOAD:
        post(ledger, ledger->desk, ticket, message, run_sync_upload, done_sync_upload);
        break;
    case ACTION_DELETE:
        workers_unload(ledger, ticket->record.usage_tenant, ticket->model.id, STATUS_NOT_FOUND);
        post(ledger, ledger->commit, ticket, message, run_delete, done_delete);
        break;
    case ACTION_LOAD:
        workers_need(ledger, ticket);
        break;
    case ACTION_UNLOAD: {
        size_t size;
        workers_unload(ledger, ticket->record.usage_tenant, ticket->model.id, STATUS_UNAVAILABLE);
        char *json = model_json(ticket->model.name, ticket->model.version, "UNLOADED", &size);
        finish_with_record(ledger, ticket, STATUS_OK, "", json, size);
        free(json);
        break;
    }
    case ACTION_INDEX:
        post(ledger, ledger->desk, ticket, message, run_index, done_read);
        break;
    case ACTION_RECIPIENT:
        post(ledger, ledger->desk, ticket, message, run_recipient, done_read);
        break;
    case ACTION_AUDIT:
        post(ledger, ledger->desk, ticket, message, run_audit, done_read);
        break;
    case ACTION_SERVER_METADATA:
    case ACTION_METADATA:
    case ACTION_MODEL_READY:
    case ACTION_INFER:
    case ACTION_METRICS:
    case ACTION_UNROUTED:
    case ACTION_COUNT:
        workers_release_slot(ledger, ticket, false);
        finish_with_record(ledger, ticket, STATUS_INTERNAL, status_text(STATUS_INTERNAL), NULL, 0);
        break;
    }
}

/* --- start --------------------------------------------------------------------------------- */

struct leftovers {
    int64_t ids[64];
    size_t count;
};

static enum status note_leftover(void *context, const struct store_model *model,
                                 struct error *error) {
    struct leftovers *l = context;
    (void)error;
    if (model->state != STORE_MODEL_READY && l->count < sizeof l->ids / sizeof *l->ids)
        l->ids[l->count++] = model->id;
    return STATUS_OK;
}

/* Files that no row names: their rows were removed, and then the process ended. */
static enum status remove_strays(struct ledger *ledger, struct error *error) {
    int fd = openat(ledger->store_folder, "models", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *folder = fd >= 0 ? fdopendir(fd) : NULL;
    if (!folder) {
        if (fd >= 0)
            close(fd);
        return status_fail(error, STATUS_UNAVAILABLE, "the folder of models cannot be read");
    }
    enum status status = STATUS_OK;
    struct dirent *entry;
    while (status == STATUS_OK && (entry = readdir(folder))) {
        struct store_model model;
        char *end;
        long long id = strtoll(entry->d_name, &end, 10);
        if (*end || id <= 0)
            continue;
        status = store_model_get(ledger->store, id, &model, error);
        if (status != STATUS_NOT_FOUND)
            continue;
        status = STATUS_OK;
        if (unlinkat(dirfd(folder), entry->d_name, 0) != 0)
            log_warn("a file that belongs to no model stays: %s", strerror(errno));
        else
            log_info("a file that belonged to no model is removed");
    }
    closedir(folder);
    return status;
}

enum status act_clean_up(struct ledger *ledger, struct error *error) {
    struct leftovers left;
    do {
        left.count = 0;
        enum status status = store_model_list(ledger->store, 0, note_leftover, &left, error);
        for (size_t i = 0; i < left.count && status == STATUS_OK; i++) {
            struct commit_record r = {.time = ledger_now_us(),
                                      .action = "model.upload",
                                      .outcome = status_name(STATUS_UNAVAILABLE)};
            struct store_model model;
            struct store_tenant *tenant = malloc(sizeof *tenant);
            status = tenant ? store_model_get(ledger->store, left.ids[i], &model, error)
                            : status_fail(error, STATUS_UNAVAILABLE, "memory is short");
            if (status == STATUS_OK)
                status = store_tenant_get(ledger->store, model.tenant, tenant, error);
            if (status == STATUS_OK) {
                char path[48];
                memcpy(r.tenant, tenant->uid, sizeof r.tenant);
                snprintf(r.target, sizeof r.target, "%s/%s", model.name, model.version);
                struct audit_record record = commit_audit_record(&r);
                status = store_model_delete(ledger->store, model.id, &record, error);
                model_path(model.id, path, sizeof path);
                if (status == STATUS_OK && unlinkat(ledger->store_folder, path, 0) != 0 &&
                    errno != ENOENT)
                    log_warn("the file of an unfinished upload stays: %s", strerror(errno));
                log_info("an upload that was cut short is removed tenant=%s model=%s", r.tenant,
                         r.target);
            }
            free(tenant);
        }
        if (status != STATUS_OK)
            return status;
    } while (left.count);
    return remove_strays(ledger, error);
}
