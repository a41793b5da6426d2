/* keeper, ledger and front: started at once and side by side, introduced in pairs as they become
 * ready, started again when they die.
 *
 * What a death means for the others:
 *   keeper  running models go on; workers get a new socket and ask again for what they wait for
 *   front   nobody can ask any more; the workers keep their models and get a new ring
 *   ledger  every worker is ended too. Which model is loaded where, and which slot of a ring is
 *           reserved for whom, was known to the ledger alone; a worker that starts empty is the one
 *           state that a new ledger and the workers agree on without having to believe a worker. */
#include "server/launch/state.h"

#include "base/log.h"
#include "server/launch/child.h"
#include "server/launch/notify.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

/* Secret memory lies in files, as the kernel sees it: a role that has no others needs these. */
#define SECRET_BYTES ((uint64_t)64 << 20)

static bool alive(const struct launch *launch, enum role role) {
    return launch->core[role].pid > 0 && launch->core[role].ready;
}

void core_kill(struct launch *launch, enum role role) {
    if (launch->core[role].pid > 0)
        kill(launch->core[role].pid, SIGKILL);
}

/* --- starting --------------------------------------------------------------------------------- */

static enum status fill_plan(const struct launch *launch, enum role role, struct child_plan *plan,
                             struct error *error) {
    const struct resources *r = &launch->resources;
    const struct config *config = r->config;
    enum status status = STATUS_OK;
    *plan = (struct child_plan){.role = role,
                                .binary = r->binary,
                                .config = r->config_memory,
                                .descriptors = {-1, -1, -1},
                                .change_user = r->root,
                                .user = config->user_base + (role == ROLE_KEEPER ? 1 : 2),
                                .group = config->user_base + (role == ROLE_KEEPER ? 1 : 2)};
    switch (role) {
    case ROLE_KEEPER:
        plan->threads = 64;
        plan->file_bytes = SECRET_BYTES; /* it writes none */
        status = resources_file(config, config->root_identity, "root.identity", true,
                                &plan->descriptors[0], error);
        if (status == STATUS_OK)
            status = resources_file(config, config->signing_key, "signing.key", false,
                                    &plan->descriptors[1], error);
        plan->descriptor_count = plan->opened = 2;
        break;
    case ROLE_LEDGER:
        plan->user = r->store_user;
        plan->group = r->store_group;
        plan->descriptors[0] = r->store_folder;
        plan->descriptors[1] = r->admin;
        plan->descriptor_count = 2;
        break;
    case ROLE_FRONT:
        /* The only files it ever writes are the uploads whose descriptors it is given. */
        plan->file_bytes =
            config->limits.model_bytes > SECRET_BYTES ? config->limits.model_bytes : SECRET_BYTES;
        plan->threads = config->limits.connections + 4096; /* of all servers with this user */
        status = resources_file(config, config->tls_certificate, "tls.certificate", false,
                                &plan->descriptors[0], error);
        if (status == STATUS_OK)
            status = resources_file(config, config->tls_key, "tls.key", true, &plan->descriptors[1],
                                    error);
        plan->opened = 2;
        if (status == STATUS_OK && config->tls_client_ca[0])
            status = resources_file(config, config->tls_client_ca, "tls.client_ca", false,
                                    &plan->descriptors[plan->opened++], error);
        plan->descriptor_count = plan->opened;
        for (size_t i = 0; i < config->listen_count; i++)
            plan->descriptors[plan->descriptor_count++] = r->listeners[i];
        if (r->metrics >= 0)
            plan->descriptors[plan->descriptor_count++] = r->metrics;
        break;
    default:
        return status_fail(error, STATUS_INTERNAL, "no such role");
    }
    return status;
}

static enum status start(struct launch *launch, enum role role, struct error *error) {
    struct core *core = &launch->core[role];
    struct child_plan plan;
    enum status status = fill_plan(launch, role, &plan, error);
    if (status == STATUS_OK)
        status = child_start(&plan, &core->pid, &core->socket, error);
    for (size_t i = 0; i < plan.opened; i++)
        if (plan.descriptors[i] >= 0)
            close(plan.descriptors[i]);
    return status;
}

void core_start_due(struct launch *launch, uint64_t now) {
    for (enum role role = ROLE_KEEPER; role < ROLE_WORKER; role++) {
        struct core *core = &launch->core[role];
        struct error error;
        if (core->pid > 0 || now < core->backoff.not_before)
            continue;
        backoff_started(&core->backoff, now);
        core->ready = false;
        if (start(launch, role, &error) == STATUS_OK) {
            log_info("started role=%s pid=%d", message_role_name(role), (int)core->pid);
            continue;
        }
        core->pid = 0;
        core->socket = -1;
        uint32_t pause = backoff_died(&core->backoff, now);
        log_error("%s cannot be started: %s retry_ms=%u", message_role_name(role), error.message,
                  pause);
        if (!core->was_ready) {
            launch->exit_status = 1;
            launch->phase = PHASE_OVER;
        }
    }
}

