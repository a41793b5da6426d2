#include "server/launch/launch.h"

#include "base/log.h"
#include "server/launch/child.h"
#include "server/launch/notify.h"
#include "server/launch/state.h"
#include "server/launch/trace.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#define DESCRIPTORS_WANTED 16384
#define FRONT_GRACE_MS 1000 /* for front to end by itself once its time is over */
#define LEDGER_DRAIN_MS 10000
#define CORE_COUNT (ROLE_WORKER - ROLE_KEEPER)
#define POLLS_MAX (2 + CORE_COUNT + LAUNCH_WORKERS_MAX)

/* --- messages --------------------------------------------------------------------------------- */

static void on_core(struct launch *launch, enum role role, uint64_t now) {
    uint8_t buffer[MESSAGE_SMALL_MAX];
    struct message message;
    struct error error;
    char tenant[MESSAGE_UID_MAX + 1];
    if (message_receive(launch->core[role].socket, role, ROLE_LAUNCH, buffer, sizeof buffer,
                        &message, &error) != STATUS_OK) {
        /* Closed or malformed: either way nothing more can be agreed on with it. */
        core_kill(launch, role);
        return;
    }
    switch (message.type) {
    case MESSAGE_READY:
        core_ready(launch, role);
        return;
    case MESSAGE_START_WORKER:
        if (!bytes_to_text(message.start_worker.tenant, tenant, sizeof tenant) || !tenant[0])
            break;
        if (launch->phase == PHASE_RUNNING)
            fleet_want(launch, tenant, now);
        return;
    case MESSAGE_STOP_WORKER:
        fleet_stop(launch, message.stop_worker.worker);
        return;
    default:
        break;
    }
    log_error("a message makes no sense: ended role=%s message=%s", message_role_name(role),
              message_type_name(message.type));
    core_kill(launch, role);
}

static void on_worker(struct launch *launch, struct worker *worker) {
    if (worker->pid == 0)
        return; /* reaped meanwhile */
    uint8_t buffer[MESSAGE_SMALL_MAX];
    struct message message;
    struct error error;
    if (message_receive(worker->socket, ROLE_WORKER, ROLE_LAUNCH, buffer, sizeof buffer, &message,
                        &error) == STATUS_OK &&
        message.type == MESSAGE_READY)
        fleet_ready(launch, worker);
    else
        kill(worker->pid, SIGKILL);
}

/* --- deaths and stops ------------------------------------------------------------------------- */

static void describe(int status, char *text, size_t size) {
    if (WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS)
        snprintf(text, size, "ended for a system call that its policy does not name");
    else if (WIFSIGNALED(status))
        snprintf(text, size, "signal %d", WTERMSIG(status));
    else
        snprintf(text, size, "exit status %d", WEXITSTATUS(status));
}

static void reap(struct launch *launch, uint64_t now) {
    int status;
    pid_t pid;
    while ((pid = waitpid(-1, &status, __WALL | WNOHANG)) > 0) {
        if (WIFSTOPPED(status)) {
            trace_answer(pid, status);
            continue;
        }
        /* Threads of traced processes are reported too: only whole processes are known here. */
        char how[64];
        describe(status, how, sizeof how);
        struct worker *worker = fleet_by_pid(launch, pid);
        /* Ledger may have seen a crash, and asked for the worker's end, before it could be reaped.
         */
        if (worker && !(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL))
            worker->stopped = false;
        if (worker)
            fleet_died(launch, worker, how, now);
        for (enum role role = ROLE_KEEPER; role < ROLE_WORKER; role++)
            if (launch->core[role].pid == pid)
                core_died(launch, role, how, now);
    }
}

/* --- the end ---------------------------------------------------------------------------------- */

static void drain(struct launch *launch, enum role role, uint32_t ms) {
    const struct message_drain drain = {.deadline_ms = ms};
    struct error error;
    struct core *core = &launch->core[role];
    if (core->pid > 0 &&
        (!core->ready || message_send_drain(core->socket, &drain, NULL, &error) != STATUS_OK))
        core_kill(launch, role);
}

