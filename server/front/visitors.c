#include "server/front/visitors.h"

#include "base/log.h"
#include "base/message.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#define STEP_MS 250

struct visitor {
    int socket;
    uint64_t until_ms; /* 0: its first request has arrived */
    bool too_many;
    char address[MESSAGE_CLIENT_MAX + 1]; /* "" where it could not be told */
    struct visitors_peer peer;
    struct source *source;
    struct visitor *previous, *next;
};

static struct {
    pthread_mutex_t lock;
    struct visitor *first;
    struct sources *sources;
    struct refusals *refusals;
    int index; /* of a connection's visitor among OpenSSL's data of others */
} visitors = {.lock = PTHREAD_MUTEX_INITIALIZER, .index = -1};

/* Of the connection that this thread serves. */
static _Thread_local struct visitor *mine;

static uint64_t now_ms(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000u + (uint64_t)now.tv_nsec / 1000000u;
}

/* The text under which a peer is counted; false where it is gone already. */
static bool address_of(int socket, char text[MESSAGE_CLIENT_MAX + 1]) {
    union {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
        struct sockaddr_storage room;
    } peer = {0};
    socklen_t size = sizeof peer;
    if (getpeername(socket, &peer.any, &size) != 0)
        return false;
    if (peer.any.sa_family == AF_INET)
        return inet_ntop(AF_INET, &peer.v4.sin_addr, text, MESSAGE_CLIENT_MAX + 1) != NULL;
    if (peer.any.sa_family != AF_INET6)
        return false;
    if (!IN6_IS_ADDR_V4MAPPED(&peer.v6.sin6_addr))
        memset(peer.v6.sin6_addr.s6_addr + 8, 0, 8);
    return inet_ntop(AF_INET6, &peer.v6.sin6_addr, text, MESSAGE_CLIENT_MAX + 1) != NULL;
}

static void begin(const SSL *ssl) {
    int socket = SSL_get_fd(ssl);
    struct visitor *v = calloc(1, sizeof *v);
    bool over = true;
    if (socket < 0 || !v || SSL_set_ex_data((SSL *)(uintptr_t)ssl, visitors.index, v) != 1) {
        free(v);
        if (socket >= 0)
            (void)shutdown(socket, SHUT_RDWR);
        return;
    }
    *v = (struct visitor){.socket = socket, .until_ms = now_ms() + VISITORS_FIRST_MS};
    if (address_of(socket, v->address)) {
        v->too_many = !sources_enter(visitors.sources, v->address, &v->source);
        over = !v->source || sources_over(visitors.sources, v->source) > VISITORS_OVER;
    }
    pthread_mutex_lock(&visitors.lock);
    v->next = visitors.first;
    if (v->next)
        v->next->previous = v;
    visitors.first = v;
    pthread_mutex_unlock(&visitors.lock);
    mine = v;
    if (over)
        (void)shutdown(socket, SHUT_RDWR);
}

/* Only what the handshake has verified: without a verified certificate it is as if there were none.
 */
static void meet(const SSL *ssl, struct visitors_peer *peer) {
    unsigned size = 0;
    peer->tls_version = SSL_version(ssl) == TLS1_3_VERSION ? 13 : 12;
    X509 *certificate = SSL_get1_peer_certificate(ssl);
    peer->has_certificate = certificate && SSL_get_verify_result(ssl) == X509_V_OK &&
                            X509_digest(certificate, EVP_sha256(), peer->certificate, &size) == 1 &&
                            size == sizeof peer->certificate;
    X509_free(certificate);
}

static void on_info(const SSL *ssl, int where, int value) {
    (void)value;
    struct visitor *v = SSL_get_ex_data(ssl, visitors.index);
    if (where & SSL_CB_HANDSHAKE_START && !v)
        begin(ssl);
    if (where & SSL_CB_HANDSHAKE_DONE && v)
        meet(ssl, &v->peer);
}

static void on_free(void *parent, void *pointer, CRYPTO_EX_DATA *data, int index, long number,
                    void *argument) {
    struct visitor *v = pointer;
    (void)parent;
    (void)data;
    (void)index;
    (void)number;
    (void)argument;
    if (!v)
        return;
    pthread_mutex_lock(&visitors.lock);
    if (v->previous)
        v->previous->next = v->next;
    else
        visitors.first = v->next;
    if (v->next)
        v->next->previous = v->previous;
    pthread_mutex_unlock(&visitors.lock);
    sources_leave(visitors.sources, v->source);
    if (mine == v)
        mine = NULL;
    free(v);
}

/* Shuts down those whose time is over; the threads that wait for them then go on by themselves. */
static void *watch(void *context) {
    (void)context;
    for (;;) {
        const struct timespec step = {.tv_nsec = STEP_MS * 1000000L};
        nanosleep(&step, NULL);
        uint64_t now = now_ms();
        pthread_mutex_lock(&visitors.lock);
        for (struct visitor *v = visitors.first; v; v = v->next)
            if (v->until_ms && now >= v->until_ms) {
                (void)shutdown(v->socket, SHUT_RDWR);
                v->until_ms = 0;
            }
        pthread_mutex_unlock(&visitors.lock);
    }
    return NULL;
}

size_t visitors_waiting(void) {
    size_t count = 0;
    pthread_mutex_lock(&visitors.lock);
    for (const struct visitor *v = visitors.first; v; v = v->next)
        count += v->until_ms != 0;
    pthread_mutex_unlock(&visitors.lock);
    return count;
}

bool visitors_too_many(void) {
    return !mine || mine->too_many;
}

struct visitors_peer visitors_peer(void) {
    return mine ? mine->peer : (struct visitors_peer){0};
}

uint32_t visitors_wait(void) {
    return mine && mine->address[0] ? refusals_wait(visitors.refusals, mine->address, now_ms()) : 0;
}

void visitors_refused(void) {
    if (mine && mine->address[0] && refusals_count(visitors.refusals, mine->address, now_ms()))
        log_warn("a source has no valid key too often and is turned away source=%s", mine->address);
}

void visitors_asked(void) {
    if (!mine)
        return;
    pthread_mutex_lock(&visitors.lock);
    mine->until_ms = 0;
    pthread_mutex_unlock(&visitors.lock);
}

void visitors_attach(SSL_CTX *tls) {
    SSL_CTX_set_info_callback(tls, on_info);
}

enum status visitors_watch(SSL_CTX *tls, struct sources *sources, struct refusals *refusals,
                           struct error *error) {
    pthread_t thread;
    visitors.sources = sources;
    visitors.refusals = refusals;
    visitors.index = SSL_get_ex_new_index(0, NULL, NULL, NULL, on_free);
    if (visitors.index < 0 || pthread_create(&thread, NULL, watch, NULL) != 0)
        return status_fail(error, STATUS_UNAVAILABLE, "connections cannot be watched");
    pthread_detach(thread);
    visitors_attach(tls);
    return STATUS_OK;
}
