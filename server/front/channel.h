/* A channel to the ledger: each connection thread has its own, so a question is asked and answered
 * without a dispatcher. What is short goes through shared memory (base/mailbox.h), what is long or
 * carries a descriptor over a socket.
 *
 * A channel is made at its first use. One that broke is made anew at the next request. A reply
 * that does not come within CHANNEL_REPLY_SECONDS counts as broken: opening a model may take long.
 *
 * Threads: one owner. Failures are STATUS_UNAVAILABLE: no record, no answer. */
#ifndef FRONT_CHANNEL_H
#define FRONT_CHANNEL_H

#include "base/message.h"
#include "base/status.h"
#include "server/front/ledger_link.h"

#include <stdbool.h>
#include <stdint.h>

#define CHANNEL_REPLY_SECONDS 300
#define CHANNEL_MEASURE_SECONDS 2

struct channel {
    struct ledger_link *link;
    int socket;              /* -1 before the first use and after a failure */
    struct mailbox *mailbox; /* held; short questions go by our box in it. NULL: by the socket */
    uint32_t box;
    bool asked;      /* by the box, and not answered yet */
    uint8_t *buffer; /* MESSAGE_MAX bytes; replies point into it until the next exchange */
};

MUST_USE enum status channel_init(struct channel *channel, struct ledger_link *link,
                                  struct error *error);
void channel_free(struct channel *channel);

/* Each sends one message and waits for its answer: ADMITTED, ADMITTED_UPLOAD (its descriptor is
 * the caller's) or REFUSED; PERFORMED; SETTLED. */
MUST_USE enum status channel_admit(struct channel *channel, const struct message_admit *admit,
                                   struct message *reply, struct error *error);
MUST_USE enum status channel_perform(struct channel *channel, const struct message_perform *perform,
                                     struct message *reply, struct error *error);
MUST_USE enum status channel_settle(struct channel *channel, const struct message_settle *settle,
                                    struct message *reply, struct error *error);
/* MEASURED, where the ledger answers within CHANNEL_MEASURE_SECONDS: it does so at once or is
 * stuck, and what watches it must not wait with it. */
MUST_USE enum status channel_measure(struct channel *channel, struct message *reply,
                                     struct error *error);
/* The answer with that record did not reach the client; nothing comes back. */
void channel_undelivered(struct channel *channel, uint64_t ticket, uint64_t sequence);

#endif
