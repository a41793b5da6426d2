/* Models on their way in. A load is complete when three things that come on three sockets are
 * there, in any order: LOAD (ledger), the payload's descriptor (front), the file key (keeper).
 *
 * The table is bounded and what stays incomplete is given up after LOADING_PATIENCE_MS, so that a
 * sibling that sends one half only cannot fill it.
 *
 * File keys lie in secret memory and are wiped as soon as the payload is open. Threads: the main
 * one; a complete entry is taken out and belongs to whoever took it. */
#ifndef SERVER_WORKER_LOADING_H
#define SERVER_WORKER_LOADING_H

#include "base/message.h"
#include "crypto/age_header.h"
#include "crypto/commitment.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LOADING_MAX 64
#define LOADING_PATIENCE_MS 60000

struct loading {
    uint64_t load;
    uint64_t began_ms;
    bool asked; /* LOAD is here; what follows is filled in */
    uint64_t model;
    uint64_t payload_bytes;
    uint8_t *header, *wrapped; /* for the keeper; freed once the key is here */
    size_t header_size, wrapped_size;
    uint32_t domains; /* MESSAGE_DOMAIN_... */
    uint8_t memory;   /* MESSAGE_MEMORY_... */
    bool committed;   /* false the first time that a model is opened */
    uint8_t commitment[COMMITMENT_SIZE];
    int payload;       /* -1: not here */
    uint8_t *file_key; /* NULL: not here */
};

struct loading_table {
    struct loading *entries[LOADING_MAX];
};

/* Each of these returns the entry, made where it is not there yet, or NULL: the table is full or
 * the thing is there already. */
MUST_USE struct loading *loading_asked(struct loading_table *table, const struct message_load *ask,
                                       uint64_t now_ms, struct error *error);
/* Takes over `payload` on success. */
MUST_USE struct loading *loading_payload(struct loading_table *table, uint64_t load, int payload,
                                         uint64_t now_ms, struct error *error);
/* Copies the key. NULL also where nobody asked for that load. */
MUST_USE struct loading *loading_key(struct loading_table *table, uint64_t load,
                                     struct bytes file_key, struct error *error);

bool loading_complete(const struct loading *loading);
struct loading *loading_find(const struct loading_table *table, uint64_t load);
/* A load that was asked for and has waited too long, or NULL. */
struct loading *loading_late(const struct loading_table *table, uint64_t now_ms);
/* A payload that has waited too long for its LOAD: nobody expects an answer about it. Front may
 * have been started again, and have sent once more what was given up here meanwhile. */
struct loading *loading_orphan(const struct loading_table *table, uint64_t now_ms);
/* Out of the table; the entry is then the caller's, for loading_free. */
void loading_take(struct loading_table *table, struct loading *loading);
void loading_free(struct loading *loading); /* wipes the key, closes the payload; NULL is fine */

#endif
