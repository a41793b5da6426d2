#include "store/sqlite/db.h"
#include "store/sqlite/db_tables.h"

static enum status add_usage(struct db *db, const struct store_usage *usage, struct error *error) {
    sqlite3_stmt *add = db_statement(db, DB_USAGE_ADD, error);
    if (!add)
        return STATUS_UNAVAILABLE;
    const int64_t counts[] = {usage->requests, usage->errors, usage->compute_us, usage->bytes_in,
                              usage->bytes_out};
    enum status status = db_bind_integer(add, 1, usage->tenant, error);
    if (status == STATUS_OK)
        status = db_bind_integer(add, 2, usage->day, error);
    if (status == STATUS_OK)
        status = db_bind_text(add, 3, usage->key, error);
    if (status == STATUS_OK)
        status = db_bind_text(add, 4, usage->model, error);
    for (int i = 0; i < 5 && status == STATUS_OK; i++)
        status = db_bind_integer(add, 5 + i, counts[i], error);
    if (status == STATUS_OK)
        status = db_run(db, add, NULL, NULL, error);
    return status;
}

enum status db_audit_append(struct store *store, struct audit_record *records, size_t count,
                            const struct store_usage *usage, size_t usage_count,
                            struct error *error) {
    struct db *db = (struct db *)store;
    enum status status = db_begin(db, error);
    if (status != STATUS_OK)
        return status;
    for (size_t i = 0; i < count && status == STATUS_OK; i++)
        status = db_append(db, &records[i], error);
    for (size_t i = 0; i < usage_count && status == STATUS_OK; i++)
        status = add_usage(db, &usage[i], error);
    return db_end(db, status, records, count, error);
}

struct usage_visit {
    int64_t tenant;
    store_usage_row *row;
    void *context;
};

static enum status visit_usage(void *context, sqlite3_stmt *row, struct error *error) {
    const struct usage_visit *visit = context;
    char key[AUDIT_RECORD_KEY_MAX + 1], model[STORE_MODEL_NAME_MAX + 1];
    struct store_usage found = {
        .tenant = visit->tenant,
        .key = key,
        .model = model,
        .day = sqlite3_column_int(row, 0),
        .requests = sqlite3_column_int64(row, 3),
        .errors = sqlite3_column_int64(row, 4),
        .compute_us = sqlite3_column_int64(row, 5),
        .bytes_in = sqlite3_column_int64(row, 6),
        .bytes_out = sqlite3_column_int64(row, 7),
    };
    enum status status = db_column_text(row, 1, key, sizeof key, error);
    if (status == STATUS_OK)
        status = db_column_text(row, 2, model, sizeof model, error);
    return status == STATUS_OK ? visit->row(visit->context, &found, error) : status;
}

enum status db_audit_usage_list(struct store *store, int64_t tenant, int32_t first, int32_t last,
                                store_usage_row *row, void *context, struct error *error) {
    sqlite3_stmt *list = db_statement((struct db *)store, DB_USAGE_LIST, error);
    enum status status = list ? db_bind_integer(list, 1, tenant, error) : STATUS_UNAVAILABLE;
    if (status == STATUS_OK)
        status = db_bind_integer(list, 2, first, error);
    if (status == STATUS_OK)
        status = db_bind_integer(list, 3, last, error);
    struct usage_visit visit = {.tenant = tenant, .row = row, .context = context};
    return status == STATUS_OK ? db_each(list, visit_usage, &visit, error) : status;
}

/* Seq and counts of a caller may exceed what a column holds; nothing is stored up there. */
static int64_t clamp(uint64_t value) {
    return value > (uint64_t)AUDIT_RECORD_INTEGER_MAX ? AUDIT_RECORD_INTEGER_MAX : (int64_t)value;
}

struct record_visit {
    store_audit_visit *row;
    void *context;
};

