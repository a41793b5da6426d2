#include <stdlib.h>
#include <string.h>

#include "store/latest.h"
#include "store/memory/memory_tables.h"

static struct memory_model *find_id(struct memory_shared *shared, int64_t id) {
    struct memory_model *rows = shared->models.rows;
    for (size_t i = 0; i < shared->models.count; i++)
        if (rows[i].row.id == id)
            return &rows[i];
    return NULL;
}

static bool same_name(const struct store_model *row, int64_t tenant, const char *name) {
    return row->tenant == tenant && strcmp(row->name, name) == 0;
}

static struct memory_model *find_version(struct memory_shared *shared, int64_t tenant,
                                         const char *name, const char *version) {
    struct memory_model *rows = shared->models.rows;
    for (size_t i = 0; i < shared->models.count; i++)
        if (same_name(&rows[i].row, tenant, name) && strcmp(rows[i].row.version, version) == 0)
            return &rows[i];
    return NULL;
}

enum status memory_models_create(struct store *store, struct store_model *model,
                                 struct audit_record *record, struct error *error) {
    struct memory_shared *shared = ((struct memory *)store)->shared;
    struct memory_batch batch = {0};
    pthread_mutex_lock(&shared->mutex);
    enum status status = STATUS_OK;
    if (!memory_tenants_row(shared, model->tenant))
        status = backend_no_tenant(error);
    else if (find_version(shared, model->tenant, model->name, model->version))
        status = status_fail(error, STATUS_CONFLICT, "this version of the model exists");
    if (status == STATUS_OK)
        status = memory_rows_reserve(&shared->models, sizeof(struct memory_model), 1, error);
    if (status == STATUS_OK)
        status = memory_rows_prepare(shared, record, record ? 1 : 0, &batch, error);
    if (status == STATUS_OK) {
        model->id = ++shared->last_model;
        model->state = STORE_MODEL_UPLOADING;
        ((struct memory_model *)shared->models.rows)[shared->models.count++] =
            (struct memory_model){.row = *model};
        memory_rows_publish(shared, &batch, record);
    }
    pthread_mutex_unlock(&shared->mutex);
    return status;
}

enum status memory_models_complete(struct store *store, int64_t id, const void *header,
                                   size_t header_size, int64_t payload_size,
                                   struct audit_record *record, struct error *error) {
    struct memory_shared *shared = ((struct memory *)store)->shared;
    struct memory_batch batch = {0};
    uint8_t *copy = malloc(header_size);
    if (!copy)
        return status_fail(error, STATUS_UNAVAILABLE, "the store is out of memory");
    memcpy(copy, header, header_size);
    pthread_mutex_lock(&shared->mutex);
    struct memory_model *found = find_id(shared, id);
    enum status status = found ? STATUS_OK : backend_no_model(error);
    if (status == STATUS_OK && found->row.state != STORE_MODEL_UPLOADING)
        status = backend_wrong_state("uploading", found->row.state, error);
    if (status == STATUS_OK)
        status = memory_rows_prepare(shared, record, record ? 1 : 0, &batch, error);
    if (status == STATUS_OK) {
        found->row.state = STORE_MODEL_PENDING;
        found->row.header_size = header_size;
        found->row.payload_size = payload_size;
        found->header = copy;
        copy = NULL;
        memory_rows_publish(shared, &batch, record);
    }
    pthread_mutex_unlock(&shared->mutex);
    free(copy);
    return status;
}

enum status memory_models_ready(struct store *store, int64_t id, const uint8_t *commitment,
                                struct audit_record *record, struct error *error) {
    struct memory_shared *shared = ((struct memory *)store)->shared;
    struct memory_batch batch = {0};
    pthread_mutex_lock(&shared->mutex);
    struct memory_model *found = find_id(shared, id);
    enum status status = found ? STATUS_OK : backend_no_model(error);
    if (status == STATUS_OK && found->row.state != STORE_MODEL_PENDING)
        status = backend_wrong_state("pending", found->row.state, error);
    if (status == STATUS_OK)
        status = memory_rows_prepare(shared, record, record ? 1 : 0, &batch, error);
    if (status == STATUS_OK) {
        found->row.state = STORE_MODEL_READY;
        found->row.has_commitment = true;
        memcpy(found->row.commitment, commitment, sizeof found->row.commitment);
        memory_rows_publish(shared, &batch, record);
    }
    pthread_mutex_unlock(&shared->mutex);
    return status;
}

