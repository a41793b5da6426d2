#include "front_service_fixture.h"

#include "base/config.h"
#include "base/log.h"
#include "base/ring.h"
#include "base/role.h"

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <netinet/in.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define SLOTS 4
#define SLOT_BYTES 65536
#define SLOT 2
#define MODEL 7

struct fixture_ledger fixture_ledger = {.lock = PTHREAD_MUTEX_INITIALIZER};

static struct {
    pid_t pid;
    int launch, ledger, worker_socket;
    uint16_t port;
    struct ring *ring;
    pthread_t worker;
    bool has_worker;
} fixture;

/* --- ledger -------------------------------------------------------------------------------- */

static void answer_admit(int socket, const struct message_admit *m) {
    struct fixture_ledger *l = &fixture_ledger;
    struct error error;
    pthread_mutex_lock(&l->lock);
    l->action = m->action;
    cr_assert(bytes_to_text(m->token, l->token, sizeof l->token));
    cr_assert(bytes_to_text(m->model, l->model, sizeof l->model));
    cr_assert(bytes_to_text(m->version, l->version, sizeof l->version));
    cr_assert(bytes_to_text(m->request, l->request, sizeof l->request));
    cr_assert(bytes_to_text(m->client, l->client, sizeof l->client));
    bool good = strcmp(l->token, "good") == 0, narrow = strcmp(l->token, "narrow") == 0;
    if (good)
        l->admitted++;
    else
        l->refused++;
    uint64_t ticket = l->admitted;
    pthread_mutex_unlock(&l->lock);
    if (!good) {
        struct message_refused no = {.status = narrow ? STATUS_FORBIDDEN : STATUS_UNAUTHENTICATED,
                                     .message = bytes_text(narrow ? "the API key lacks a scope"
                                                                  : "a valid API key is required")};
        cr_assert_eq(message_send_refused(socket, &no, NULL, &error), STATUS_OK);
    } else if (m->action == ACTION_UPLOAD) {
        struct message_admitted_upload yes = {.ticket = ticket};
        int payload = memfd_create("payload", MFD_CLOEXEC);
        cr_assert_eq(message_send_admitted_upload(socket, &yes, &payload, &error), STATUS_OK);
        /* Kept under a known number so that PERFORM can look into it. */
        dup2(payload, 900);
        close(payload);
    } else {
        struct message_admitted yes = {.ticket = ticket,
                                       .worker = 1,
                                       .slot = SLOT,
                                       .model = l->model_handle ? l->model_handle : MODEL,
                                       .version = bytes_text("3")};
        cr_assert_eq(message_send_admitted(socket, &yes, NULL, &error), STATUS_OK);
    }
}

static void answer_perform(int socket, const struct message_perform *m) {
    struct fixture_ledger *l = &fixture_ledger;
    struct error error;
    pthread_mutex_lock(&l->lock);
    l->performed++;
    const bool versions = l->action == ACTION_METADATA;
    l->limit = m->limit;
    l->before = m->before;
    l->payload_bytes = m->payload_bytes;
    l->header_size = m->header.size;
    if (m->header.size) {
        l->payload_seen = (size_t)lseek(900, 0, SEEK_END);
        (void)!pread(900, l->payload_head, sizeof l->payload_head, 0);
    }
    pthread_mutex_unlock(&l->lock);
    struct message_performed done = {
        .status = STATUS_OK, .result = bytes_text(versions ? "[\"3\"]" : "{\"done\":true}")};
    cr_assert_eq(message_send_performed(socket, &done, NULL, &error), STATUS_OK);
}

static void answer_settle(int socket, const struct message_settle *m) {
    struct fixture_ledger *l = &fixture_ledger;
    struct error error;
    pthread_mutex_lock(&l->lock);
    l->settled++;
    l->outcome = m->outcome;
    l->units = m->units;
    l->bytes_in = m->bytes_in;
    l->slot_stuck = m->slot_stuck;
    if (fixture.ring && !m->slot_stuck)
        for (size_t i = 0; i < SLOT_BYTES; i++)
            l->slot_dirty |= ring_data(fixture.ring, SLOT)[i] != 0;
    struct message_settled done = {.ticket = m->ticket,
                                   .status = l->refuse_settlement ? STATUS_UNAVAILABLE : STATUS_OK,
                                   .sequence = l->settled};
    pthread_mutex_unlock(&l->lock);
    cr_assert_eq(message_send_settled(socket, &done, NULL, &error), STATUS_OK);
}

