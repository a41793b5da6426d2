/* Who a key is, and which model a name means: what every admission asks. Answers are remembered
 * until anything in the store changes; the commit thread says so (directory_changed) before the
 * change is acknowledged, so that a revoked key stops at the next request.
 *
 * Threads: the loop's, but for directory_changed. */
#ifndef SERVER_LEDGER_DIRECTORY_H
#define SERVER_LEDGER_DIRECTORY_H

#include "base/message.h"
#include "base/status.h"
#include "store/store.h"
#include "tenancy/policy.h"

struct directory;

/* Who calls. */
struct directory_caller {
    int64_t tenant; /* row id */
    char tenant_uid[STORE_UID_LENGTH + 1];
    char tenant_name[NAME_MAX_LENGTH + 1];
    char key[STORE_KEY_ID_MAX + 1];
    uint32_t scopes;
    bool tenant_enabled;
    bool is_operator; /* then tenant is 0, its texts are empty, and scopes are an operator's */
    char policy[NAME_MAX_LENGTH + 1]; /* the tenant's; "" where there is no tenant */
    bool has_certificate;             /* the key works with that client certificate alone */
    uint8_t certificate[STORE_CERTIFICATE_SIZE];
};

/* `reader` is used by the loop's thread alone and stays the caller's. */
MUST_USE enum status directory_new(struct store *reader, struct directory **directory,
                                   struct error *error);
void directory_free(struct directory *directory);
void directory_changed(struct directory *directory);

/* The caller with this API key, as presented. STATUS_UNAUTHENTICATED, with one and the same
 * message, for a malformed, unknown, expired or revoked one, all at the same cost. */
MUST_USE enum status directory_authenticate(struct directory *directory, struct bytes token,
                                            int64_t now, struct directory_caller *caller,
                                            struct error *error);
/* Whether the operator's key that a connection has shown still opens anything: its scopes now.
 * STATUS_UNAUTHENTICATED where it was revoked or has expired. */
MUST_USE enum status directory_operator(struct directory *directory, const char *id, int64_t now,
                                        uint32_t *scopes, struct error *error);
/* The policy of that name, parsed, until the next call of this kind; an empty name gives that
 * without any field. STATUS_UNAVAILABLE where it cannot be read or understood. */
MUST_USE enum status directory_policy(struct directory *directory, const char *name,
                                      const struct policy **policy, struct error *error);
/* A ready or pending model of that tenant; an empty version means the latest. */
MUST_USE enum status directory_model(struct directory *directory, int64_t tenant, const char *name,
                                     const char *version, struct store_model *model,
                                     struct error *error);

#endif
