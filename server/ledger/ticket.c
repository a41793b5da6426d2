#include "server/ledger/ticket.h"

#include <stdlib.h>

struct ticket_table {
    uint64_t generation;
    uint32_t in_use;
    uint32_t free_count;
    uint32_t free_list[TICKETS_MAX];
    struct ticket tickets[TICKETS_MAX];
};

enum status ticket_table_new(struct ticket_table **table, struct error *error) {
    struct ticket_table *t = calloc(1, sizeof *t);
    if (!t)
        return status_fail(error, STATUS_UNAVAILABLE, "no memory for tickets");
    for (uint32_t i = 0; i < TICKETS_MAX; i++)
        t->free_list[i] = TICKETS_MAX - 1 - i;
    t->free_count = TICKETS_MAX;
    *table = t;
    return STATUS_OK;
}

void ticket_table_free(struct ticket_table *table) {
    free(table);
}

struct ticket *ticket_open(struct ticket_table *t, struct link *channel) {
    if (!t->free_count)
        return NULL;
    uint32_t i = t->free_list[--t->free_count];
    t->in_use++;
    struct ticket *ticket = &t->tickets[i];
    *ticket = (struct ticket){.number = ++t->generation * TICKETS_MAX + i,
                              .state = TICKET_OPEN,
                              .channel = link_hold(channel),
                              .upload = -1};
    return ticket;
}

struct ticket *ticket_find(struct ticket_table *t, uint64_t number, const struct link *channel) {
    struct ticket *ticket = &t->tickets[number % TICKETS_MAX];
    if (ticket->state == TICKET_FREE || ticket->number != number || ticket->channel != channel)
        return NULL;
    return ticket;
}

void ticket_close(struct ticket_table *t, struct ticket *ticket) {
    link_release(ticket->channel);
    ticket->channel = NULL;
    ticket->state = TICKET_FREE;
    t->free_list[t->free_count++] = (uint32_t)(ticket - t->tickets);
    t->in_use--;
}

uint32_t ticket_count(const struct ticket_table *t) {
    return t->in_use;
}

struct ticket *ticket_next(struct ticket_table *t, uint32_t *position) {
    while (*position < TICKETS_MAX) {
        struct ticket *ticket = &t->tickets[(*position)++];
        if (ticket->state != TICKET_FREE)
            return ticket;
    }
    return NULL;
}

void ticket_remember(const struct ticket *ticket) {
    struct channel *channel = ticket->channel ? ticket->channel->owner : NULL;
    if (!channel)
        return;
    channel->ticket = ticket->number;
    channel->record = ticket->record;
    channel->record.reply = NULL;
    channel->record.answer = NULL;
    channel->record.units = 0;
    channel->record.usage_tenant = 0;
}
