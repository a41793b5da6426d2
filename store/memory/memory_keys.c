#include <string.h>

#include "store/memory/memory_tables.h"

static struct store_key *find_id(struct memory_shared *shared, const char *id) {
    struct store_key *rows = shared->keys.rows;
    for (size_t i = 0; i < shared->keys.count; i++)
        if (strcmp(rows[i].id, id) == 0)
            return &rows[i];
    return NULL;
}

enum status memory_keys_create(struct store *store, const struct store_key *key,
                               struct audit_record *record, struct error *error) {
    struct memory_shared *shared = ((struct memory *)store)->shared;
    struct memory_batch batch = {0};
    pthread_mutex_lock(&shared->mutex);
    enum status status = STATUS_OK;
    if (key->tenant && !memory_tenants_row(shared, key->tenant))
        status = backend_no_tenant(error);
    else if (find_id(shared, key->id))
        status = status_fail(error, STATUS_CONFLICT, "a key with this id exists");
    if (status == STATUS_OK)
        status = memory_rows_reserve(&shared->keys, sizeof *key, 1, error);
    if (status == STATUS_OK)
        status = memory_rows_prepare(shared, record, record ? 1 : 0, &batch, error);
    if (status == STATUS_OK) {
        ((struct store_key *)shared->keys.rows)[shared->keys.count++] = *key;
        memory_rows_publish(shared, &batch, record);
    }
    pthread_mutex_unlock(&shared->mutex);
    return status;
}

enum status memory_keys_find(struct store *store, const char *id, struct store_key *key,
                             struct error *error) {
    struct memory_shared *shared = ((struct memory *)store)->shared;
    pthread_mutex_lock(&shared->mutex);
    const struct store_key *found = find_id(shared, id);
    if (found)
        *key = *found;
    pthread_mutex_unlock(&shared->mutex);
    return found ? STATUS_OK : backend_no_key(error);
}

enum status memory_keys_list(struct store *store, int64_t tenant, store_key_row *row, void *context,
                             struct error *error) {
    struct memory_shared *shared = ((struct memory *)store)->shared;
    pthread_mutex_lock(&shared->mutex);
    const struct store_key *rows = shared->keys.rows;
    enum status status = STATUS_OK;
    for (size_t i = 0; i < shared->keys.count && status == STATUS_OK; i++)
        if (tenant == STORE_OPERATORS ? !rows[i].tenant
            : tenant                  ? rows[i].tenant == tenant
                                      : rows[i].tenant != 0)
            status = row(context, &rows[i], error);
    pthread_mutex_unlock(&shared->mutex);
    return status;
}

enum status memory_keys_revoke(struct store *store, const char *id, int64_t now,
                               struct audit_record *record, struct error *error) {
    struct memory_shared *shared = ((struct memory *)store)->shared;
    struct memory_batch batch = {0};
    pthread_mutex_lock(&shared->mutex);
    struct store_key *found = find_id(shared, id);
    enum status status = found ? STATUS_OK : backend_no_key(error);
    if (status == STATUS_OK)
        status = memory_rows_prepare(shared, record, record ? 1 : 0, &batch, error);
    if (status == STATUS_OK) {
        if (!found->revoked)
            found->revoked = now;
        memory_rows_publish(shared, &batch, record);
    }
    pthread_mutex_unlock(&shared->mutex);
    return status;
}
