/* What stands behind store.h: a table of functions that each backend fills, and the handle that
 * backends extend by holding `struct store` as their first member.
 *
 * store.c checks the form of every value, refuses changes through readers, holds the handle's mutex
 * around each call and calls the observer; a backend does the transaction and nothing else.
 * Records may be NULL in the single-act functions. For each record appended a backend sets seq and
 * leaf once the transaction is durable, and leaves them alone where it failed. */
#ifndef STORE_BACKEND_H
#define STORE_BACKEND_H

#include <pthread.h>

#include "store/store.h"

struct store_backend {
    void (*close)(struct store *store);
    enum status (*open_reader)(struct store *writer, struct store **reader, struct error *error);
    enum status (*version)(struct store *store, int *version, struct error *error);
    enum status (*meta)(struct store *store, struct store_meta *meta, struct error *error);

    enum status (*tenant_create)(struct store *store, struct store_tenant *tenant,
                                 struct audit_record *record, struct error *error);
    enum status (*tenant_get)(struct store *store, int64_t id, struct store_tenant *tenant,
                              struct error *error);
    enum status (*tenant_find)(struct store *store, const char *name, struct store_tenant *tenant,
                               struct error *error);
    enum status (*tenant_list)(struct store *store, store_tenant_row *row, void *context,
                               struct error *error);
    enum status (*tenant_set_state)(struct store *store, int64_t id, enum store_tenant_state state,
                                    struct audit_record *record, struct error *error);
    enum status (*tenant_delete)(struct store *store, int64_t id, struct audit_record *record,
                                 struct error *error);

    enum status (*tenant_set_policy)(struct store *store, int64_t id, const char *policy,
                                     struct audit_record *record, struct error *error);

    enum status (*policy_set)(struct store *store, const struct store_policy *policy,
                              struct audit_record *records, size_t count, struct error *error);
    enum status (*policy_find)(struct store *store, const char *name, struct store_policy *policy,
                               struct error *error);
    enum status (*policy_list)(struct store *store, store_policy_row *row, void *context,
                               struct error *error);
    enum status (*policy_delete)(struct store *store, const char *name, struct audit_record *record,
                                 struct error *error);
    enum status (*secret)(struct store *store, const char *name, const uint8_t *fresh,
                          uint8_t *kept, struct error *error);
    enum status (*secret_replace)(struct store *store, const char *name, const uint8_t *fresh,
                                  struct audit_record *record, struct error *error);

    enum status (*key_create)(struct store *store, const struct store_key *key,
                              struct audit_record *record, struct error *error);
    enum status (*key_find)(struct store *store, const char *id, struct store_key *key,
                            struct error *error);
    enum status (*key_list)(struct store *store, int64_t tenant, store_key_row *row, void *context,
                            struct error *error);
    enum status (*key_revoke)(struct store *store, const char *id, int64_t now,
                              struct audit_record *record, struct error *error);

    /* `model` has tenant, name, version, created; id and state are set. */
    enum status (*model_create)(struct store *store, struct store_model *model,
                                struct audit_record *record, struct error *error);
    enum status (*model_complete)(struct store *store, int64_t id, const void *header,
                                  size_t header_size, int64_t payload_size,
                                  struct audit_record *record, struct error *error);
    enum status (*model_ready)(struct store *store, int64_t id, const uint8_t *commitment,
                               struct audit_record *record, struct error *error);
    enum status (*model_delete)(struct store *store, int64_t id, struct audit_record *record,
                                struct error *error);
    enum status (*model_get)(struct store *store, int64_t id, struct store_model *model,
                             struct error *error);
    enum status (*model_find)(struct store *store, int64_t tenant, const char *name,
                              const char *version, struct store_model *model, struct error *error);
    enum status (*model_header)(struct store *store, int64_t id, void *out, size_t capacity,
                                size_t *size, struct error *error);
    enum status (*model_list)(struct store *store, int64_t tenant, store_model_row *row,
                              void *context, struct error *error);

    enum status (*model_set_unloaded)(struct store *store, int64_t tenant, const char *name,
                                      bool unloaded, struct audit_record *record,
                                      struct error *error);

    enum status (*usage_list)(struct store *store, int64_t tenant, int32_t first, int32_t last,
                              store_usage_row *row, void *context, struct error *error);

    enum status (*audit_append)(struct store *store, struct audit_record *records, size_t count,
                                const struct store_usage *usage, size_t usage_count,
                                struct error *error);
    enum status (*audit_list)(struct store *store, const char *tenant_uid, uint64_t before,
                              size_t max, store_audit_visit *row, void *context,
                              struct error *error);
    enum status (*audit_count)(struct store *store, const char *tenant_uid, uint64_t *count,
                               struct error *error);
    enum status (*audit_size)(struct store *store, uint64_t *size, struct error *error);
    enum status (*audit_leaves)(struct store *store, uint64_t first, store_leaf_row *row,
                                void *context, struct error *error);
};

struct store {
    const struct store_backend *backend;
    bool reader;
    pthread_mutex_t mutex;
    store_observer *observer;
    void *observer_context;
};

/* Fill the common part of a new handle, and undo it; backends call them when they make and free. */
MUST_USE enum status backend_init(struct store *store, const struct store_backend *backend,
                                  bool reader, struct error *error);
void backend_destroy(struct store *store);
/* Messages that every backend gives alike. */
MUST_USE enum status backend_no_tenant(struct error *error);
MUST_USE enum status backend_no_key(struct error *error);
MUST_USE enum status backend_no_policy(struct error *error);
MUST_USE enum status backend_policy_used(struct error *error);
MUST_USE enum status backend_no_model(struct error *error);
MUST_USE enum status backend_wrong_state(const char *wanted, enum store_model_state found,
                                         struct error *error);

#endif
