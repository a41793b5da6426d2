/* Failures before authentication, for a bad key or for what is no request: counted per source and
 * minute, and recorded as counts, so that a
 * stranger can neither fill nor stop the log. A fixed table: what does not fit in a minute is
 * counted together, under the source "other". */
#ifndef SERVER_LEDGER_FAILURES_H
#define SERVER_LEDGER_FAILURES_H

#include "base/message.h"
#include "server/ledger/commit.h"
#include "server/ledger/policy_gate.h"

#include <stdbool.h>

struct failures;

MUST_USE enum status failures_new(struct failures **failures, struct error *error);
void failures_free(struct failures *failures);
/* `malformed`: refused before its key was looked at, else for its key. */
void failures_count(struct failures *failures, struct bytes client, bool malformed);
/* Queue a record for each source once a minute is over (`force`: now). Addresses are hashed under
 * the key of `gate`; NULL: they stand there as they are. */
void failures_flush(struct failures *failures, struct commit *commit,
                    const struct policy_gate *gate, int64_t now_us, bool force);

#endif
