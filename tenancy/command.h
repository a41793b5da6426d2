/* What an operator may do: one table of commands over a store, used by the ledger's admin socket
 * while the server runs and by the CLI while it does not.
 *
 * A request is a JSON object {"command": NAME, ...arguments}; what comes back is an object too.
 * Commands and arguments (all texts unless said otherwise; those in [] may be left out):
 *
 *   tenant.create   name, uid, recipient, wrapped (base64), [policy] -> tenant
 *   tenant.list                                              -> {"tenants": [tenant]}
 *   tenant.show     tenant (its name)                        -> tenant, and its counts
 *   tenant.disable  tenant                                   -> tenant
 *   tenant.enable   tenant                                   -> tenant
 *   tenant.delete   tenant                                   -> {"tenant", "uid", "models": n}
 *   tenant.set-policy  tenant, policy                        -> {"tenant", "before", "policy"}
 *   policy.list                                              -> {"policies": [policy]}
 *   policy.show     policy (its name)                        -> policy, its text and values
 *   policy.set      text (YAML)                              -> {"name", "fields": n, "values"}
 *   policy.remove   policy                                   -> {"removed"}
 *   key.create      tenant, id, hash (hex), scopes ("a,b"), [label], [expires (integer)],
 *                   [certificate (SHA-256, hex)]             -> key
 *   key.list        [tenant]                                 -> {"keys": [key]}
 *   key.revoke      id                                       -> key
 *   model.list      [tenant]                                 -> {"models": [model]}
 *   model.show      tenant, model, [version]                 -> model
 *   model.remove    tenant, model, version                   -> model
 *   audit.list      [tenant (name, or a uid)], [limit (integer)], [before (integer)]
 *                                                            -> {"records": [record], "size": n}
 *   usage.list      [tenant], [first (integer)], [last (integer)]: days since 1970-01-01, UTC
 *                                                            -> {"usage": [row]}
 *   operator.create id, hash (hex), scopes ("a,b"), [label], [expires (integer)] -> operator's key
 *   operator.list                                            -> {"keys": [operator's key]}
 *   operator.revoke id                                       -> operator's key
 *   client-key.rotate                                        -> {"rotated": time (integer)}
 *   status                                                   -> facts about the store
 *
 * Every act that changes something is recorded in the audit log in the transaction of the act, with
 * the command's name as action, the operator's key id as key ("operator" where none was shown), and
 * the tenant's uid (policy.set with a further record for each field that it changes, which has the
 * old and the new value). Times are integers,
 * microseconds since the epoch. Secrets never pass through here: the CLI makes identities and API
 * keys itself and sends what is sealed or hashed.
 *
 * Threads: whatever the store handle allows; the hooks are called on the caller's thread. Input:
 * the operator's, checked like any other: an unknown command or argument is refused. */
#ifndef TENANCY_COMMAND_H
#define TENANCY_COMMAND_H

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"
#include "store/store.h"

/* Longest line of a request and of an answer on the admin socket, with its newline. */
#define TENANCY_REQUEST_MAX (64 * 1024)
#define TENANCY_RESPONSE_MAX (16 * 1024 * 1024)
#define TENANCY_AUDIT_LIMIT_MAX 1000

/* The store's name for the key that clients' addresses are hashed under. */
#define TENANCY_CLIENT_KEY "client"

enum tenancy_event {
    TENANCY_TENANT_CREATED,
    TENANCY_TENANT_ENABLED,
    TENANCY_TENANT_DISABLED, /* its workers are to stop, its keys to be refused */
    TENANCY_TENANT_DELETED,  /* the same, for good */
    TENANCY_KEY_CREATED,
    TENANCY_KEY_REVOKED,
    TENANCY_MODEL_REMOVED,        /* it is to be unloaded */
    TENANCY_OPERATOR_KEY_CREATED, /* of no tenant */
    TENANCY_OPERATOR_KEY_REVOKED,
    TENANCY_CLIENT_KEY_CHANGED, /* what addresses are hashed under */
    TENANCY_POLICY_CHANGED,     /* of one tenant, or (tenant 0) of whoever has it */
};

struct tenancy_change {
    enum tenancy_event event;
    int64_t tenant;         /* row id */
    const char *tenant_uid; /* borrowed for the call */
    const char *key;        /* key id of the key events, else NULL */
    int64_t model;          /* row id of the model events, else 0 */
    const uint8_t *secret;  /* STORE_SECRET_SIZE bytes of the new client key, else NULL */
};

struct tenancy_hooks {
    /* Microseconds since the epoch. */
    int64_t (*now)(void *context);
    /* Sign {uid, name, recipient} as a note of at most note_size - 1 bytes, terminated; refuse
     * where the identity in `wrapped` is not this tenant's or not that recipient's. */
    enum status (*sign_recipient)(void *context, const struct store_tenant *tenant, char *note,
                                  size_t note_size, struct error *error);
    /* Told after the change is durable and before the command answers, so that caches are dropped
     * and workers stopped by then. May be NULL. */
    void (*changed)(void *context, const struct tenancy_change *change);
    /* The row of this model is gone: remove its payload's file. After `changed`. A file that cannot
     * be removed is the hook's to log; it is ciphertext that nothing points to. */
    void (*remove_payload)(void *context, int64_t model);
};

/* The key that an operator has shown. */
struct tenancy_operator {
    char key[STORE_KEY_ID_MAX + 1];
    uint32_t scopes; /* SCOPE_OPERATOR_ALL and within */
};

struct tenancy {
    struct store *store;
    const struct tenancy_hooks *hooks;
    void *context;
    const char *client; /* who asks, as the audit log shall say: "uid 0" */
    bool unrecorded;    /* the server's records cannot be written now */
    /* What allows it; NULL: to be root or the server's own user, who may do everything. */
    const struct tenancy_operator *by;
    unsigned tls_minimum; /* of the listener: 12, 13; 0 where it is not known */
};

/* Carry out `request`. On success *response is a new reference, the caller's to json_decref. */
MUST_USE enum status tenancy_execute(struct tenancy *tenancy, const json_t *request,
                                     json_t **response, struct error *error);

/* The same for a line of the admin socket: parse, carry out, and give the line to answer with, its
 * newline included, from malloc: {"ok":true,"result":...} or
 * {"ok":false,"status":"not_found","error":"..."}. NULL only where memory has run out. */
MUST_USE char *tenancy_answer(struct tenancy *tenancy, const char *line, size_t length,
                              size_t *answer_length);

/* Read an answer's line: STATUS_OK and a new reference to its result, or the status and message
 * that it carries. A malformed line is STATUS_INTERNAL. */
MUST_USE enum status tenancy_read_answer(const char *line, size_t length, json_t **result,
                                         struct error *error);

#endif
