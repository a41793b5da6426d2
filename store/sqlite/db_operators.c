#include "store/sqlite/db.h"
#include "store/sqlite/db_tables.h"

/* Columns in the order of OPERATOR_KEY in db_statements.c. */
static enum status read_row(void *context, sqlite3_stmt *row, struct error *error) {
    struct store_key *out = context;
    size_t hash_size = 0;
    *out = (struct store_key){.scopes = (uint32_t)sqlite3_column_int64(row, 3),
                              .created = sqlite3_column_int64(row, 4),
                              .expires = sqlite3_column_int64(row, 5),
                              .revoked = sqlite3_column_int64(row, 6)};
    enum status status = db_column_text(row, 0, out->id, sizeof out->id, error);
    if (status == STATUS_OK)
        status = db_column_text(row, 1, out->label, sizeof out->label, error);
    if (status == STATUS_OK)
        status = db_column_blob(row, 2, out->hash, sizeof out->hash, &hash_size, error);
    if (status == STATUS_OK && hash_size != sizeof out->hash)
        status = db_fail(SQLITE_CORRUPT, error);
    return status;
}

enum status db_operators_create(struct store *store, const struct store_key *key,
                                struct audit_record *record, struct error *error) {
    struct db *db = (struct db *)store;
    enum status status = db_begin(db, error);
    if (status != STATUS_OK)
        return status;
    sqlite3_stmt *insert = db_statement(db, DB_OPERATOR_INSERT, error);
    status = insert ? db_bind_text(insert, 1, key->id, error) : STATUS_UNAVAILABLE;
    if (status == STATUS_OK)
        status = db_bind_text(insert, 2, key->label, error);
    if (status == STATUS_OK)
        status = db_bind_blob(insert, 3, key->hash, sizeof key->hash, error);
    if (status == STATUS_OK)
        status = db_bind_integer(insert, 4, key->scopes, error);
    if (status == STATUS_OK)
        status = db_bind_integer(insert, 5, key->created, error);
    if (status == STATUS_OK)
        status = db_bind_integer(insert, 6, key->expires, error);
    if (status == STATUS_OK)
        status = db_bind_integer(insert, 7, key->revoked, error);
    if (status == STATUS_OK)
        status = db_run(db, insert, "a key with this id exists", NULL, error);
    return db_finish(db, status, record, error);
}

enum status db_operators_find(struct store *store, const char *id, struct store_key *key,
                              struct error *error) {
    sqlite3_stmt *get = db_statement((struct db *)store, DB_OPERATOR_FIND, error);
    enum status status = get ? db_bind_text(get, 1, id, error) : STATUS_UNAVAILABLE;
    if (status != STATUS_OK)
        return status;
    struct store_key found;
    status = db_one(get, read_row, &found, backend_no_key, error);
    if (status == STATUS_OK)
        *key = found;
    return status;
}

struct visit {
    store_key_row *row;
    void *context;
};

static enum status visit_row(void *context, sqlite3_stmt *row, struct error *error) {
    const struct visit *visit = context;
    struct store_key found;
    enum status status = read_row(&found, row, error);
    return status == STATUS_OK ? visit->row(visit->context, &found, error) : status;
}

enum status db_operators_list(struct store *store, store_key_row *row, void *context,
                              struct error *error) {
    sqlite3_stmt *list = db_statement((struct db *)store, DB_OPERATOR_LIST, error);
    struct visit visit = {.row = row, .context = context};
    return list ? db_each(list, visit_row, &visit, error) : STATUS_UNAVAILABLE;
}

enum status db_operators_revoke(struct store *store, const char *id, int64_t now,
                                struct audit_record *record, struct error *error) {
    struct db *db = (struct db *)store;
    enum status status = db_begin(db, error);
    if (status != STATUS_OK)
        return status;
    sqlite3_stmt *update = db_statement(db, DB_OPERATOR_REVOKE, error);
    status = update ? db_bind_text(update, 1, id, error) : STATUS_UNAVAILABLE;
    if (status == STATUS_OK)
        status = db_bind_integer(update, 2, now, error);
    if (status == STATUS_OK)
        status = db_run(db, update, NULL, backend_no_key, error);
    return db_finish(db, status, record, error);
}
