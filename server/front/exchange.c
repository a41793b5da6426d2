#include "server/front/exchange.h"

#include "server/front/json_writer.h"

#include <civetweb.h>
#include <inttypes.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define DRAIN_MAX 65536
/* A body may take the configured time, and longer the larger it is: the slowest client served. */
#define SLOWEST_BYTES_PER_MS 64
#define READ_MAX ((size_t)1 << 20) /* at once, so that the clock is looked at in between */
#define PIECE 16384                /* of a compressed body */
#define DRAIN_NS UINT64_C(500000000)

uint64_t exchange_now_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* --- the request's body -------------------------------------------------------------------- */

void exchange_identify(struct exchange *e) {
    if (e->screen.request_id[0])
        memcpy(e->request_id, e->screen.request_id, sizeof e->request_id);
    else
        (void)trace_request_id(&e->thread->random, e->request_id);
    (void)trace_parent_next(&e->thread->random,
                            e->screen.traceparent[0] ? e->screen.traceparent : NULL,
                            e->traceparent);
}

static enum status begin_body(struct exchange *e, struct error *error) {
    if (e->body_until_ns)
        return STATUS_OK;
    uint64_t patience_ms = e->thread->front->config->limits.request_timeout_ms +
                           e->screen.content_length / SLOWEST_BYTES_PER_MS;
    e->body_until_ns = exchange_now_ns() + patience_ms * 1000000u;
    /* Whoever wants the answer sooner than that has to send sooner. */
    if (e->screen.has_timeout && e->screen.timeout_ms < patience_ms &&
        e->started_ns + e->screen.timeout_ms * 1000000u < e->body_until_ns)
        e->body_until_ns = e->started_ns + e->screen.timeout_ms * 1000000u;
    if (!e->screen.expects_continue || e->continued)
        return STATUS_OK;
    static const char go_on[] = "HTTP/1.1 100 Continue\r\n\r\n";
    e->continued = true;
    if (mg_write(e->connection, go_on, sizeof go_on - 1) != (int)sizeof go_on - 1) {
        e->close = e->aborted = true;
        return status_fail(error, STATUS_INVALID, "the client went away");
    }
    return STATUS_OK;
}

static enum status late(struct exchange *e, struct error *error) {
    e->close = true;
    if (e->screen.has_timeout &&
        e->body_until_ns == e->started_ns + e->screen.timeout_ms * 1000000u)
        return status_fail(error, STATUS_DEADLINE,
                           "X-Request-Timeout-Ms: the %" PRIu64 " ms passed with %" PRIu64
                           " of %" PRIu64 " bytes of the body read",
                           e->screen.timeout_ms, e->body_read, e->screen.content_length);
    return status_fail(error, STATUS_DEADLINE,
                       "the body did not arrive in time: %" PRIu64 " of %" PRIu64 " bytes",
                       e->body_read, e->screen.content_length);
}

static enum status gone(struct exchange *e, struct error *error) {
    e->close = e->aborted = true;
    return status_fail(error, STATUS_INVALID,
                       "the body ended after %" PRIu64 " of %" PRIu64 " bytes", e->body_read,
                       e->screen.content_length);
}

enum status exchange_read(struct exchange *e, void *data, size_t size, size_t *got,
                          struct error *error) {
    enum status status = begin_body(e, error);
    if (status != STATUS_OK)
        return status;
    uint64_t left = e->screen.content_length - e->body_read;
    if (left == 0) {
        *got = 0;
        return STATUS_OK;
    }
    if (exchange_now_ns() > e->body_until_ns)
        return late(e, error);
    size_t wanted = left < size ? (size_t)left : size;
    if (wanted > READ_MAX)
        wanted = READ_MAX;
    patience_begin(&e->thread->patience, e->thread->socket, e->body_until_ns);
    int n = mg_read(e->connection, data, wanted);
    patience_end(&e->thread->patience);
    if (n == 0 || (n < 0 && exchange_now_ns() > e->body_until_ns))
        return late(e, error);
    if (n < 0)
        return gone(e, error);
    e->body_read += (uint64_t)n;
    /* The library has read what came before the client's close_notify, and would now wait for more
     * on a connection that may stay open: the client still listens. Patience that has run out looks
     * the same to TLS. */
    if ((size_t)n < wanted && e->thread->session &&
        SSL_get_shutdown(e->thread->session) & SSL_RECEIVED_SHUTDOWN)
        return exchange_now_ns() >= e->body_until_ns ? late(e, error) : gone(e, error);
    *got = (size_t)n;
    return STATUS_OK;
}

