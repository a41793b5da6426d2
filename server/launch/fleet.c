/* Workers: one process per tenant, started when ledger asks.
 *
 * A worker is introduced once it has said READY, that is, from inside its sandbox: to keeper and
 * front first, to ledger last, because ledger sends it work at once. After a death ledger is told
 * how long launch will wait before it starts another for that tenant; that memory is per tenant
 * and goes away after a minute. */
#include "server/launch/state.h"

#include "base/log.h"
#include "base/ring.h"
#include "server/launch/child.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define SOCKET_ROOM (1 << 20) /* for LOADs that a worker has not read yet */

/* A JSON number of two bytes ("1,") becomes eight in a tensor, but such bodies are not the large
 * ones; twice the body for inputs and outputs together, and something over for small bodies. Front
 * and worker refuse what does not fit. The memory is sparse: what is not used is not there. */
uint64_t fleet_slot_bytes(const struct config *config) {
    return config->limits.body_bytes * 2 + (1u << 20);
}

struct worker *fleet_by_pid(struct launch *launch, pid_t pid) {
    for (size_t i = 0; i < LAUNCH_WORKERS_MAX; i++)
        if (launch->workers[i].used && launch->workers[i].pid == pid)
            return &launch->workers[i];
    return NULL;
}

static struct worker *by_tenant(struct launch *launch, const char *tenant) {
    for (size_t i = 0; i < LAUNCH_WORKERS_MAX; i++)
        if (launch->workers[i].used && strcmp(launch->workers[i].tenant, tenant) == 0)
            return &launch->workers[i];
    return NULL;
}

static struct worker *free_entry(struct launch *launch, uint64_t now) {
    for (size_t i = 0; i < LAUNCH_WORKERS_MAX; i++) {
        struct worker *w = &launch->workers[i];
        if (!w->used || (w->pid == 0 && !w->wanted && backoff_forgotten(&w->backoff, now)))
            return w;
    }
    return NULL;
}

static void tell_gone(struct launch *launch, const struct worker *worker, uint32_t retry_ms) {
    const struct message_ledger_worker_gone gone = {
        .worker = worker->number, .tenant = bytes_text(worker->tenant), .retry_ms = retry_ms};
    struct error error;
    if (launch->core[ROLE_LEDGER].ready &&
        message_send_ledger_worker_gone(launch->core[ROLE_LEDGER].socket, &gone, NULL, &error) !=
            STATUS_OK)
        core_kill(launch, ROLE_LEDGER);
}

/* --- starting --------------------------------------------------------------------------------- */

static void start(struct launch *launch, struct worker *worker, uint64_t now) {
    const struct resources *r = &launch->resources;
    const struct config *config = r->config;
    /* The entry's place gives the user: no two tenants have the same at the same time. */
    uid_t user = config->user_base + 1000 + (uid_t)(worker - launch->workers);
    struct child_plan plan = {.role = ROLE_WORKER,
                              .worker = launch->next_worker++,
                              .binary = r->binary,
                              .config = r->config_memory,
                              .change_user = r->root,
                              .user = user,
                              .group = user,
                              .threads = 4096};
    size_t ring;
    struct error error;
    worker->wanted = false;
    worker->stopped = worker->forgiven = worker->introduced = false;
    worker->number = plan.worker;
    backoff_started(&worker->backoff, now);
    enum status status = ring_size(config->worker.slots, fleet_slot_bytes(config), &ring, &error);
    plan.address_space = ((uint64_t)config->worker.memory_mib << 20) + ring;
    plan.file_bytes = (uint64_t)config->worker.memory_mib << 20; /* weights: it writes no others */
    if (status == STATUS_OK)
        status = child_start(&plan, &worker->pid, &worker->socket, &error);
    if (status == STATUS_OK) {
        log_info("started role=worker worker=%u tenant=%s pid=%d", worker->number, worker->tenant,
                 (int)worker->pid);
        return;
    }
    worker->pid = 0;
    worker->socket = -1;
    uint32_t pause = backoff_died(&worker->backoff, now);
    log_error("a worker cannot be started: %s tenant=%s retry_ms=%u", error.message, worker->tenant,
              pause);
    tell_gone(launch, worker, pause);
}

