/* A front for tests: it passes payloads on to workers and, when a worker tells the signature of a
 * model, asks the model once: one float32 input of 1024 ones. What happens is in the log. */
#include "base/config.h"
#include "base/log.h"
#include "base/ring.h"
#include "base/role.h"
#include "base/sandbox.h"
#include "server/check.h"
#include "server/launch/resources.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#define WORKERS 8
#define COUNT 1024

static struct {
    int launch, ledger;
    struct {
        uint32_t number;
        int socket;
        struct ring *ring;
    } workers[WORKERS];
    bool leave;
    uint8_t buffer[MESSAGE_MAX];
} f;

static int take(struct message *message, int i) {
    int descriptor = message->descriptors[i];
    message->descriptors[i] = -1;
    return descriptor;
}

static void drop(int i) {
    ring_worker_gone(f.workers[i].ring);
    ring_free(f.workers[i].ring);
    close(f.workers[i].socket);
    f.workers[i].socket = -1;
}

static void on_launch(void) {
    struct message m;
    struct error error;
    if (message_receive(f.launch, ROLE_LAUNCH, ROLE_FRONT, f.buffer, sizeof f.buffer, &m, &error) !=
        STATUS_OK) {
        f.leave = true;
        return;
    }
    if (m.type == MESSAGE_FRONT_LEDGER) {
        close(f.ledger);
        f.ledger = take(&m, 0);
    } else if (m.type == MESSAGE_FRONT_WORKER) {
        for (int i = 0; i < WORKERS; i++)
            if (f.workers[i].socket < 0) {
                if (ring_attach(m.descriptors[1], m.front_worker.slots, m.front_worker.slot_bytes,
                                false, &f.workers[i].ring, &error) != STATUS_OK) {
                    log_error("fixture: no ring: %s", error.message);
                    f.leave = true;
                }
                f.workers[i].number = m.front_worker.worker;
                f.workers[i].socket = take(&m, 0);
                break;
            }
    } else if (m.type == MESSAGE_DRAIN) {
        f.leave = true;
    }
    message_close_descriptors(&m);
}

static void on_ledger(void) {
    struct message m;
    struct error error;
    if (message_receive(f.ledger, ROLE_LEDGER, ROLE_FRONT, f.buffer, sizeof f.buffer, &m, &error) !=
        STATUS_OK) {
        close(f.ledger);
        f.ledger = -1;
        return;
    }
    if (m.type == MESSAGE_FRONT_PAYLOAD) {
        const struct message_worker_payload forward = {.load = m.front_payload.load};
        for (int i = 0; i < WORKERS; i++)
            if (f.workers[i].socket >= 0 && f.workers[i].number == m.front_payload.worker &&
                message_send_worker_payload(f.workers[i].socket, &forward, &m.descriptors[0],
                                            &error) != STATUS_OK)
                log_error("fixture: payload not passed on: %s", error.message);
    }
    message_close_descriptors(&m);
}

static void ask(struct ring *ring, uint64_t model) {
    static struct ring_response response;
    struct error error = {0};
    struct timespec now;
    struct ring_request *request = ring_request_of(ring, 1);
    float *in = (float *)(void *)ring_data(ring, 1);
    for (int i = 0; i < COUNT; i++)
        in[i] = 1;
    *request = (struct ring_request){
        .model = model,
        .outputs_wanted = 1,
        .input_count = 1,
        .input_end = COUNT * sizeof *in,
        .inputs = {{.type = 1, .rank = 1, .dims = {COUNT}, .bytes = COUNT * sizeof *in}}};
    clock_gettime(CLOCK_MONOTONIC, &now);
    ring_submit(ring, 1);
    enum status status =
        ring_wait(ring, 1, ((uint64_t)now.tv_sec + 10) * 1000000000u, &response, &error);
    if (status != STATUS_OK || response.status != STATUS_OK) {
        log_info("fixture: answer status=%d/%u message=%s", status, response.status,
                 status ? error.message : response.message);
    } else {
        const float *out =
            (const float *)(const void *)(ring_data(ring, 1) + response.outputs[0].offset);
        log_info("fixture: answer status=0/0 outputs=%u rank=%u dim=%lld first=%g last=%g",
                 response.output_count, response.outputs[0].rank,
                 (long long)response.outputs[0].dims[0], (double)out[0], (double)out[COUNT - 1]);
    }
    ring_wipe(ring, 1, ring_slot_bytes(ring));
}

static void on_worker(int i) {
    struct message m;
    struct error error;
    if (message_receive(f.workers[i].socket, ROLE_WORKER, ROLE_FRONT, f.buffer, sizeof f.buffer, &m,
                        &error) != STATUS_OK) {
        drop(i);
        return;
    }
    log_info("fixture: signature %.*s", (int)m.signature.signature.size,
             (const char *)m.signature.signature.data);
    uint64_t model = m.signature.model;
    /* It is told before the model can be asked: LOADED comes after. */
    nanosleep(&(struct timespec){.tv_nsec = 200000000}, NULL);
    ask(f.workers[i].ring, model);
}

/* --check looks into the TLS files with front's code, which is not here. */
size_t check_text(const char *path) {
    (void)path;
    return 0;
}

int check_run(const char *path, const struct config *config) {
    struct error error;
    (void)path;
    return status_exit(resources_check(config, NULL, NULL, &error));
}

/* What a front that was broken into may do with the descriptor of an upload. */
static void try_files(uint64_t most) {
    int fd = memfd_create("upload", MFD_CLOEXEC);
    const bool fits = pwrite(fd, "x", 1, (off_t)most - 1) == 1;
    const bool ends = pwrite(fd, "x", 1, (off_t)most) < 0 && errno == EFBIG &&
                      ftruncate(fd, (off_t)most + 1) < 0 && errno == EFBIG;
    log_info("fixture: a file of the limit %s, one byte more %s", fits ? "fits" : "is refused",
             ends ? "is refused" : "fits");
    close(fd);
}

int front_main(const struct role_start *start) {
    const struct message_ready ready = {.pid = (uint32_t)getpid()};
    struct error error;
    f.launch = start->launch;
    f.ledger = -1;
    for (int i = 0; i < WORKERS; i++)
        f.workers[i].socket = -1;
    close(start->tls_certificate);
    close(start->tls_key);
    try_files(start->config->limits.model_bytes);
    if (sandbox_enter(ROLE_FRONT, NULL, 0, &error) != STATUS_OK ||
        message_send_ready(f.launch, &ready, NULL, &error) != STATUS_OK) {
        log_error("cannot start: %s", error.message);
        return 1;
    }
    while (!f.leave) {
        struct pollfd polls[2 + WORKERS] = {{.fd = f.launch, .events = POLLIN},
                                            {.fd = f.ledger, .events = POLLIN}};
        for (int i = 0; i < WORKERS; i++)
            polls[2 + i] = (struct pollfd){.fd = f.workers[i].socket, .events = POLLIN};
        if (poll(polls, 2 + WORKERS, -1) < 0)
            continue;
        for (int i = 0; i < WORKERS; i++)
            if (polls[2 + i].revents)
                on_worker(i);
        /* launch before ledger: a worker is introduced before anything is asked of it. */
        if (polls[0].revents)
            on_launch();
        else if (polls[1].revents)
            on_ledger();
    }
    return 0;
}