enum status memory_models_delete(struct store *store, int64_t id, struct audit_record *record,
                                 struct error *error) {
    struct memory_shared *shared = ((struct memory *)store)->shared;
    struct memory_batch batch = {0};
    pthread_mutex_lock(&shared->mutex);
    struct memory_model *found = find_id(shared, id);
    enum status status = found ? STATUS_OK : backend_no_model(error);
    if (status == STATUS_OK)
        status = memory_rows_prepare(shared, record, record ? 1 : 0, &batch, error);
    if (status == STATUS_OK) {
        struct memory_model *rows = shared->models.rows;
        free(found->header);
        memory_rows_remove(&shared->models, sizeof *rows, (size_t)(found - rows));
        memory_rows_publish(shared, &batch, record);
    }
    pthread_mutex_unlock(&shared->mutex);
    return status;
}

enum status memory_models_set_unloaded(struct store *store, int64_t tenant, const char *name,
                                       bool unloaded, struct audit_record *record,
                                       struct error *error) {
    struct memory_shared *shared = ((struct memory *)store)->shared;
    struct memory_batch batch = {0};
    pthread_mutex_lock(&shared->mutex);
    struct memory_model *rows = shared->models.rows;
    bool found = false;
    for (size_t i = 0; i < shared->models.count && !found; i++)
        found = same_name(&rows[i].row, tenant, name);
    enum status status = found ? STATUS_OK : backend_no_model(error);
    if (status == STATUS_OK)
        status = memory_rows_prepare(shared, record, record ? 1 : 0, &batch, error);
    if (status == STATUS_OK) {
        for (size_t i = 0; i < shared->models.count; i++)
            if (same_name(&rows[i].row, tenant, name))
                rows[i].row.unloaded = unloaded;
        memory_rows_publish(shared, &batch, record);
    }
    pthread_mutex_unlock(&shared->mutex);
    return status;
}

enum status memory_models_get(struct store *store, int64_t id, struct store_model *model,
                              struct error *error) {
    struct memory_shared *shared = ((struct memory *)store)->shared;
    pthread_mutex_lock(&shared->mutex);
    const struct memory_model *found = find_id(shared, id);
    if (found)
        *model = found->row;
    pthread_mutex_unlock(&shared->mutex);
    return found ? STATUS_OK : backend_no_model(error);
}

enum status memory_models_find(struct store *store, int64_t tenant, const char *name,
                               const char *version, struct store_model *model,
                               struct error *error) {
    struct memory_shared *shared = ((struct memory *)store)->shared;
    struct latest latest = latest_of_none();
    pthread_mutex_lock(&shared->mutex);
    const struct memory_model *rows = shared->models.rows;
    for (size_t i = 0; i < shared->models.count; i++)
        if (same_name(&rows[i].row, tenant, name) &&
            (!version || strcmp(rows[i].row.version, version) == 0))
            latest_consider(&latest, &rows[i].row);
    const struct store_model *found = latest_model(&latest);
    if (found)
        *model = *found;
    pthread_mutex_unlock(&shared->mutex);
    return found ? STATUS_OK : backend_no_model(error);
}

enum status memory_models_header(struct store *store, int64_t id, void *out, size_t capacity,
                                 size_t *size, struct error *error) {
    struct memory_shared *shared = ((struct memory *)store)->shared;
    pthread_mutex_lock(&shared->mutex);
    const struct memory_model *found = find_id(shared, id);
    enum status status = found ? STATUS_OK : backend_no_model(error);
    if (status == STATUS_OK && found->row.header_size > capacity)
        status = status_fail(error, STATUS_TOO_LARGE, "the header is %zu bytes, room for %zu",
                             found->row.header_size, capacity);
    if (status == STATUS_OK) {
        if (found->row.header_size)
            memcpy(out, found->header, found->row.header_size);
        *size = found->row.header_size;
    }
    pthread_mutex_unlock(&shared->mutex);
    return status;
}

enum status memory_models_list(struct store *store, int64_t tenant, store_model_row *row,
                               void *context, struct error *error) {
    struct memory_shared *shared = ((struct memory *)store)->shared;
    pthread_mutex_lock(&shared->mutex);
    const struct memory_model *rows = shared->models.rows;
    enum status status = STATUS_OK;
    for (size_t i = 0; i < shared->models.count && status == STATUS_OK; i++)
        if (tenant == 0 || rows[i].row.tenant == tenant)
            status = row(context, &rows[i].row, error);
    pthread_mutex_unlock(&shared->mutex);
    return status;
}
