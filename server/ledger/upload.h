/* An upload, from its admission to a model that is ready, or to nothing: row and file are made, the
 * payload is written by front, the header arrives with PERFORM, a worker opens the whole. */
#ifndef SERVER_LEDGER_UPLOAD_H
#define SERVER_LEDGER_UPLOAD_H

#include "base/message.h"
#include "server/ledger/act_job.h"

/* It was admitted: make the row and the file, then answer with its descriptor. */
void upload_begin(struct ledger *ledger, struct ticket *ticket);
/* For `act.c`: the payload is complete; have it on the disk, complete the row, open it. */
act_run upload_run;
act_done upload_done;
/* The model was opened, or was not (message for people). The commitment has 32 bytes. */
void upload_loaded(struct ledger *ledger, struct ticket *ticket, enum status status,
                   const char *message, struct bytes commitment);
/* It ends without PERFORM: nothing of it stays. Its outcome is recorded; `channel` (may be NULL)
 * is told. */
void upload_abandon(struct ledger *ledger, struct ticket *ticket, enum status outcome);
/* At start: uploads that a stop cut short are removed, and that is recorded; so are files of models
 * that were deleted just before it. */
MUST_USE enum status upload_clean_up(struct ledger *ledger, struct error *error);

#endif