uint64_t exchange_body_limit(const struct exchange *e) {
    uint64_t configured = e->thread->front->config->limits.body_bytes;
    return e->policy_body_bytes && e->policy_body_bytes < configured ? e->policy_body_bytes
                                                                     : configured;
}

uint32_t exchange_deadline_ms(const struct exchange *e) {
    uint32_t configured = e->thread->front->config->limits.deadline_ms;
    return e->policy_deadline_ms && e->policy_deadline_ms < configured ? e->policy_deadline_ms
                                                                       : configured;
}

enum status exchange_allow(struct exchange *e, struct scratch *scratch, size_t size,
                           struct error *error) {
    const struct front_thread *t = e->thread;
    size_t had = t->body.allowed + t->answer.allowed + t->work.allowed - scratch->allowed;
    return scratch_allow(scratch, &e->thread->front->budget, e->worker, had, size, error);
}

/* All of the announced body at once: who cannot be served is told before it has sent it. */
static enum status read_plain(struct exchange *e, size_t *size, struct error *error) {
    size_t wanted = (size_t)e->screen.content_length, have = 0;
    enum status status = scratch_take(&e->thread->body, wanted ? wanted : 1, error);
    if (status == STATUS_OK)
        status = exchange_allow(e, &e->thread->body, wanted, error);
    while (status == STATUS_OK && have < wanted) {
        size_t got = 0;
        status = exchange_read(e, e->thread->body.data + have, wanted - have, &got, error);
        have += got;
        e->body_used = have;
    }
    *size = wanted;
    return status;
}

struct inflated {
    struct compress_sink sink; /* first: the hook gets a pointer to it */
    struct exchange *exchange;
};

static enum status make_room(struct compress_sink *sink, struct error *error) {
    struct exchange *e = ((struct inflated *)sink)->exchange;
    size_t room = sink->capacity - sink->room > READ_MAX ? sink->room + READ_MAX : sink->capacity;
    enum status status = exchange_allow(e, &e->thread->body, room, error);
    if (status == STATUS_OK)
        sink->room = room;
    return status;
}

/* Decompressed piece by piece, so that of the compressed body no more than a piece is kept; what
 * comes out is asked for as it grows, since nobody knows how large it will be. */
static enum status read_compressed(struct exchange *e, uint64_t limit, size_t *size,
                                   struct error *error) {
    struct compress_in *in = NULL;
    uint64_t room = e->screen.content_length * COMPRESS_RATIO_MAX + 1;
    size_t capacity = (size_t)(room < limit ? room : limit);
    enum status status = scratch_take(&e->thread->body, capacity ? capacity : 1, error);
    struct inflated inflated = {.sink = {.data = e->thread->body.data,
                                         .room = capacity < SCRATCH_KEPT ? capacity : SCRATCH_KEPT,
                                         .capacity = capacity,
                                         .grow = make_room},
                                .exchange = e};
    if (status == STATUS_OK)
        status = scratch_take(&e->thread->work, PIECE + COMPRESS_IN_ROOM, error);
    if (status == STATUS_OK)
        status = compress_in_begin(e->thread->work.data + PIECE, e->screen.coding, &in, error);
    while (status == STATUS_OK) {
        size_t got = 0;
        status = exchange_read(e, e->thread->work.data, PIECE, &got, error);
        if (status != STATUS_OK || got == 0)
            break;
        if (got > e->work_used)
            e->work_used = got;
        status = compress_in_take(in, e->thread->work.data, got, &inflated.sink, error);
        e->body_used = inflated.sink.used;
    }
    if (status == STATUS_OK)
        status = compress_in_end(in, &inflated.sink, error);
    compress_in_close(in);
    atomic_fetch_add_explicit(&e->thread->front->counters.inflated, 1, memory_order_relaxed);
    *size = inflated.sink.used;
    return status;
}

enum status exchange_body_type(struct exchange *e, struct error *error) {
    if (!e->screen.content_length || screen_type_known(e->screen.content_type))
        return STATUS_OK;
    e->type_refused = true;
    return status_fail(error, STATUS_ENCODING,
                       "the body's Content-Type is none of " SCREEN_TYPES ", nor left out");
}

enum status exchange_body(struct exchange *e, uint64_t limit, const uint8_t **data, size_t *size,
                          struct error *error) {
    size_t have = 0;
    enum status status;
    if (!e->screen.has_length)
        return status_fail(error, STATUS_LENGTH_REQUIRED, "Content-Length is required");
    if (e->screen.coding == COMPRESS_UNKNOWN)
        return status_fail(error, STATUS_ENCODING,
                           "the body's Content-Encoding is none of gzip, deflate and identity");
    status = exchange_body_type(e, error);
    if (status != STATUS_OK)
        return status;
    if (e->screen.content_length > limit)
        return status_fail(error, STATUS_TOO_LARGE,
                           "the body has %" PRIu64 " bytes, the limit is %" PRIu64,
                           e->screen.content_length, limit);
    status = e->screen.coding == COMPRESS_IDENTITY ? read_plain(e, &have, error)
                                                   : read_compressed(e, limit, &have, error);
    if (status != STATUS_OK)
        return status;
    *data = e->thread->body.data;
    *size = have;
    return STATUS_OK;
}

