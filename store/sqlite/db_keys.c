#include "store/sqlite/db.h"
#include "store/sqlite/db_tables.h"

/* Columns in the order of KEY in db_statements.c. */
static enum status read_row(void *context, sqlite3_stmt *row, struct error *error) {
    struct store_key *out = context;
    size_t hash_size = 0, certificate_size = 0;
    out->tenant = sqlite3_column_int64(row, 1); /* NULL: 0, an operator's */
    out->scopes = (uint32_t)sqlite3_column_int64(row, 4);
    out->created = sqlite3_column_int64(row, 5);
    out->expires = sqlite3_column_int64(row, 6);
    out->revoked = sqlite3_column_int64(row, 7);
    enum status status = db_column_text(row, 0, out->id, sizeof out->id, error);
    if (status == STATUS_OK)
        status = db_column_text(row, 2, out->label, sizeof out->label, error);
    if (status == STATUS_OK)
        status = db_column_blob(row, 3, out->hash, sizeof out->hash, &hash_size, error);
    if (status == STATUS_OK)
        status = db_column_blob(row, 8, out->certificate, sizeof out->certificate,
                                &certificate_size, error);
    if (status == STATUS_OK)
        status = db_column_text(row, 9, out->maker, sizeof out->maker, error);
    out->has_certificate = certificate_size != 0;
    if (status == STATUS_OK &&
        (hash_size != sizeof out->hash ||
         (out->has_certificate && certificate_size != sizeof out->certificate)))
        status = db_fail(SQLITE_CORRUPT, error);
    return status;
}

enum status db_keys_create(struct store *store, const struct store_key *key,
                           struct audit_record *record, struct error *error) {
    struct db *db = (struct db *)store;
    enum status status = db_begin(db, error);
    if (status != STATUS_OK)
        return status;
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
        status = db_bind_blob(insert, 9, key->certificate,
                              key->has_certificate ? sizeof key->certificate : 0, error);
    if (status == STATUS_OK)
        status = db_bind_text(insert, 10, key->maker, error);
    if (status == STATUS_OK)
        status = db_run(db, insert, "a key with this id exists", backend_no_tenant, error);
    return db_finish(db, status, record, error);
}

enum status db_keys_find(struct store *store, const char *id, struct store_key *key,
                         struct error *error) {
    sqlite3_stmt *get = db_statement((struct db *)store, DB_KEY_FIND, error);
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

enum status db_keys_list(struct store *store, int64_t tenant, store_key_row *row, void *context,
                         struct error *error) {
    struct db *db = (struct db *)store;
    sqlite3_stmt *list = db_statement(db,
                                      tenant == STORE_OPERATORS ? DB_KEY_LIST_OPERATORS
                                      : tenant                  ? DB_KEY_LIST
                                                                : DB_KEY_LIST_ALL,
                                      error);
    enum status status = list ? STATUS_OK : STATUS_UNAVAILABLE;
    if (status == STATUS_OK && tenant > 0)
        status = db_bind_integer(list, 1, tenant, error);
    struct visit visit = {.row = row, .context = context};
    return status == STATUS_OK ? db_each(list, visit_row, &visit, error) : status;
}

enum status db_keys_revoke(struct store *store, const char *id, int64_t now,
                           struct audit_record *record, struct error *error) {
    struct db *db = (struct db *)store;
    enum status status = db_begin(db, error);
    if (status != STATUS_OK)
        return status;
    sqlite3_stmt *update = db_statement(db, DB_KEY_REVOKE, error);
    status = update ? db_bind_text(update, 1, id, error) : STATUS_UNAVAILABLE;
    if (status == STATUS_OK)
        status = db_bind_integer(update, 2, now, error);
    if (status == STATUS_OK)
        status = db_run(db, update, NULL, backend_no_key, error);
    return db_finish(db, status, record, error);
}