/* Ledger itself waits with epoll: a receive from front never does. */
static bool from_front(int socket, uint8_t *buffer, size_t size, struct message *m) {
    struct pollfd p = {.fd = socket, .events = POLLIN};
    struct error error;
    return poll(&p, 1, -1) == 1 &&
           message_receive(socket, ROLE_FRONT, ROLE_LEDGER, buffer, size, m, &error) == STATUS_OK;
}

static void *serve_channel(void *argument) {
    int socket = (int)(intptr_t)argument;
    uint8_t *buffer = malloc(MESSAGE_MAX);
    struct message m;
    if (!(fcntl(socket, F_GETFL) & O_NONBLOCK))
        fixture_ledger.channel_blocks = true;
    fcntl(socket, F_SETFL, 0);
    while (from_front(socket, buffer, MESSAGE_MAX, &m)) {
        if (m.type == MESSAGE_ADMIT) {
            answer_admit(socket, &m.admit);
        } else if (m.type == MESSAGE_PERFORM) {
            answer_perform(socket, &m.perform);
        } else if (m.type == MESSAGE_SETTLE) {
            answer_settle(socket, &m.settle);
        } else if (m.type == MESSAGE_UNDELIVERED) {
            pthread_mutex_lock(&fixture_ledger.lock);
            fixture_ledger.undelivered++;
            pthread_mutex_unlock(&fixture_ledger.lock);
        }
    }
    free(buffer);
    close(socket);
    return NULL;
}

static void *serve_ledger(void *argument) {
    int socket = (int)(intptr_t)argument;
    uint8_t buffer[MESSAGE_SMALL_MAX];
    struct message m;
    while (from_front(socket, buffer, sizeof buffer, &m)) {
        pthread_t thread;
        cr_assert_eq(m.type, MESSAGE_CHANNEL);
        pthread_create(&thread, NULL, serve_channel, (void *)(intptr_t)m.descriptors[0]);
        pthread_detach(thread);
    }
    close(socket);
    return NULL;
}

/* --- worker -------------------------------------------------------------------------------- */

static void run_slot(uint32_t slot) {
    static struct ring_request request;
    static struct ring_response response;
    struct error error = {0};
    memset(&response, 0, sizeof response);
    cr_assert_eq(ring_take(fixture.ring, slot, &request, &error), STATUS_OK, "%s", error.message);
    uint8_t *data = ring_data(fixture.ring, slot);
    const struct ring_tensor *x = &request.inputs[0];
    float first;
    memcpy(&first, data + x->offset, sizeof first);
    if (x->bytes && isinf(first)) {
        shutdown(fixture.worker_socket, SHUT_RDWR);
        return;
    }
    uint64_t offset = (request.input_end + 63) & ~UINT64_C(63);
    for (int64_t row = 0; row < x->dims[0]; row++) {
        float v[3], sum;
        memcpy(v, data + x->offset + (size_t)row * sizeof v, sizeof v);
        sum = v[0] + v[1] + v[2];
        memcpy(data + offset + (size_t)row * sizeof sum, &sum, sizeof sum);
    }
    response.output_count = 1;
    response.outputs[0] = (struct ring_tensor){.index = 0,
                                               .type = 1,
                                               .rank = 1,
                                               .dims = {x->dims[0]},
                                               .offset = offset,
                                               .bytes = (uint64_t)x->dims[0] * 4};
    response.output_end = offset + (uint64_t)x->dims[0] * 4;
    ring_complete(fixture.ring, slot, &response);
}

static void *serve_ring(void *argument) {
    uint32_t slot;
    (void)argument;
    while (ring_next(fixture.ring, 600000, &slot))
        run_slot(slot);
    return NULL;
}

static void introduce_worker(void) {
    static const char signature[] =
        "{\"inputs\":[{\"name\":\"x\",\"datatype\":\"FP32\",\"shape\":[-1,3]}],"
        "\"outputs\":[{\"name\":\"y\",\"datatype\":\"FP32\",\"shape\":[-1]}]}";
    struct error error = {0};
    int pair[2], memory;
    cr_assert_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
    cr_assert_eq(ring_create(SLOTS, SLOT_BYTES, &memory, &error), STATUS_OK);
    cr_assert_eq(ring_attach(memory, SLOTS, SLOT_BYTES, false, &fixture.ring, &error), STATUS_OK);
    struct message_front_worker there = {.worker = 1, .slots = SLOTS, .slot_bytes = SLOT_BYTES};
    int given[2] = {pair[1], memory};
    cr_assert_eq(message_send_front_worker(fixture.launch, &there, given, &error), STATUS_OK);
    close(pair[1]);
    close(memory);
    fixture.worker_socket = pair[0];
    struct message_signature tell = {.model = MODEL, .signature = bytes_text(signature)};
    cr_assert_eq(message_send_signature(pair[0], &tell, NULL, &error), STATUS_OK);
    pthread_create(&fixture.worker, NULL, serve_ring, NULL);
    fixture.has_worker = true;
}

