#include "store/memory/memory.h"

#include <stdlib.h>

#include "store/memory/memory_tables.h"

static void close_handle(struct store *store);
static enum status open_reader(struct store *writer, struct store **reader, struct error *error);
static enum status read_version(struct store *store, int *version, struct error *error);
static enum status read_meta(struct store *store, struct store_meta *meta, struct error *error);

static const struct store_backend backend = {
    .close = close_handle,
    .open_reader = open_reader,
    .version = read_version,
    .meta = read_meta,
    .tenant_create = memory_tenants_create,
    .tenant_get = memory_tenants_get,
    .tenant_find = memory_tenants_find,
    .tenant_list = memory_tenants_list,
    .tenant_set_state = memory_tenants_set_state,
    .tenant_delete = memory_tenants_delete,
    .tenant_set_policy = memory_policies_give,
    .policy_set = memory_policies_set,
    .policy_find = memory_policies_find,
    .policy_list = memory_policies_list,
    .policy_delete = memory_policies_delete,
    .secret = memory_policies_secret,
    .secret_replace = memory_policies_secret_replace,
    .key_create = memory_keys_create,
    .key_find = memory_keys_find,
    .key_list = memory_keys_list,
    .key_revoke = memory_keys_revoke,
    .model_create = memory_models_create,
    .model_complete = memory_models_complete,
    .model_ready = memory_models_ready,
    .model_delete = memory_models_delete,
    .model_get = memory_models_get,
    .model_find = memory_models_find,
    .model_header = memory_models_header,
    .model_list = memory_models_list,
    .model_set_unloaded = memory_models_set_unloaded,
    .usage_list = memory_audit_usage_list,
    .audit_append = memory_audit_append,
    .audit_list = memory_audit_list,
    .audit_count = memory_audit_count,
    .audit_size = memory_audit_size,
    .audit_leaves = memory_audit_leaves,
};

static enum status new_handle(struct memory_shared *shared, bool reader, struct store **store,
                              struct error *error) {
    struct memory *memory = calloc(1, sizeof *memory);
    if (!memory)
        return status_fail(error, STATUS_UNAVAILABLE, "the store is out of memory");
    enum status status = backend_init(&memory->store, &backend, reader, error);
    if (status != STATUS_OK) {
        free(memory);
        return status;
    }
    pthread_mutex_lock(&shared->mutex);
    shared->handles++;
    pthread_mutex_unlock(&shared->mutex);
    memory->shared = shared;
    *store = &memory->store;
    return STATUS_OK;
}

static void free_shared(struct memory_shared *shared) {
    struct memory_model *models = shared->models.rows;
    for (size_t i = 0; i < shared->models.count; i++)
        free(models[i].header);
    struct memory_record *records = shared->audit.rows;
    for (size_t i = 0; i < shared->audit.count; i++)
        free(records[i].bytes);
    free(shared->uids.rows);
    free(shared->tenants.rows);
    free(shared->keys.rows);
    free(shared->policies.rows);
    free(shared->secrets.rows);
    free(shared->models.rows);
    free(shared->usage.rows);
    free(shared->audit.rows);
    pthread_mutex_destroy(&shared->mutex);
    free(shared);
}

enum status memory_open(const struct store_meta *meta, struct store **store, struct error *error) {
    struct memory_shared *shared = calloc(1, sizeof *shared);
    if (!shared || pthread_mutex_init(&shared->mutex, NULL) != 0) {
        free(shared);
        return status_fail(error, STATUS_UNAVAILABLE, "the store is out of memory");
    }
    shared->meta = *meta;
    enum status status = memory_policies_ship(shared, error);
    if (status == STATUS_OK)
        status = new_handle(shared, false, store, error);
    if (status != STATUS_OK)
        free_shared(shared);
    return status;
}

static enum status open_reader(struct store *writer, struct store **reader, struct error *error) {
    return new_handle(((struct memory *)writer)->shared, true, reader, error);
}

static void close_handle(struct store *store) {
    struct memory *memory = (struct memory *)store;
    pthread_mutex_lock(&memory->shared->mutex);
    unsigned left = --memory->shared->handles;
    pthread_mutex_unlock(&memory->shared->mutex);
    if (left == 0)
        free_shared(memory->shared);
    backend_destroy(store);
    free(memory);
}

static enum status read_version(struct store *store, int *version, struct error *error) {
    (void)store;
    (void)error;
    *version = store_version_known();
    return STATUS_OK;
}

static enum status read_meta(struct store *store, struct store_meta *meta, struct error *error) {
    (void)error;
    *meta = ((struct memory *)store)->shared->meta;
    return STATUS_OK;
}
