#include "server/ledger/workers.h"

#include "base/log.h"
#include "server/ledger/act.h"
#include "server/ledger/admission.h"
#include "server/ledger/state.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* A request waits for a worker's restart up to this long, else it is told to come again. */
#define PATIENCE_MS 2000
/* Loading a model takes as long as its size wants; past this something is wrong. */
#define LOAD_PATIENCE_MS (120 * 1000)

struct workers {
    uint64_t loads;                 /* numbers of LOADs given so far */
    uint32_t count;                 /* entries ever used: the part of `all` to look at */
    struct workers_figures figures; /* what only grows */
    struct worker *all[WORKERS_MAX];
    uint8_t header[MESSAGE_HEADER_MAX]; /* scratch of start_load */
    struct store_tenant tenant;         /* scratch of start_load */
};

enum status workers_new(struct workers **workers, struct error *error) {
    struct workers *w = calloc(1, sizeof *w);
    if (!w)
        return status_fail(error, STATUS_UNAVAILABLE, "no memory for the table of workers");
    *workers = w;
    return STATUS_OK;
}

void workers_free(struct workers *w) {
    if (!w)
        return;
    for (uint32_t i = 0; i < w->count; i++)
        free(w->all[i]);
    free(w);
}

static struct worker *find_tenant(struct workers *w, int64_t tenant) {
    for (uint32_t i = 0; i < w->count; i++)
        if (w->all[i]->used && w->all[i]->tenant == tenant)
            return w->all[i];
    return NULL;
}

static struct residency *find_model(struct worker *worker, int64_t model) {
    for (uint32_t i = 0; i < RESIDENT_MAX; i++)
        if (worker->models[i].used && !worker->models[i].dropped &&
            worker->models[i].model.id == model)
            return &worker->models[i];
    return NULL;
}

void workers_stop_process(struct ledger *ledger, const struct worker *worker) {
    const struct message_stop_worker m = {.worker = worker->number};
    if (message_send_stop_worker(ledger->launch->socket, &m, NULL, NULL) != STATUS_OK)
        log_error("launch does not take messages");
}

/* A worker that does not read its messages is no worker; the loop must not wait for it. */
static void send_unload(struct ledger *ledger, const struct worker *worker, int64_t model) {
    const struct message_unload m = {.model = (uint64_t)model};
    if (worker->link && message_send_unload(worker->link->socket, &m, NULL, NULL) != STATUS_OK)
        workers_stop_process(ledger, worker);
}

static void ask_for_worker(struct ledger *ledger, const struct worker *worker) {
    const struct message_start_worker m = {.tenant = bytes_text(worker->tenant_uid)};
    struct error error = {0};
    if (message_send_start_worker(ledger->launch->socket, &m, NULL, &error) != STATUS_OK)
        log_error("a worker cannot be asked for tenant=%s: %s", worker->tenant_uid, error.message);
}

static struct worker *add(struct ledger *ledger, int64_t tenant, const char *uid) {
    struct workers *w = ledger->workers;
    struct worker *worker = NULL;
    for (uint32_t i = 0; i < w->count && !worker; i++)
        if (!w->all[i]->used)
            worker = w->all[i];
    if (!worker) {
        if (w->count == WORKERS_MAX || !(worker = calloc(1, sizeof *worker)))
            return NULL;
        w->all[w->count++] = worker;
    }
    *worker = (struct worker){.used = true, .tenant = tenant};
    memcpy(worker->tenant_uid, uid, sizeof worker->tenant_uid);
    ask_for_worker(ledger, worker);
    return worker;
}

/* The ticket's model is in memory, or will not be: go on with whatever waited for it. */
static void answer(struct ledger *ledger, struct worker *worker, struct ticket *ticket,
                   enum status status, const char *message, struct bytes commitment) {
    if (ticket->state == TICKET_ACTING || ticket->state == TICKET_ORPHAN) {
        act_loaded(ledger, ticket, status, message, commitment);
        return;
    }
    if (status != STATUS_OK) {
        admission_refuse(ledger, ticket, status, message, status == STATUS_UNAVAILABLE ? 1 : 0);
        return;
    }
    if (ticket->action == ACTION_INFER) {
        if (!worker->free_slot_count) {
            char text[96];
            snprintf(text, sizeof text, "all %u request slots of the tenant's worker are in use",
                     worker->slots);
            admission_refuse(ledger, ticket, STATUS_UNAVAILABLE, text, 1);
            return;
        }
        ticket->slot = worker->free_slots[--worker->free_slot_count];
    }
    ticket->worker = worker;
    admission_grant(ledger, ticket);
}

