#include <stdlib.h>
#include <string.h>

#include "store/memory/memory_tables.h"

static struct memory_shared *lock(struct store *store) {
    struct memory_shared *shared = ((struct memory *)store)->shared;
    pthread_mutex_lock(&shared->mutex);
    return shared;
}

static enum status unlock(struct memory_shared *shared, enum status status) {
    pthread_mutex_unlock(&shared->mutex);
    return status;
}

struct store_tenant *memory_tenants_row(struct memory_shared *shared, int64_t id) {
    struct store_tenant *rows = shared->tenants.rows;
    for (size_t i = 0; i < shared->tenants.count; i++)
        if (rows[i].id == id)
            return &rows[i];
    return NULL;
}

static struct store_tenant *find_name(struct memory_shared *shared, const char *name) {
    struct store_tenant *rows = shared->tenants.rows;
    for (size_t i = 0; i < shared->tenants.count; i++)
        if (strcmp(rows[i].name, name) == 0)
            return &rows[i];
    return NULL;
}

static bool uid_known(const struct memory_shared *shared, const char *uid) {
    const struct memory_uid *uids = shared->uids.rows;
    for (size_t i = 0; i < shared->uids.count; i++)
        if (strcmp(uids[i].text, uid) == 0)
            return true;
    return false;
}

enum status memory_tenants_create(struct store *store, struct store_tenant *tenant,
                                  struct audit_record *record, struct error *error) {
    struct memory_shared *shared = lock(store);
    struct memory_batch batch = {0};
    enum status status = STATUS_OK;
    if (uid_known(shared, tenant->uid))
        status = status_fail(error, STATUS_CONFLICT, "a tenant with this uid exists or existed");
    else if (find_name(shared, tenant->name))
        status = status_fail(error, STATUS_CONFLICT, "a tenant of this name exists");
    else if (!memory_policies_row(shared, tenant->policy))
        status = backend_no_policy(error);
    if (status == STATUS_OK)
        status = memory_rows_reserve(&shared->uids, sizeof(struct memory_uid), 1, error);
    if (status == STATUS_OK)
        status = memory_rows_reserve(&shared->tenants, sizeof *tenant, 1, error);
    if (status == STATUS_OK)
        status = memory_rows_prepare(shared, record, record ? 1 : 0, &batch, error);
    if (status == STATUS_OK) {
        tenant->id = ++shared->last_tenant;
        ((struct store_tenant *)shared->tenants.rows)[shared->tenants.count++] = *tenant;
        struct memory_uid *uid = (struct memory_uid *)shared->uids.rows + shared->uids.count++;
        memcpy(uid->text, tenant->uid, sizeof uid->text);
        memory_rows_publish(shared, &batch, record);
    }
    return unlock(shared, status);
}

enum status memory_tenants_get(struct store *store, int64_t id, struct store_tenant *tenant,
                               struct error *error) {
    struct memory_shared *shared = lock(store);
    const struct store_tenant *found = memory_tenants_row(shared, id);
    if (found)
        *tenant = *found;
    return unlock(shared, found ? STATUS_OK : backend_no_tenant(error));
}

enum status memory_tenants_find(struct store *store, const char *name, struct store_tenant *tenant,
                                struct error *error) {
    struct memory_shared *shared = lock(store);
    const struct store_tenant *found = find_name(shared, name);
    if (found)
        *tenant = *found;
    return unlock(shared, found ? STATUS_OK : backend_no_tenant(error));
}

enum status memory_tenants_list(struct store *store, store_tenant_row *row, void *context,
                                struct error *error) {
    struct memory_shared *shared = lock(store);
    const struct store_tenant *rows = shared->tenants.rows;
    enum status status = STATUS_OK;
    for (size_t i = 0; i < shared->tenants.count && status == STATUS_OK; i++)
        status = row(context, &rows[i], error);
    return unlock(shared, status);
}

enum status memory_tenants_set_state(struct store *store, int64_t id, enum store_tenant_state state,
                                     struct audit_record *record, struct error *error) {
    struct memory_shared *shared = lock(store);
    struct memory_batch batch = {0};
    struct store_tenant *found = memory_tenants_row(shared, id);
    enum status status = found ? STATUS_OK : backend_no_tenant(error);
    if (status == STATUS_OK)
        status = memory_rows_prepare(shared, record, record ? 1 : 0, &batch, error);
    if (status == STATUS_OK) {
        found->state = state;
        memory_rows_publish(shared, &batch, record);
    }
    return unlock(shared, status);
}

static void remove_rows_of(struct memory_shared *shared, int64_t id) {
    struct store_key *keys = shared->keys.rows;
    for (size_t i = shared->keys.count; i-- > 0;)
        if (keys[i].tenant == id)
            memory_rows_remove(&shared->keys, sizeof *keys, i);
    struct memory_model *models = shared->models.rows;
    for (size_t i = shared->models.count; i-- > 0;)
        if (models[i].row.tenant == id) {
            free(models[i].header);
            memory_rows_remove(&shared->models, sizeof *models, i);
        }
    struct memory_usage *usage = shared->usage.rows;
    for (size_t i = shared->usage.count; i-- > 0;)
        if (usage[i].row.tenant == id)
            memory_rows_remove(&shared->usage, sizeof *usage, i);
}

enum status memory_tenants_delete(struct store *store, int64_t id, struct audit_record *record,
                                  struct error *error) {
    struct memory_shared *shared = lock(store);
    struct memory_batch batch = {0};
    struct store_tenant *found = memory_tenants_row(shared, id);
    enum status status = found ? STATUS_OK : backend_no_tenant(error);
    if (status == STATUS_OK)
        status = memory_rows_prepare(shared, record, record ? 1 : 0, &batch, error);
    if (status == STATUS_OK) {
        remove_rows_of(shared, id);
        struct store_tenant *rows = shared->tenants.rows;
        memory_rows_remove(&shared->tenants, sizeof *rows, (size_t)(found - rows));
        memset(&rows[shared->tenants.count], 0, sizeof *rows);
        memory_rows_publish(shared, &batch, record);
    }
    return unlock(shared, status);
}
