/* Workers, one per tenant, and which models are resident in each. A model is loaded on first use:
 * tickets that need it wait on its residency until LOADED, and are then answered.
 *
 * Only launch makes workers; what is here follows from its messages. Threads: the loop's. */
#ifndef SERVER_LEDGER_WORKERS_H
#define SERVER_LEDGER_WORKERS_H

#include "base/message.h"
#include "server/ledger/link.h"
#include "server/ledger/ticket.h"
#include "store/store.h"

#include <stdbool.h>
#include <stdint.h>

struct ledger;

#define WORKERS_MAX 1024u
#define RESIDENT_MAX 256u /* models of one worker */

struct residency {
    bool used, loaded;
    bool dropped;     /* unloaded while it was being loaded: ends with its LOADED */
    uint64_t load;    /* number of the LOAD */
    int64_t since_ms; /* CLOCK_MONOTONIC when it was asked for */
    struct store_model model;
    struct ticket_terms terms; /* that it is, or is to be, opened under */
    uint64_t resident_bytes;
    struct ticket *waiters; /* parked until it is loaded */
};

struct worker {
    bool used;
    bool stopping;  /* STOP_WORKER was sent: not started again */
    int64_t tenant; /* row id */
    char tenant_uid[STORE_UID_LENGTH + 1];
    uint32_t number;     /* launch's; valid while link is set */
    struct link *link;   /* NULL while it is being started */
    int64_t retry_at_ms; /* launch starts it again no sooner than that */
    uint32_t slots, free_slot_count;
    uint32_t lost_slots; /* given up by front while the worker may still write there */
    uint32_t free_slots[256];
    struct residency models[RESIDENT_MAX];
};

struct workers;

MUST_USE enum status workers_new(struct workers **workers, struct error *error);
void workers_free(struct workers *workers);

/* Have the ticket's model resident, then answer the ticket: at once where it is, later where it
 * must be loaded first. Where that cannot be, the ticket is refused. */
void workers_need(struct ledger *ledger, struct ticket *ticket);
/* Give the ticket's slot back (`stuck`: the worker still holds it; it is then stopped, as one that
 * does not return from an operator). */
void workers_release_slot(struct ledger *ledger, struct ticket *ticket, bool stuck);
/* The same, where front's thread is gone: the worker may still write into the slot, so it is not
 * given out again before front or the worker is a new one. */
void workers_lose_slot(struct ledger *ledger, struct ticket *ticket);
/* Take a ticket off the list it waits on. */
void workers_forget_waiter(struct ledger *ledger, struct ticket *ticket);
/* Drop a model from memory; tickets that wait for it are refused with `status`. True where it was
 * resident. */
bool workers_unload(struct ledger *ledger, int64_t tenant, int64_t model, enum status status);
/* The same for all versions of a name. */
void workers_unload_named(struct ledger *ledger, int64_t tenant, const char *name,
                          enum status status);
/* Bytes that the model takes in its worker; 0 where it is not resident. */
uint64_t workers_resident_bytes(struct ledger *ledger, int64_t tenant, int64_t model);
/* End a process that breaks the rules or does not answer; it is started again with back-off. */
void workers_stop_process(struct ledger *ledger, const struct worker *worker);
/* Give up loads that have taken too long. */
void workers_expire(struct ledger *ledger);
/* Stop the tenant's worker, where there is one. */
void workers_stop(struct ledger *ledger, int64_t tenant);

/* From launch. */
void workers_up(struct ledger *ledger, const struct message_ledger_worker *message, int socket);
void workers_gone(struct ledger *ledger, const struct message_ledger_worker_gone *message);
/* From a worker. False where it must be stopped for a message that makes no sense. */
bool workers_loaded(struct ledger *ledger, struct worker *worker,
                    const struct message_loaded *message);
/* What has been started and opened so far, and what is there, of all tenants. */
struct workers_figures {
    uint64_t starts, restarts;
    uint64_t loads[STATUS_COUNT]; /* by outcome */
    uint64_t loading, loaded, loaded_bytes;
    uint64_t slots_free, slots_used, slots_lost;
};
void workers_measure(const struct workers *workers, struct workers_figures *figures);
/* Front was started again: every slot is free, what was loading starts again. */
void workers_front_changed(struct ledger *ledger);

#endif