void fleet_want(struct launch *launch, const char *tenant, uint64_t now) {
    struct worker *worker = by_tenant(launch, tenant);
    if (worker && (worker->pid > 0 || worker->wanted))
        return; /* ledger asked before it had heard */
    if (!worker) {
        worker = free_entry(launch, now);
        if (!worker) {
            log_error("no worker can be started: %d are there tenant=%s", LAUNCH_WORKERS_MAX,
                      tenant);
            struct worker none = {.number = 0};
            snprintf(none.tenant, sizeof none.tenant, "%s", tenant);
            tell_gone(launch, &none, BACKOFF_MOST_MS);
            return;
        }
        *worker = (struct worker){.used = true, .socket = -1};
        snprintf(worker->tenant, sizeof worker->tenant, "%s", tenant);
    }
    worker->wanted = true;
    fleet_start_due(launch, now);
}

void fleet_start_due(struct launch *launch, uint64_t now) {
    for (size_t i = 0; i < LAUNCH_WORKERS_MAX; i++) {
        struct worker *w = &launch->workers[i];
        if (w->used && w->wanted && w->pid == 0 && now >= w->backoff.not_before)
            start(launch, w, now);
    }
}

/* --- introducing ------------------------------------------------------------------------------ */

static bool core_takes(const struct launch *launch, enum role role) {
    return launch->core[role].pid > 0 && launch->core[role].ready;
}

/* The end of a pair that keeper, ledger or front gets: each serves all tenants, so none of them may
 * wait for a worker that does not read (one that is stopped, or that was broken into). */
static void never_waits(int end) {
    const int room = SOCKET_ROOM;
    (void)fcntl(end, F_SETFL, O_NONBLOCK);
    (void)setsockopt(end, SOL_SOCKET, SO_SNDBUF, &room, sizeof room);
}

/* Each returns false where the worker must be ended. A core role that does not take its message is
 * ended itself; its successor is introduced again. */
static bool to_keeper(struct launch *launch, struct worker *worker) {
    const struct message_keeper_worker there = {.worker = worker->number,
                                                .tenant = bytes_text(worker->tenant)};
    const struct message_worker_keeper here = {0};
    struct error error;
    int pair[2];
    if (!core_takes(launch, ROLE_KEEPER))
        return true;
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0)
        return false;
    never_waits(pair[0]);
    if (message_send_keeper_worker(launch->core[ROLE_KEEPER].socket, &there, &pair[0], &error) !=
        STATUS_OK)
        core_kill(launch, ROLE_KEEPER);
    enum status status = message_send_worker_keeper(worker->socket, &here, &pair[1], &error);
    close(pair[0]);
    close(pair[1]);
    return status == STATUS_OK;
}

static bool to_front(struct launch *launch, struct worker *worker) {
    const struct config *config = launch->resources.config;
    uint64_t slot_bytes = fleet_slot_bytes(config);
    const struct message_front_worker there = {
        .worker = worker->number, .slots = config->worker.slots, .slot_bytes = slot_bytes};
    const struct message_worker_front here = {.slots = config->worker.slots,
                                              .slot_bytes = slot_bytes};
    struct error error;
    int pair[2], ring;
    if (!core_takes(launch, ROLE_FRONT))
        return true;
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0)
        return false;
    never_waits(pair[0]);
    enum status status = ring_create(config->worker.slots, slot_bytes, &ring, &error);
    if (status == STATUS_OK) {
        const int front_gets[] = {pair[0], ring}, worker_gets[] = {pair[1], ring};
        if (message_send_front_worker(launch->core[ROLE_FRONT].socket, &there, front_gets,
                                      &error) != STATUS_OK)
            core_kill(launch, ROLE_FRONT);
        status = message_send_worker_front(worker->socket, &here, worker_gets, &error);
        close(ring);
    }
    close(pair[0]);
    close(pair[1]);
    return status == STATUS_OK;
}

