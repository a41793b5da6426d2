#include <string.h>

#include "store/memory/memory_tables.h"

/* By day, key, model: the order in which usage is listed and so kept. */
static int compare(const struct memory_usage *row, const struct store_usage *usage) {
    if (row->row.tenant != usage->tenant)
        return row->row.tenant < usage->tenant ? -1 : 1;
    if (row->row.day != usage->day)
        return row->row.day < usage->day ? -1 : 1;
    int order = strcmp(row->key, usage->key);
    return order ? order : strcmp(row->model, usage->model);
}

/* There is room for one row more. */
static void add_usage(struct memory_shared *shared, const struct store_usage *usage) {
    if (!memory_tenants_row(shared, usage->tenant))
        return;
    struct memory_usage *rows = shared->usage.rows;
    size_t i = 0;
    while (i < shared->usage.count && compare(&rows[i], usage) < 0)
        i++;
    if (i == shared->usage.count || compare(&rows[i], usage) != 0) {
        memmove(&rows[i + 1], &rows[i], (shared->usage.count - i) * sizeof *rows);
        rows[i] = (struct memory_usage){.row = {.tenant = usage->tenant, .day = usage->day}};
        memcpy(rows[i].key, usage->key, strlen(usage->key));
        memcpy(rows[i].model, usage->model, strlen(usage->model));
        shared->usage.count++;
    }
    rows[i].row.requests += usage->requests;
    rows[i].row.errors += usage->errors;
    rows[i].row.compute_us += usage->compute_us;
    rows[i].row.bytes_in += usage->bytes_in;
    rows[i].row.bytes_out += usage->bytes_out;
}

enum status memory_audit_append(struct store *store, struct audit_record *records, size_t count,
                                const struct store_usage *usage, size_t usage_count,
                                struct error *error) {
    struct memory_shared *shared = ((struct memory *)store)->shared;
    struct memory_batch batch = {0};
    pthread_mutex_lock(&shared->mutex);
    enum status status =
        memory_rows_reserve(&shared->usage, sizeof(struct memory_usage), usage_count, error);
    if (status == STATUS_OK)
        status = memory_rows_prepare(shared, records, count, &batch, error);
    if (status == STATUS_OK) {
        for (size_t i = 0; i < usage_count; i++)
            add_usage(shared, &usage[i]);
        memory_rows_publish(shared, &batch, records);
    }
    pthread_mutex_unlock(&shared->mutex);
    return status;
}

enum status memory_audit_usage_list(struct store *store, int64_t tenant, int32_t first,
                                    int32_t last, store_usage_row *row, void *context,
                                    struct error *error) {
    struct memory_shared *shared = ((struct memory *)store)->shared;
    pthread_mutex_lock(&shared->mutex);
    const struct memory_usage *rows = shared->usage.rows;
    enum status status = STATUS_OK;
    for (size_t i = 0; i < shared->usage.count && status == STATUS_OK; i++) {
        struct store_usage found = rows[i].row;
        if (found.tenant != tenant || found.day < first || found.day > last)
            continue;
        found.key = rows[i].key;
        found.model = rows[i].model;
        status = row(context, &found, error);
    }
    pthread_mutex_unlock(&shared->mutex);
    return status;
}

enum status memory_audit_list(struct store *store, const char *tenant_uid, uint64_t before,
                              size_t max, store_audit_visit *row, void *context,
                              struct error *error) {
    struct memory_shared *shared = ((struct memory *)store)->shared;
    pthread_mutex_lock(&shared->mutex);
    const struct memory_record *rows = shared->audit.rows;
    size_t i = before < shared->audit.count ? (size_t)before : shared->audit.count;
    enum status status = STATUS_OK;
    while (i-- > 0 && max > 0 && status == STATUS_OK) {
        if (tenant_uid && strcmp(rows[i].tenant, tenant_uid) != 0)
            continue;
        const struct store_audit_row found = {
            .seq = i,
            .time = rows[i].time,
            .record = rows[i].bytes,
            .size = rows[i].size,
            .leaf = rows[i].leaf,
        };
        status = row(context, &found, error);
        max--;
    }
    pthread_mutex_unlock(&shared->mutex);
    return status;
}

enum status memory_audit_count(struct store *store, const char *tenant_uid, uint64_t *count,
                               struct error *error) {
    (void)error;
    struct memory_shared *shared = ((struct memory *)store)->shared;
    pthread_mutex_lock(&shared->mutex);
    const struct memory_record *rows = shared->audit.rows;
    uint64_t found = 0;
    for (size_t i = 0; i < shared->audit.count; i++)
        if (!tenant_uid || strcmp(rows[i].tenant, tenant_uid) == 0)
            found++;
    pthread_mutex_unlock(&shared->mutex);
    *count = found;
    return STATUS_OK;
}

enum status memory_audit_size(struct store *store, uint64_t *size, struct error *error) {
    (void)error;
    struct memory_shared *shared = ((struct memory *)store)->shared;
    pthread_mutex_lock(&shared->mutex);
    *size = shared->audit.count;
    pthread_mutex_unlock(&shared->mutex);
    return STATUS_OK;
}

enum status memory_audit_leaves(struct store *store, uint64_t first, store_leaf_row *row,
                                void *context, struct error *error) {
    struct memory_shared *shared = ((struct memory *)store)->shared;
    pthread_mutex_lock(&shared->mutex);
    const struct memory_record *rows = shared->audit.rows;
    enum status status = STATUS_OK;
    for (uint64_t i = first; i < shared->audit.count && status == STATUS_OK; i++)
        status = row(context, i, rows[i].leaf, error);
    pthread_mutex_unlock(&shared->mutex);
    return status;
}
