#include "server/front/http.h"

#include "base/log.h"
#include "server/front/gate.h"
#include "server/front/head.h"
#include "server/front/listener.h"
#include "server/front/tls.h"
#include "server/front/visitors.h"

#include <civetweb.h>
#include <ctype.h>
#include <inttypes.h>
#include <openssl/err.h>
#include <poll.h>
#include <stdalign.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

/* Threads beyond the configured connections: they tell those that are too many so, instead of
 * leaving them in a queue. */
#define SPARE_THREADS 8
#define START_STEPS 500 /* of 10 ms */
#define HEAD_MAX 16384  /* bytes of a request's head: the library's buffer */
#define HEAD_MAX_TEXT "16384"

struct http {
    struct front *front;
    SSL_CTX *tls;
    struct mg_context *server;
    _Atomic unsigned open;    /* connections */
    _Atomic unsigned started; /* threads that have begun, the accepting one among them */
};

/* The TLS session that this thread has made last: of the connection that it serves. */
static _Thread_local SSL *latest_session;

static void note_session(void *session, void *pointer, CRYPTO_EX_DATA *data, int index, long number,
                         void *argument) {
    (void)pointer;
    (void)data;
    (void)index;
    (void)number;
    (void)argument;
    latest_session = session;
}

static struct http *http_of(const struct mg_connection *connection) {
    return mg_get_user_data(mg_get_context(connection));
}

size_t http_threads(const struct config *config) {
    return (size_t)config->limits.connections + SPARE_THREADS;
}

/* --- threads and connections --------------------------------------------------------------- */

static void *begin_thread(const struct mg_context *context, int type) {
    struct http *http = mg_get_user_data(context);
    struct error error = {0};
    if (type != 1) {
        atomic_fetch_add(&http->started, type == 0);
        return NULL;
    }
    struct front_thread *thread = calloc(1, sizeof *thread);
    if (!thread)
        return NULL;
    thread->front = http->front;
    thread->channel.socket = -1;
    thread->socket = -1;
    enum status status = channel_init(&thread->channel, &http->front->ledger, &error);
    if (status != STATUS_OK) {
        log_error("a connection thread cannot start: %s", error.message);
        channel_free(&thread->channel);
        free(thread);
        return NULL;
    }
    patience_add(&thread->patience);
    atomic_fetch_add(&http->started, 1);
    return thread;
}

static void end_thread(const struct mg_context *context, int type, void *pointer) {
    struct front_thread *thread = pointer;
    (void)context;
    if (type != 1 || !thread)
        return;
    patience_remove(&thread->patience);
    channel_free(&thread->channel);
    scratch_free(&thread->body);
    scratch_free(&thread->answer);
    scratch_free(&thread->work);
    explicit_bzero(thread, sizeof *thread);
    free(thread);
}

/* Does the connection begin with what a request may begin with? Waits for the first byte and leaves
 * it where it is; visitors.h ends the wait for one that does not come. */
static bool begins_well(SSL *session) {
    for (;;) {
        char first;
        ERR_clear_error();
        int n = SSL_peek(session, &first, 1);
        if (n == 1)
            return isgraph((unsigned char)first);
        int why = SSL_get_error(session, n);
        ERR_clear_error();
        if (SSL_get_shutdown(session) & SSL_RECEIVED_SHUTDOWN) {
            /* The client has ended TLS and asked nothing. The library would wait for bytes that
             * cannot come; so it sees the end at once. */
            (void)shutdown(SSL_get_fd(session), SHUT_RD);
            return false;
        }
        struct pollfd p = {.fd = SSL_get_fd(session), .events = POLLIN};
        if (why != SSL_ERROR_WANT_READ || poll(&p, 1, VISITORS_FIRST_MS) <= 0)
            return false;
    }
}

/* Those that have got through the handshake; visitors.h counts all of them by their source. The
 * first request that a thread reads is looked at before the library has it: see
 * request_line_intact. */
