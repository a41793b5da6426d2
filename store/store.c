#include "store/store.h"

#include <string.h>

#include "store/backend.h"
#include "store/check.h"
#include "store/memory/memory.h"
#include "store/sqlite/db.h"
#include "store/sqlite/db_migrate.h"

const char *store_tenant_state_name(enum store_tenant_state state) {
    switch (state) {
    case STORE_TENANT_ENABLED:
        return "enabled";
    case STORE_TENANT_DISABLED:
        return "disabled";
    }
    return "unknown";
}

const char *store_model_state_name(enum store_model_state state) {
    switch (state) {
    case STORE_MODEL_UPLOADING:
        return "uploading";
    case STORE_MODEL_PENDING:
        return "pending";
    case STORE_MODEL_READY:
        return "ready";
    }
    return "unknown";
}

/* Every public function is check, lock, backend, observe, unlock. `change` is false for reads. */
static enum status enter(struct store *store, bool change, const struct audit_record *record,
                         struct error *error) {
    if (change && store->reader)
        return status_fail(error, STATUS_INTERNAL, "the store was opened for reading");
    if (record) {
        enum status status = audit_record_check(record, error);
        if (status != STATUS_OK)
            return status;
    }
    pthread_mutex_lock(&store->mutex);
    return STATUS_OK;
}

static enum status leave(struct store *store, enum status status, struct audit_record *records,
                         size_t count) {
    if (status == STATUS_OK && records && count && store->observer)
        store->observer(store->observer_context, records, count);
    pthread_mutex_unlock(&store->mutex);
    return status;
}

static enum status leave_read(struct store *store, enum status status) {
    return leave(store, status, NULL, 0);
}

static enum status leave_change(struct store *store, enum status status,
                                struct audit_record *record) {
    return leave(store, status, record, 1);
}

enum status store_create(const char *dir, const struct store_meta *meta, struct error *error) {
    enum status status = check_meta(meta, error);
    return status == STATUS_OK ? db_create(dir, meta, error) : status;
}

enum status store_open(const char *dir, struct store **store, struct error *error) {
    return db_open(dir, store, error);
}

enum status store_inspect(const char *dir, bool *running, struct store **store,
                          struct error *error) {
    return db_inspect(dir, running, store, error);
}

enum status store_open_memory(const struct store_meta *meta, struct store **store,
                              struct error *error) {
    enum status status = check_meta(meta, error);
    return status == STATUS_OK ? memory_open(meta, store, error) : status;
}

int store_version_known(void) {
    return db_migrate_count;
}

enum status store_open_reader(struct store *writer, struct store **reader, struct error *error) {
    enum status status = enter(writer, true, NULL, error);
    if (status != STATUS_OK)
        return status;
    return leave_read(writer, writer->backend->open_reader(writer, reader, error));
}

void store_close(struct store *store) {
    if (store)
        store->backend->close(store);
}

enum status store_version(struct store *store, int *version, struct error *error) {
    enum status status = enter(store, false, NULL, error);
    if (status != STATUS_OK)
        return status;
    return leave_read(store, store->backend->version(store, version, error));
}

enum status store_meta(struct store *store, struct store_meta *meta, struct error *error) {
    enum status status = enter(store, false, NULL, error);
    if (status != STATUS_OK)
        return status;
    return leave_read(store, store->backend->meta(store, meta, error));
}

enum status store_tenant_create(struct store *store, struct store_tenant *tenant,
                                struct audit_record *record, struct error *error) {
    if (!tenant->policy[0])
        memcpy(tenant->policy, STORE_POLICY_DEFAULT, sizeof STORE_POLICY_DEFAULT);
    enum status status = check_tenant(tenant, error);
    if (status == STATUS_OK)
        status = enter(store, true, record, error);
    if (status != STATUS_OK)
        return status;
    status = store->backend->tenant_create(store, tenant, record, error);
    return leave_change(store, status, record);
}

enum status store_tenant_get(struct store *store, int64_t id, struct store_tenant *tenant,
                             struct error *error) {
    enum status status = enter(store, false, NULL, error);
    if (status != STATUS_OK)
        return status;
    return leave_read(store, store->backend->tenant_get(store, id, tenant, error));
}

