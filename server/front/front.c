/* The front role's start. Order: TLS files, library warm-up, sandbox, threads, READY. */
#include "server/front/front.h"

#include "base/log.h"
#include "base/role.h"
#include "base/sandbox.h"
#include "server/front/control.h"
#include "server/front/http.h"
#include "server/front/tls.h"

#include <linux/capability.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#define REFUSALS_SOURCES 4096
#define STACK_BYTES (512 * 1024)

/* Payloads pass through the rings: locked wherever that is allowed. Launch has made sure that
 * there is no swap, or that the configuration accepts it, where it is not. */
static bool can_lock(void) {
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[2];
    struct rlimit limit;
    return (syscall(SYS_capget, &header, data) == 0 &&
            (data[0].effective & (1u << CAP_IPC_LOCK))) ||
           (getrlimit(RLIMIT_MEMLOCK, &limit) == 0 && limit.rlim_cur == RLIM_INFINITY);
}

/* What OpenSSL loads or opens at first use, it must have before the sandbox. */
static enum status warm_up(struct error *error) {
    unsigned char byte;
    if (RAND_bytes(&byte, 1) != 1)
        return status_fail(error, STATUS_INTERNAL, "OpenSSL has no randomness");
    return STATUS_OK;
}

static enum status start_tls(const struct role_start *start, SSL_CTX **tls, struct error *error) {
    const struct config *config = start->config;
    struct tls_files files = {start->tls_certificate, start->tls_key,
                              config->tls_client_ca[0] ? start->tls_client_ca : -1};
    const char *field = "";
    enum status status = warm_up(error);
    if (status == STATUS_OK) {
        status = tls_context(&files, config->tls_minimum, tls, &field, error);
        if (status != STATUS_OK)
            status = status_prefix(error, "%s: ", field);
    }
    tls_close(&files);
    return status;
}

/* A connection's thread does little: the C library's default of 8 MiB each would reserve gigabytes
 * of addresses for stacks. */
static enum status size_stacks(struct error *error) {
    pthread_attr_t attributes;
    bool done = false;
    if (pthread_attr_init(&attributes) == 0) {
        done = pthread_attr_setstacksize(&attributes, STACK_BYTES) == 0 &&
               pthread_setattr_default_np(&attributes) == 0;
        pthread_attr_destroy(&attributes);
    }
    return done ? STATUS_OK : status_fail(error, STATUS_INTERNAL, "stacks cannot be sized");
}

/* One tenant alone has half of it: a body of the largest size, and as much again for its answer. */
static uint64_t memory_for(const struct config *config) {
    uint64_t least = 4 * config->limits.body_bytes;
    return config->limits.memory_bytes > least ? config->limits.memory_bytes : least;
}

int front_main(const struct role_start *start) {
    static struct front front;
    struct http *http = NULL;
    SSL_CTX *tls = NULL;
    struct error error = {0};
    front.config = start->config;
    front.budget.limit = memory_for(start->config);
    ledger_link_init(&front.ledger);
    workers_init(&front.workers);
    front.sources =
        sources_new(http_threads(start->config), start->config->limits.connections_per_source);
    front.refusals = refusals_new(REFUSALS_SOURCES, start->config->limits.failures_per_source);
    bool lock = can_lock();
    enum status status = front.sources && front.refusals
                             ? start_tls(start, &tls, &error)
                             : status_fail(&error, STATUS_UNAVAILABLE, "out of memory");
    if (status == STATUS_OK)
        status = size_stacks(&error);
    if (status == STATUS_OK)
        status = sandbox_enter(ROLE_FRONT, NULL, 0, &error);
    if (status == STATUS_OK) {
        const struct http_sockets sockets = {
            .tls = start->listeners,
            .tls_count = start->listener_count,
            .plain = start->config->metrics_listen[0] ? start->metrics_listener : -1};
        status = http_start(&front, tls, &sockets, &http, &error);
        tls = NULL;
    }
    if (status == STATUS_OK) {
        struct message_ready ready = {.pid = (uint32_t)getpid()};
        status = message_send_ready(start->launch, &ready, NULL, &error);
    }
    if (status != STATUS_OK) {
        log_error("%s", error.message);
        return 1;
    }
    /* The connection threads end with the process: to join them would wait for idle clients. */
    return control_run(&front, start->launch, lock);
}