static int begin_connection(const struct mg_connection *connection, void **data) {
    struct http *http = http_of(connection);
    struct front_thread *thread = mg_get_thread_pointer(connection);
    *data = http;
    atomic_fetch_add(&http->open, 1);
    if (thread)
        thread->complained = false;
    if (thread && latest_session) {
        thread->socket = SSL_get_fd(latest_session);
        thread->session = latest_session;
        thread->head_suspect = !thread->head_begin && !begins_well(latest_session);
    }
    return 0;
}

static void serve_left_over(struct mg_connection *connection, struct front_thread *thread);

static void end_connection(const struct mg_connection *connection) {
    struct front_thread *thread = mg_get_thread_pointer(connection);
    if (thread) {
        /* Not of one whose handshake failed: what is told of its request is an earlier one's. The
         * connection is the library's own object, shown to us as one that is not to be changed. */
        if (mg_get_user_connection_data(connection))
            serve_left_over((struct mg_connection *)(uintptr_t)connection, thread);
        thread->session = NULL;
        thread->socket = -1;
    }
    latest_session = NULL;
    if (mg_get_user_connection_data(connection))
        atomic_fetch_sub(&http_of(connection)->open, 1);
}

/* --- requests ------------------------------------------------------------------------------ */

/* Too many connections, in all or from this address: an answer, and the end of this one. */
static bool turned_away(struct exchange *e) {
    const struct front *front = e->thread->front;
    unsigned open = atomic_load(&http_of(e->connection)->open);
    unsigned limit = front->config->limits.connections;
    if (open > limit) {
        e->close = true;
        exchange_identify(e);
        exchange_error(e, STATUS_UNAVAILABLE, "too many connections", 1);
        return true;
    }
    if (!e->loopback && visitors_too_many()) {
        e->close = true;
        exchange_identify(e);
        exchange_error(e, STATUS_RATE, "too many connections from this address", 1);
        return true;
    }
    uint32_t wait = visitors_wait();
    if (wait) {
        e->close = true;
        exchange_error(e, STATUS_RATE,
                       "too many requests without a valid API key from this address", wait);
        return true;
    }
    if (open > limit - limit / 8)
        e->close = true; /* idle connections must not keep others out */
    return false;
}

/* The library's parser stops without a word at a header line that begins with a space (a folded
 * one), a colon or a byte that is no letter: what follows, a Content-Length among it, is not seen,
 * and would be taken for the next request. It also takes a bare LF for the end of a line, and space
 * in front of the colon. It splits in place, each line's CRLF becoming two zeros, so what it saw
 * can be held against what came: every line must begin right where the one before it ended, and
 * the last must be followed by the empty line, whose LF the library makes a zero too. */
static bool headers_intact(const struct mg_request_info *info) {
    if (info->num_headers < 1)
        return false;
    for (int i = 0; i < info->num_headers; i++) {
        const struct mg_header *h = &info->http_headers[i];
        const char *after_name = h->name + strlen(h->name) + 1;
        const char *end = h->value + strlen(h->value);
        if (after_name != h->value && *after_name == '\0')
            return false;
        if (end[1] != '\0')
            return false;
        if (i + 1 < info->num_headers ? info->http_headers[i + 1].name != end + 2
                                      : end[2] != '\r' || end[3] != '\0')
            return false;
    }
    return true;
}

/* The parser also skips white space in front of the request line, and more than one space inside
 * it. Blank lines there are dangerous: it has measured the head before it skipped them, so what it
 * takes for the next request is part of this one. The head is read into the same place of the
 * thread's memory every time, aligned as malloc does it: a method that stands further in has
 * something in front of it. Where that place is, the thread learns from the first request that it
 * reads, whose first byte was looked at before (begins_well). */
static bool request_line_intact(struct front_thread *thread, const struct mg_request_info *info) {
    const char *method = info->request_method, *target = info->request_uri;
    const char *version = info->http_version, *end = target + strlen(target);
    if ((thread->head_suspect && !thread->head_begin) ||
        (uintptr_t)method % alignof(max_align_t) != 0 ||
        (thread->head_begin && (uintptr_t)method > thread->head_begin))
        return false;
    thread->head_begin = (uintptr_t)method;
    if (info->query_string)
        end = info->query_string + strlen(info->query_string);
    const char *line_end = version + strlen(version);
    return target == method + strlen(method) + 1 && version == end + 1 + strlen("HTTP/") &&
           (info->num_headers < 1 || info->http_headers[0].name == line_end + 2);
}

