#include "store/sqlite/db.h"
#include "store/sqlite/db_tables.h"

/* Columns in the order of TENANT in db_statements.c. */
static enum status read_row(void *context, sqlite3_stmt *row, struct error *error) {
    struct store_tenant *out = context;
    out->id = sqlite3_column_int64(row, 0);
    out->state = (enum store_tenant_state)sqlite3_column_int(row, 3);
    out->created = sqlite3_column_int64(row, 4);
    enum status status = db_column_text(row, 1, out->uid, sizeof out->uid, error);
    if (status == STATUS_OK)
        status = db_column_text(row, 2, out->name, sizeof out->name, error);
    if (status == STATUS_OK)
        status = db_column_text(row, 5, out->recipient, sizeof out->recipient, error);
    if (status == STATUS_OK)
        status =
            db_column_blob(row, 6, out->wrapped, sizeof out->wrapped, &out->wrapped_size, error);
    if (status == STATUS_OK)
        status = db_column_text(row, 7, out->note, sizeof out->note, error);
    if (status == STATUS_OK)
        status = db_column_text(row, 8, out->policy, sizeof out->policy, error);
    return status;
}

/* The one row of a bound statement. */
static enum status read_one(sqlite3_stmt *get, struct store_tenant *tenant, struct error *error) {
    struct store_tenant found;
    enum status status = db_one(get, read_row, &found, backend_no_tenant, error);
    if (status == STATUS_OK)
        *tenant = found;
    return status;
}

static enum status insert_uid(struct db *db, const char *uid, struct error *error) {
    sqlite3_stmt *insert = db_statement(db, DB_UID_INSERT, error);
    enum status status = insert ? db_bind_text(insert, 1, uid, error) : STATUS_UNAVAILABLE;
    if (status == STATUS_OK)
        status = db_run(db, insert, "a tenant with this uid exists or existed", NULL, error);
    return status;
}

static enum status insert_tenant(struct db *db, const struct store_tenant *tenant,
                                 struct error *error) {
    sqlite3_stmt *insert = db_statement(db, DB_TENANT_INSERT, error);
    enum status status = insert ? db_bind_text(insert, 1, tenant->uid, error) : STATUS_UNAVAILABLE;
    if (status == STATUS_OK)
        status = db_bind_text(insert, 2, tenant->name, error);
    if (status == STATUS_OK)
        status = db_bind_integer(insert, 3, tenant->state, error);
    if (status == STATUS_OK)
        status = db_bind_integer(insert, 4, tenant->created, error);
    if (status == STATUS_OK)
        status = db_bind_text(insert, 5, tenant->recipient, error);
    if (status == STATUS_OK)
        status = db_bind_blob(insert, 6, tenant->wrapped, tenant->wrapped_size, error);
    if (status == STATUS_OK)
        status = db_bind_text(insert, 7, tenant->note, error);
    if (status == STATUS_OK)
        status = db_bind_text(insert, 8, tenant->policy, error);
    if (status == STATUS_OK)
        status = db_run(db, insert, "a tenant of this name exists", backend_no_policy, error);
    return status;
}

enum status db_tenants_create(struct store *store, struct store_tenant *tenant,
                              struct audit_record *record, struct error *error) {
    struct db *db = (struct db *)store;
    enum status status = db_begin(db, error);
    if (status != STATUS_OK)
        return status;
    int64_t id = 0;
    status = insert_uid(db, tenant->uid, error);
    if (status == STATUS_OK)
        status = insert_tenant(db, tenant, error);
    if (status == STATUS_OK)
        id = sqlite3_last_insert_rowid(db->connection);
    status = db_finish(db, status, record, error);
    if (status == STATUS_OK)
        tenant->id = id;
    return status;
}

enum status db_tenants_get(struct store *store, int64_t id, struct store_tenant *tenant,
                           struct error *error) {
    sqlite3_stmt *get = db_statement((struct db *)store, DB_TENANT_GET, error);
    enum status status = get ? db_bind_integer(get, 1, id, error) : STATUS_UNAVAILABLE;
    return status == STATUS_OK ? read_one(get, tenant, error) : status;
}

enum status db_tenants_find(struct store *store, const char *name, struct store_tenant *tenant,
                            struct error *error) {
    sqlite3_stmt *get = db_statement((struct db *)store, DB_TENANT_FIND, error);
    enum status status = get ? db_bind_text(get, 1, name, error) : STATUS_UNAVAILABLE;
    return status == STATUS_OK ? read_one(get, tenant, error) : status;
}

struct visit {
    store_tenant_row *row;
    void *context;
};

static enum status visit_row(void *context, sqlite3_stmt *row, struct error *error) {
    const struct visit *visit = context;
    struct store_tenant found;
    enum status status = read_row(&found, row, error);
    return status == STATUS_OK ? visit->row(visit->context, &found, error) : status;
}

enum status db_tenants_list(struct store *store, store_tenant_row *row, void *context,
                            struct error *error) {
    sqlite3_stmt *list = db_statement((struct db *)store, DB_TENANT_LIST, error);
    struct visit visit = {.row = row, .context = context};
    return list ? db_each(list, visit_row, &visit, error) : STATUS_UNAVAILABLE;
}

enum status db_tenants_set_state(struct store *store, int64_t id, enum store_tenant_state state,
                                 struct audit_record *record, struct error *error) {
    struct db *db = (struct db *)store;
    enum status status = db_begin(db, error);
    if (status != STATUS_OK)
        return status;
    sqlite3_stmt *update = db_statement(db, DB_TENANT_STATE, error);
    status = update ? db_bind_integer(update, 1, id, error) : STATUS_UNAVAILABLE;
    if (status == STATUS_OK)
        status = db_bind_integer(update, 2, state, error);
    if (status == STATUS_OK)
        status = db_run(db, update, NULL, backend_no_tenant, error);
    return db_finish(db, status, record, error);
}

enum status db_tenants_delete(struct store *store, int64_t id, struct audit_record *record,
                              struct error *error) {
    struct db *db = (struct db *)store;
    enum status status = db_act(db, DB_TENANT_DELETE, id, backend_no_tenant, record, error);
    if (status == STATUS_OK)
        db_truncate_log(db); /* the identity must not linger in the log */
    return status;
}
