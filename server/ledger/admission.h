/* May this request run? The one gate: key, scope, model, limits, slot. And how it went. */
#ifndef SERVER_LEDGER_ADMISSION_H
#define SERVER_LEDGER_ADMISSION_H

#include "base/message.h"
#include "server/ledger/state.h"

/* Messages of a channel. */
void admission_admit(struct ledger *ledger, struct link *channel,
                     const struct message_admit *message);
void admission_settle(struct ledger *ledger, struct link *channel,
                      const struct message_settle *message);
void admission_undelivered(struct ledger *ledger, struct link *channel,
                           const struct message_undelivered *message);
/* The channel is gone: what it had under way ends. */
void admission_channel_closed(struct ledger *ledger, struct link *channel);

/* End a ticket that was not answered yet: record the refusal and say no. The ticket is closed. */
void admission_refuse(struct ledger *ledger, struct ticket *ticket, enum status status,
                      const char *message, uint32_t retry_after_s);
/* Answer a ticket whose model is resident, on the worker and slot set in it. */
void admission_grant(struct ledger *ledger, struct ticket *ticket);

#endif