/* --- the answer ---------------------------------------------------------------------------- */

static const char *reason_of(int http_status) {
    switch (http_status) {
    case 200:
        return "OK";
    case 201:
        return "Created";
    case 400:
        return "Bad Request";
    case 401:
        return "Unauthorized";
    case 403:
        return "Forbidden";
    case 404:
        return "Not Found";
    case 405:
        return "Method Not Allowed";
    case 409:
        return "Conflict";
    case 411:
        return "Length Required";
    case 413:
        return "Content Too Large";
    case 415:
        return "Unsupported Media Type";
    case 422:
        return "Unprocessable Content";
    case 423:
        return "Locked";
    case 429:
        return "Too Many Requests";
    case 501:
        return "Not Implemented";
    case 503:
        return "Service Unavailable";
    case 504:
        return "Gateway Timeout";
    default:
        return "Internal Server Error";
    }
}

struct head {
    int http_status;
    bool binary;
    size_t json_size;
    uint32_t retry_after_s;
    enum compress_coding coding;
};

static void write_field(struct buf *out, const char *name, const char *value) {
    buf_string(out, name);
    buf_string(out, value);
    buf_string(out, "\r\n");
}

static void write_count(struct buf *out, const char *name, uint64_t value) {
    buf_string(out, name);
    json_writer_u64(out, value);
    buf_string(out, "\r\n");
}

static void write_head(const struct exchange *e, const struct head *head, size_t body_size,
                       struct buf *out) {
    buf_string(out, "HTTP/1.1 ");
    json_writer_u64(out, (uint64_t)head->http_status);
    write_field(out, " ", reason_of(head->http_status));
    write_field(out, "Content-Type: ",
                e->content_type && head->http_status == 200 ? e->content_type
                : head->binary                              ? "application/octet-stream"
                                                            : "application/json");
    write_count(out, "Content-Length: ", body_size);
    if (head->coding != COMPRESS_IDENTITY) {
        write_field(out, "Content-Encoding: ", compress_name(head->coding));
        write_field(out, "Vary: ", "Accept-Encoding");
    }
    if (head->binary)
        write_count(out, "Inference-Header-Content-Length: ", head->json_size);
    if (e->request_id[0])
        write_field(out, "X-Request-Id: ", e->request_id);
    if (e->traceparent[0])
        write_field(out, "traceparent: ", e->traceparent);
    if (e->screen.tracestate)
        write_field(out, "tracestate: ", e->screen.tracestate);
    rate_limit_write(&e->rate, out);
    if (head->http_status == 401)
        write_field(out, "WWW-Authenticate: ", "Bearer");
    if (head->http_status == 405 && e->match.allow[0])
        write_field(out, "Allow: ", e->match.allow);
    if (head->http_status == 415 && e->type_refused)
        write_field(out, "Accept: ", SCREEN_TYPES);
    else if (head->http_status == 415)
        write_field(out, "Accept-Encoding: ",
                    e->match.route && e->match.route->action == ACTION_UPLOAD ? "identity"
                                                                              : "gzip, deflate");
    if (head->retry_after_s)
        write_count(out, "Retry-After: ", head->retry_after_s);
    write_field(out, "Cache-Control: ", "no-store");
    write_field(out, "Connection: ", e->close ? "close" : "keep-alive");
    buf_string(out, "\r\n");
}

/* The body compressed into the work memory, behind room for the head; NULL where the client does
 * not take that, or it is not worth it. */