enum status store_tenant_find(struct store *store, const char *name, struct store_tenant *tenant,
                              struct error *error) {
    enum status status = enter(store, false, NULL, error);
    if (status != STATUS_OK)
        return status;
    return leave_read(store, store->backend->tenant_find(store, name, tenant, error));
}

enum status store_tenant_list(struct store *store, store_tenant_row *row, void *context,
                              struct error *error) {
    enum status status = enter(store, false, NULL, error);
    if (status != STATUS_OK)
        return status;
    return leave_read(store, store->backend->tenant_list(store, row, context, error));
}

enum status store_tenant_set_state(struct store *store, int64_t id, enum store_tenant_state state,
                                   struct audit_record *record, struct error *error) {
    enum status status = check_tenant_state(state, error);
    if (status == STATUS_OK)
        status = enter(store, true, record, error);
    if (status != STATUS_OK)
        return status;
    status = store->backend->tenant_set_state(store, id, state, record, error);
    return leave_change(store, status, record);
}

enum status store_tenant_delete(struct store *store, int64_t id, struct audit_record *record,
                                struct error *error) {
    enum status status = enter(store, true, record, error);
    if (status != STATUS_OK)
        return status;
    return leave_change(store, store->backend->tenant_delete(store, id, record, error), record);
}

enum status store_tenant_set_policy(struct store *store, int64_t id, const char *policy,
                                    struct audit_record *record, struct error *error) {
    enum status status = check_name("policy", policy, error);
    if (status == STATUS_OK)
        status = enter(store, true, record, error);
    if (status != STATUS_OK)
        return status;
    status = store->backend->tenant_set_policy(store, id, policy, record, error);
    return leave_change(store, status, record);
}

enum status store_policy_set(struct store *store, const struct store_policy *policy,
                             struct audit_record *records, size_t count, struct error *error) {
    enum status status = check_policy(policy, error);
    for (size_t i = 0; i < count && status == STATUS_OK; i++)
        status = audit_record_check(&records[i], error);
    if (status == STATUS_OK)
        status = enter(store, true, NULL, error);
    if (status != STATUS_OK)
        return status;
    status = store->backend->policy_set(store, policy, records, count, error);
    return leave(store, status, records, count);
}

enum status store_policy_find(struct store *store, const char *name, struct store_policy *policy,
                              struct error *error) {
    enum status status = enter(store, false, NULL, error);
    if (status != STATUS_OK)
        return status;
    return leave_read(store, store->backend->policy_find(store, name, policy, error));
}

enum status store_policy_list(struct store *store, store_policy_row *row, void *context,
                              struct error *error) {
    enum status status = enter(store, false, NULL, error);
    if (status != STATUS_OK)
        return status;
    return leave_read(store, store->backend->policy_list(store, row, context, error));
}

enum status store_policy_delete(struct store *store, const char *name, struct audit_record *record,
                                struct error *error) {
    if (strcmp(name, STORE_POLICY_DEFAULT) == 0)
        return status_fail(error, STATUS_CONFLICT,
                           "the policy \"" STORE_POLICY_DEFAULT "\" is what a tenant has that is "
                           "made without one: it can be replaced, not removed");
    enum status status = enter(store, true, record, error);
    if (status != STATUS_OK)
        return status;
    return leave_change(store, store->backend->policy_delete(store, name, record, error), record);
}

enum status store_secret(struct store *store, const char *name,
                         const uint8_t fresh[STORE_SECRET_SIZE], uint8_t kept[STORE_SECRET_SIZE],
                         struct error *error) {
    enum status status = check_name("secret", name, error);
    if (status == STATUS_OK)
        status = enter(store, true, NULL, error);
    if (status != STATUS_OK)
        return status;
    return leave_read(store, store->backend->secret(store, name, fresh, kept, error));
}

enum status store_secret_replace(struct store *store, const char *name,
                                 const uint8_t fresh[STORE_SECRET_SIZE],
                                 struct audit_record *record, struct error *error) {
    enum status status = check_name("secret", name, error);
    if (status == STATUS_OK)
        status = enter(store, true, record, error);
    if (status != STATUS_OK)
        return status;
    return leave_change(store, store->backend->secret_replace(store, name, fresh, record, error),
                        record);
}

