/* A socket of the ledger, counted: the loop reads from it, the commit thread may still answer on
 * it after the loop has given it up, and the descriptor number must not be used again before both
 * are done. */
#ifndef SERVER_LEDGER_LINK_H
#define SERVER_LEDGER_LINK_H

#include "base/mailbox.h"
#include "base/message.h"

#include <stdatomic.h>
#include <stdbool.h>

enum link_kind {
    LINK_LAUNCH,
    LINK_FRONT,   /* the control socket */
    LINK_CHANNEL, /* one thread of front */
    LINK_WORKER,
    LINK_ADMIN_LISTENER,
    LINK_ADMIN,
    LINK_COMPLETIONS, /* eventfd: the commit thread has finished jobs */
    LINK_BELL,        /* eventfd: front has asked something in its mailbox */
};

struct link {
    enum link_kind kind;
    int socket;
    _Atomic unsigned references;
    bool closed;             /* the loop's side only */
    struct mailbox *mailbox; /* of a channel that has a box in it, held; or NULL */
    uint32_t box;
    _Atomic bool boxed; /* the question came by the box, so the answer goes there */
    void *owner; /* the worker or admin client it belongs to; a channel's own memory, which goes
                    with the link; or NULL */
};

/* Takes over `socket`. NULL where memory is short (then the socket is closed). */
struct link *link_new(enum link_kind kind, int socket, void *owner);
struct link *link_hold(struct link *link);
/* The last release closes the socket. NULL is safe. */
void link_release(struct link *link);

/* Answer what a channel asked, the way it asked. STATUS_UNAVAILABLE where nobody waits. Any thread,
 * one answer to a question. */
MUST_USE enum status link_answer_admitted(struct link *link, const struct message_admitted *m);
MUST_USE enum status link_answer_refused(struct link *link, const struct message_refused *m);
MUST_USE enum status link_answer_settled(struct link *link, const struct message_settled *m);

#endif