static enum status visit_record(void *context, sqlite3_stmt *row, struct error *error) {
    const struct record_visit *visit = context;
    struct store_audit_row found = {
        .seq = (uint64_t)sqlite3_column_int64(row, 0),
        .time = sqlite3_column_int64(row, 1),
        .leaf = sqlite3_column_blob(row, 2),
        .record = sqlite3_column_blob(row, 3),
        .size = (size_t)sqlite3_column_bytes(row, 3),
    };
    if (!found.leaf || sqlite3_column_bytes(row, 2) != AUDIT_RECORD_LEAF_SIZE || !found.record)
        return db_fail(SQLITE_CORRUPT, error);
    return visit->row(visit->context, &found, error);
}

enum status db_audit_list(struct store *store, const char *tenant_uid, uint64_t before, size_t max,
                          store_audit_visit *row, void *context, struct error *error) {
    struct db *db = (struct db *)store;
    sqlite3_stmt *list = db_statement(db, tenant_uid ? DB_AUDIT_LIST : DB_AUDIT_LIST_ALL, error);
    enum status status = list ? STATUS_OK : STATUS_UNAVAILABLE;
    if (status == STATUS_OK && tenant_uid)
        status = db_bind_text(list, 1, tenant_uid, error);
    if (status == STATUS_OK)
        status = db_bind_integer(list, 2, clamp(before), error);
    if (status == STATUS_OK)
        status = db_bind_integer(list, 3, clamp(max), error);
    struct record_visit visit = {.row = row, .context = context};
    return status == STATUS_OK ? db_each(list, visit_record, &visit, error) : status;
}

static enum status read_count(sqlite3_stmt *get, uint64_t *value, struct error *error) {
    int rc = sqlite3_step(get);
    uint64_t found = rc == SQLITE_ROW ? (uint64_t)sqlite3_column_int64(get, 0) : 0;
    sqlite3_reset(get);
    if (rc != SQLITE_ROW)
        return db_fail(rc, error);
    *value = found;
    return STATUS_OK;
}

enum status db_audit_count(struct store *store, const char *tenant_uid, uint64_t *count,
                           struct error *error) {
    struct db *db = (struct db *)store;
    sqlite3_stmt *get = db_statement(db, tenant_uid ? DB_AUDIT_COUNT : DB_AUDIT_COUNT_ALL, error);
    enum status status = get ? STATUS_OK : STATUS_UNAVAILABLE;
    if (status == STATUS_OK && tenant_uid)
        status = db_bind_text(get, 1, tenant_uid, error);
    return status == STATUS_OK ? read_count(get, count, error) : status;
}

enum status db_audit_size(struct store *store, uint64_t *size, struct error *error) {
    sqlite3_stmt *get = db_statement((struct db *)store, DB_AUDIT_SIZE, error);
    return get ? read_count(get, size, error) : STATUS_UNAVAILABLE;
}

struct leaf_visit {
    store_leaf_row *row;
    void *context;
};

static enum status visit_leaf(void *context, sqlite3_stmt *row, struct error *error) {
    const struct leaf_visit *visit = context;
    const uint8_t *leaf = sqlite3_column_blob(row, 1);
    if (!leaf || sqlite3_column_bytes(row, 1) != AUDIT_RECORD_LEAF_SIZE)
        return db_fail(SQLITE_CORRUPT, error);
    return visit->row(visit->context, (uint64_t)sqlite3_column_int64(row, 0), leaf, error);
}

enum status db_audit_leaves(struct store *store, uint64_t first, store_leaf_row *row, void *context,
                            struct error *error) {
    sqlite3_stmt *list = db_statement((struct db *)store, DB_AUDIT_LEAVES, error);
    enum status status = list ? db_bind_integer(list, 1, clamp(first), error) : STATUS_UNAVAILABLE;
    struct leaf_visit visit = {.row = row, .context = context};
    return status == STATUS_OK ? db_each(list, visit_leaf, &visit, error) : status;
}
