/* The socket to the ledger on which front hands over channels (channel.h). When ledger was started
 * again, launch gives front a new one.
 *
 * Threads: any. */
#ifndef FRONT_LEDGER_LINK_H
#define FRONT_LEDGER_LINK_H

#include "base/mailbox.h"
#include "base/message.h"
#include "base/status.h"

#include <pthread.h>
#include <stdbool.h>

struct ledger_link {
    pthread_mutex_t lock;
    int socket;              /* -1 while there is no ledger */
    struct mailbox *mailbox; /* the ledger's, held; NULL before it has come */
};

void ledger_link_init(struct ledger_link *link);
/* Take over `socket`; the old one is closed. -1: the ledger is gone. */
void ledger_link_set(struct ledger_link *link, int socket);
/* Take over the reference: channels opened from now on have a box in it. */
void ledger_link_set_mailbox(struct ledger_link *link, struct mailbox *mailbox);
bool ledger_link_up(struct ledger_link *link);
/* Give the ledger one end of a channel; the descriptor stays the caller's. Where there is a box for
 * it, *mailbox is a reference of the caller's, else NULL. */
MUST_USE enum status ledger_link_hand_over(struct ledger_link *link, int channel,
                                           struct mailbox **mailbox, uint32_t *box,
                                           struct error *error);

#endif