static void enter_phase(struct launch *launch, enum phase phase, uint64_t now) {
    launch->phase = phase;
    if (phase == PHASE_FRONT_DRAINS) {
        log_info("draining");
        notify_state("STOPPING=1");
        const struct config *config = launch->resources.config;
        uint32_t ms = config->drain.notice_ms + config->drain.time_ms;
        launch->phase_ends = now + ms + FRONT_GRACE_MS;
        drain(launch, ROLE_FRONT, ms);
    } else if (phase == PHASE_LEDGER_DRAINS) {
        launch->phase_ends = now + LEDGER_DRAIN_MS;
        core_kill(launch, ROLE_FRONT);
        fleet_kill_all(launch);
        drain(launch, ROLE_LEDGER, LEDGER_DRAIN_MS - 1000);
    }
}

static void advance(struct launch *launch, uint64_t now) {
    if (launch->phase == PHASE_FRONT_DRAINS &&
        (launch->core[ROLE_FRONT].pid == 0 || now >= launch->phase_ends))
        enter_phase(launch, PHASE_LEDGER_DRAINS, now);
    if (launch->phase == PHASE_LEDGER_DRAINS &&
        (launch->core[ROLE_LEDGER].pid == 0 || now >= launch->phase_ends))
        enter_phase(launch, PHASE_OVER, now);
}

static void on_signal(struct launch *launch, int signals, uint64_t now) {
    struct signalfd_siginfo info;
    while (read(signals, &info, sizeof info) == (ssize_t)sizeof info) {
        if (info.ssi_signo == SIGHUP)
            renewal_force(&launch->renewal, now);
        if (info.ssi_signo != SIGTERM && info.ssi_signo != SIGINT)
            continue; /* SIGCHLD: reap looks itself */
        if (launch->phase == PHASE_RUNNING)
            enter_phase(launch, PHASE_FRONT_DRAINS, now);
        else
            enter_phase(launch, PHASE_OVER, now);
    }
}

/* Whoever is left: traced ones die by themselves with launch, the others by their parent's death
 * signal, but waiting for them makes "exited" mean that the store is closed and the port free. */
static void end_all(struct launch *launch) {
    fleet_kill_all(launch);
    for (enum role role = ROLE_KEEPER; role < ROLE_WORKER; role++)
        core_kill(launch, role);
    int status;
    pid_t pid;
    while ((pid = waitpid(-1, &status, __WALL)) > 0 || (pid < 0 && errno == EINTR))
        if (pid > 0 && WIFSTOPPED(status))
            trace_answer(pid, status);
}

/* A socket for every worker here and in keeper, ledger and front: the soft limit of a login shell
 * would end that early. The sandboxes of keeper and worker set lower ones of their own. */
static void allow_descriptors(void) {
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < DESCRIPTORS_WANTED) {
        limit.rlim_cur = limit.rlim_max < DESCRIPTORS_WANTED ? limit.rlim_max : DESCRIPTORS_WANTED;
        (void)setrlimit(RLIMIT_NOFILE, &limit);
    }
}

/* --- the loop --------------------------------------------------------------------------------- */

/* Milliseconds until something is due by time alone. */
static int next_due(const struct launch *launch, uint64_t now) {
    uint64_t due = launch->phase == PHASE_RUNNING ? launch->renewal.due : launch->phase_ends;
    if (launch->phase == PHASE_RUNNING)
        for (enum role role = ROLE_KEEPER; role < ROLE_WORKER; role++)
            if (launch->core[role].pid == 0 && launch->core[role].backoff.not_before < due)
                due = launch->core[role].backoff.not_before;
    for (size_t i = 0; i < LAUNCH_WORKERS_MAX; i++) {
        const struct worker *w = &launch->workers[i];
        if (w->used && w->wanted && w->pid == 0 && w->backoff.not_before < due)
            due = w->backoff.not_before;
    }
    return due <= now ? 0 : due - now < 60000 ? (int)(due - now) : 60000;
}

