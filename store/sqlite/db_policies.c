#include <string.h>

#include "store/sqlite/db.h"
#include "store/sqlite/db_tables.h"

/* Columns in the order of POLICY in db_statements.c. */
static enum status read_row(void *context, sqlite3_stmt *row, struct error *error) {
    struct store_policy *out = context;
    enum status status = db_column_text(row, 0, out->name, sizeof out->name, error);
    if (status == STATUS_OK)
        status = db_column_text(row, 1, out->text, sizeof out->text, error);
    out->changed = sqlite3_column_int64(row, 2);
    return status;
}

static enum status find(struct db *db, const char *name, struct store_policy *policy,
                        struct error *error) {
    sqlite3_stmt *get = db_statement(db, DB_POLICY_FIND, error);
    enum status status = get ? db_bind_text(get, 1, name, error) : STATUS_UNAVAILABLE;
    return status == STATUS_OK ? db_one(get, read_row, policy, backend_no_policy, error) : status;
}

enum status db_policies_find(struct store *store, const char *name, struct store_policy *policy,
                             struct error *error) {
    struct store_policy found;
    enum status status = find((struct db *)store, name, &found, error);
    if (status == STATUS_OK)
        *policy = found;
    return status;
}

enum status db_policies_give(struct store *store, int64_t id, const char *policy,
                             struct audit_record *record, struct error *error) {
    struct db *db = (struct db *)store;
    struct store_policy found;
    enum status status = db_begin(db, error);
    if (status != STATUS_OK)
        return status;
    status = find(db, policy, &found, error);
    sqlite3_stmt *update = status == STATUS_OK ? db_statement(db, DB_TENANT_POLICY, error) : NULL;
    if (status == STATUS_OK)
        status = update ? db_bind_integer(update, 1, id, error) : STATUS_UNAVAILABLE;
    if (status == STATUS_OK)
        status = db_bind_text(update, 2, policy, error);
    if (status == STATUS_OK)
        status = db_run(db, update, NULL, backend_no_tenant, error);
    return db_finish(db, status, record, error);
}

enum status db_policies_set(struct store *store, const struct store_policy *policy,
                            struct audit_record *records, size_t count, struct error *error) {
    struct db *db = (struct db *)store;
    enum status status = db_begin(db, error);
    if (status != STATUS_OK)
        return status;
    sqlite3_stmt *set = db_statement(db, DB_POLICY_SET, error);
    status = set ? db_bind_text(set, 1, policy->name, error) : STATUS_UNAVAILABLE;
    if (status == STATUS_OK)
        status = db_bind_text(set, 2, policy->text, error);
    if (status == STATUS_OK)
        status = db_bind_integer(set, 3, policy->changed, error);
    if (status == STATUS_OK)
        status = db_run(db, set, NULL, NULL, error);
    for (size_t i = 0; i < count && status == STATUS_OK; i++)
        status = db_append(db, &records[i], error);
    return db_end(db, status, records, count, error);
}

struct visit {
    store_policy_row *row;
    void *context;
};

static enum status visit_row(void *context, sqlite3_stmt *row, struct error *error) {
    const struct visit *visit = context;
    struct store_policy found;
    enum status status = read_row(&found, row, error);
    return status == STATUS_OK ? visit->row(visit->context, &found, error) : status;
}

enum status db_policies_list(struct store *store, store_policy_row *row, void *context,
                             struct error *error) {
    sqlite3_stmt *list = db_statement((struct db *)store, DB_POLICY_LIST, error);
    struct visit visit = {.row = row, .context = context};
    return list ? db_each(list, visit_row, &visit, error) : STATUS_UNAVAILABLE;
}

static enum status read_unused(void *context, sqlite3_stmt *row, struct error *error) {
    (void)context;
    return sqlite3_column_int64(row, 0) == 0 ? STATUS_OK : backend_policy_used(error);
}

enum status db_policies_delete(struct store *store, const char *name, struct audit_record *record,
                               struct error *error) {
    struct db *db = (struct db *)store;
    enum status status = db_begin(db, error);
    if (status != STATUS_OK)
        return status;
    sqlite3_stmt *used = db_statement(db, DB_POLICY_USED, error);
    status = used ? db_bind_text(used, 1, name, error) : STATUS_UNAVAILABLE;
    if (status == STATUS_OK)
        status = db_one(used, read_unused, NULL, backend_no_policy, error);
    sqlite3_stmt *delete = status == STATUS_OK ? db_statement(db, DB_POLICY_DELETE, error) : NULL;
    if (status == STATUS_OK)
        status = delete ? db_bind_text(delete, 1, name, error) : STATUS_UNAVAILABLE;
    if (status == STATUS_OK)
        status = db_run(db, delete, NULL, backend_no_policy, error);
    return db_finish(db, status, record, error);
}

struct secret {
    uint8_t value[STORE_SECRET_SIZE];
    size_t size;
};

static enum status read_secret(void *context, sqlite3_stmt *row, struct error *error) {
    struct secret *out = context;
    return db_column_blob(row, 0, out->value, sizeof out->value, &out->size, error);
}

enum status db_policies_secret(struct store *store, const char *name, const uint8_t *fresh,
                               uint8_t *kept, struct error *error) {
    struct db *db = (struct db *)store;
    struct secret found = {.size = 0};
    enum status status = db_begin(db, error);
    if (status != STATUS_OK)
        return status;
    sqlite3_stmt *insert = db_statement(db, DB_SECRET_INSERT, error);
    status = insert ? db_bind_text(insert, 1, name, error) : STATUS_UNAVAILABLE;
    if (status == STATUS_OK)
        status = db_bind_blob(insert, 2, fresh, STORE_SECRET_SIZE, error);
    if (status == STATUS_OK)
        status = db_run(db, insert, NULL, NULL, error);
    sqlite3_stmt *get = status == STATUS_OK ? db_statement(db, DB_SECRET_FIND, error) : NULL;
    if (status == STATUS_OK)
        status = get ? db_bind_text(get, 1, name, error) : STATUS_UNAVAILABLE;
    if (status == STATUS_OK)
        status = db_one(get, read_secret, &found, backend_no_key, error);
    if (status == STATUS_OK && found.size != sizeof found.value)
        status = db_fail(SQLITE_CORRUPT, error);
    status = db_end(db, status, NULL, 0, error);
    if (status == STATUS_OK)
        memcpy(kept, found.value, sizeof found.value);
    explicit_bzero(&found, sizeof found);
    return status;
}

enum status db_policies_secret_replace(struct store *store, const char *name, const uint8_t *fresh,
                                       struct audit_record *record, struct error *error) {
    struct db *db = (struct db *)store;
    enum status status = db_begin(db, error);
    if (status != STATUS_OK)
        return status;
    sqlite3_stmt *put = db_statement(db, DB_SECRET_PUT, error);
    status = put ? db_bind_text(put, 1, name, error) : STATUS_UNAVAILABLE;
    if (status == STATUS_OK)
        status = db_bind_blob(put, 2, fresh, STORE_SECRET_SIZE, error);
    if (status == STATUS_OK)
        status = db_run(db, put, NULL, NULL, error);
    status = db_finish(db, status, record, error);
    if (status == STATUS_OK)
        db_truncate_log(db); /* the one before must not linger in the log */
    return status;
}