static bool to_ledger(struct launch *launch, struct worker *worker) {
    const struct message_ledger_worker there = {.worker = worker->number,
                                                .tenant = bytes_text(worker->tenant),
                                                .slots = launch->resources.config->worker.slots};
    const struct message_worker_ledger here = {0};
    struct error error;
    int pair[2];
    if (!core_takes(launch, ROLE_LEDGER))
        return false; /* a new ledger starts from no workers */
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0)
        return false;
    never_waits(pair[1]);
    enum status status = message_send_worker_ledger(worker->socket, &here, &pair[0], &error);
    if (status == STATUS_OK && message_send_ledger_worker(launch->core[ROLE_LEDGER].socket, &there,
                                                          &pair[1], &error) != STATUS_OK)
        core_kill(launch, ROLE_LEDGER);
    close(pair[0]);
    close(pair[1]);
    return status == STATUS_OK;
}

static void end(struct worker *worker) {
    if (worker->pid > 0)
        kill(worker->pid, SIGKILL);
}

void fleet_ready(struct launch *launch, struct worker *worker) {
    if (worker->introduced || !to_keeper(launch, worker) || !to_front(launch, worker) ||
        !to_ledger(launch, worker)) {
        log_warn("a worker cannot be introduced and is ended worker=%u", worker->number);
        end(worker);
        return;
    }
    worker->introduced = true;
    log_info("ready role=worker worker=%u tenant=%s", worker->number, worker->tenant);
}

void fleet_reintroduce(struct launch *launch, enum role role) {
    for (size_t i = 0; i < LAUNCH_WORKERS_MAX; i++) {
        struct worker *w = &launch->workers[i];
        if (!w->used || w->pid == 0 || !w->introduced)
            continue;
        if (!(role == ROLE_KEEPER ? to_keeper(launch, w) : to_front(launch, w)))
            end(w);
    }
}

/* --- ending ----------------------------------------------------------------------------------- */

void fleet_stop(struct launch *launch, uint32_t number) {
    for (size_t i = 0; i < LAUNCH_WORKERS_MAX; i++) {
        struct worker *w = &launch->workers[i];
        if (w->used && w->pid > 0 && w->number == number) {
            w->stopped = true;
            end(w); /* it keeps nothing that a clean end would save */
        }
    }
}

void fleet_kill_all(struct launch *launch) {
    for (size_t i = 0; i < LAUNCH_WORKERS_MAX; i++) {
        struct worker *w = &launch->workers[i];
        w->wanted = false;
        if (w->used && w->pid > 0) {
            w->stopped = w->forgiven = true;
            end(w);
        }
    }
}

void fleet_died(struct launch *launch, struct worker *worker, const char *how, uint64_t now) {
    uint32_t pause = 0;
    close(worker->socket);
    worker->socket = -1;
    worker->pid = 0;
    worker->introduced = false;
    if (worker->forgiven) {
        worker->backoff.not_before = now;
        log_info("ended role=worker worker=%u tenant=%s", worker->number, worker->tenant);
    } else if (worker->stopped) {
        /* Ledger stops one that hangs, too: a model that always hangs must not be started over and
         * over without a pause. */
        pause = backoff_died(&worker->backoff, now);
        log_info("ended role=worker worker=%u tenant=%s retry_ms=%u", worker->number,
                 worker->tenant, pause);
    } else {
        pause = backoff_died(&worker->backoff, now);
        log_warn("died role=worker worker=%u tenant=%s how=\"%s\" retry_ms=%u", worker->number,
                 worker->tenant, how, pause);
    }
    tell_gone(launch, worker, pause);
}
