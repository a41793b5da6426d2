/* The functions of the backend's table, one file for each kind of row. Each is called with the
 * shared mutex not held, and takes it. */
#ifndef STORE_MEMORY_MEMORY_TABLES_H
#define STORE_MEMORY_MEMORY_TABLES_H

#include "store/memory/memory_rows.h"

enum status memory_tenants_create(struct store *store, struct store_tenant *tenant,
                                  struct audit_record *record, struct error *error);
enum status memory_tenants_get(struct store *store, int64_t id, struct store_tenant *tenant,
                               struct error *error);
enum status memory_tenants_find(struct store *store, const char *name, struct store_tenant *tenant,
                                struct error *error);
enum status memory_tenants_list(struct store *store, store_tenant_row *row, void *context,
                                struct error *error);
enum status memory_tenants_set_state(struct store *store, int64_t id, enum store_tenant_state state,
                                     struct audit_record *record, struct error *error);
enum status memory_tenants_delete(struct store *store, int64_t id, struct audit_record *record,
                                  struct error *error);
/* NULL where there is none; for the other files, with the mutex held. */
struct store_tenant *memory_tenants_row(struct memory_shared *shared, int64_t id);

enum status memory_policies_give(struct store *store, int64_t id, const char *policy,
                                 struct audit_record *record, struct error *error);
enum status memory_policies_set(struct store *store, const struct store_policy *policy,
                                struct audit_record *records, size_t count, struct error *error);
enum status memory_policies_find(struct store *store, const char *name, struct store_policy *policy,
                                 struct error *error);
enum status memory_policies_list(struct store *store, store_policy_row *row, void *context,
                                 struct error *error);
enum status memory_policies_delete(struct store *store, const char *name,
                                   struct audit_record *record, struct error *error);
enum status memory_policies_secret(struct store *store, const char *name, const uint8_t *fresh,
                                   uint8_t *kept, struct error *error);
enum status memory_policies_secret_replace(struct store *store, const char *name,
                                           const uint8_t *fresh, struct audit_record *record,
                                           struct error *error);
/* With the mutex held; NULL where there is none. */
struct store_policy *memory_policies_row(struct memory_shared *shared, const char *name);
/* The policies that every store begins with. */
MUST_USE enum status memory_policies_ship(struct memory_shared *shared, struct error *error);

enum status memory_keys_create(struct store *store, const struct store_key *key,
                               struct audit_record *record, struct error *error);
enum status memory_keys_find(struct store *store, const char *id, struct store_key *key,
                             struct error *error);
enum status memory_keys_list(struct store *store, int64_t tenant, store_key_row *row, void *context,
                             struct error *error);
enum status memory_keys_revoke(struct store *store, const char *id, int64_t now,
                               struct audit_record *record, struct error *error);

enum status memory_models_create(struct store *store, struct store_model *model,
                                 struct audit_record *record, struct error *error);
enum status memory_models_complete(struct store *store, int64_t id, const void *header,
                                   size_t header_size, int64_t payload_size,
                                   struct audit_record *record, struct error *error);
enum status memory_models_ready(struct store *store, int64_t id, const uint8_t *commitment,
                                struct audit_record *record, struct error *error);
enum status memory_models_delete(struct store *store, int64_t id, struct audit_record *record,
                                 struct error *error);
enum status memory_models_get(struct store *store, int64_t id, struct store_model *model,
                              struct error *error);
enum status memory_models_find(struct store *store, int64_t tenant, const char *name,
                               const char *version, struct store_model *model, struct error *error);
enum status memory_models_header(struct store *store, int64_t id, void *out, size_t capacity,
                                 size_t *size, struct error *error);
enum status memory_models_list(struct store *store, int64_t tenant, store_model_row *row,
                               void *context, struct error *error);
enum status memory_models_set_unloaded(struct store *store, int64_t tenant, const char *name,
                                       bool unloaded, struct audit_record *record,
                                       struct error *error);

enum status memory_audit_usage_list(struct store *store, int64_t tenant, int32_t first,
                                    int32_t last, store_usage_row *row, void *context,
                                    struct error *error);
enum status memory_audit_append(struct store *store, struct audit_record *records, size_t count,
                                const struct store_usage *usage, size_t usage_count,
                                struct error *error);
enum status memory_audit_list(struct store *store, const char *tenant_uid, uint64_t before,
                              size_t max, store_audit_visit *row, void *context,
                              struct error *error);
enum status memory_audit_count(struct store *store, const char *tenant_uid, uint64_t *count,
                               struct error *error);
enum status memory_audit_size(struct store *store, uint64_t *size, struct error *error);
enum status memory_audit_leaves(struct store *store, uint64_t first, store_leaf_row *row,
                                void *context, struct error *error);

#endif