/* --- introducing ------------------------------------------------------------------------------ */

/* A fresh pair of sockets, one end to each; whoever does not take its message is ended. */
static void introduce(struct launch *launch, enum role one, enum role other) {
    int pair[2];
    struct error error;
    enum status first, second;
    if (!alive(launch, one) || !alive(launch, other))
        return;
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0) {
        log_error("no descriptors to introduce %s to %s", message_role_name(one),
                  message_role_name(other));
        core_kill(launch, one);
        return;
    }
    /* Keeper answers in one thread, and ledger serves every tenant in one: neither ever waits for
     * somebody who does not read. The flag belongs to that end alone. */
    if (fcntl(pair[one == ROLE_KEEPER ? 0 : 1], F_SETFL, O_NONBLOCK) != 0) {
        log_error("a socket cannot be set up: %s is ended", message_role_name(one));
        close(pair[0]);
        close(pair[1]);
        core_kill(launch, one);
        return;
    }
    int one_socket = launch->core[one].socket, other_socket = launch->core[other].socket;
    if (one == ROLE_KEEPER) {
        const struct message_keeper_ledger to_keeper = {0};
        const struct message_ledger_keeper to_ledger = {0};
        first = message_send_keeper_ledger(one_socket, &to_keeper, &pair[0], &error);
        second = message_send_ledger_keeper(other_socket, &to_ledger, &pair[1], &error);
    } else {
        const struct message_front_ledger to_front = {0};
        const struct message_ledger_front to_ledger = {0};
        first = message_send_front_ledger(one_socket, &to_front, &pair[0], &error);
        second = message_send_ledger_front(other_socket, &to_ledger, &pair[1], &error);
    }
    close(pair[0]);
    close(pair[1]);
    if (first != STATUS_OK)
        core_kill(launch, one);
    if (second != STATUS_OK)
        core_kill(launch, other);
}

static void announce(struct launch *launch) {
    if (launch->announced || !alive(launch, ROLE_KEEPER) || !alive(launch, ROLE_LEDGER) ||
        !alive(launch, ROLE_FRONT))
        return;
    launch->announced = true;
    printf("ready %s\n", launch->resources.url);
    fflush(stdout);
    notify_state("READY=1");
}

void core_ready(struct launch *launch, enum role role) {
    struct core *core = &launch->core[role];
    if (core->ready) {
        log_warn("%s says that it is ready a second time: ended", message_role_name(role));
        core_kill(launch, role);
        return;
    }
    core->ready = core->was_ready = true;
    log_info("ready role=%s", message_role_name(role));
    if (role == ROLE_KEEPER || role == ROLE_LEDGER)
        introduce(launch, ROLE_KEEPER, ROLE_LEDGER);
    if (role == ROLE_FRONT || role == ROLE_LEDGER)
        introduce(launch, ROLE_FRONT, ROLE_LEDGER);
    if (role == ROLE_KEEPER || role == ROLE_FRONT)
        fleet_reintroduce(launch, role);
    announce(launch);
}

/* A front that is not ready yet has opened the files a moment ago, perhaps the old ones: it finds
 * this message once it is. */
void core_renew(struct launch *launch) {
    const struct config *config = launch->resources.config;
    const struct message_front_tls renewed = {0};
    struct core *front = &launch->core[ROLE_FRONT];
    int files[2] = {-1, -1};
    struct error error;
    if (front->pid <= 0)
        return;
    enum status status = resources_file(config, config->tls_certificate, "tls.certificate", false,
                                        &files[0], &error);
    if (status == STATUS_OK)
        status = resources_file(config, config->tls_key, "tls.key", true, &files[1], &error);
    if (status != STATUS_OK)
        log_error("the certificate is not renewed: %s", error.message);
    else if (message_send_front_tls(front->socket, &renewed, files, &error) != STATUS_OK)
        core_kill(launch, ROLE_FRONT);
    for (size_t i = 0; i < sizeof files / sizeof *files; i++)
        if (files[i] >= 0)
            close(files[i]);
}

void core_died(struct launch *launch, enum role role, const char *how, uint64_t now) {
    struct core *core = &launch->core[role];
    close(core->socket);
    core->socket = -1;
    core->pid = 0;
    core->ready = false;
    if (launch->phase != PHASE_RUNNING) {
        log_info("ended role=%s how=\"%s\"", message_role_name(role), how);
        return;
    }
    if (!core->was_ready) {
        log_error("%s could not start (%s); the server ends", message_role_name(role), how);
        launch->exit_status = 1;
        launch->phase = PHASE_OVER;
        return;
    }
    uint32_t pause = backoff_died(&core->backoff, now);
    log_error("died role=%s how=\"%s\" retry_ms=%u", message_role_name(role), how, pause);
    if (role == ROLE_LEDGER)
        fleet_kill_all(launch);
}