enum status store_key_create(struct store *store, const struct store_key *key,
                             struct audit_record *record, struct error *error) {
    enum status status = check_key(key, error);
    if (status == STATUS_OK)
        status = enter(store, true, record, error);
    if (status != STATUS_OK)
        return status;
    return leave_change(store, store->backend->key_create(store, key, record, error), record);
}

enum status store_key_find(struct store *store, const char *id, struct store_key *key,
                           struct error *error) {
    enum status status = enter(store, false, NULL, error);
    if (status != STATUS_OK)
        return status;
    return leave_read(store, store->backend->key_find(store, id, key, error));
}

enum status store_key_list(struct store *store, int64_t tenant, store_key_row *row, void *context,
                           struct error *error) {
    enum status status = enter(store, false, NULL, error);
    if (status != STATUS_OK)
        return status;
    return leave_read(store, store->backend->key_list(store, tenant, row, context, error));
}

enum status store_key_revoke(struct store *store, const char *id, int64_t now,
                             struct audit_record *record, struct error *error) {
    enum status status = check_time("revoked", now, error);
    if (status == STATUS_OK)
        status = enter(store, true, record, error);
    if (status != STATUS_OK)
        return status;
    return leave_change(store, store->backend->key_revoke(store, id, now, record, error), record);
}

enum status store_model_create(struct store *store, int64_t tenant, const char *name,
                               const char *version, int64_t now, struct store_model *model,
                               struct audit_record *record, struct error *error) {
    enum status status = check_name("model name", name, error);
    if (status == STATUS_OK)
        status = check_name("model version", version, error);
    if (status == STATUS_OK)
        status = check_time("created", now, error);
    if (status == STATUS_OK)
        status = enter(store, true, record, error);
    if (status != STATUS_OK)
        return status;
    struct store_model made = {.tenant = tenant, .created = now, .state = STORE_MODEL_UPLOADING};
    memcpy(made.name, name, strlen(name));
    memcpy(made.version, version, strlen(version));
    status = store->backend->model_create(store, &made, record, error);
    if (status == STATUS_OK)
        *model = made;
    return leave_change(store, status, record);
}

enum status store_model_complete(struct store *store, int64_t id, const void *header,
                                 size_t header_size, int64_t payload_size,
                                 struct audit_record *record, struct error *error) {
    enum status status = check_sealed(header_size, payload_size, error);
    if (status == STATUS_OK)
        status = enter(store, true, record, error);
    if (status != STATUS_OK)
        return status;
    status =
        store->backend->model_complete(store, id, header, header_size, payload_size, record, error);
    return leave_change(store, status, record);
}

enum status store_model_ready(struct store *store, int64_t id,
                              const uint8_t commitment[STORE_COMMITMENT_SIZE],
                              struct audit_record *record, struct error *error) {
    enum status status = enter(store, true, record, error);
    if (status != STATUS_OK)
        return status;
    status = store->backend->model_ready(store, id, commitment, record, error);
    return leave_change(store, status, record);
}

enum status store_model_delete(struct store *store, int64_t id, struct audit_record *record,
                               struct error *error) {
    enum status status = enter(store, true, record, error);
    if (status != STATUS_OK)
        return status;
    return leave_change(store, store->backend->model_delete(store, id, record, error), record);
}

enum status store_model_get(struct store *store, int64_t id, struct store_model *model,
                            struct error *error) {
    enum status status = enter(store, false, NULL, error);
    if (status != STATUS_OK)
        return status;
    return leave_read(store, store->backend->model_get(store, id, model, error));
}

enum status store_model_find(struct store *store, int64_t tenant, const char *name,
                             const char *version, struct store_model *model, struct error *error) {
    enum status status = enter(store, false, NULL, error);
    if (status != STATUS_OK)
        return status;
    status = store->backend->model_find(store, tenant, name, version, model, error);
    return leave_read(store, status);
}

enum status store_model_header(struct store *store, int64_t id, void *out, size_t capacity,
                               size_t *size, struct error *error) {
    enum status status = enter(store, false, NULL, error);
    if (status != STATUS_OK)
        return status;
    return leave_read(store, store->backend->model_header(store, id, out, capacity, size, error));
}

enum status store_model_list(struct store *store, int64_t tenant, store_model_row *row,
                             void *context, struct error *error) {
    enum status status = enter(store, false, NULL, error);
    if (status != STATUS_OK)
        return status;
    return leave_read(store, store->backend->model_list(store, tenant, row, context, error));
}