static void answer_all(struct ledger *ledger, struct worker *worker, struct residency *model,
                       enum status status, const char *message, struct bytes commitment) {
    struct ticket *ticket = model->waiters;
    model->waiters = NULL;
    while (ticket) {
        struct ticket *next = ticket->next_waiter;
        ticket->next_waiter = NULL;
        answer(ledger, worker, ticket, status, message, commitment);
        ticket = next;
    }
}

static void give_up(struct ledger *ledger, struct worker *worker, struct residency *model,
                    enum status status, const char *message) {
    struct residency gone = *model;
    if (!gone.loaded)
        ledger->workers->figures.loads[status]++;
    model->used = false;
    answer_all(ledger, worker, &gone, status, message, bytes_of(NULL, 0));
}

/* Hand the payload's descriptor to front, which sends it on to the worker. */
static enum status send_payload(struct ledger *ledger, const struct worker *worker,
                                const struct residency *model, struct error *error) {
    char path[48];
    snprintf(path, sizeof path, "models/%lld", (long long)model->model.id);
    int payload = openat(ledger->store_folder, path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (payload < 0)
        return status_fail(error, STATUS_INTERNAL, "the stored model cannot be read");
    const struct message_front_payload m = {.worker = worker->number, .load = model->load};
    enum status status =
        ledger->front ? message_send_front_payload(ledger->front->socket, &m, &payload, error)
                      : status_fail(error, STATUS_UNAVAILABLE, "the server is starting");
    close(payload);
    return status;
}

static void start_load(struct ledger *ledger, struct worker *worker, struct residency *model) {
    struct workers *w = ledger->workers;
    struct error error = {0};
    size_t header_size = 0;
    model->load = ++w->loads;
    /* Without a commitment a worker opens whatever lies there: right once, for an upload. */
    enum status status = STATUS_OK;
    if (model->model.state == STORE_MODEL_READY && !model->model.has_commitment)
        status = status_fail(&error, STATUS_CONFLICT, "the stored model has lost its commitment");
    if (status == STATUS_OK)
        status = store_model_header(ledger->reader, model->model.id, w->header, sizeof w->header,
                                    &header_size, &error);
    if (status == STATUS_OK)
        status = store_tenant_get(ledger->reader, worker->tenant, &w->tenant, &error);
    if (status == STATUS_OK)
        status = send_payload(ledger, worker, model, &error);
    if (status == STATUS_OK) {
        const struct message_load m = {
            .load = model->load,
            .model = (uint64_t)model->model.id,
            .header = bytes_of(w->header, header_size),
            .wrapped = bytes_of(w->tenant.wrapped, w->tenant.wrapped_size),
            .commitment = bytes_of(model->model.commitment,
                                   model->model.has_commitment ? STORE_COMMITMENT_SIZE : 0),
            .payload_bytes = (uint64_t)model->model.payload_size,
            .domains = model->terms.domains,
            .memory = model->terms.memory};
        status = message_send_load(worker->link->socket, &m, NULL, &error);
        if (status != STATUS_OK) {
            status = status_fail(&error, STATUS_UNAVAILABLE, "the tenant's worker does not answer");
            workers_stop_process(ledger, worker);
        }
    }
    if (status != STATUS_OK)
        give_up(ledger, worker, model, status, error.message);
}

/* Opened under what the tenant's policy says now? */
static bool same_terms(const struct residency *model, const struct ticket *ticket) {
    return model->terms.domains == ticket->terms.domains &&
           model->terms.memory == ticket->terms.memory;
}

void workers_need(struct ledger *ledger, struct ticket *ticket) {
    int64_t tenant = ticket->record.usage_tenant;
    struct worker *worker = find_tenant(ledger->workers, tenant);
    const struct bytes none = {0};
    if (!worker)
        worker = add(ledger, tenant, ticket->record.tenant);
    if (!worker) {
        answer(ledger, NULL, ticket, STATUS_UNAVAILABLE, "too many tenants are active", none);
        return;
    }
    int64_t wait_ms = worker->link ? 0 : worker->retry_at_ms - ledger_now_ms();
    if (wait_ms > PATIENCE_MS || worker->stopping) {
        answer(ledger, NULL, ticket, STATUS_UNAVAILABLE,
               "the tenant's worker stopped and is being started again", none);
        return;
    }
    struct residency *model = find_model(worker, ticket->model.id);
    /* The policy has changed: what was opened under the old one is opened anew. */
    if (model && !same_terms(model, ticket)) {
        workers_unload(ledger, tenant, ticket->model.id, STATUS_UNAVAILABLE);
        model = NULL;
    }
    /* Unloaded while it was being loaded, and wanted again: the load under way will do. */
    for (uint32_t i = 0; i < RESIDENT_MAX && !model; i++)
        if (worker->models[i].used && worker->models[i].model.id == ticket->model.id &&
            same_terms(&worker->models[i], ticket)) {
            model = &worker->models[i];
            model->dropped = false;
        }
    if (model && model->loaded) {
        answer(ledger, worker, ticket, STATUS_OK, "", none);
        return;
    }
    if (ticket->state == TICKET_OPEN)
        ticket->state = TICKET_PARKED;
    bool fresh = !model;
    for (uint32_t i = 0; i < RESIDENT_MAX && !model; i++)
        if (!worker->models[i].used)
            model = &worker->models[i];
    if (!model) {
        answer(ledger, NULL, ticket, STATUS_UNAVAILABLE,
               "too many models of the tenant are loaded; unload one", none);
        return;
    }
    if (fresh)
        *model = (struct residency){.used = true,
                                    .since_ms = ledger_now_ms(),
                                    .model = ticket->model,
                                    .terms = ticket->terms};
    ticket->next_waiter = model->waiters;
    model->waiters = ticket;
    if (fresh && worker->link)
        start_load(ledger, worker, model);
}

void workers_release_slot(struct ledger *ledger, struct ticket *ticket, bool stuck) {
    struct worker *worker = ticket->worker;
    ticket->worker = NULL;
    if (!worker || ticket->action != ACTION_INFER)
        return;
    if (!stuck) {
        if (worker->free_slot_count < worker->slots)
            worker->free_slots[worker->free_slot_count++] = ticket->slot;
        return;
    }
    log_warn("a worker does not return from a request and is stopped tenant=%s",
             worker->tenant_uid);
    workers_stop_process(ledger, worker);
}

void workers_lose_slot(struct ledger *ledger, struct ticket *ticket) {
    struct worker *worker = ticket->worker;
    ticket->worker = NULL;
    if (worker && ticket->action == ACTION_INFER && ++worker->lost_slots == worker->slots)
        workers_stop_process(ledger, worker);
}

void workers_forget_waiter(struct ledger *ledger, struct ticket *ticket) {
    struct worker *worker = find_tenant(ledger->workers, ticket->record.usage_tenant);
    struct residency *model = worker ? find_model(worker, ticket->model.id) : NULL;
    if (!model)
        return;
    for (struct ticket **at = &model->waiters; *at; at = &(*at)->next_waiter)
        if (*at == ticket) {
            *at = ticket->next_waiter;
            ticket->next_waiter = NULL;
            return;
        }
}

bool workers_unload(struct ledger *ledger, int64_t tenant, int64_t id, enum status status) {
    struct worker *worker = find_tenant(ledger->workers, tenant);
    struct residency *model = worker ? find_model(worker, id) : NULL;
    if (!model)
        return false;
    bool was_loaded = model->loaded;
    struct residency waiting = *model;
    if (was_loaded || !worker->link) {
        model->used = false;
    } else {
        model->dropped = true;
        model->waiters = NULL;
    }
    if (was_loaded)
        send_unload(ledger, worker, id);
    answer_all(ledger, worker, &waiting, status,
               status == STATUS_NOT_FOUND ? "the model was deleted meanwhile"
                                          : "the model was unloaded meanwhile",
               bytes_of(NULL, 0));
    return was_loaded;
}

void workers_unload_named(struct ledger *ledger, int64_t tenant, const char *name,
                          enum status status) {
    struct worker *worker = find_tenant(ledger->workers, tenant);
    for (uint32_t i = 0; worker && i < RESIDENT_MAX; i++)
        if (worker->models[i].used && strcmp(worker->models[i].model.name, name) == 0)
            workers_unload(ledger, tenant, worker->models[i].model.id, status);
}

uint64_t workers_resident_bytes(struct ledger *ledger, int64_t tenant, int64_t id) {
    struct worker *worker = find_tenant(ledger->workers, tenant);
    const struct residency *model = worker ? find_model(worker, id) : NULL;
    return model && model->loaded ? model->resident_bytes : 0;
}

static void measure_worker(const struct worker *worker, struct workers_figures *f) {
    if (worker->link) {
        uint32_t idle = worker->free_slot_count + worker->lost_slots;
        f->slots_free += worker->free_slot_count;
        f->slots_lost += worker->lost_slots;
        f->slots_used += worker->slots > idle ? worker->slots - idle : 0;
    }
    for (uint32_t i = 0; i < RESIDENT_MAX; i++) {
        const struct residency *model = &worker->models[i];
        if (!model->used)
            continue;
        *(model->loaded ? &f->loaded : &f->loading) += 1;
        f->loaded_bytes += model->loaded ? model->resident_bytes : 0;
    }
}

void workers_measure(const struct workers *w, struct workers_figures *figures) {
    *figures = w->figures;
    for (uint32_t i = 0; i < w->count; i++)
        if (w->all[i]->used)
            measure_worker(w->all[i], figures);
}

void workers_stop(struct ledger *ledger, int64_t tenant) {
    struct worker *worker = find_tenant(ledger->workers, tenant);
    if (!worker || worker->stopping)
        return;
    worker->stopping = true;
    if (worker->link)
        workers_stop_process(ledger, worker);
}

void workers_expire(struct ledger *ledger) {
    struct workers *w = ledger->workers;
    int64_t oldest = ledger_now_ms() - LOAD_PATIENCE_MS;
    for (uint32_t n = 0; n < w->count; n++) {
        struct worker *worker = w->all[n];
        for (uint32_t i = 0; worker->used && i < RESIDENT_MAX; i++) {
            struct residency *model = &worker->models[i];
            if (!model->used || model->loaded || model->since_ms > oldest)
                continue;
            /* Its end answers everybody who waits; without a process there is no such end. */
            if (worker->link)
                workers_stop_process(ledger, worker);
            else
                give_up(ledger, worker, model, STATUS_UNAVAILABLE,
                        "the model was not loaded in time");
            model->since_ms = ledger_now_ms();
        }
    }
}

void workers_up(struct ledger *ledger, const struct message_ledger_worker *message, int socket) {
    struct workers *w = ledger->workers;
    struct worker *worker = NULL;
    char uid[STORE_UID_LENGTH + 1];
    struct error error = {0};
    if (bytes_to_text(message->tenant, uid, sizeof uid))
        for (uint32_t i = 0; i < w->count && !worker; i++)
            if (w->all[i]->used && !w->all[i]->link && strcmp(w->all[i]->tenant_uid, uid) == 0)
                worker = w->all[i];
    struct link *link = link_new(LINK_WORKER, socket, worker);
    const struct message_stop_worker stop = {.worker = message->worker};
    if (!link || !worker || worker->stopping || message->slots > 256 || message->slots == 0 ||
        ledger_listen(ledger, link, &error) != STATUS_OK) {
        /* Asked for, and no longer wanted: the tenant was disabled meanwhile. */
        link_release(link);
        if (message_send_stop_worker(ledger->launch->socket, &stop, NULL, NULL) != STATUS_OK)
            log_error("launch does not take messages");
        return;
    }
    w->figures.starts++;
    worker->link = link;
    worker->number = message->worker;
    worker->retry_at_ms = 0;
    worker->slots = message->slots;
    worker->lost_slots = 0;
    worker->free_slot_count = message->slots;
    for (uint32_t i = 0; i < message->slots; i++)
        worker->free_slots[i] = message->slots - 1 - i;
    for (uint32_t i = 0; i < RESIDENT_MAX; i++)
        if (worker->models[i].used)
            start_load(ledger, worker, &worker->models[i]);
}

void workers_gone(struct ledger *ledger, const struct message_ledger_worker_gone *message) {
    struct workers *w = ledger->workers;
    struct worker *worker = NULL;
    char uid[STORE_UID_LENGTH + 1];
    if (bytes_to_text(message->tenant, uid, sizeof uid))
        for (uint32_t i = 0; i < w->count && !worker; i++)
            if (w->all[i]->used && strcmp(w->all[i]->tenant_uid, uid) == 0 &&
                (!w->all[i]->link || w->all[i]->number == message->worker))
                worker = w->all[i];
    if (!worker)
        return;
    if (worker->link)
        ledger_close(ledger, worker->link);
    worker->link = NULL;
    worker->retry_at_ms = ledger_now_ms() + message->retry_ms;
    /* Requests that ran there are settled by front, which sees the worker's end by itself. */
    struct ticket *ticket;
    for (uint32_t position = 0; (ticket = ticket_next(ledger->tickets, &position));)
        if (ticket->worker == worker)
            ticket->worker = NULL;
    bool again = !worker->stopping;
    w->figures.restarts += again;
    for (uint32_t i = 0; i < RESIDENT_MAX; i++)
        if (worker->models[i].used)
            give_up(ledger, worker, &worker->models[i], STATUS_UNAVAILABLE,
                    "the tenant's worker stopped and is being started again");
    if (again)
        ask_for_worker(ledger, worker);
    else
        worker->used = false;
}

bool workers_loaded(struct ledger *ledger, struct worker *worker,
                    const struct message_loaded *message) {
    struct residency *model = NULL;
    for (uint32_t i = 0; i < RESIDENT_MAX && !model; i++)
        if (worker->models[i].used && !worker->models[i].loaded &&
            worker->models[i].load == message->load)
            model = &worker->models[i];
    char text[ERROR_MESSAGE_MAX];
    /* A load that was given up meanwhile, and that failed, changes nothing. */
    if (!model && message->status < STATUS_COUNT && message->status != STATUS_OK)
        return true;
    if (!model || message->status >= STATUS_COUNT ||
        !bytes_to_text(message->message, text, sizeof text) ||
        (message->status == STATUS_OK && message->commitment.size != STORE_COMMITMENT_SIZE))
        return false;
    if (model->dropped) {
        model->used = false;
        if (message->status == STATUS_OK)
            send_unload(ledger, worker, model->model.id);
        return true;
    }
    if (message->status != STATUS_OK) {
        enum status status = (enum status)message->status;
        /* Once it was ready, a model that does not open is not the request's fault. */
        if (model->model.state == STORE_MODEL_READY && status == STATUS_INVALID)
            status = STATUS_UNSERVABLE;
        give_up(ledger, worker, model, status, text);
        return true;
    }
    ledger->workers->figures.loads[STATUS_OK]++;
    model->loaded = true;
    model->resident_bytes = message->resident_bytes;
    answer_all(ledger, worker, model, STATUS_OK, "", message->commitment);
    return true;
}

void workers_front_changed(struct ledger *ledger) {
    struct workers *w = ledger->workers;
    struct error error = {0};
    for (uint32_t n = 0; n < w->count; n++) {
        struct worker *worker = w->all[n];
        if (!worker->used || !worker->link)
            continue;
        /* The new front has a new ring: no ticket of the old one holds a slot of it. */
        struct ticket *ticket;
        for (uint32_t position = 0; (ticket = ticket_next(ledger->tickets, &position));)
            if (ticket->worker == worker)
                ticket->worker = NULL;
        worker->lost_slots = 0;
        worker->free_slot_count = worker->slots;
        for (uint32_t i = 0; i < worker->slots; i++)
            worker->free_slots[i] = worker->slots - 1 - i;
        for (uint32_t i = 0; i < RESIDENT_MAX; i++) {
            struct residency *model = &worker->models[i];
            if (model->used && !model->loaded &&
                send_payload(ledger, worker, model, &error) != STATUS_OK)
                give_up(ledger, worker, model, error.status, error.message);
        }
    }
}