/* What of the body came along with the head lies in the library's buffer, which outlives the
 * request: behind the empty line, as far as it was read. A connection that ends has no use for the
 * rest either. */
static void wipe_body(const struct exchange *e, const struct screen_field *fields, size_t count) {
    uintptr_t buffer_end = e->thread->head_begin + HEAD_MAX;
    if (!e->screen.content_length || count < 1)
        return;
    const char *last = fields[count - 1].value;
    uint8_t *at = (uint8_t *)(uintptr_t)(last + strlen(last) + 4);
    if ((uintptr_t)at >= buffer_end)
        return;
    size_t size = buffer_end - (uintptr_t)at;
    explicit_bzero(at, e->close || e->body_read > size ? size : (size_t)e->body_read);
}

static enum counters_class class_of(const struct exchange *e) {
    const struct route *route = e->match.route;
    if (!route)
        return COUNTERS_OTHER;
    if (route->open)
        return COUNTERS_HEALTH;
    switch (route->action) {
    case ACTION_INFER:
        return COUNTERS_INFER;
    case ACTION_SERVER_METADATA:
    case ACTION_METADATA:
    case ACTION_MODEL_READY:
    case ACTION_CONFIG:
    case ACTION_STATISTICS:
        return COUNTERS_METADATA;
    case ACTION_METRICS:
    case ACTION_NOT_OFFERED:
        return COUNTERS_OTHER;
    case ACTION_INDEX:
    case ACTION_LOAD:
    case ACTION_UNLOAD:
    case ACTION_DELETE:
        return COUNTERS_REPOSITORY;
    case ACTION_UPLOAD:
        return COUNTERS_UPLOAD;
    default:
        return COUNTERS_TENANT;
    }
}

static void count(const struct exchange *e) {
    const struct counters_request request = {
        .class = class_of(e),
        .http_status = e->aborted ? COUNTERS_ABORTED : e->http_status,
        .bytes_in = e->body_read,
        .bytes_out = e->bytes_sent,
        .duration_ns = exchange_now_ns() - e->started_ns,
    };
    counters_add(&e->thread->front->counters, &request);
}

/* The headers as the library has split them; those of a method that it does not know it has left as
 * they came. False where they are not understood. */
static bool take_fields(const struct mg_request_info *info, struct screen_field *fields,
                        size_t *count) {
    if (info->num_headers < 1)
        return head_split((char *)(uintptr_t)(info->http_version + strlen(info->http_version) + 2),
                          fields, MG_MAX_HEADERS, count);
    *count = (size_t)info->num_headers;
    for (size_t i = 0; i < *count; i++)
        fields[i] = (struct screen_field){info->http_headers[i].name, info->http_headers[i].value};
    return headers_intact(info);
}

/* `ends`: the library closes the connection after this request, whatever becomes of it. */
static int serve(struct mg_connection *connection, struct front_thread *thread, bool ends) {
    const struct mg_request_info *info = mg_get_request_info(connection);
    struct screen_field fields[MG_MAX_HEADERS];
    size_t field_count = 0;
    struct exchange e = {
        .thread = thread,
        .connection = connection,
        .method = info->request_method,
        .path = info->request_uri,
        .query = info->query_string,
        .client = info->remote_addr,
        .payload = -1,
        .started_ns = exchange_now_ns(),
        .loopback = !info->is_ssl,
        .peer = visitors_peer(),
        .close = ends,
    };
    visitors_asked();
    atomic_fetch_add(&thread->front->in_flight, 1);
    bool intact = request_line_intact(thread, info);
    /* In this order: also of a head that is refused the keys are wiped. */
    intact = take_fields(info, fields, &field_count) && intact;
    if (ends) {
        char *query = strchr(info->request_uri, '?');
        if (query)
            *query++ = '\0';
        e.query = query;
    }
    if (!turned_away(&e))
        gate_handle(&e, info->http_version, fields, field_count, intact);
    else
        exchange_finish(&e);
    if (e.http_status == 401)
        visitors_refused();
    if (e.close || !e.http_status)
        mg_disable_connection_keep_alive(connection);
    if (intact)
        wipe_body(&e, fields, field_count);
    count(&e);
    atomic_fetch_sub(&thread->front->in_flight, 1);
    return e.http_status ? e.http_status : 500;
}

