/* The form of every value that goes into a store: one rule each, shared by all backends.
 *
 * STATUS_INVALID names the field, what was found and what would be right. Threads: pure. */
#ifndef STORE_CHECK_H
#define STORE_CHECK_H

#include "base/status.h"
#include "store/types.h"

MUST_USE enum status check_meta(const struct store_meta *meta, struct error *error);
MUST_USE enum status check_tenant(const struct store_tenant *tenant, struct error *error);
MUST_USE enum status check_tenant_state(enum store_tenant_state state, struct error *error);
MUST_USE enum status check_policy(const struct store_policy *policy, struct error *error);
MUST_USE enum status check_key(const struct store_key *key, struct error *error);
MUST_USE enum status check_name(const char *field, const char *text, struct error *error);
MUST_USE enum status check_time(const char *field, int64_t time, struct error *error);
MUST_USE enum status check_sealed(size_t header_size, int64_t payload_size, struct error *error);
MUST_USE enum status check_usage(const struct store_usage *usage, struct error *error);

#endif
