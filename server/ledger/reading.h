/* What a tenant reads of its own: models, recipient, audit records, usage, keys. Each runs on the
 * desk with the act's question and leaves JSON in the act.
 *
 * Pages hold as many rows as were asked for and fit into one answer; `next` is in them where there
 * may be more, and stays valid while rows are added. */
#ifndef SERVER_LEDGER_READING_H
#define SERVER_LEDGER_READING_H

#include "server/ledger/act_job.h"

act_run reading_index;
act_run reading_versions; /* of the act's model, those that are ready: an array of names */
act_run reading_recipient;
act_run reading_audit;
act_run reading_usage;
act_run reading_keys;

#endif