static uint8_t *compressed(struct exchange *e, const struct head *head, size_t body_size,
                           size_t *size) {
    struct error error = {0};
    /* Of inference alone, as Triton does: its asyncio client says on every request that it takes
     * gzip, and decompresses no other answer. */
    if (head->http_status != 200 || e->screen.accepts == COMPRESS_IDENTITY || !e->match.route ||
        e->match.route->action != ACTION_INFER || body_size < COMPRESS_WORTH ||
        strcmp(e->method, "HEAD") == 0)
        return NULL;
    /* Where it would not be smaller, or there is no memory for it, it stays as it is. */
    size_t front = EXCHANGE_HEAD_MAX + ((body_size + 63) & ~(size_t)63);
    if (scratch_take(&e->thread->work, front + COMPRESS_OUT_ROOM, &error) != STATUS_OK ||
        exchange_allow(e, &e->thread->work, front + COMPRESS_OUT_ROOM, &error) != STATUS_OK)
        return NULL;
    uint8_t *work = e->thread->work.data;
    bool smaller =
        compress_out(work + front, e->screen.accepts, e->thread->answer.data + EXCHANGE_HEAD_MAX,
                     body_size, work + EXCHANGE_HEAD_MAX, body_size - 1, size);
    size_t used = smaller ? EXCHANGE_HEAD_MAX + *size : front;
    if (used > e->work_used)
        e->work_used = used;
    if (smaller)
        atomic_fetch_add_explicit(&e->thread->front->counters.deflated, 1, memory_order_relaxed);
    return smaller ? work + EXCHANGE_HEAD_MAX : NULL;
}

/* Head and body leave in one write: the head is put right in front of the body, which begins
 * EXCHANGE_HEAD_MAX into the memory that it lies in. */
static void send_answer(struct exchange *e, struct head *head, size_t body_size) {
    char text[EXCHANGE_HEAD_MAX];
    struct buf out = buf_of(text, sizeof text);
    uint8_t *body = e->thread->answer.data + EXCHANGE_HEAD_MAX, *packed;
    /* Without a length nobody knows where a body that was announced by the method ends. */
    const bool bodiless = strcmp(e->method, "GET") == 0 || strcmp(e->method, "HEAD") == 0 ||
                          strcmp(e->method, "DELETE") == 0;
    e->answer_used = EXCHANGE_HEAD_MAX + body_size;
    if (e->body_read < e->screen.content_length || e->screen.wants_close ||
        (!bodiless && !e->screen.has_length) || head->http_status == 401 ||
        atomic_load(&e->thread->front->draining))
        e->close = true;
    if (e->close)
        mg_disable_connection_keep_alive(e->connection);
    packed = compressed(e, head, body_size, &body_size);
    if (packed) {
        body = packed;
        head->coding = e->screen.accepts;
    }
    write_head(e, head, body_size, &out);
    uint8_t *begin = body - out.size;
    memcpy(begin, text, out.size);
    /* An answer to HEAD has the length that GET would have, and no body (RFC 9110, 9.3.2). */
    size_t total = out.size + (strcmp(e->method, "HEAD") == 0 ? 0 : body_size);
    e->http_status = head->http_status;
    e->bytes_sent = total - out.size;
    int sent = mg_write(e->connection, begin, total);
    if (sent >= 0 && (size_t)sent == total)
        return;
    e->close = e->aborted = true;
    mg_disable_connection_keep_alive(e->connection);
    if (e->recorded)
        channel_undelivered(&e->thread->channel, e->ticket, e->sequence);
}

enum status exchange_answer_room(struct exchange *e, size_t bound, struct buf *body,
                                 struct error *error) {
    if (bound > INT32_MAX - EXCHANGE_HEAD_MAX)
        return status_fail(error, STATUS_TOO_LARGE, "the answer is too large");
    enum status status = scratch_take(&e->thread->answer, bound + EXCHANGE_HEAD_MAX, error);
    if (status == STATUS_OK)
        status = exchange_allow(e, &e->thread->answer, bound + EXCHANGE_HEAD_MAX, error);
    if (status != STATUS_OK)
        return status;
    *body = buf_of(e->thread->answer.data + EXCHANGE_HEAD_MAX, bound);
    return STATUS_OK;
}

void exchange_answer(struct exchange *e, int http_status, const struct buf *body, bool binary,
                     size_t json_size) {
    struct head head = {.http_status = http_status, .binary = binary, .json_size = json_size};
    send_answer(e, &head, body->size);
}

void exchange_answer_json(struct exchange *e, int http_status, const void *json, size_t size) {
    struct error error = {0};
    struct buf body;
    if (exchange_answer_room(e, size, &body, &error) != STATUS_OK) {
        e->close = true;
        mg_disable_connection_keep_alive(e->connection);
        return;
    }
    if (size)
        buf_bytes(&body, json, size);
    struct head head = {.http_status = http_status};
    send_answer(e, &head, size);
}

