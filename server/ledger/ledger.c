/* The ledger's process: one loop that admits and settles, one thread that commits, one that reads
 * what takes longer. See docs/ARCHITECTURE.md, "Processes". */
#include "base/log.h"
#include "base/sandbox.h"
#include "crypto/crypto.h"
#include "crypto/random.h"
#include "crypto/secret.h"
#include "server/ledger/act.h"
#include "server/ledger/admin_socket.h"
#include "server/ledger/admission.h"
#include "server/ledger/policy_gate.h"
#include "server/ledger/state.h"
#include "server/ledger/statistics.h"
#include "server/ledger/upload.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#define EVENTS_MAX 64
#define CHANNELS_MAX 10000u /* open at once; more threads than front has */
#define QUESTIONS_MAX 256   /* of the mailbox in one turn of the loop */
#define TICK_MS 1000
/* While questions keep coming through the mailbox, the sockets are looked at every so often. */
#define LOOK_EVERY 8

int64_t ledger_now_us(void) {
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

int64_t ledger_now_ms(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

enum status ledger_listen(struct ledger *ledger, struct link *link, struct error *error) {
    /* The bell is told of at each ring and never read: front has the same eventfd, so its count may
     * be gone before we look, and its flags are front's to change: a read could wait for ever. */
    struct epoll_event event = {.events = link->kind == LINK_BELL ? EPOLLIN | EPOLLET : EPOLLIN,
                                .data.ptr = link};
    if (epoll_ctl(ledger->epoll, EPOLL_CTL_ADD, link->socket, &event) != 0)
        return status_fail(error, STATUS_UNAVAILABLE, "a socket cannot be waited for");
    return STATUS_OK;
}

/* Links closed in this turn of the loop: events that were fetched together with the one being
 * handled may still point to them. */
struct graveyard {
    struct link *links[EVENTS_MAX * 2];
    size_t count;
};
static struct graveyard graveyard;

void ledger_close(struct ledger *ledger, struct link *link) {
    if (!link || link->closed)
        return;
    link->closed = true;
    epoll_ctl(ledger->epoll, EPOLL_CTL_DEL, link->socket, NULL);
    if (graveyard.count < sizeof graveyard.links / sizeof *graveyard.links)
        graveyard.links[graveyard.count++] = link;
    /* A full graveyard leaks a link rather than freeing one that an event may still name. */
}

static void bury(void) {
    for (size_t i = 0; i < graveyard.count; i++)
        link_release(graveyard.links[i]);
    graveyard.count = 0;
}

static struct link *open_link(struct ledger *ledger, enum link_kind kind, int socket) {
    struct error error = {0};
    struct link *link = link_new(kind, socket, NULL);
    if (link && ledger_listen(ledger, link, &error) == STATUS_OK)
        return link;
    log_error("a socket of the server is not taken: %s", error.message);
    link_release(link);
    return NULL;
}

static int take(struct message *m, size_t i) {
    int descriptor = m->descriptors[i];
    m->descriptors[i] = -1;
    return descriptor;
}

static void front_gone(struct ledger *ledger) {
    if (!ledger->front)
        return;
    ledger_close(ledger, ledger->front);
    ledger_close(ledger, ledger->bell);
    boxes_close(ledger->boxes);
    ledger->front = ledger->bell = NULL;
    ledger->front_knows = false;
}

/* Readiness is false as long as nothing could be answered. Told again in the next turn where
 * front's socket is full. */
static void tell_recording(struct ledger *ledger) {
    const bool failing = commit_failing(ledger->commit);
    const struct message_recording m = {.good = !failing};
    if (ledger->front && failing != ledger->front_knows &&
        message_send_recording(ledger->front->socket, &m, NULL, NULL) == STATUS_OK)
        ledger->front_knows = failing;
}

static void open_boxes(struct ledger *ledger) {
    struct error error = {0};
    int bell;
    if (boxes_open(ledger->boxes, ledger->front, &bell, &error) != STATUS_OK)
        log_warn("front has no mailbox and is served more slowly: %s", error.message);
    else if (!(ledger->bell = open_link(ledger, LINK_BELL, bell)))
        boxes_close(ledger->boxes);
}

static void from_launch(struct ledger *ledger, struct message *m) {
    switch (m->type) {
    case MESSAGE_LEDGER_KEEPER:
        keeper_link_replace(ledger->keeper, take(m, 0));
        break;
    case MESSAGE_LEDGER_FRONT:
        front_gone(ledger);
        ledger->front = open_link(ledger, LINK_FRONT, take(m, 0));
        if (ledger->front)
            open_boxes(ledger);
        workers_front_changed(ledger);
        break;
    case MESSAGE_LEDGER_WORKER:
        workers_up(ledger, &m->ledger_worker, take(m, 0));
        break;
    case MESSAGE_LEDGER_WORKER_GONE:
        workers_gone(ledger, &m->ledger_worker_gone);
        break;
    case MESSAGE_DRAIN:
        ledger->draining = true;
        break;
    default:
        log_error("launch sent %s out of turn", message_type_name(m->type));
    }
}

static bool from_channel(struct ledger *ledger, struct link *channel, struct message *m) {
    struct ticket *ticket;
    switch (m->type) {
    case MESSAGE_ADMIT:
        admission_admit(ledger, channel, &m->admit);
        return true;
    case MESSAGE_SETTLE:
        admission_settle(ledger, channel, &m->settle);
        return true;
    case MESSAGE_PERFORM:
        ticket = ticket_find(ledger->tickets, m->perform.ticket, channel);
        if (!ticket || ticket->state != TICKET_OPEN)
            return false;
        act_perform(ledger, ticket, &m->perform);
        return true;
    case MESSAGE_UNDELIVERED:
        admission_undelivered(ledger, channel, &m->undelivered);
        return true;
    case MESSAGE_MEASURE:
        if (figures_answer(ledger, channel) != STATUS_OK)
            log_warn("a channel of front does not take its answer");
        return true;
    default:
        return false;
    }
}

static void end_of(struct ledger *ledger, struct link *link);

static bool from_front(struct ledger *ledger, struct message *m) {
    if (m->type != MESSAGE_CHANNEL)
        return false;
    /* A front that was broken into must not use up the descriptors of everybody else. */
    if (ledger->channels == CHANNELS_MAX)
        return false;
    struct link *link = open_link(ledger, LINK_CHANNEL, take(m, 0));
    if (!link)
        return false;
    ledger->channels++;
    if (!boxes_join(ledger->boxes, link, m->channel.box)) {
        end_of(ledger, link);
        return false;
    }
    link->owner = calloc(1, sizeof(struct channel)); /* without it, reports are not recorded */
    return true;
}

static void end_of(struct ledger *ledger, struct link *link) {
    switch (link->kind) {
    case LINK_LAUNCH:
        ledger->leave = true;
        break;
    case LINK_FRONT:
        /* Whether it was to end, launch knows and says. */
        log_info("front has ended");
        front_gone(ledger);
        break;
    case LINK_CHANNEL:
        boxes_leave(ledger->boxes, link);
        admission_channel_closed(ledger, link);
        ledger->channels -= !link->closed;
        ledger_close(ledger, link);
        break;
    case LINK_WORKER:
        /* Launch tells when the process is reaped; until then nothing more is heard from it. */
        epoll_ctl(ledger->epoll, EPOLL_CTL_DEL, link->socket, NULL);
        workers_stop_process(ledger, link->owner);
        break;
    default:
        ledger_close(ledger, link);
    }
}

static void read_link(struct ledger *ledger, struct link *link, uint8_t *buffer) {
    static const enum role sender[] = {[LINK_LAUNCH] = ROLE_LAUNCH,
                                       [LINK_FRONT] = ROLE_FRONT,
                                       [LINK_CHANNEL] = ROLE_FRONT,
                                       [LINK_WORKER] = ROLE_WORKER};
    struct message message;
    struct error error = {0};
    enum status status = message_receive(link->socket, sender[link->kind], ROLE_LEDGER, buffer,
                                         MESSAGE_MAX, &message, &error);
    if (status == STATUS_RATE)
        return;
    if (status != STATUS_OK) {
        if (status == STATUS_INVALID)
            log_error("%s is cut off: %s", message_role_name(sender[link->kind]), error.message);
        end_of(ledger, link);
        return;
    }
    bool good = true;
    switch (link->kind) {
    case LINK_LAUNCH:
        from_launch(ledger, &message);
        break;
    case LINK_FRONT:
        good = from_front(ledger, &message);
        break;
    case LINK_CHANNEL:
        good = from_channel(ledger, link, &message);
        /* An API key was in there. */
        if (message.type == MESSAGE_ADMIT)
            secret_wipe(buffer, MESSAGE_SMALL_MAX);
        break;
    case LINK_WORKER:
        good =
            message.type == MESSAGE_LOADED && workers_loaded(ledger, link->owner, &message.loaded);
        break;
    default:
        good = false;
    }
    message_close_descriptors(&message);
    if (!good) {
        log_error("%s is cut off after %s", message_role_name(sender[link->kind]),
                  message_type_name(message.type));
        end_of(ledger, link);
    }
}

/* What front asked in its mailbox. Only what is answered there may come that way. What comes faster
 * than it is answered leaves the other sockets their turn. */
static void read_boxes(struct ledger *ledger, uint8_t *buffer) {
    struct link *channel;
    size_t size;
    for (unsigned i = 0; i < QUESTIONS_MAX; i++) {
        channel = boxes_next(ledger->boxes, buffer, &size);
        if (!channel)
            break;
        struct message message;
        struct error error = {0};
        size_t descriptors;
        enum status status = message_decode(bytes_of(buffer, size), ROLE_FRONT, ROLE_LEDGER,
                                            &message, &descriptors, &error);
        if (status == STATUS_OK &&
            (message.type == MESSAGE_ADMIT || message.type == MESSAGE_SETTLE)) {
            (void)from_channel(ledger, channel, &message);
        } else {
            log_error("front is cut off: a question out of place");
            end_of(ledger, channel);
            bury(); /* no event was fetched that could name it */
        }
        secret_wipe(buffer, size); /* an API key was in there */
    }
}

static void handle(struct ledger *ledger, struct link *link, uint8_t *buffer) {
    if (link->closed)
        return;
    switch (link->kind) {
    case LINK_BELL:
        break; /* the loop looks into the mailbox in every turn */
    case LINK_COMPLETIONS:
        commit_finish(link->owner, ledger);
        break;
    case LINK_ADMIN_LISTENER:
        admin_socket_accept(ledger, link);
        break;
    case LINK_ADMIN:
        admin_socket_read(ledger, link);
        break;
    default:
        read_link(ledger, link, buffer);
    }
}

static void tick(struct ledger *ledger) {
    failures_flush(ledger->failures, ledger->commit,
                   ledger->config->audit.plain_failures ? NULL : &ledger->gate, ledger_now_us(),
                   ledger->leave);
    if (!ledger->leave)
        commit_probe(ledger->commit, ledger_now_us());
    workers_expire(ledger);
    admin_socket_expire(ledger);
}

static int wait_us(int epoll, struct epoll_event *events, int64_t us) {
    const struct timespec most = {.tv_sec = us / 1000000, .tv_nsec = us % 1000000 * 1000};
    return epoll_pwait2(epoll, events, EVENTS_MAX, &most, NULL);
}

static void serve(struct ledger *ledger, uint8_t *buffer) {
    struct epoll_event events[EVENTS_MAX];
    int64_t next_tick = ledger_now_ms() + TICK_MS;
    unsigned turn = 0;
    while (!ledger->leave) {
        read_boxes(ledger, buffer);
        int64_t left_us = (next_tick - ledger_now_ms()) * 1000;
        int64_t pace_us = commit_pace(ledger->commit, ticket_count(ledger->tickets));
        if (pace_us >= 0 && pace_us < left_us)
            left_us = pace_us;
        bool waits = boxes_sleep(ledger->boxes);
        int n = 0;
        if (waits || left_us <= 0 || ++turn % LOOK_EVERY == 0)
            n = wait_us(ledger->epoll, events, waits && left_us > 0 ? left_us : 0);
        boxes_wake(ledger->boxes);
        if (n < 0 && errno != EINTR) {
            log_error("the ledger's loop cannot wait: %s", strerror(errno));
            return;
        }
        for (int i = 0; i < n; i++)
            handle(ledger, events[i].data.ptr, buffer);
        bury();
        tell_recording(ledger);
        if (ledger_now_ms() >= next_tick) {
            tick(ledger);
            next_tick = ledger_now_ms() + TICK_MS;
        }
        if (ledger->draining && ticket_count(ledger->tickets) == 0)
            ledger->leave = true;
    }
    tick(ledger);
}

static enum status start_commit(struct ledger *ledger, struct store *store, struct commit **commit,
                                struct error *error) {
    int completions = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (completions < 0)
        return status_fail(error, STATUS_UNAVAILABLE, "no event descriptor");
    enum status status = commit_start(store, completions, commit, error);
    if (status != STATUS_OK) {
        close(completions);
        return status;
    }
    struct link *link = link_new(LINK_COMPLETIONS, completions, *commit);
    return link ? ledger_listen(ledger, link, error)
                : status_fail(error, STATUS_UNAVAILABLE, "no memory for a link");
}

/* What must be done before the sandbox: opening the store needs its path. */
static enum status open_store(struct ledger *ledger, struct error *error) {
    enum status status = store_open(ledger->config->data, &ledger->store, error);
    uint8_t fresh[STORE_SECRET_SIZE];
    random_bytes(fresh, sizeof fresh);
    if (status == STATUS_OK)
        status = store_secret(ledger->store, POLICY_GATE_SECRET, fresh, ledger->gate.secret, error);
    if (status == STATUS_OK)
        status = store_open_reader(ledger->store, &ledger->reader, error);
    if (status == STATUS_OK)
        status = store_open_reader(ledger->store, &ledger->desk_reader, error);
    if (status == STATUS_OK)
        status = upload_clean_up(ledger, error);
    return status;
}

static enum status build(struct ledger *ledger, const struct role_start *start,
                         struct error *error) {
    enum status status;
    struct link *admin;
    if ((status = ticket_table_new(&ledger->tickets, error)) ||
        (status = workers_new(&ledger->workers, error)) ||
        (status = boxes_new(&ledger->boxes, error)) ||
        (status = failures_new(&ledger->failures, error)) ||
        (status = statistics_new(&ledger->statistics, error)) ||
        (status = keeper_link_new(&ledger->keeper, error)) ||
        (status = directory_new(ledger->reader, &ledger->directory, error)) ||
        (status = start_commit(ledger, ledger->store, &ledger->commit, error)) ||
        (status = start_commit(ledger, ledger->desk_reader, &ledger->desk, error)))
        return status;
    ledger->launch = open_link(ledger, LINK_LAUNCH, start->launch);
    admin = open_link(ledger, LINK_ADMIN_LISTENER, start->admin_listener);
    if (!ledger->launch || !admin)
        return status_fail(error, STATUS_UNAVAILABLE, "the ledger's sockets cannot be used");
    return STATUS_OK;
}

int ledger_main(const struct role_start *start) {
    struct ledger ledger = {.config = start->config, .store_folder = start->store_folder};
    struct error error = {0};
    const struct sandbox_folder folder = {"store", start->store_folder};
    uint8_t *buffer = NULL;
    int result = 1;

    if (crypto_init(&error) != STATUS_OK || !(buffer = secret_alloc(MESSAGE_MAX, &error)) ||
        open_store(&ledger, &error) != STATUS_OK)
        goto out;
    ledger.epoll = epoll_create1(EPOLL_CLOEXEC);
    if (ledger.epoll < 0) {
        status_fail(&error, STATUS_UNAVAILABLE, "no descriptor for the loop");
        goto out;
    }
    if (sandbox_enter(ROLE_LEDGER, &folder, 1, &error) != STATUS_OK ||
        build(&ledger, start, &error) != STATUS_OK)
        goto out;
    const struct message_ready ready = {.pid = (uint32_t)getpid()};
    if (message_send_ready(start->launch, &ready, NULL, &error) != STATUS_OK)
        goto out;
    serve(&ledger, buffer);
    result = 0;
out:
    if (error.message[0])
        log_error("%s", error.message);
    /* The desk ends first: what it was asked for may still be recorded by the commit thread. */
    commit_stop(ledger.desk);
    commit_stop(ledger.commit);
    directory_free(ledger.directory);
    keeper_link_free(ledger.keeper);
    failures_free(ledger.failures);
    statistics_free(ledger.statistics);
    workers_free(ledger.workers);
    boxes_free(ledger.boxes);
    ticket_table_free(ledger.tickets);
    store_close(ledger.desk_reader);
    store_close(ledger.reader);
    store_close(ledger.store);
    secret_free(buffer);
    secret_wipe(&ledger.gate, sizeof ledger.gate);
    return result;
}
