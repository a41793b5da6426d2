/* Statistics of inference, by version of a model, in Triton's terms. Held by ledger: it hears of
 * the end of every request over SETTLE, knows whose each model is, and outlives front, which knows
 * no tenant. In memory, so counted since ledger's start.
 *
 * A request counts once it was admitted: with STATUS_OK as success, else as failure. Its parts are
 * front's and the worker's word. `batch_size` is the first dimension of the first input; sizes
 * beyond the first STATISTICS_BATCHES that a model has seen are in the totals alone.
 *
 * Threads: the loop's. */
#ifndef SERVER_LEDGER_STATISTICS_H
#define SERVER_LEDGER_STATISTICS_H

#include "base/message.h"
#include "server/ledger/act_job.h"
#include "server/ledger/ticket.h"

#include <stdint.h>

#define STATISTICS_BATCHES 16

struct statistics;

MUST_USE enum status statistics_new(struct statistics **statistics, struct error *error);
void statistics_free(struct statistics *statistics);

/* The request of `ticket` has ended; other actions than inference are passed over. Where memory is
 * short it is not counted. */
void statistics_count(struct statistics *statistics, const struct ticket *ticket,
                      const struct message_settle *message);
/* The model is gone. */
void statistics_forget(struct statistics *statistics, int64_t model);

/* The act of GET .../stats: on the desk the tenant's models are listed (all, those of the
 * question's model, or its one version), on the loop the answer is written. */
act_run statistics_run;
act_done statistics_done;

#endif
