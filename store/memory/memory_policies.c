#include <string.h>

#include "store/memory/memory_tables.h"
#include "store/policies_shipped.h"

static struct memory_shared *lock(struct store *store) {
    struct memory_shared *shared = ((struct memory *)store)->shared;
    pthread_mutex_lock(&shared->mutex);
    return shared;
}

static enum status unlock(struct memory_shared *shared, enum status status) {
    pthread_mutex_unlock(&shared->mutex);
    return status;
}

struct store_policy *memory_policies_row(struct memory_shared *shared, const char *name) {
    struct store_policy *rows = shared->policies.rows;
    for (size_t i = 0; i < shared->policies.count; i++)
        if (strcmp(rows[i].name, name) == 0)
            return &rows[i];
    return NULL;
}

enum status memory_policies_ship(struct memory_shared *shared, struct error *error) {
    const size_t count = sizeof policies_shipped / sizeof policies_shipped[0];
    enum status status =
        memory_rows_reserve(&shared->policies, sizeof(struct store_policy), count, error);
    if (status != STATUS_OK)
        return status;
    for (size_t i = 0; i < count; i++) {
        struct store_policy *row = (struct store_policy *)shared->policies.rows + i;
        *row = (struct store_policy){.changed = 0};
        memcpy(row->name, policies_shipped[i].name, strlen(policies_shipped[i].name));
        memcpy(row->text, policies_shipped[i].text, strlen(policies_shipped[i].text));
    }
    shared->policies.count = count;
    return STATUS_OK;
}

enum status memory_policies_find(struct store *store, const char *name, struct store_policy *policy,
                                 struct error *error) {
    struct memory_shared *shared = lock(store);
    const struct store_policy *found = memory_policies_row(shared, name);
    if (found)
        *policy = *found;
    return unlock(shared, found ? STATUS_OK : backend_no_policy(error));
}

enum status memory_policies_give(struct store *store, int64_t id, const char *policy,
                                 struct audit_record *record, struct error *error) {
    struct memory_shared *shared = lock(store);
    struct memory_batch batch = {0};
    struct store_tenant *tenant = memory_tenants_row(shared, id);
    enum status status = !memory_policies_row(shared, policy) ? backend_no_policy(error)
                         : !tenant                            ? backend_no_tenant(error)
                                                              : STATUS_OK;
    if (status == STATUS_OK)
        status = memory_rows_prepare(shared, record, record ? 1 : 0, &batch, error);
    if (status == STATUS_OK) {
        memcpy(tenant->policy, policy, strlen(policy) + 1);
        memory_rows_publish(shared, &batch, record);
    }
    return unlock(shared, status);
}

enum status memory_policies_set(struct store *store, const struct store_policy *policy,
                                struct audit_record *records, size_t count, struct error *error) {
    struct memory_shared *shared = lock(store);
    struct memory_batch batch = {0};
    enum status status = memory_rows_reserve(&shared->policies, sizeof *policy, 1, error);
    if (status == STATUS_OK)
        status = memory_rows_prepare(shared, records, count, &batch, error);
    if (status == STATUS_OK) {
        struct store_policy *row = memory_policies_row(shared, policy->name);
        if (!row)
            row = (struct store_policy *)shared->policies.rows + shared->policies.count++;
        *row = *policy;
        memory_rows_publish(shared, &batch, records);
    }
    return unlock(shared, status);
}

enum status memory_policies_list(struct store *store, store_policy_row *row, void *context,
                                 struct error *error) {
    struct memory_shared *shared = lock(store);
    const struct store_policy *rows = shared->policies.rows;
    enum status status = STATUS_OK;
    for (size_t i = 0; i < shared->policies.count && status == STATUS_OK; i++)
        status = row(context, &rows[i], error);
    return unlock(shared, status);
}

enum status memory_policies_delete(struct store *store, const char *name,
                                   struct audit_record *record, struct error *error) {
    struct memory_shared *shared = lock(store);
    struct memory_batch batch = {0};
    const struct store_policy *found = memory_policies_row(shared, name), *rows;
    const struct store_tenant *tenants = shared->tenants.rows;
    enum status status = found ? STATUS_OK : backend_no_policy(error);
    for (size_t i = 0; i < shared->tenants.count && status == STATUS_OK; i++)
        if (strcmp(tenants[i].policy, name) == 0)
            status = backend_policy_used(error);
    if (status == STATUS_OK)
        status = memory_rows_prepare(shared, record, record ? 1 : 0, &batch, error);
    if (status == STATUS_OK) {
        rows = shared->policies.rows;
        memory_rows_remove(&shared->policies, sizeof *rows, (size_t)(found - rows));
        memory_rows_publish(shared, &batch, record);
    }
    return unlock(shared, status);
}

/* The secret of that name, which begins as `fresh`; there is room for one more. */
static struct memory_secret *secret_row(struct memory_shared *shared, const char *name,
                                        const uint8_t *fresh) {
    struct memory_secret *rows = shared->secrets.rows;
    size_t i = 0;
    while (i < shared->secrets.count && strcmp(rows[i].name, name) != 0)
        i++;
    if (i == shared->secrets.count) {
        rows[shared->secrets.count++] = (struct memory_secret){.name = ""};
        memcpy(rows[i].name, name, strlen(name));
        memcpy(rows[i].value, fresh, sizeof rows[i].value);
    }
    return &rows[i];
}

enum status memory_policies_secret(struct store *store, const char *name, const uint8_t *fresh,
                                   uint8_t *kept, struct error *error) {
    struct memory_shared *shared = lock(store);
    enum status status =
        memory_rows_reserve(&shared->secrets, sizeof(struct memory_secret), 1, error);
    if (status == STATUS_OK)
        memcpy(kept, secret_row(shared, name, fresh)->value, STORE_SECRET_SIZE);
    return unlock(shared, status);
}

enum status memory_policies_secret_replace(struct store *store, const char *name,
                                           const uint8_t *fresh, struct audit_record *record,
                                           struct error *error) {
    struct memory_shared *shared = lock(store);
    struct memory_batch batch = {0};
    enum status status =
        memory_rows_reserve(&shared->secrets, sizeof(struct memory_secret), 1, error);
    if (status == STATUS_OK)
        status = memory_rows_prepare(shared, record, record ? 1 : 0, &batch, error);
    if (status == STATUS_OK) {
        memcpy(secret_row(shared, name, fresh)->value, fresh, STORE_SECRET_SIZE);
        memory_rows_publish(shared, &batch, record);
    }
    return unlock(shared, status);
}
