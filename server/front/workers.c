#include "server/front/workers.h"

#include "base/log.h"
#include "base/message.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

/* A signature lives until it was replaced (or its worker is gone) and nobody borrows it. */
struct model {
    uint64_t handle;
    unsigned users; /* the worker's list counts as one */
    struct oip_signature *signature;
    struct model *next;
};

struct worker {
    uint32_t number;
    int socket;
    struct ring *ring;
    unsigned users; /* the table counts as one */
    size_t model_count;
    struct model *models;
};

void workers_init(struct workers *workers) {
    pthread_condattr_t attributes;
    memset(workers, 0, sizeof *workers);
    pthread_mutex_init(&workers->lock, NULL);
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&workers->changed, &attributes);
    pthread_condattr_destroy(&attributes);
}

static void release_model(struct model *model) {
    if (--model->users)
        return;
    oip_signature_free(model->signature);
    free(model);
}

static void release_worker(struct worker *worker) {
    if (--worker->users)
        return;
    while (worker->models) {
        struct model *model = worker->models;
        worker->models = model->next;
        release_model(model);
    }
    ring_free(worker->ring);
    free(worker);
}

static struct worker *find(const struct workers *workers, uint32_t number) {
    for (size_t i = 0; i < workers->count; i++)
        if (workers->list[i]->number == number)
            return workers->list[i];
    return NULL;
}

size_t workers_running(struct workers *workers) {
    pthread_mutex_lock(&workers->lock);
    size_t count = workers->count;
    pthread_mutex_unlock(&workers->lock);
    return count;
}

/* Its socket does not block (launch's doing): false where the worker does not take messages. */
static bool pass_payload(const struct worker *worker, uint64_t load, int payload) {
    struct message_worker_payload message = {.load = load};
    struct error error = {0};
    enum status status = message_send_worker_payload(worker->socket, &message, &payload, &error);
    if (status != STATUS_OK)
        log_warn("a payload did not reach worker %u, which is dropped: %s", worker->number,
                 error.message);
    close(payload);
    return status == STATUS_OK;
}

static void remove_worker(struct workers *workers, struct worker *worker) {
    ring_worker_gone(worker->ring);
    pthread_mutex_lock(&workers->lock);
    for (size_t i = 0; i < workers->count; i++)
        if (workers->list[i] == worker) {
            workers->list[i] = workers->list[--workers->count];
            break;
        }
    close(worker->socket);
    worker->socket = -1;
    release_worker(worker);
    pthread_cond_broadcast(&workers->changed);
    pthread_mutex_unlock(&workers->lock);
}

enum status workers_add(struct workers *workers, uint32_t number, int socket, int ring_memory,
                        uint32_t slots, uint64_t slot_bytes, bool lock, struct error *error) {
    enum status status = STATUS_UNAVAILABLE;
    bool takes = true;
    struct worker *worker = calloc(1, sizeof *worker);
    if (!worker) {
        close(socket);
        return status_fail(error, STATUS_UNAVAILABLE, "out of memory");
    }
    *worker = (struct worker){.number = number, .socket = socket, .users = 1};
    status = ring_attach(ring_memory, slots, slot_bytes, lock, &worker->ring, error);
    if (status != STATUS_OK)
        goto out;
    pthread_mutex_lock(&workers->lock);
    if (workers->count == WORKERS_MAX || find(workers, number)) {
        status = status_fail(error, STATUS_INVALID, "worker %u cannot be added", number);
    } else {
        workers->list[workers->count++] = worker;
        for (size_t i = 0; i < workers->waiting_count;) {
            if (workers->waiting[i].worker != number) {
                i++;
                continue;
            }
            takes &= pass_payload(worker, workers->waiting[i].load, workers->waiting[i].payload);
            workers->waiting[i] = workers->waiting[--workers->waiting_count];
        }
        pthread_cond_broadcast(&workers->changed);
    }
    pthread_mutex_unlock(&workers->lock);
    if (status == STATUS_OK && !takes)
        remove_worker(workers, worker);
out:
    if (status != STATUS_OK) {
        close(socket);
        release_worker(worker);
    }
    return status;
}

void workers_payload(struct workers *workers, uint32_t number, uint64_t load, int payload) {
    pthread_mutex_lock(&workers->lock);
    struct worker *worker = find(workers, number), *deaf = NULL;
    if (worker) {
        deaf = pass_payload(worker, load, payload) ? NULL : worker;
    } else if (workers->waiting_count < WORKERS_PAYLOADS_MAX) {
        workers->waiting[workers->waiting_count].worker = number;
        workers->waiting[workers->waiting_count].load = load;
        workers->waiting[workers->waiting_count++].payload = payload;
    } else {
        log_warn("a payload for worker %u, which is not known, was dropped", number);
        close(payload);
    }
    pthread_mutex_unlock(&workers->lock);
    if (deaf) /* only this thread removes workers: it is still there */
        remove_worker(workers, deaf);
}

