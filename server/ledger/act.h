/* PERFORM: what a request does to the store beyond being recorded, and the JSON it is answered
 * with. An act and its record are one transaction. */
#ifndef SERVER_LEDGER_ACT_H
#define SERVER_LEDGER_ACT_H

#include "base/message.h"
#include "server/ledger/state.h"

/* An upload was admitted: make the row and the file, then answer with its descriptor. */
void act_begin_upload(struct ledger *ledger, struct ticket *ticket);
void act_perform(struct ledger *ledger, struct ticket *ticket,
                 const struct message_perform *message);
/* The model that an upload or a load waits for is resident, or is not (message for people). The
 * commitment is set (32 bytes) where it was opened for the first time. */
void act_loaded(struct ledger *ledger, struct ticket *ticket, enum status status,
                const char *message, struct bytes commitment);
/* An upload ends without PERFORM: nothing of it stays. Its outcome is recorded; `channel` (may be
 * NULL) is told. */
void act_abandon_upload(struct ledger *ledger, struct ticket *ticket, enum status outcome);
/* At start: uploads that a stop cut short are removed, and that is recorded; so are files of models
 * that were deleted just before it. */
MUST_USE enum status act_clean_up(struct ledger *ledger, struct error *error);

#endif
