/* PERFORM: what a request does to the store beyond being recorded, and the JSON it is answered
 * with. The table of acts: which function runs where. */
#ifndef SERVER_LEDGER_ACT_H
#define SERVER_LEDGER_ACT_H

#include "base/message.h"
#include "server/ledger/state.h"

void act_perform(struct ledger *ledger, struct ticket *ticket,
                 const struct message_perform *message);
/* The model that an upload or a load waits for is resident, or is not (message for people). The
 * commitment is set (32 bytes) where it was opened for the first time. */
void act_loaded(struct ledger *ledger, struct ticket *ticket, enum status status,
                const char *message, struct bytes commitment);

#endif