static void turn(struct launch *launch, int signals, struct pollfd *polls, void **owners) {
    nfds_t count = 0;
    uint64_t now = backoff_now();
    if (launch->phase == PHASE_RUNNING) {
        core_start_due(launch, now);
        fleet_start_due(launch, now);
        if (now >= launch->renewal.due && renewal_changed(&launch->renewal, now))
            core_renew(launch);
    }
    if (launch->phase == PHASE_OVER)
        return;
    polls[count++] = (struct pollfd){.fd = signals, .events = POLLIN};
    for (enum role role = ROLE_KEEPER; role < ROLE_WORKER; role++) {
        owners[count] = NULL;
        polls[count++] = (struct pollfd){.fd = launch->core[role].socket, .events = POLLIN};
    }
    for (size_t i = 0; i < LAUNCH_WORKERS_MAX; i++)
        if (launch->workers[i].used && launch->workers[i].pid > 0) {
            owners[count] = &launch->workers[i];
            polls[count++] = (struct pollfd){.fd = launch->workers[i].socket, .events = POLLIN};
        }
    const nfds_t renewal = count;
    polls[count] = (struct pollfd){.fd = launch->renewal.inotify, .events = POLLIN};
    if (poll(polls, count + 1, next_due(launch, now)) < 0 && errno != EINTR)
        return;
    now = backoff_now();
    if (polls[renewal].revents & POLLIN)
        renewal_stirred(&launch->renewal, now);
    /* The dead first: a worker that crashed must count as that, also where ledger has noticed and
     * asks for its end. Then workers before the others: on ledger's word a new one may take the
     * place, and the descriptor, of one that is in this list. */
    if (polls[0].revents & POLLIN) /* before reap: a SIGCHLD that is read must be looked into */
        on_signal(launch, signals, now);
    reap(launch, now);
    for (nfds_t i = count - 1; i >= 1; i--) {
        /* A socket at its end stays readable until the process is reaped: do not read it again. */
        if (!(polls[i].revents & (POLLIN | POLLHUP | POLLERR)))
            continue;
        enum role role = (enum role)(ROLE_KEEPER + i - 1);
        if (i > CORE_COUNT)
            on_worker(launch, owners[i]);
        else if (launch->core[role].pid > 0)
            on_core(launch, role, now);
    }
    advance(launch, now);
}

int launch_main(const struct config *config) {
    struct launch *launch = calloc(1, sizeof *launch);
    struct pollfd *polls = calloc(POLLS_MAX, sizeof *polls);
    void **owners = calloc(POLLS_MAX, sizeof *owners);
    struct error error;
    int signals = -1;
    sigset_t mask;
    if (!launch || !polls || !owners) {
        log_error("out of memory");
        goto out;
    }
    launch->exit_status = 1;
    for (enum role role = ROLE_ANY; role < ROLE_WORKER; role++)
        launch->core[role].socket = -1;
    if (resources_open(config, &launch->resources, &error) != STATUS_OK) {
        log_error("cannot start: %s", error.message);
        launch->exit_status = status_exit(error.status);
        goto out;
    }
    renewal_open(&launch->renewal, config, backoff_now());
    allow_descriptors();
    /* It holds every role's sockets for a moment: no process of the same user may look into it, and
     * no crash leaves its memory in a file. */
    if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0) {
        log_error("cannot start: dumps cannot be turned off (%s)", strerror(errno));
        goto out;
    }
    sigemptyset(&mask);
    sigaddset(&mask, SIGCHLD);
    sigaddset(&mask, SIGTERM);
    sigaddset(&mask, SIGINT);
    sigaddset(&mask, SIGHUP);
    if (sigprocmask(SIG_BLOCK, &mask, NULL) != 0 ||
        (signals = signalfd(-1, &mask, SFD_CLOEXEC | SFD_NONBLOCK)) < 0) {
        log_error("cannot start: signals (%s)", strerror(errno));
        goto out;
    }
    launch->exit_status = 0;
    while (launch->phase != PHASE_OVER)
        turn(launch, signals, polls, owners);
    end_all(launch);
    log_info("ended");
out:
    if (launch) {
        renewal_close(&launch->renewal);
        resources_close(&launch->resources);
    }
    if (signals >= 0)
        close(signals);
    int exit_status = launch ? launch->exit_status : 1;
    free(launch);
    free(polls);
    free(owners);
    return exit_status;
}