enum status store_model_set_unloaded(struct store *store, int64_t tenant, const char *name,
                                     bool unloaded, struct audit_record *record,
                                     struct error *error) {
    enum status status = enter(store, true, record, error);
    if (status != STATUS_OK)
        return status;
    status = store->backend->model_set_unloaded(store, tenant, name, unloaded, record, error);
    return leave_change(store, status, record);
}

enum status store_usage_list(struct store *store, int64_t tenant, int32_t first, int32_t last,
                             store_usage_row *row, void *context, struct error *error) {
    enum status status = enter(store, false, NULL, error);
    if (status != STATUS_OK)
        return status;
    status = store->backend->usage_list(store, tenant, first, last, row, context, error);
    return leave_read(store, status);
}

enum status store_audit_append(struct store *store, struct audit_record *records, size_t count,
                               const struct store_usage *usage, size_t usage_count,
                               struct error *error) {
    for (size_t i = 0; i < usage_count; i++) {
        enum status status = check_usage(&usage[i], error);
        if (status != STATUS_OK)
            return status;
    }
    /* The records are checked where they are written, once. */
    enum status status = enter(store, true, NULL, error);
    if (status != STATUS_OK)
        return status;
    status = store->backend->audit_append(store, records, count, usage, usage_count, error);
    return leave(store, status, records, count);
}

void store_audit_observe(struct store *store, store_observer *observer, void *context) {
    pthread_mutex_lock(&store->mutex);
    store->observer = observer;
    store->observer_context = context;
    pthread_mutex_unlock(&store->mutex);
}

enum status store_audit_list(struct store *store, const char *tenant_uid, uint64_t before,
                             size_t max, store_audit_visit *row, void *context,
                             struct error *error) {
    enum status status = enter(store, false, NULL, error);
    if (status != STATUS_OK)
        return status;
    status = store->backend->audit_list(store, tenant_uid, before, max, row, context, error);
    return leave_read(store, status);
}

struct find {
    struct audit_filter filter;
    size_t left; /* matches wanted */
    uint64_t next;
    size_t looked;
    bool stopped; /* enough were found: not an error, but the way to end a listing */
    store_audit_visit *row;
    void *context;
};

static enum status consider(void *context, const struct store_audit_row *row, struct error *error) {
    struct find *find = context;
    find->looked++;
    find->next = row->seq;
    if (!audit_filter_matches(&find->filter, row))
        return STATUS_OK;
    enum status status = find->row(find->context, row, error);
    if (status != STATUS_OK || --find->left)
        return status;
    find->stopped = true;
    return STATUS_RATE;
}

enum status store_audit_find(struct store *store, const char *tenant_uid,
                             const struct store_audit_filter *filter, uint64_t before, size_t scan,
                             size_t max, store_audit_visit *row, void *context, uint64_t *next,
                             struct error *error) {
    struct find find = {.left = max, .row = row, .context = context};
    enum status status = audit_filter_prepare(filter, &find.filter, error);
    if (status == STATUS_OK && max)
        status = store_audit_list(store, tenant_uid, before, scan, consider, &find, error);
    if (find.stopped)
        status = STATUS_OK;
    if (status == STATUS_OK)
        *next = find.stopped || find.looked == scan ? find.next : 0;
    return status;
}

enum status store_audit_count(struct store *store, const char *tenant_uid, uint64_t *count,
                              struct error *error) {
    enum status status = enter(store, false, NULL, error);
    if (status != STATUS_OK)
        return status;
    return leave_read(store, store->backend->audit_count(store, tenant_uid, count, error));
}

enum status store_audit_size(struct store *store, uint64_t *size, struct error *error) {
    enum status status = enter(store, false, NULL, error);
    if (status != STATUS_OK)
        return status;
    return leave_read(store, store->backend->audit_size(store, size, error));
}

enum status store_audit_leaves(struct store *store, uint64_t first, store_leaf_row *row,
                               void *context, struct error *error) {
    enum status status = enter(store, false, NULL, error);
    if (status != STATUS_OK)
        return status;
    return leave_read(store, store->backend->audit_leaves(store, first, row, context, error));
}