static int handle(struct mg_connection *connection) {
    struct front_thread *thread = mg_get_thread_pointer(connection);
    if (!thread) {
        mg_disable_connection_keep_alive(connection);
        return 503;
    }
    return serve(connection, thread, false);
}

/* A request whose target is no path of the library's own (`*`, or an address whose port is not the
 * listener's) it neither hands on nor answers: it only ends the connection. Here is the last place
 * where that request can still be read and answered. */
static void serve_left_over(struct mg_connection *connection, struct front_thread *thread) {
    const struct mg_request_info *info = mg_get_request_info(connection);
    if (!thread->complained && info && info->request_uri && !info->local_uri_raw)
        (void)serve(connection, thread, true);
}

/* A head that the library does not like for its method, its target or its lengths, but whose first
 * line is whole: those we judge ourselves, behind the gate. */
static bool whole_first_line(const struct mg_request_info *info, int status) {
    static const char protocol[] = "HTTP/";
    const size_t size = sizeof protocol - 1;
    if ((status != 400 && status != 411) || !info->request_method || !info->request_uri ||
        !info->http_version || info->num_headers < 0)
        return false;
    const char *version = info->http_version;
    return (size_t)(version - info->request_method) > size &&
           memcmp(version - size, protocol, size) == 0 &&
           (strcmp(version, "1.1") == 0 || strcmp(version, "1.0") == 0);
}

/* The library's own complaints: a head that is malformed, too long or of another protocol. */
static int answer_error(struct mg_connection *connection, int status, const char *message) {
    struct front_thread *thread = mg_get_thread_pointer(connection);
    char head[512], id[TRACE_ID_SIZE + 1] = "", parent[TRACE_PARENT_SIZE + 1] = "";
    const char *text =
        "{\"error\":\"the request's head is malformed, or it is larger than " HEAD_MAX_TEXT
        " bytes\"}\n";
    const struct mg_request_info *info = mg_get_request_info(connection);
    (void)message;
    if (thread)
        thread->complained = true;
    if (thread && info && whole_first_line(info, status)) {
        (void)serve(connection, thread, true);
        return 0;
    }
    if (thread && info)
        gate_report_malformed(thread, info->remote_addr);
    if (status == 505)
        text = "{\"error\":\"HTTP 1.1 is spoken here\"}\n";
    int code = status >= 500 && status != 505 ? 500 : 400;
    mg_disable_connection_keep_alive(connection);
    if (thread) {
        const struct counters_request request = {.class = COUNTERS_OTHER, .http_status = code};
        (void)trace_request_id(&thread->random, id);
        (void)trace_parent_next(&thread->random, NULL, parent);
        counters_add(&thread->front->counters, &request);
    }
    int size = snprintf(head, sizeof head,
                        "HTTP/1.1 %d %s\r\nContent-Type: application/json\r\n"
                        "Content-Length: %zu\r\nX-Request-Id: %s\r\ntraceparent: %s\r\n"
                        "Cache-Control: no-store\r\nConnection: close\r\n\r\n",
                        code, code == 400 ? "Bad Request" : "Internal Server Error", strlen(text),
                        id, parent);
    if (size > 0 && (size_t)size < sizeof head && mg_write(connection, head, (size_t)size) == size)
        (void)mg_write(connection, text, strlen(text));
    return 0;
}

static int take_log(const struct mg_connection *connection, const char *message) {
    (void)connection;
    log_debug("http: %s", message);
    return 1;
}

static int give_tls(void **context, void *user_data) {
    struct http *http = user_data;
    *context = http->tls;
    http->tls = NULL; /* the library frees it */
    return 1;
}

