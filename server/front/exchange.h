/* One request and its answer, on one connection thread: what the gate has found out, and the few
 * ways to read the body, to end the ledger's ticket and to answer.
 *
 * Order of things: the gate screens, routes and admits; the route's handler then reads the body
 * (exchange_body sends 100 Continue where the client waits for it), ends the ticket with exactly
 * one PERFORM or SETTLE, and answers exactly once. A function that answers has ended the exchange.
 * Bodies and answers lie in the thread's scratch memory, which is wiped afterwards.
 *
 * Threads: the one whose request it is. */
#ifndef FRONT_EXCHANGE_H
#define FRONT_EXCHANGE_H

#include "base/buf.h"
#include "base/message.h"
#include "base/status.h"
#include "server/front/front.h"
#include "server/front/rate_limit.h"
#include "server/front/router.h"
#include "server/front/screen.h"
#include "server/front/visitors.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define EXCHANGE_HEAD_MAX 2048 /* of the answer: status line and headers */

struct mg_connection;

struct exchange {
    struct front_thread *thread;
    struct mg_connection *connection;
    const char *method, *path, *query; /* query: NULL where there is none */
    const char *client;
    bool loopback; /* over the listener for metrics: no TLS, and nothing else is answered there */
    struct visitors_peer peer;
    struct screen screen;
    struct route_match match;
    char request_id[MESSAGE_REQUEST_ID_MAX + 1];
    char traceparent[TRACE_PARENT_SIZE + 1]; /* of the answer */
    struct rate_limit rate;                  /* told with the answer where it is known */

    /* From ADMITTED. */
    bool has_ticket;
    uint64_t ticket;
    uint32_t worker, slot;
    uint64_t model;
    char version[MESSAGE_NAME_MAX + 1];
    uint64_t policy_body_bytes; /* 0: the configuration's limit alone; the same below */
    uint32_t policy_deadline_ms;
    int payload; /* of an upload; -1 */

    uint64_t started_ns;                      /* CLOCK_MONOTONIC */
    uint64_t body_until_ns;                   /* when the body must have arrived */
    uint64_t body_read;                       /* bytes of it taken so far */
    bool continued;                           /* 100 Continue was sent */
    size_t body_used, answer_used, work_used; /* bytes of scratch memory to wipe */
    bool type_refused;                        /* the body is of a type that is not taken */
    bool close;                               /* the connection ends with this answer */
    bool aborted;                             /* the client went away */
    bool recorded;                            /* SETTLED came, with `sequence` */
    uint64_t sequence;
    int http_status;          /* of the answer; 0 before */
    const char *content_type; /* of a good answer; NULL: JSON, or binary tensors */
    uint64_t bytes_sent;      /* of the answer's body */
};

uint64_t exchange_now_ns(void);

/* Settle the request's id and its place in a trace, after the screen or without it. */
void exchange_identify(struct exchange *exchange);

/* The next bytes of the body into `data`; *got is 0 at its end. A body that is short, late or
 * broken off is an error, and the connection closes. */
MUST_USE enum status exchange_read(struct exchange *exchange, void *data, size_t size, size_t *got,
                                   struct error *error);
/* The smaller of the configuration's limit and the tenant's. */
uint64_t exchange_body_limit(const struct exchange *exchange);
uint32_t exchange_deadline_ms(const struct exchange *exchange);
/* STATUS_ENCODING where there is a body whose Content-Type says that it is something else. */
MUST_USE enum status exchange_body_type(struct exchange *exchange, struct error *error);
/* The whole body into the thread's scratch memory, decompressed where it came compressed.
 * STATUS_LENGTH_REQUIRED without Content-Length, STATUS_TOO_LARGE over `limit` before or after
 * that, STATUS_ENCODING where its encoding is not known or its type is another. */
MUST_USE enum status exchange_body(struct exchange *exchange, uint64_t limit, const uint8_t **data,
                                   size_t *size, struct error *error);

/* So much of one of the thread's regions may be touched: see scratch_allow. */
MUST_USE enum status exchange_allow(struct exchange *exchange, struct scratch *scratch, size_t size,
                                    struct error *error);

/* Room for an answer's body of `bound` bytes; it lies behind room for the head. */
MUST_USE enum status exchange_answer_room(struct exchange *exchange, size_t bound, struct buf *body,
                                          struct error *error);
/* Answer with what was written there, compressed where the client takes that and it is worth it.
 * `json_size` is told in Inference-Header-Content-Length where the body is binary. */
void exchange_answer(struct exchange *exchange, int http_status, const struct buf *body,
                     bool binary, size_t json_size);
void exchange_answer_json(struct exchange *exchange, int http_status, const void *json,
                          size_t size);
/* `{"error": "..."}` with the status of the category; retry_after_s 0: no such header. */
void exchange_error(struct exchange *exchange, enum status status, const char *message,
                    uint32_t retry_after_s);

/* End the ticket: SETTLE, and wait until it is recorded. STATUS_UNAVAILABLE where it could not be:
 * then nothing but that may be answered. */
MUST_USE enum status exchange_settle(struct exchange *exchange, struct message_settle *settle,
                                     struct error *error);
/* End the ticket with that outcome, then answer with the error. */
void exchange_fail(struct exchange *exchange, const struct error *error);
/* End the ticket with success, then answer with the JSON written to exchange_answer_room. */
void exchange_succeed(struct exchange *exchange, const struct buf *body);
/* End the ticket with PERFORM: its result, valid until the channel is used again, or false and the
 * refusal was answered. */
MUST_USE bool exchange_ask(struct exchange *exchange, struct message_perform *perform,
                           struct bytes *result);
/* End the ticket with PERFORM, then answer with its result or its refusal. */
void exchange_perform(struct exchange *exchange, struct message_perform *perform);

/* After the handler: wipe, and take a small rest of the body so that the client sees the answer
 * and not a reset. */
void exchange_finish(struct exchange *exchange);

#endif
