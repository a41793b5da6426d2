/* What the parts of the ledger share: one struct, owned and touched by the loop's thread alone,
 * but for what the commit thread is given in jobs. */
#ifndef SERVER_LEDGER_STATE_H
#define SERVER_LEDGER_STATE_H

#include "base/config.h"
#include "base/role.h"
#include "server/ledger/boxes.h"
#include "server/ledger/commit.h"
#include "server/ledger/directory.h"
#include "server/ledger/failures.h"
#include "server/ledger/figures.h"
#include "server/ledger/keeper_link.h"
#include "server/ledger/link.h"
#include "server/ledger/policy_gate.h"
#include "server/ledger/ticket.h"
#include "server/ledger/workers.h"
#include "store/store.h"

#include <stdbool.h>

struct statistics;

struct ledger {
    const struct config *config;
    int store_folder; /* models/ID lie in here */
    struct store *store;
    struct store *reader;
    struct commit *commit; /* writes */
    struct commit *desk;   /* reads that may take a while, on a handle of its own */
    struct store *desk_reader;
    struct directory *directory;
    struct boxes *boxes; /* questions of front */
    unsigned channels;   /* open ones */
    struct ticket_table *tickets;
    struct workers *workers;
    struct keeper_link *keeper;
    struct failures *failures;
    struct policy_gate gate;
    struct statistics *statistics;
    struct figures figures;
    struct link *launch;
    struct link *front; /* control socket; NULL while front is down */
    struct link *bell;  /* of front's mailbox; NULL without one */
    bool front_knows;   /* that records cannot be written */
    int epoll;
    bool draining;
    bool leave; /* the loop ends */
};

/* Microseconds since the epoch, and milliseconds of CLOCK_MONOTONIC. */
int64_t ledger_now_us(void);
int64_t ledger_now_ms(void);

/* Begin and stop reading from a link; stopping releases it (a link reads only once it was added,
 * and what is closed is not touched again in the same turn of the loop). */
MUST_USE enum status ledger_listen(struct ledger *ledger, struct link *link, struct error *error);
void ledger_close(struct ledger *ledger, struct link *link);

#endif
