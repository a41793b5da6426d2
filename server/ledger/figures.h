/* What the ledger counts for GET /metrics: answers to the question whether a request may run,
 * records and the groups they were committed in, tenants' processes and the models in them. Front
 * asks with MEASURE and sends the text on as it stands, so its form is that of the whole page:
 * Prometheus' text format 0.0.4. No name of a tenant, model or key is in it: front, and whoever may
 * read the page, may read it for the whole server.
 *
 * Counters begin with the ledger's process. Threads: the loop's; what the commit thread counts is
 * its own (commit.h). */
#ifndef SERVER_LEDGER_FIGURES_H
#define SERVER_LEDGER_FIGURES_H

#include "base/buf.h"
#include "base/message.h"
#include "base/status.h"
#include "server/ledger/link.h"

#include <stdint.h>

struct ledger;

struct figures {
    uint64_t admissions[STATUS_COUNT]; /* by what was answered; STATUS_OK: admitted */
};

/* The text; `out` has failed where it does not fit. */
void figures_write(const struct ledger *ledger, struct buf *out);
/* Answer MEASURE. STATUS_UNAVAILABLE where nobody waits. */
MUST_USE enum status figures_answer(const struct ledger *ledger, const struct link *channel);

#endif
