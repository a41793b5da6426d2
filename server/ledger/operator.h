/* An operator's command, as it comes over the admin socket: executed by tenancy/, which the CLI
 * uses too, with the ledger's means: the keeper signs, caches are dropped, workers are stopped. */
#ifndef SERVER_LEDGER_OPERATOR_H
#define SERVER_LEDGER_OPERATOR_H

#include "server/ledger/state.h"
#include "tenancy/command.h"

/* What a command means for workers and for hashes of addresses: found out on the commit thread,
 * done on the loop. */
struct operator_effect {
    int64_t stop_tenant; /* row id, 0: none */
    int64_t unload_tenant, unload_model;
    bool new_client_key;
    uint8_t client_key[STORE_SECRET_SIZE]; /* wiped once it was taken */
};

/* On the commit thread: one request (a JSON object; `client` asks, with the key `by`, NULL for root
 * and the server's user) to one answer line, from malloc; NULL where memory is short. */
char *operator_execute(struct ledger *ledger, struct store *store, const char *client,
                       const struct tenancy_operator *by, const char *request, size_t request_size,
                       size_t *answer_size, struct operator_effect *effect);
/* On the loop, after it and before the answer leaves. */
void operator_settle(struct ledger *ledger, struct operator_effect *effect);

#endif
