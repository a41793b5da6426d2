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
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

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

/* A handshake with ourselves, in memory. */
static enum status rehearse(SSL_CTX *server_context, struct error *error) {
    SSL_CTX *client_context = SSL_CTX_new(TLS_client_method());
    SSL *server = SSL_new(server_context);
    SSL *client = client_context ? SSL_new(client_context) : NULL;
    BIO *left = NULL, *right = NULL;
    bool done = false;
    if (server && client && BIO_new_bio_pair(&left, 0, &right, 0) == 1) {
        SSL_set_bio(server, left, left);
        SSL_set_bio(client, right, right);
        SSL_set_accept_state(server);
        SSL_set_connect_state(client);
        for (int i = 0; i < 8 && !done; i++) {
            (void)SSL_do_handshake(client);
            (void)SSL_do_handshake(server);
            done = SSL_is_init_finished(client) && SSL_is_init_finished(server);
        }
    }
    SSL_free(client);
    SSL_free(server);
    SSL_CTX_free(client_context);
    return done ? STATUS_OK
                : status_fail(error, STATUS_INVALID,
                              "no TLS connection can be made with this certificate and key");
}

static enum status start_tls(const struct role_start *start, SSL_CTX **tls, struct error *error) {
    enum status status = warm_up(error);
    if (status == STATUS_OK)
        status = tls_context(start->tls_certificate, start->tls_key, tls, error);
    if (status == STATUS_OK)
        status = rehearse(*tls, error);
    close(start->tls_certificate);
    close(start->tls_key);
    return status;
}

int front_main(const struct role_start *start) {
    static struct front front;
    struct http *http = NULL;
    SSL_CTX *tls = NULL;
    struct error error = {0};
    front.config = start->config;
    ledger_link_init(&front.ledger);
    workers_init(&front.workers);
    front.sources =
        sources_new(http_threads(start->config), start->config->limits.connections_per_source);
    bool lock = can_lock();
    enum status status = front.sources ? start_tls(start, &tls, &error)
                                       : status_fail(&error, STATUS_UNAVAILABLE, "out of memory");
    if (status == STATUS_OK)
        status = sandbox_enter(ROLE_FRONT, NULL, 0, &error);
    if (status == STATUS_OK) {
        status = http_start(&front, tls, start->listeners, start->listener_count, &http, &error);
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
