/* The socket to the ledger on which front hands over channels (channel.h). When ledger was started
 * again, launch gives front a new one.
 *
 * Threads: any. */
#ifndef FRONT_LEDGER_LINK_H
#define FRONT_LEDGER_LINK_H

#include "base/message.h"
#include "base/status.h"

#include <pthread.h>
#include <stdbool.h>

struct ledger_link {
    pthread_mutex_t lock;
    int socket; /* -1 while there is no ledger */
};

void ledger_link_init(struct ledger_link *link);
/* Take over `socket`; the old one is closed. -1: the ledger is gone. */
void ledger_link_set(struct ledger_link *link, int socket);
bool ledger_link_up(struct ledger_link *link);
/* Give the ledger one end of a channel; the descriptor stays the caller's. */
MUST_USE enum status ledger_link_hand_over(struct ledger_link *link, int channel,
                                           struct error *error);

#endif
