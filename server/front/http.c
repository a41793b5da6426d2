#include "server/front/http.h"

#include "base/log.h"
#include "server/front/gate.h"
#include "server/front/listener.h"
#include "server/front/visitors.h"

#include <civetweb.h>
#include <inttypes.h>
#include <stdalign.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* Threads beyond the configured connections: they tell those that are too many so, instead of
 * leaving them in a queue. */
#define SPARE_THREADS 8
#define START_STEPS 500 /* of 10 ms */

struct http {
    struct front *front;
    SSL_CTX *tls;
    struct mg_context *server;
    _Atomic unsigned open;    /* connections */
    _Atomic unsigned started; /* threads that have begun, the accepting one among them */
};

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
    enum status status = channel_init(&thread->channel, &http->front->ledger, &error);
    if (status != STATUS_OK) {
        log_error("a connection thread cannot start: %s", error.message);
        channel_free(&thread->channel);
        free(thread);
        return NULL;
    }
    atomic_fetch_add(&http->started, 1);
    return thread;
}

static void end_thread(const struct mg_context *context, int type, void *pointer) {
    struct front_thread *thread = pointer;
    (void)context;
    if (type != 1 || !thread)
        return;
    channel_free(&thread->channel);
    scratch_free(&thread->body);
    scratch_free(&thread->answer);
    explicit_bzero(thread, sizeof *thread);
    free(thread);
}

/* Those that have got through the handshake; visitors.h counts all of them by their source. */
static int begin_connection(const struct mg_connection *connection, void **data) {
    struct http *http = http_of(connection);
    *data = http;
    atomic_fetch_add(&http->open, 1);
    return 0;
}

static void end_connection(const struct mg_connection *connection) {
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
        exchange_error(e, STATUS_UNAVAILABLE, "too many connections", 1);
        return true;
    }
    if (visitors_too_many()) {
        e->close = true;
        exchange_error(e, STATUS_RATE, "too many connections from this address", 1);
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
 * something in front of it. */
static bool request_line_intact(struct front_thread *thread, const struct mg_request_info *info) {
    const char *method = info->request_method, *target = info->request_uri;
    const char *version = info->http_version, *end = target + strlen(target);
    if ((uintptr_t)method % alignof(max_align_t) != 0 ||
        (thread->head_begin && (uintptr_t)method > thread->head_begin))
        return false;
    thread->head_begin = (uintptr_t)method;
    if (info->query_string)
        end = info->query_string + strlen(info->query_string);
    const char *line_end = version + strlen(version);
    return target == method + strlen(method) + 1 && version == end + 1 + strlen("HTTP/") &&
           (info->num_headers < 1 || info->http_headers[0].name == line_end + 2);
}

static int handle(struct mg_connection *connection) {
    const struct mg_request_info *info = mg_get_request_info(connection);
    struct front_thread *thread = mg_get_thread_pointer(connection);
    struct screen_field fields[MG_MAX_HEADERS];
    if (!thread || !info->local_uri_raw) {
        mg_disable_connection_keep_alive(connection);
        return 503;
    }
    struct exchange e = {
        .thread = thread,
        .connection = connection,
        .method = info->request_method,
        .path = info->local_uri_raw,
        .query = info->query_string,
        .client = info->remote_addr,
        .payload = -1,
        .started_ns = exchange_now_ns(),
    };
    visitors_asked();
    size_t count = info->num_headers > 0 ? (size_t)info->num_headers : 0;
    for (size_t i = 0; i < count; i++)
        fields[i] = (struct screen_field){info->http_headers[i].name, info->http_headers[i].value};
    atomic_fetch_add(&thread->front->in_flight, 1);
    bool intact = request_line_intact(thread, info) && headers_intact(info);
    if (!turned_away(&e))
        gate_handle(&e, info->http_version, fields, count, intact);
    else
        exchange_finish(&e);
    if (e.close || !e.http_status)
        mg_disable_connection_keep_alive(connection);
    atomic_fetch_sub(&thread->front->in_flight, 1);
    return e.http_status ? e.http_status : 500;
}

/* The library's own complaints: a head that is malformed, too long or of another protocol. */
static int answer_error(struct mg_connection *connection, int status, const char *message) {
    char head[256];
    const char *text = "{\"error\":\"the request is malformed\"}\n";
    (void)message;
    if (status == 413)
        text = "{\"error\":\"the headers are larger than 16384 bytes\"}\n";
    else if (status == 411)
        text = "{\"error\":\"Content-Length is not a number\"}\n";
    else if (status == 505)
        text = "{\"error\":\"HTTP 1.1 is spoken here\"}\n";
    int code = status == 413 ? 413 : status >= 500 && status != 505 ? 500 : 400;
    mg_disable_connection_keep_alive(connection);
    int size = snprintf(head, sizeof head,
                        "HTTP/1.1 %d %s\r\nContent-Type: application/json\r\n"
                        "Content-Length: %zu\r\nCache-Control: no-store\r\n"
                        "Connection: close\r\n\r\n",
                        code,
                        code == 413   ? "Content Too Large"
                        : code == 400 ? "Bad Request"
                                      : "Internal Server Error",
                        strlen(text));
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

enum status http_start(struct front *front, SSL_CTX *tls, const int *listeners, size_t count,
                       struct http **http, struct error *error) {
    char ports[LISTENER_PORTS_MAX], threads[16], timeout[16];
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
    status = visitors_watch(tls, front->sources, error);
    if (status != STATUS_OK)
        goto out;
    listener_ports(count, ports);
    snprintf(threads, sizeof threads, "%zu", http_threads(front->config));
    snprintf(timeout, sizeof timeout, "%" PRIu32, front->config->limits.request_timeout_ms);
    const char *options[] = {"listening_ports",
                             ports,
                             "num_threads",
                             threads,
                             "request_timeout_ms",
                             timeout,
                             "enable_keep_alive",
                             "yes",
                             "keep_alive_timeout_ms",
                             "15000",
                             "tcp_nodelay",
                             "1",
                             "decode_url",
                             "no",
                             "enable_auth_domain_check",
                             "no",
                             "max_request_size",
                             "16384",
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