void fixture_tell(uint64_t model, const char *signature) {
    struct message_signature tell = {.model = model, .signature = bytes_text(signature)};
    struct error error = {0};
    cr_assert_eq(message_send_signature(fixture.worker_socket, &tell, NULL, &error), STATUS_OK);
}

void fixture_kill_worker(void) {
    shutdown(fixture.worker_socket, SHUT_RDWR);
}

/* --- start and stop ------------------------------------------------------------------------ */

static void make_certificate(int *certificate_fd, int *key_fd) {
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *certificate = X509_new();
    *certificate_fd = memfd_create("certificate", 0);
    *key_fd = memfd_create("key", 0);
    X509_set_version(certificate, X509_VERSION_3);
    ASN1_INTEGER_set(X509_get_serialNumber(certificate), 1);
    X509_gmtime_adj(X509_getm_notBefore(certificate), 0);
    X509_gmtime_adj(X509_getm_notAfter(certificate), 3600);
    X509_set_pubkey(certificate, key);
    X509_sign(certificate, key, EVP_sha256());
    BIO *bio = BIO_new_fd(*certificate_fd, BIO_NOCLOSE);
    cr_assert_eq(PEM_write_bio_X509(bio, certificate), 1);
    BIO_free(bio);
    bio = BIO_new_fd(*key_fd, BIO_NOCLOSE);
    cr_assert_eq(PEM_write_bio_PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL), 1);
    BIO_free(bio);
    lseek(*certificate_fd, 0, SEEK_SET);
    lseek(*key_fd, 0, SEEK_SET);
    X509_free(certificate);
    EVP_PKEY_free(key);
}

static int make_listener(void) {
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    struct sockaddr_in address = {.sin_family = AF_INET};
    socklen_t size = sizeof address;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    cr_assert_eq(bind(fd, (struct sockaddr *)&address, size), 0);
    cr_assert_eq(listen(fd, 128), 0);
    getsockname(fd, (struct sockaddr *)&address, &size);
    fixture.port = ntohs(address.sin_port);
    return fd;
}

void fixture_start(bool with_worker) {
    signal(SIGPIPE, SIG_IGN); /* the server may close on us */
    static struct config config;
    int pair[2], ledger[2];
    struct role_start start = {.role = ROLE_FRONT, .config = &config, .listener_count = 1};
    config.limits.body_bytes = 1 << 20;
    config.limits.model_bytes = 8 << 20;
    config.limits.connections = 16;
    config.limits.connections_per_source = 12;
    config.limits.request_timeout_ms = 3000;
    config.limits.failures_per_source = 1000;
    config.limits.idle_timeout_ms = 15000;
    config.drain.time_ms = 2000;
    config.limits.deadline_ms = 2000;
    cr_assert_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
    make_certificate(&start.tls_certificate, &start.tls_key);
    start.listeners[0] = make_listener();
    start.launch = pair[1];
    fixture.launch = pair[0];
    fixture.pid = fork();
    cr_assert(fixture.pid >= 0);
    if (fixture.pid == 0) {
        close(pair[0]);
        log_start("front", getenv("FRONT_TEST_LOG") ? LOG_DEBUG : LOG_ERROR);
        _exit(front_main(&start));
    }
    close(pair[1]);
    close(start.listeners[0]);
    close(start.tls_certificate);
    close(start.tls_key);

    uint8_t buffer[MESSAGE_SMALL_MAX];
    struct message m;
    struct error error = {0};
    cr_assert_eq(
        message_receive(fixture.launch, ROLE_FRONT, ROLE_LAUNCH, buffer, sizeof buffer, &m, &error),
        STATUS_OK, "the front did not start: %s", error.message);
    cr_assert_eq(m.type, MESSAGE_READY);
    pthread_t thread;
    struct message_front_ledger introduce = {0};
    cr_assert_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ledger), 0);
    cr_assert_eq(message_send_front_ledger(fixture.launch, &introduce, &ledger[1], &error),
                 STATUS_OK);
    close(ledger[1]);
    fixture.ledger = ledger[0];
    pthread_create(&thread, NULL, serve_ledger, (void *)(intptr_t)ledger[0]);
    pthread_detach(thread);
    if (with_worker)
        introduce_worker();
    /* The introductions have arrived when the front says that it is ready. */
    char answer[4096];
    for (int i = 0; i < 100; i++) {
        if (client_ask("GET /v2/health/ready HTTP/1.1\r\nHost: h\r\n\r\n", answer, sizeof answer) ==
            200)
            return;
        poll(NULL, 0, 20);
    }
    cr_assert_fail("the front did not become ready");
}

