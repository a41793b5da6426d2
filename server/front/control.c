#include "server/front/control.h"

#include "base/log.h"
#include "server/front/exchange.h"
#include "server/front/listener.h"
#include "server/front/tls.h"
#include "server/front/visitors.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <unistd.h>

#define DRAIN_STEP_MS 50
/* Nothing may be under way for so long before nobody new is let in, and for so long again before
 * the process ends: who has just connected still gets an answer. */
#define DRAIN_QUIET_MS 250
/* But whoever has connected and says nothing is not waited for longer than this. */
#define DRAIN_LAST_MS 1000

struct control {
    struct front *front;
    int launch, ledger;
    bool lock_rings;
    bool ended;
    uint64_t notice_until_ns; /* until then only readiness is false; 0: not leaving */
    uint64_t drain_until_ns;
    uint64_t quiet_since_ns; /* 0: something is under way */
    uint64_t closed_ns;      /* since when nobody new is let in; 0: they are */
    struct pollfd polls[WORKERS_MAX + 2];
    uint8_t buffer[MESSAGE_MAX];
};

static void lose_ledger(struct control *c) {
    ledger_link_set(&c->front->ledger, -1);
    c->ledger = -1;
    atomic_store(&c->front->unrecorded, false);
}

static void add_worker(struct control *c, struct message *message) {
    const struct message_front_worker *m = &message->front_worker;
    struct error error = {0};
    int socket = message->descriptors[0];
    message->descriptors[0] = -1;
    if (workers_add(&c->front->workers, m->worker, socket, message->descriptors[1], m->slots,
                    m->slot_bytes, c->lock_rings, &error) != STATUS_OK)
        log_error("worker %u cannot be used: %s", m->worker, error.message);
}

static void begin_drain(struct control *c, uint32_t deadline_ms) {
    const uint64_t now = exchange_now_ns(), ms = 1000000u;
    atomic_store(&c->front->leaving, true);
    c->notice_until_ns = now + c->front->config->drain.notice_ms * ms + 1;
    c->drain_until_ns = now + deadline_ms * ms + 1;
}

/* A pair that cannot be used changes nothing: what served before goes on serving. */
static void renew(struct control *c, int certificate, int key) {
    SSL_CTX *tls = NULL;
    struct error error = {0};
    if (tls_renewed(certificate, key, c->front->config->tls_minimum, &tls, &error) != STATUS_OK) {
        log_error("the new certificate is not used, the old one stays: %s", error.message);
        return;
    }
    visitors_attach(tls);
    tls_renew(tls);
    log_info("the certificate was renewed");
}

static void from_launch(struct control *c) {
    struct message message;
    struct error error = {0};
    enum status status = message_receive(c->launch, ROLE_LAUNCH, ROLE_FRONT, c->buffer,
                                         sizeof c->buffer, &message, &error);
    if (status == STATUS_RATE)
        return;
    if (status != STATUS_OK) {
        if (status != STATUS_UNAVAILABLE)
            log_error("launch sent a bad message: %s", error.message);
        c->ended = true;
        return;
    }
    switch (message.type) {
    case MESSAGE_FRONT_LEDGER:
        atomic_store(&c->front->unrecorded, false);
        ledger_link_set(&c->front->ledger, message.descriptors[0]);
        c->ledger = message.descriptors[0];
        message.descriptors[0] = -1;
        break;
    case MESSAGE_FRONT_WORKER:
        add_worker(c, &message);
        break;
    case MESSAGE_DRAIN:
        begin_drain(c, message.drain.deadline_ms);
        break;
    case MESSAGE_FRONT_TLS:
        renew(c, message.descriptors[0], message.descriptors[1]);
        break;
    default:
        log_error("launch sent %s out of place", message_type_name(message.type));
        break;
    }
    message_close_descriptors(&message);
}