/* --- start --------------------------------------------------------------------------------- */

/* The library goes on with fewer threads than it was told, and even without the one that accepts,
 * where the system refuses some; then the server would be up and deaf. */
static enum status wait_for_threads(struct http *http, unsigned wanted, struct error *error) {
    for (int i = 0; i < START_STEPS; i++) {
        if (atomic_load(&http->started) >= wanted)
            return STATUS_OK;
        struct timespec step = {.tv_nsec = 10 * 1000 * 1000};
        nanosleep(&step, NULL);
    }
    return status_fail(error, STATUS_UNAVAILABLE,
                       "only %u of %u threads could be started; lower limits.connections or raise "
                       "the limit on processes and threads",
                       atomic_load(&http->started), wanted);
}

enum status http_start(struct front *front, SSL_CTX *tls, const struct http_sockets *sockets,
                       struct http **http, struct error *error) {
    char ports[LISTENER_PORTS_MAX], threads[16], timeout[16], idle[16];
    int listeners[ROLE_LISTENERS_MAX + 1];
    size_t count = sockets->tls_count;
    enum status status = STATUS_INTERNAL;
    struct http *h = calloc(1, sizeof *h);
    struct listener_note *note = malloc(sizeof *note);
    if (!h || !note) {
        SSL_CTX_free(tls);
        status = status_fail(error, STATUS_UNAVAILABLE, "out of memory");
        goto out;
    }
    h->front = front;
    h->tls = tls;
    status = visitors_watch(tls, front->sources, front->refusals, error);
    if (status == STATUS_OK)
        status = patience_watch(error);
    if (status == STATUS_OK && SSL_get_ex_new_index(0, NULL, note_session, NULL, NULL) < 0)
        status = status_fail(error, STATUS_UNAVAILABLE, "connections cannot be watched");
    if (status != STATUS_OK)
        goto out;
    tls_serve(tls);
    memcpy(listeners, sockets->tls, count * sizeof *listeners);
    if (sockets->plain >= 0)
        listeners[count++] = sockets->plain;
    listener_ports(sockets->tls_count, sockets->plain >= 0, ports);
    snprintf(threads, sizeof threads, "%zu", http_threads(front->config));
    snprintf(timeout, sizeof timeout, "%" PRIu32, front->config->limits.request_timeout_ms);
    snprintf(idle, sizeof idle, "%" PRIu32, front->config->limits.idle_timeout_ms);
    const char *options[] = {"listening_ports",
                             ports,
                             "num_threads",
                             threads,
                             "request_timeout_ms",
                             timeout,
                             "enable_keep_alive",
                             "yes",
                             "keep_alive_timeout_ms",
                             idle,
                             "tcp_nodelay",
                             "1",
                             "decode_url",
                             "no",
                             "enable_auth_domain_check",
                             "no",
                             "max_request_size",
                             HEAD_MAX_TEXT,
                             "listen_backlog",
                             "1024",
                             NULL};
    struct mg_callbacks callbacks = {
        .begin_request = handle,
        .log_message = take_log,
        .external_ssl_ctx = give_tls,
        .http_error = answer_error,
        .init_thread = begin_thread,
        .exit_thread = end_thread,
        .init_connection = begin_connection,
        .connection_close = end_connection,
    };
    mg_init_library(MG_FEATURES_TLS);
    listener_note(note);
    h->server = mg_start(&callbacks, h, options);
    SSL_CTX_free(h->tls); /* still here only where the library did not come to take it */
    h->tls = NULL;
    if (!h->server) {
        status = status_fail(error, STATUS_INTERNAL, "the HTTP server does not start");
        goto out;
    }
    status = wait_for_threads(h, (unsigned)http_threads(front->config) + 1, error);
    if (status == STATUS_OK)
        status = listener_replace(note, listeners, count, error);
out:
    free(note);
    if (status == STATUS_OK) {
        *http = h;
    } else {
        http_stop(h);
    }
    return status;
}

void http_stop(struct http *http) {
    if (!http)
        return;
    if (http->server)
        mg_stop(http->server);
    free(http);
}
