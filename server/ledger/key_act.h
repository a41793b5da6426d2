/* A tenant's own keys: made and revoked by a key with the scope keys:write. No key makes one that
 * may do more than itself or than the tenant's policy allows, or lives longer than itself; a key of
 * another tenant is answered like one that does not exist. */
#ifndef SERVER_LEDGER_KEY_ACT_H
#define SERVER_LEDGER_KEY_ACT_H

#include "server/ledger/act_job.h"

#include <jansson.h>

/* On the commit thread: act and record are one transaction. The done of both. */
act_run key_act_create;
act_run key_act_revoke;
act_done key_act_done;

/* A key of that tenant; STATUS_NOT_FOUND for any other. */
MUST_USE enum status key_act_find(struct store *store, int64_t tenant, const char *id,
                                  struct store_key *key, struct error *error);
/* NULL where memory is short. */
json_t *key_act_json(const struct store_key *key);

#endif