void exchange_error(struct exchange *e, enum status status, const char *message,
                    uint32_t retry_after_s) {
    char text[6 * ERROR_MESSAGE_MAX + 32];
    struct buf json = buf_of(text, sizeof text);
    struct error error = {0};
    struct buf body;
    if (!message || !*message)
        message = status_text(status);
    buf_string(&json, "{\"error\":");
    json_writer_string(&json, message, strlen(message));
    buf_string(&json, "}\n");
    if (exchange_answer_room(e, json.size, &body, &error) != STATUS_OK) {
        e->close = true;
        mg_disable_connection_keep_alive(e->connection);
        return;
    }
    buf_bytes(&body, text, json.size);
    if (status == STATUS_UNAVAILABLE && !retry_after_s)
        retry_after_s = 1;
    struct head head = {.http_status = status_http(status), .retry_after_s = retry_after_s};
    send_answer(e, &head, json.size);
}

/* --- the ticket ---------------------------------------------------------------------------- */

enum status exchange_settle(struct exchange *e, struct message_settle *settle,
                            struct error *error) {
    struct message reply;
    settle->ticket = e->ticket;
    settle->bytes_in = e->body_read;
    e->has_ticket = false;
    enum status status = channel_settle(&e->thread->channel, settle, &reply, error);
    if (status != STATUS_OK)
        return status;
    if (reply.settled.status != STATUS_OK)
        return status_fail(error, STATUS_UNAVAILABLE,
                           "the request could not be recorded, so it is not answered");
    e->recorded = true;
    e->sequence = reply.settled.sequence;
    return STATUS_OK;
}

void exchange_fail(struct exchange *e, const struct error *error) {
    struct error unrecorded = {0};
    if (e->has_ticket) {
        struct message_settle settle = {.outcome = (uint8_t)error->status};
        if (exchange_settle(e, &settle, &unrecorded) != STATUS_OK)
            error = &unrecorded;
    }
    exchange_error(e, error->status, error->message, 0);
}

void exchange_succeed(struct exchange *e, const struct buf *body) {
    struct error error = {0};
    struct message_settle settle = {.outcome = STATUS_OK, .bytes_out = body->size};
    if (body->failed)
        status_fail(&error, STATUS_INTERNAL, "the answer does not fit");
    else if (!e->loopback) /* there nothing was admitted, so nothing is settled */
        (void)!exchange_settle(e, &settle, &error);
    if (error.status != STATUS_OK)
        exchange_fail(e, &error);
    else
        exchange_answer(e, 200, body, false, 0);
}

bool exchange_ask(struct exchange *e, struct message_perform *perform, struct bytes *result) {
    struct message reply;
    struct error error = {0};
    char message[MESSAGE_ERROR_MAX + 1];
    perform->ticket = e->ticket;
    e->has_ticket = false;
    if (channel_perform(&e->thread->channel, perform, &reply, &error) != STATUS_OK) {
        exchange_error(e, error.status, error.message, 0);
        return false;
    }
    const struct message_performed *done = &reply.performed;
    if (done->status == STATUS_OK) {
        *result = done->result;
        return true;
    }
    if (!bytes_to_text(done->message, message, sizeof message))
        message[0] = '\0';
    exchange_error(e, (enum status)done->status, message, done->retry_after_s);
    return false;
}

void exchange_perform(struct exchange *e, struct message_perform *perform) {
    static const char empty[] = "{}";
    struct bytes result;
    if (!exchange_ask(e, perform, &result))
        return;
    if (result.size)
        exchange_answer_json(e, 200, result.data, result.size);
    else
        exchange_answer_json(e, 200, empty, sizeof empty - 1);
    /* The one answer that has a key's secret in it; the channel's memory stays. */
    if (e->match.route->action == ACTION_KEY_CREATE)
        explicit_bzero((void *)(uintptr_t)result.data, result.size);
}

void exchange_finish(struct exchange *e) {
    uint64_t left = e->screen.content_length - e->body_read;
    bool awaited = e->screen.expects_continue && !e->continued;
    if (left && left <= DRAIN_MAX && !awaited && !e->aborted && e->http_status) {
        /* A close on top of unread bytes resets the connection, and the client may lose the
         * answer. What is small has most likely arrived; more is not worth the time. */
        struct error error = {0};
        if (scratch_take(&e->thread->body, DRAIN_MAX, &error) == STATUS_OK) {
            patience_begin(&e->thread->patience, e->thread->socket, exchange_now_ns() + DRAIN_NS);
            int n = mg_read(e->connection, e->thread->body.data, (size_t)left);
            patience_end(&e->thread->patience);
            if (n > 0 && (size_t)n > e->body_used)
                e->body_used = (size_t)n;
        }
    }
    scratch_wipe(&e->thread->body, e->body_used);
    scratch_wipe(&e->thread->answer, e->answer_used);
    scratch_wipe(&e->thread->work, e->work_used);
    if (e->payload >= 0)
        close(e->payload);
    e->payload = -1;
}
