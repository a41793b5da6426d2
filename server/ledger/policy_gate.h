/* What a tenant's policy says about a request: asked once for each, on the loop, after the key is
 * known and before anything is done; and what stands in its record.
 *
 * Policies are parsed when they are read from the store (directory.h), so that a request costs
 * comparisons, and one keyed hash of the client's address. Threads: the loop's, but for
 * policy_gate_models and policy_gate_scopes, which are the commit thread's. */
#ifndef SERVER_LEDGER_POLICY_GATE_H
#define SERVER_LEDGER_POLICY_GATE_H

#include "base/message.h"
#include "server/ledger/commit.h"
#include "server/ledger/directory.h"
#include "server/ledger/ticket.h"
#include "tenancy/command.h"
#include "tenancy/policy.h"

#define POLICY_GATE_SECRET TENANCY_CLIENT_KEY /* its name in the store */

/* May this key, over this connection, do what takes `scope`? STATUS_FORBIDDEN, STATUS_TOO_LARGE. */
MUST_USE enum status policy_gate_check(const struct policy *policy,
                                       const struct directory_caller *caller,
                                       const struct message_admit *message, uint32_t scope,
                                       struct error *error);

/* The largest sealed model: the smaller of the configuration's and the policy's limit. */
uint64_t policy_gate_model_bytes(const struct policy *policy, uint64_t configured);
/* What an admitted request takes with it: to the worker that loads its model, and to front. */
struct ticket_terms policy_gate_terms(const struct policy *policy);

/* What hashes of addresses take: the store's secret, and those made last, since most requests come
 * from where the ones before came from. Owned by the ledger, which wipes it at its end. */
#define POLICY_GATE_HASHES 256u
struct policy_gate {
    uint8_t secret[STORE_SECRET_SIZE];
    struct {
        char tenant[STORE_UID_LENGTH + 1]; /* "" where the place is free */
        char client[MESSAGE_CLIENT_MAX + 1];
        char hash[MESSAGE_CLIENT_MAX + 1];
    } hashes[POLICY_GATE_HASHES];
};

/* Take another secret: hashes made so far are forgotten, in memory. */
void policy_gate_renew(struct policy_gate *gate, const uint8_t secret[STORE_SECRET_SIZE]);
/* The hash of an address that belongs to no tenant, in its place. */
void policy_gate_address(const struct policy_gate *gate, char client[MESSAGE_CLIENT_MAX + 1]);

/* Finish a record that was begun with request id and client as they are: the client as the policy
 * wants it (hashed under the secret, for each tenant differently), and what `minimal` leaves out.
 * Without a policy, neither client nor request id stays. */
void policy_gate_record(struct policy_gate *gate, const struct policy *policy,
                        enum message_action action, struct commit_record *record);

/* On the commit thread: may a key of the tenant be made with these scopes? STATUS_FORBIDDEN names
 * those that its policy does not allow. */
MUST_USE enum status policy_gate_scopes(struct store *store, int64_t tenant, uint32_t scopes,
                                        struct error *error);

/* On the commit thread: may the tenant store one more model? */
MUST_USE enum status policy_gate_models(struct store *store, int64_t tenant, struct error *error);

#endif
