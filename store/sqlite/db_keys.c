#include "store/sqlite/db.h"
#include "store/sqlite/db_tables.h"

/* Columns in the order of KEY in db_statements.c. */
static enum status read_row(sqlite3_stmt *row, struct store_key *out, struct error *error) {
    size_t hash_size = 0;
    out->tenant = sqlite3_column_int64(row, 1);
    out->scopes = (uint32_t)sqlite3_column_int64(row, 4);
    out->created = sqlite3_column_int64(row, 5);
    out->expires = sqlite3_column_int64(row, 6);
    out->revoked = sqlite3_column_int64(row, 7);
    enum status status = db_column_text(row, 0, out->id, sizeof out->id, error);
    if (status == STATUS_OK)
        status = db_column_text(row, 2, out->label, sizeof out->label, error);
    if (status == STATUS_OK)
        status = db_column_blob(row, 3, out->hash, sizeof out->hash, &hash_size, error);
    if (status == STATUS_OK && hash_size != sizeof out->hash)
        status = db_fail(SQLITE_CORRUPT, error);
    return status;
}

enum status db_keys_create(struct store *store, const struct store_key *key,
                           struct audit_record *record, struct error *error) {
    struct db *db = (struct db *)store;
    enum status status = db_begin(db, error);
    if (status != STATUS_OK)
        return status;
    int changes = 0;
    sqlite3_stmt *insert = db_statement(db, DB_KEY_INSERT, error);
    status = insert ? db_bind_text(insert, 1, key->id, error) : STATUS_UNAVAILABLE;
    if (status == STATUS_OK)
        status = db_bind_integer(insert, 2, key->tenant, error);
    if (status == STATUS_OK)
        status = db_bind_text(insert, 3, key->label, error);
    if (status == STATUS_OK)
        status = db_bind_blob(insert, 4, key->hash, sizeof key->hash, error);
    if (status == STATUS_OK)
        status = db_bind_integer(insert, 5, key->scopes, error);
    if (status == STATUS_OK)
        status = db_bind_integer(insert, 6, key->created, error);
    if (status == STATUS_OK)
        status = db_bind_integer(insert, 7, key->expires, error);
    if (status == STATUS_OK)
        status = db_bind_integer(insert, 8, key->revoked, error);
    if (status == STATUS_OK)
        status = db_run(db, insert, "a key with this id exists", &changes, error);
    if (status == STATUS_OK && changes == 0)
        status = backend_no_tenant(error);
    if (status == STATUS_OK && record)
        status = db_append(db, record, error);
    return db_end(db, status, record, record ? 1 : 0, error);
}

enum status db_keys_find(struct store *store, const char *id, struct store_key *key,
                         struct error *error) {
    sqlite3_stmt *get = db_statement((struct db *)store, DB_KEY_FIND, error);
    enum status status = get ? db_bind_text(get, 1, id, error) : STATUS_UNAVAILABLE;
    if (status != STATUS_OK)
        return status;
    struct store_key found;
    int rc = sqlite3_step(get);
    status = rc == SQLITE_ROW    ? read_row(get, &found, error)
             : rc == SQLITE_DONE ? backend_no_key(error)
                                 : db_fail(rc, error);
    sqlite3_reset(get);
    if (status == STATUS_OK)
        *key = found;
    return status;
}

enum status db_keys_list(struct store *store, int64_t tenant, store_key_row *row, void *context,
                         struct error *error) {
    struct db *db = (struct db *)store;
    sqlite3_stmt *list = db_statement(db, tenant ? DB_KEY_LIST : DB_KEY_LIST_ALL, error);
    enum status status = list ? STATUS_OK : STATUS_UNAVAILABLE;
    if (status == STATUS_OK && tenant)
        status = db_bind_integer(list, 1, tenant, error);
    if (status != STATUS_OK)
        return status;
    struct store_key found;
    int rc;
    while ((rc = sqlite3_step(list)) == SQLITE_ROW && status == STATUS_OK) {
        status = read_row(list, &found, error);
        if (status == STATUS_OK)
            status = row(context, &found, error);
    }
    sqlite3_reset(list);
    if (status == STATUS_OK && rc != SQLITE_DONE)
        status = db_fail(rc, error);
    return status;
}

enum status db_keys_revoke(struct store *store, const char *id, int64_t now,
                           struct audit_record *record, struct error *error) {
    struct db *db = (struct db *)store;
    enum status status = db_begin(db, error);
    if (status != STATUS_OK)
        return status;
    int changes = 0;
    sqlite3_stmt *update = db_statement(db, DB_KEY_REVOKE, error);
    status = update ? db_bind_text(update, 1, id, error) : STATUS_UNAVAILABLE;
    if (status == STATUS_OK)
        status = db_bind_integer(update, 2, now, error);
    if (status == STATUS_OK)
        status = db_run(db, update, NULL, &changes, error);
    if (status == STATUS_OK && changes == 0)
        status = backend_no_key(error);
    if (status == STATUS_OK && record)
        status = db_append(db, record, error);
    return db_end(db, status, record, record ? 1 : 0, error);
}
