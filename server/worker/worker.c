/* A worker's process: sandbox first, then messages. The main thread reads the sockets, one thread
 * opens models (loader.h), several run requests (infer.h).
 *
 * What a death of another process means here: launch gone, this process ends; ledger gone, launch
 * ends this process; keeper gone, open models go on and whoever waits for a key asks the next
 * keeper; front gone, open models stay and a new ring comes with the next front. A front that lives
 * and has dropped this worker sends none: after a while this process ends, and launch starts a new
 * one. */
#include "base/config.h"
#include "base/log.h"
#include "base/role.h"
#include "base/sandbox.h"
#include "crypto/crypto.h"
#include "crypto/secret.h"
#include "server/worker/infer.h"
#include "server/worker/links.h"
#include "server/worker/loader.h"
#include "server/worker/loading.h"
#include "server/worker/region.h"

#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define TICK_S 5
#define ALONE_MS 10000 /* how long the next front may take */
#define RUNNERS_MAX 16
#define ENGINE_THREADS_MAX 64

struct worker {
    const struct config *config;
    int launch;
    struct links links;
    struct loading_table loadings;
    struct resident_table *table;
    struct loader *loader;
    struct infer *infer;     /* NULL while front is not there */
    uint8_t *buffer;         /* MESSAGE_MAX bytes */
    uint8_t *key_buffer;     /* secret memory: what the keeper sends */
    uint64_t alone_since_ms; /* front's socket came to its end then; 0: it is there */
    bool leaving;
};

