/* Tickets: requests that were admitted and have not ended. A ticket's number is used once, so a
 * late or repeated message about it is told apart from one about its successor. */
#ifndef SERVER_LEDGER_TICKET_H
#define SERVER_LEDGER_TICKET_H

#include "base/message.h"
#include "server/ledger/commit.h"
#include "server/ledger/link.h"
#include "store/store.h"

#include <stdbool.h>
#include <stdint.h>

#define TICKETS_MAX 4096u

struct residency;
struct worker;

enum ticket_state {
    TICKET_FREE,
    TICKET_PARKED, /* not answered yet: the model is being loaded */
    TICKET_OPEN,   /* admitted */
    TICKET_ACTING, /* PERFORM is under way */
    TICKET_ORPHAN, /* front gave it up while something is under way; ends with that */
};

/* What the tenant's policy said when the request was admitted. */
struct ticket_terms {
    uint32_t domains;     /* POLICY_DOMAIN_... */
    uint8_t memory;       /* POLICY_MEMORY_... */
    uint64_t body_bytes;  /* 0: the configuration's alone */
    uint32_t deadline_ms; /* the same */
};

struct ticket {
    uint64_t number;
    enum ticket_state state;
    enum message_action action;
    struct link *channel;        /* held; NULL for an orphan */
    struct commit_record record; /* who, what, target: completed when the ticket ends */
    char model_name[NAME_MAX_LENGTH + 1];
    struct store_model model; /* id 0 where the action has none */
    struct worker *worker;    /* that runs it, with its slot; NULL where none */
    uint32_t slot;
    struct ticket_terms terms;
    int upload;                 /* the payload's descriptor, or -1 */
    struct ticket *next_waiter; /* on the model's residency */
};

/* What a channel's last ended ticket was, so that a report about its answer can be recorded under
 * the caller's name and is believed for that ticket alone. The owner of a LINK_CHANNEL. */
struct channel {
    uint64_t ticket;
    struct commit_record record; /* who and what; reply and answer are not set */
};
void ticket_remember(const struct ticket *ticket);

struct ticket_table;

MUST_USE enum status ticket_table_new(struct ticket_table **table, struct error *error);
void ticket_table_free(struct ticket_table *table);
/* A free ticket, with its number set and the channel held; NULL where all are in use. */
struct ticket *ticket_open(struct ticket_table *table, struct link *channel);
/* The ticket with that number which belongs to that channel, or NULL. */
struct ticket *ticket_find(struct ticket_table *table, uint64_t number, const struct link *channel);
/* Give it back. Slot, descriptor and waiting lists are the caller's to have cleared. */
void ticket_close(struct ticket_table *table, struct ticket *ticket);
uint32_t ticket_count(const struct ticket_table *table);
/* Walk those in use: `position` starts at 0; NULL at the end. */
struct ticket *ticket_next(struct ticket_table *table, uint32_t *position);

#endif