void fixture_recording(bool good) {
    const struct message_recording m = {.good = good};
    struct error error = {0};
    cr_assert_eq(message_send_recording(fixture.ledger, &m, NULL, &error), STATUS_OK, "%s",
                 error.message);
}

void fixture_drain(void) {
    struct message_drain drain = {.deadline_ms = 2000};
    struct error error;
    cr_assert_eq(message_send_drain(fixture.launch, &drain, NULL, &error), STATUS_OK);
}

pid_t fixture_pid(void) {
    return fixture.pid;
}

int fixture_stop(void) {
    int status = -1;
    shutdown(fixture.launch, SHUT_RDWR);
    if (waitpid(fixture.pid, &status, 0) != fixture.pid)
        return -1;
    if (fixture.has_worker) {
        ring_stop(fixture.ring);
        pthread_join(fixture.worker, NULL);
        ring_free(fixture.ring);
        close(fixture.worker_socket);
    }
    close(fixture.launch);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* --- client -------------------------------------------------------------------------------- */

struct client {
    SSL_CTX *context;
    SSL *session;
    int socket;
    char buffer[1 << 16];
    size_t have;
};

struct client *client_open(void) {
    struct client *c = calloc(1, sizeof *c);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(fixture.port)};
    struct timeval patience = {.tv_sec = 5};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    c->context = SSL_CTX_new(TLS_client_method());
    c->session = SSL_new(c->context);
    c->socket = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    setsockopt(c->socket, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    setsockopt(c->socket, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
    cr_assert_eq(connect(c->socket, (struct sockaddr *)&address, sizeof address), 0, "connect: %s",
                 strerror(errno));
    SSL_set_fd(c->session, c->socket);
    cr_assert_eq(SSL_connect(c->session), 1, "no TLS handshake");
    cr_assert_eq(SSL_version(c->session), TLS1_3_VERSION);
    return c;
}

void client_close(struct client *c) {
    SSL_free(c->session);
    SSL_CTX_free(c->context);
    close(c->socket);
    free(c);
}

void client_send(struct client *c, const void *bytes, size_t size) {
    const char *at = bytes;
    while (size) {
        int n = SSL_write(c->session, at, (int)size);
        if (n <= 0)
            return; /* the server may close in the middle of what it refuses */
        at += n;
        size -= (size_t)n;
    }
}

static bool fill(struct client *c) {
    if (c->have == sizeof c->buffer - 1)
        return false;
    int n = SSL_read(c->session, c->buffer + c->have, (int)(sizeof c->buffer - 1 - c->have));
    if (n <= 0)
        return false;
    c->have += (size_t)n;
    c->buffer[c->have] = '\0';
    return true;
}

static int receive(struct client *c, bool has_body, char *answer, size_t room, size_t *size) {
    const char *end;
    answer[0] = '\0';
    while (!c->have || !(end = memmem(c->buffer, c->have, "\r\n\r\n", 4)))
        if (!fill(c))
            return 0;
    size_t head = (size_t)(end - c->buffer) + 4, body = 0;
    for (const char *line = c->buffer; has_body && line < end; line++)
        if (strncasecmp(line, "\r\nContent-Length:", 17) == 0)
            body = strtoul(line + 17, NULL, 10);
    while (c->have < head + body)
        if (!fill(c))
            return 0;
    size_t total = head + body, kept = total < room ? total : room - 1;
    memcpy(answer, c->buffer, kept);
    answer[kept] = '\0';
    if (size)
        *size = kept;
    memmove(c->buffer, c->buffer + total, c->have - total);
    c->have -= total;
    return (int)strtol(answer + strlen("HTTP/1.1 "), NULL, 10);
}

int client_receive(struct client *c, char *answer, size_t room, size_t *size) {
    return receive(c, true, answer, room, size);
}

bool client_closed(struct client *c) {
    struct pollfd p = {.fd = c->socket, .events = POLLIN};
    if (c->have)
        return false;
    while (poll(&p, 1, 2000) == 1) {
        char byte;
        int n = SSL_read(c->session, &byte, 1);
        if (n == 1)
            return false;
        int why = SSL_get_error(c->session, n);
        if (why != SSL_ERROR_WANT_READ && why != SSL_ERROR_WANT_WRITE)
            return true;
    }
    return false;
}

int client_ask(const char *request, char *answer, size_t room) {
    struct client *c = client_open();
    client_send(c, request, strlen(request));
    int status = receive(c, strncmp(request, "HEAD ", 5) != 0, answer, room, NULL);
    client_close(c);
    return status;
}