static void take_mailbox(struct control *c, struct message *message) {
    struct mailbox *mailbox;
    struct error error = {0};
    if (mailbox_attach(message->descriptors[0], message->descriptors[1], &mailbox, &error) ==
        STATUS_OK) {
        message->descriptors[1] = -1;
        ledger_link_set_mailbox(&c->front->ledger, mailbox);
    } else {
        log_error("the ledger's mailbox is not used: %s", error.message);
    }
    message_close_descriptors(message);
}

static void from_ledger(struct control *c) {
    struct message message;
    struct error error = {0};
    enum status status = message_receive(c->ledger, ROLE_LEDGER, ROLE_FRONT, c->buffer,
                                         sizeof c->buffer, &message, &error);
    if (status == STATUS_RATE)
        return;
    if (status == STATUS_OK && message.type == MESSAGE_MAILBOX) {
        take_mailbox(c, &message);
        return;
    }
    if (status == STATUS_OK && message.type == MESSAGE_RECORDING) {
        atomic_store(&c->front->unrecorded, !message.recording.good);
        return;
    }
    if (status != STATUS_OK || message.type != MESSAGE_FRONT_PAYLOAD) {
        if (status == STATUS_OK)
            log_error("ledger sent %s out of place", message_type_name(message.type));
        else if (status != STATUS_UNAVAILABLE)
            log_error("ledger sent a bad message: %s", error.message);
        if (status == STATUS_OK)
            message_close_descriptors(&message);
        lose_ledger(c);
        return;
    }
    workers_payload(&c->front->workers, message.front_payload.worker, message.front_payload.load,
                    message.descriptors[0]);
}

static bool drained(struct control *c) {
    const uint64_t now = exchange_now_ns(), ms = 1000000u;
    if (!c->notice_until_ns || now < c->notice_until_ns)
        return false;
    if (!atomic_exchange(&c->front->draining, true))
        listener_hurry();
    if (atomic_load(&c->front->in_flight) || (c->closed_ns && visitors_waiting()))
        c->quiet_since_ns = 0;
    else if (!c->quiet_since_ns)
        c->quiet_since_ns = now;
    const bool quiet = c->quiet_since_ns && now - c->quiet_since_ns >= DRAIN_QUIET_MS * ms;
    if (!c->closed_ns && (quiet || now + DRAIN_LAST_MS * ms >= c->drain_until_ns)) {
        listener_end();
        c->closed_ns = now;
        c->quiet_since_ns = 0;
        return false;
    }
    return now >= c->drain_until_ns ||
           (c->closed_ns && (quiet || (!atomic_load(&c->front->in_flight) &&
                                       now >= c->closed_ns + DRAIN_LAST_MS * ms)));
}

static void serve_once(struct control *c) {
    size_t count = 1;
    c->polls[0] = (struct pollfd){.fd = c->launch, .events = POLLIN};
    bool has_ledger = c->ledger >= 0;
    if (has_ledger)
        c->polls[count++] = (struct pollfd){.fd = c->ledger, .events = POLLIN};
    size_t first_worker = count;
    count += workers_poll(&c->front->workers, c->polls + count, WORKERS_MAX);
    int ready = poll(c->polls, count, c->notice_until_ns ? DRAIN_STEP_MS : -1);
    if (ready < 0 && errno != EINTR) {
        log_error("the control loop cannot wait");
        c->ended = true;
    }
    if (ready <= 0)
        return;
    /* Workers first: what they have told of a model may be wanted by whatever comes after it. */
    for (size_t i = first_worker; i < count; i++)
        if (c->polls[i].revents)
            workers_readable(&c->front->workers, c->polls[i].fd, c->buffer, sizeof c->buffer);
    if (has_ledger && c->polls[1].revents)
        from_ledger(c);
    if (c->polls[0].revents)
        from_launch(c);
}

int control_run(struct front *front, int launch, bool lock_rings) {
    struct control *c = calloc(1, sizeof *c);
    if (!c) {
        log_error("out of memory");
        return 1;
    }
    c->front = front;
    c->launch = launch;
    c->ledger = -1;
    c->lock_rings = lock_rings;
    while (!c->ended && !drained(c))
        serve_once(c);
    free(c);
    return 0;
}