static uint64_t now_ms(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static int take(struct message *message, size_t i) {
    int descriptor = message->descriptors[i];
    message->descriptors[i] = -1;
    return descriptor;
}

/* --- loading ---------------------------------------------------------------------------------- */

static void give_up(struct worker *w, uint64_t load, struct loading *loading,
                    const struct error *error) {
    links_load_failed(&w->links, load, error);
    if (loading) {
        loading_take(&w->loadings, loading);
        loading_free(loading);
    }
}

static void hand_over(struct worker *w, struct loading *loading) {
    if (!loading_complete(loading))
        return;
    loading_take(&w->loadings, loading);
    loader_give(w->loader, loading);
}

static void on_load(struct worker *w, const struct message_load *ask) {
    struct error error = {.status = STATUS_INTERNAL};
    struct loading *loading = loading_asked(&w->loadings, ask, now_ms(), &error);
    if (!loading) {
        give_up(w, ask->load, NULL, &error);
        return;
    }
    links_unwrap(&w->links, loading); /* a keeper that is not there yet is asked when it comes */
}

static void on_payload(struct worker *w, struct message *message) {
    struct error error;
    uint64_t load = message->worker_payload.load;
    struct loading *loading =
        loading_payload(&w->loadings, load, message->descriptors[0], now_ms(), &error);
    if (!loading) {
        log_warn("a payload is not taken: %s load=%llu", error.message, (unsigned long long)load);
        return;
    }
    (void)take(message, 0);
    hand_over(w, loading);
}

static void on_file_key(struct worker *w, const struct message_file_key *answer) {
    struct error error = {.status = STATUS_INTERNAL};
    struct loading *loading = loading_find(&w->loadings, answer->load);
    if (!loading || !loading->asked)
        return; /* given up meanwhile */
    if (answer->status != STATUS_OK) {
        char text[ERROR_MESSAGE_MAX];
        if (!bytes_to_text(answer->message, text, sizeof text))
            text[0] = '\0';
        status_fail(&error, answer->status < STATUS_COUNT ? answer->status : STATUS_INTERNAL, "%s",
                    text);
        give_up(w, answer->load, loading, &error);
        return;
    }
    if (!loading_key(&w->loadings, answer->load, answer->key, &error)) {
        if (error.status == STATUS_UNAVAILABLE)
            (void)!region_refused(answer->load, MESSAGE_MEMORY_CONFIGURED, loading->payload_bytes,
                                  &error);
        give_up(w, answer->load, loading, &error);
        return;
    }
    hand_over(w, loading);
}

static void drop_late(struct worker *w) {
    struct loading *loading;
    struct error error;
    status_fail(&error, STATUS_UNAVAILABLE,
                "the model could not be loaded: a part of the server did not answer in time");
    while ((loading = loading_orphan(&w->loadings, now_ms()))) {
        loading_take(&w->loadings, loading);
        loading_free(loading);
    }
    while ((loading = loading_late(&w->loadings, now_ms()))) {
        log_warn("a load is given up load=%llu", (unsigned long long)loading->load);
        give_up(w, loading->load, loading, &error);
    }
}

/* --- sockets ---------------------------------------------------------------------------------- */

static void ask_again(struct worker *w) {
    for (size_t i = 0; i < LOADING_MAX; i++) {
        const struct loading *loading = w->loadings.entries[i];
        if (loading && loading->asked && !loading->file_key)
            links_unwrap(&w->links, loading);
    }
}

static void send_signature(void *context, const struct resident *resident) {
    links_signature(context, resident);
}

static unsigned processors(void) {
    cpu_set_t set;
    int count = sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 1;
    return count < 1 ? 1 : count > ENGINE_THREADS_MAX ? ENGINE_THREADS_MAX : (unsigned)count;
}

static void on_front(struct worker *w, struct message *message) {
    const struct message_worker_front *front = &message->worker_front;
    struct infer_options options = {.table = w->table,
                                    .deadline_ms = w->config->limits.deadline_ms,
                                    .threads =
                                        front->slots < RUNNERS_MAX ? front->slots : RUNNERS_MAX};
    struct error error;
    infer_free(w->infer);
    w->infer = NULL;
    if (ring_attach(message->descriptors[1], front->slots, front->slot_bytes, region_locks(),
                    &options.ring, &error) != STATUS_OK)
        goto failed;
    if (infer_new(&options, &w->infer, &error) != STATUS_OK) {
        ring_free(options.ring);
        goto failed;
    }
    links_set(&w->links, &w->links.front, take(message, 0));
    w->alone_since_ms = 0;
    resident_each(w->table, send_signature, &w->links);
    return;
failed:
    log_error("requests cannot be served: %s", error.message);
    w->leaving = true;
}

static void on_launch(struct worker *w) {
    struct message message;
    struct error error;
    if (message_receive(w->launch, ROLE_LAUNCH, ROLE_WORKER, w->buffer, MESSAGE_MAX, &message,
                        &error) != STATUS_OK) {
        w->leaving = true;
        return;
    }
    switch (message.type) {
    case MESSAGE_WORKER_KEEPER:
        links_set(&w->links, &w->links.keeper, take(&message, 0));
        ask_again(w);
        break;
    case MESSAGE_WORKER_LEDGER:
        links_set(&w->links, &w->links.ledger, take(&message, 0));
        break;
    case MESSAGE_WORKER_FRONT:
        on_front(w, &message);
        break;
    case MESSAGE_DRAIN:
        w->leaving = true;
        break;
    default:
        break;
    }
    message_close_descriptors(&message);
}

/* A sibling's socket: false where it must be closed. */
static bool on_sibling(struct worker *w, enum role role, int socket) {
    struct message message;
    struct error error;
    bool keeper = role == ROLE_KEEPER;
    enum status status =
        message_receive(socket, role, ROLE_WORKER, keeper ? w->key_buffer : w->buffer,
                        keeper ? MESSAGE_SMALL_MAX : MESSAGE_MAX, &message, &error);
    if (status == STATUS_RATE)
        return true;
    if (status != STATUS_OK) {
        if (status != STATUS_UNAVAILABLE)
            log_error("a malformed message: its socket is closed from=%s", message_role_name(role));
        return false;
    }
    switch (message.type) {
    case MESSAGE_LOAD:
        on_load(w, &message.load);
        break;
    case MESSAGE_UNLOAD:
        loader_unload(w->loader, message.unload.model);
        break;
    case MESSAGE_FILE_KEY:
        on_file_key(w, &message.file_key);
        secret_wipe(w->key_buffer, MESSAGE_SMALL_MAX);
        break;
    case MESSAGE_WORKER_PAYLOAD:
        on_payload(w, &message);
        break;
    default:
        break;
    }
    message_close_descriptors(&message);
    return true;
}

static int serve(struct worker *w) {
    const struct timespec tick = {.tv_sec = TICK_S};
    const enum role roles[] = {ROLE_LAUNCH, ROLE_KEEPER, ROLE_LEDGER, ROLE_FRONT};
    int *sockets[] = {&w->launch, &w->links.keeper, &w->links.ledger, &w->links.front};
    while (!w->leaving) {
        struct pollfd polls[4];
        for (size_t i = 0; i < 4; i++)
            polls[i] = (struct pollfd){.fd = *sockets[i], .events = POLLIN};
        if (ppoll(polls, 4, &tick, NULL) < 0 && errno != EINTR) {
            log_error("waiting failed: %s", strerror(errno));
            return 1;
        }
        if (polls[0].revents)
            on_launch(w);
        for (size_t i = 1; i < 4; i++)
            /* Not one that on_launch has replaced: what was readable is another socket then. */
            if (polls[i].revents && polls[i].fd == *sockets[i] && !polls[0].revents &&
                !on_sibling(w, roles[i], polls[i].fd)) {
                links_set(&w->links, sockets[i], -1);
                if (roles[i] == ROLE_FRONT)
                    w->alone_since_ms = now_ms();
            }
        drop_late(w);
        if (w->alone_since_ms && now_ms() - w->alone_since_ms >= ALONE_MS) {
            log_error("front has closed its socket and none came after it: this worker ends");
            return 1;
        }
    }
    return 0;
}

/* --- start ------------------------------------------------------------------------------------ */

static enum status set_up(struct worker *w, const struct role_start *start, struct error *error) {
    const struct secret_options options = {.allow_unlocked =
                                               start->config->worker.allow_unlocked_memory};
    const struct message_ready ready = {.pid = (uint32_t)getpid()};
    unsigned threads = start->config->worker.threads;
    struct loader_options loader = {.links = &w->links};
    enum status status;
    links_init(&w->links);
    region_init();
    secret_configure(&options);
    if ((status = crypto_init(error)) != STATUS_OK ||
        (status = sandbox_enter(ROLE_WORKER, NULL, 0, error)) != STATUS_OK ||
        (status = resident_table_new(&w->table, error)) != STATUS_OK)
        return status;
    w->buffer = malloc(MESSAGE_MAX);
    w->key_buffer = secret_alloc(MESSAGE_SMALL_MAX, error);
    if (!w->buffer || !w->key_buffer)
        return w->buffer ? error->status : status_fail(error, STATUS_UNAVAILABLE, "out of memory");
    if (threads == 0)
        threads = processors();
    if (threads > ENGINE_THREADS_MAX)
        threads = ENGINE_THREADS_MAX;
    loader.table = w->table;
    loader.resident.threads = threads;
    loader.resident.memory_bytes = (uint64_t)start->config->worker.memory_mib << 20;
    if ((status = loader_new(&loader, &w->loader, error)) != STATUS_OK)
        return status;
    return message_send_ready(start->launch, &ready, NULL, error);
}

int worker_main(const struct role_start *start) {
    static struct worker worker;
    struct error error;
    int exit_status = 1;
    worker.config = start->config;
    worker.launch = start->launch;
    if (set_up(&worker, start, &error) == STATUS_OK)
        exit_status = serve(&worker);
    else
        log_error("cannot start: %s", error.message);
    infer_free(worker.infer);
    loader_free(worker.loader);
    resident_table_free(worker.table);
    for (size_t i = 0; i < LOADING_MAX; i++)
        loading_free(worker.loadings.entries[i]);
    secret_free(worker.key_buffer);
    free(worker.buffer);
    return exit_status;
}