size_t workers_poll(const struct workers *workers, struct pollfd *polls, size_t max) {
    size_t count = workers->count < max ? workers->count : max;
    for (size_t i = 0; i < count; i++)
        polls[i] = (struct pollfd){.fd = workers->list[i]->socket, .events = POLLIN};
    return count;
}

/* Keep a signature, in place of an older one of the same model. One that is not understood is kept
 * as that: whoever asks for the model is told, and the worker's other models go on. */
static enum status keep_signature(struct workers *workers, struct worker *worker,
                                  const struct message_signature *message, struct error *error) {
    struct model *model = calloc(1, sizeof *model);
    if (!model)
        return status_fail(error, STATUS_UNAVAILABLE, "out of memory");
    *model = (struct model){.handle = message->model, .users = 1};
    enum status status = oip_signature_parse(message->signature.data, message->signature.size,
                                             &model->signature, error);
    if (status != STATUS_OK) {
        log_warn("worker %u told a signature that cannot be used: %s model=%" PRIu64,
                 worker->number, error->message, message->model);
        model->signature = NULL;
        status = STATUS_OK;
    }
    pthread_mutex_lock(&workers->lock);
    for (struct model **at = &worker->models; *at; at = &(*at)->next) {
        struct model *old = *at;
        if (old->handle != message->model)
            continue;
        *at = old->next;
        release_model(old);
        worker->model_count--;
        break;
    }
    if (worker->model_count == WORKERS_MODELS_MAX) {
        /* Nobody tells front that a model was unloaded: the one that was asked for longest ago. */
        struct model **last = &worker->models;
        while ((*last)->next)
            last = &(*last)->next;
        release_model(*last);
        *last = NULL;
        worker->model_count--;
    }
    model->next = worker->models;
    worker->models = model;
    worker->model_count++;
    pthread_cond_broadcast(&workers->changed);
    pthread_mutex_unlock(&workers->lock);
    return status;
}

void workers_readable(struct workers *workers, int socket, void *buffer, size_t buffer_size) {
    struct worker *worker = NULL;
    for (size_t i = 0; i < workers->count && !worker; i++)
        if (workers->list[i]->socket == socket)
            worker = workers->list[i];
    if (!worker)
        return;
    struct message message;
    struct error error = {0};
    enum status status =
        message_receive(socket, ROLE_WORKER, ROLE_FRONT, buffer, buffer_size, &message, &error);
    if (status == STATUS_OK) {
        message_close_descriptors(&message);
        status = keep_signature(workers, worker, &message.signature, &error);
    }
    if (status == STATUS_OK || status == STATUS_RATE)
        return;
    if (status != STATUS_UNAVAILABLE)
        log_warn("worker %u is dropped: %s", worker->number, error.message);
    remove_worker(workers, worker);
}

/* What is found goes to the front of the list: the end is what nobody asks for. */
static struct model *find_model(struct worker *worker, uint64_t handle) {
    struct model **at = &worker->models, *found;
    while ((found = *at) && found->handle != handle)
        at = &found->next;
    if (found) {
        *at = found->next;
        found->next = worker->models;
        worker->models = found;
    }
    return found;
}

enum status workers_borrow(struct workers *workers, uint32_t number, uint64_t handle,
                           struct borrowed *borrowed, struct error *error) {
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += WORKERS_PATIENCE_MS / 1000;
    struct worker *worker;
    struct model *model = NULL;
    pthread_mutex_lock(&workers->lock);
    for (;;) {
        worker = find(workers, number);
        model = worker ? find_model(worker, handle) : NULL;
        if (model || pthread_cond_timedwait(&workers->changed, &workers->lock, &until) != 0)
            break;
    }
    bool usable = model && model->signature;
    if (usable) {
        worker->users++;
        model->users++;
    }
    pthread_mutex_unlock(&workers->lock);
    if (model && !usable)
        return status_fail(error, STATUS_UNSERVABLE,
                           "the names or types of the model's inputs and outputs cannot be served");
    if (!model)
        return status_fail(error, STATUS_UNAVAILABLE,
                           "the model's process has just ended; try again");
    *borrowed = (struct borrowed){worker, model, worker->ring, model->signature};
    return STATUS_OK;
}

void workers_return(struct workers *workers, struct borrowed *borrowed) {
    if (!borrowed->worker)
        return;
    pthread_mutex_lock(&workers->lock);
    release_model(borrowed->model);
    release_worker(borrowed->worker);
    pthread_mutex_unlock(&workers->lock);
    *borrowed = (struct borrowed){0};
}
