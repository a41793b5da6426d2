#include "server/ledger/upload.h"

#include "base/log.h"
#include "server/ledger/admission.h"
#include "server/ledger/policy_gate.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

/* Free bytes that uploads leave to the audit log, at most a sixteenth of the disk. */
#define ROOM_RESERVED ((uint64_t)64 << 20)

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

static void run_begin(struct commit_job *job, struct store *store) {
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
    act_job_model_path(act->made.id, path, sizeof path);
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

static void done_begin(struct commit_job *job, void *context) {
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
            upload_abandon(ledger, ticket, STATUS_UNAVAILABLE);
        } else {
            const struct message_admitted_upload m = {.ticket = ticket->number};
            ledger->figures.admissions[STATUS_OK]++;
            ticket->state = TICKET_OPEN;
            if (message_send_admitted_upload(ticket->channel->socket, &m, &ticket->upload, NULL) !=
                STATUS_OK)
                log_warn("a channel of front does not take its answer");
        }
    }
    act_job_free(act);
}

void upload_begin(struct ledger *ledger, struct ticket *ticket) {
    struct act *act = act_job_new(ledger, ticket, bytes_of(NULL, 0), run_begin, done_begin);
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
    act_job_model_path(act->model, path, sizeof path);
    if (unlinkat(act->ledger->store_folder, path, 0) != 0 && errno != ENOENT)
        log_error("the file of a refused upload stays: %s", strerror(errno));
    act->status = store_model_delete(store, act->model, NULL, &ignored);
    if (act->status != STATUS_OK && act->status != STATUS_NOT_FOUND)
        log_error("a refused upload stays in the store until the next start: %s", ignored.message);
    directory_changed(act->ledger->directory);
}

static void done_failed(struct commit_job *job, void *context) {
    struct act *act = (struct act *)job;
    workers_unload(context, act->tenant, act->model, STATUS_NOT_FOUND);
    act_job_record(context, act->ticket, act->error.status, act->error.message, NULL, 0);
    act_job_free(act);
}

static void failed(struct ledger *ledger, struct ticket *ticket, enum status status,
                   const char *message) {
    struct act *act = act_job_new(ledger, ticket, bytes_of(NULL, 0), run_discard, done_failed);
    if (!act) {
        act_job_record(ledger, ticket, STATUS_UNAVAILABLE, "memory is short", NULL, 0);
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
    act_job_close_upload(ticket);
    ticket_close(ledger->tickets, ticket);
}

static void done_abandon(struct commit_job *job, void *context) {
    struct act *act = (struct act *)job;
    workers_unload(context, act->tenant, act->model, STATUS_NOT_FOUND);
    end_abandoned(context, act->ticket);
    act_job_free(act);
}

void upload_abandon(struct ledger *ledger, struct ticket *ticket, enum status outcome) {
    ticket->record.outcome = status_name(outcome);
    if (ticket->state != TICKET_ORPHAN)
        ticket->state = TICKET_ACTING;
    struct act *act = act_job_new(ledger, ticket, bytes_of(NULL, 0), run_discard, done_abandon);
    if (act) {
        commit_post(ledger->commit, &act->job);
        return;
    }
    log_error("a model that was not uploaded stays in the store until the next start");
    end_abandoned(ledger, ticket);
}

/* On the desk: a large file takes its time to reach the disk, and records must not wait for it. */
void upload_run(struct commit_job *job, struct store *store) {
    struct act *act = (struct act *)job;
    struct stat st;
    (void)store;
    if (fsync(act->payload) != 0 || fstat(act->payload, &st) != 0)
        act->status =
            status_fail(&act->error, STATUS_UNAVAILABLE, "the model cannot be stored now");
    else if ((uint64_t)st.st_size != act->question.payload_bytes)
        act->status =
            status_fail(&act->error, STATUS_INVALID,
                        "the sealed model is incomplete: found %lld bytes of payload, "
                        "expected %llu",
                        (long long)st.st_size, (unsigned long long)act->question.payload_bytes);
}

static void run_complete(struct commit_job *job, struct store *store) {
    struct act *act = (struct act *)job;
    act->status = store_model_complete(store, act->model, act->header, act->header_size,
                                       (int64_t)act->question.payload_bytes, NULL, &act->error);
    if (act->status == STATUS_OK)
        act->status = store_model_get(store, act->model, &act->made, &act->error);
}

static void done_complete(struct commit_job *job, void *context) {
    struct act *act = (struct act *)job;
    struct ledger *ledger = context;
    struct ticket *ticket = act->ticket;
    act_job_close_upload(ticket);
    if (act->status != STATUS_OK) {
        failed(ledger, ticket, act->status, act->error.message);
    } else {
        ticket->model = act->made;
        workers_need(ledger, ticket);
    }
    act_job_free(act);
}

void upload_done(struct commit_job *job, void *context) {
    struct act *act = (struct act *)job;
    struct ledger *ledger = context;
    if (act->status == STATUS_OK) {
        act->job.run = run_complete;
        act->job.done = done_complete;
        commit_post(ledger->commit, &act->job);
        return;
    }
    failed(ledger, act->ticket, act->status, act->error.message);
    act_job_free(act);
}

static void run_ready(struct commit_job *job, struct store *store) {
    struct act *act = (struct act *)job;
    struct audit_record record = commit_audit_record(&act->record);
    act->status = store_model_ready(store, act->model, act->commitment, &record, &act->error);
    directory_changed(act->ledger->directory);
}

static void done_ready(struct commit_job *job, void *context) {
    struct act *act = (struct act *)job;
    struct ledger *ledger = context;
    struct ticket *ticket = act->ticket;
    if (act->status == STATUS_OK) {
        size_t size;
        char *json = act_job_model_json(ticket->model_name, ticket->model.version, "READY", &size);
        act_job_finish(ledger, ticket, json ? STATUS_OK : STATUS_INTERNAL, "memory is short", json,
                       size);
        free(json);
    } else {
        failed(ledger, ticket, act->status, act->error.message);
    }
    act_job_free(act);
}

static void opened(struct ledger *ledger, struct ticket *ticket, struct bytes commitment) {
    ticket->record.outcome = status_name(STATUS_OK);
    struct act *act = act_job_new(ledger, ticket, bytes_of(NULL, 0), run_ready, done_ready);
    if (!act || commitment.size != sizeof act->commitment) {
        act_job_free(act);
        failed(ledger, ticket, STATUS_INTERNAL, "the model could not be committed");
        return;
    }
    memcpy(act->commitment, commitment.data, sizeof act->commitment);
    commit_post(ledger->commit, &act->job);
}

void upload_loaded(struct ledger *ledger, struct ticket *ticket, enum status status,
                   const char *message, struct bytes commitment) {
    if (status == STATUS_OK)
        opened(ledger, ticket, commitment);
    else
        failed(ledger, ticket, status, message);
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

enum status upload_clean_up(struct ledger *ledger, struct error *error) {
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
                act_job_model_path(model.id, path, sizeof path);
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
