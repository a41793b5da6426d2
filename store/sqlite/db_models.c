#include <string.h>

#include "store/latest.h"
#include "store/sqlite/db.h"
#include "store/sqlite/db_tables.h"

/* Columns in the order of MODEL in db_statements.c. */
static enum status read_row(sqlite3_stmt *row, struct store_model *out, struct error *error) {
    *out = (struct store_model){
        .id = sqlite3_column_int64(row, 0),
        .tenant = sqlite3_column_int64(row, 1),
        .state = (enum store_model_state)sqlite3_column_int(row, 4),
        .payload_size = sqlite3_column_int64(row, 5),
        .has_commitment = sqlite3_column_type(row, 6) != SQLITE_NULL,
        .created = sqlite3_column_int64(row, 7),
        .header_size = (size_t)sqlite3_column_int64(row, 8),
    };
    size_t commitment_size = 0;
    enum status status = db_column_text(row, 2, out->name, sizeof out->name, error);
    if (status == STATUS_OK)
        status = db_column_text(row, 3, out->version, sizeof out->version, error);
    if (status == STATUS_OK && out->has_commitment)
        status = db_column_blob(row, 6, out->commitment, sizeof out->commitment, &commitment_size,
                                error);
    if (status == STATUS_OK && out->has_commitment && commitment_size != sizeof out->commitment)
        status = db_fail(SQLITE_CORRUPT, error);
    return status;
}

static enum status read_one(sqlite3_stmt *get, struct store_model *model, struct error *error) {
    struct store_model found;
    int rc = sqlite3_step(get);
    enum status status = rc == SQLITE_ROW    ? read_row(get, &found, error)
                         : rc == SQLITE_DONE ? backend_no_model(error)
                                             : db_fail(rc, error);
    sqlite3_reset(get);
    if (status == STATUS_OK)
        *model = found;
    return status;
}

enum status db_models_create(struct store *store, struct store_model *model,
                             struct audit_record *record, struct error *error) {
    struct db *db = (struct db *)store;
    enum status status = db_begin(db, error);
    if (status != STATUS_OK)
        return status;
    int changes = 0;
    int64_t id = 0;
    sqlite3_stmt *insert = db_statement(db, DB_MODEL_INSERT, error);
    status = insert ? db_bind_integer(insert, 1, model->tenant, error) : STATUS_UNAVAILABLE;
    if (status == STATUS_OK)
        status = db_bind_text(insert, 2, model->name, error);
    if (status == STATUS_OK)
        status = db_bind_text(insert, 3, model->version, error);
    if (status == STATUS_OK)
        status = db_bind_integer(insert, 4, STORE_MODEL_UPLOADING, error);
    if (status == STATUS_OK)
        status = db_bind_integer(insert, 5, model->created, error);
    if (status == STATUS_OK)
        status = db_run(db, insert, "this version of the model exists", &changes, error);
    if (status == STATUS_OK && changes == 0)
        status = backend_no_tenant(error);
    if (status == STATUS_OK) {
        id = sqlite3_last_insert_rowid(db->connection);
        if (record)
            status = db_append(db, record, error);
    }
    status = db_end(db, status, record, record ? 1 : 0, error);
    if (status == STATUS_OK) {
        model->id = id;
        model->state = STORE_MODEL_UPLOADING;
    }
    return status;
}

enum status db_models_get(struct store *store, int64_t id, struct store_model *model,
                          struct error *error) {
    sqlite3_stmt *get = db_statement((struct db *)store, DB_MODEL_GET, error);
    enum status status = get ? db_bind_integer(get, 1, id, error) : STATUS_UNAVAILABLE;
    return status == STATUS_OK ? read_one(get, model, error) : status;
}

/* Why an update by id and state changed nothing. */
static enum status why_unchanged(struct db *db, int64_t id, const char *wanted,
                                 struct error *error) {
    struct store_model found;
    enum status status = db_models_get(&db->store, id, &found, error);
    return status == STATUS_OK ? backend_wrong_state(wanted, found.state, error) : status;
}

/* Run an update of one row, bound by the caller, and its record. */
static enum status step_forward(struct db *db, sqlite3_stmt *update, int64_t id, const char *wanted,
                                struct audit_record *record, struct error *error) {
    int changes = 0;
    enum status status = db_run(db, update, NULL, &changes, error);
    if (status == STATUS_OK && changes == 0)
        status = why_unchanged(db, id, wanted, error);
    if (status == STATUS_OK && record)
        status = db_append(db, record, error);
    return status;
}

enum status db_models_complete(struct store *store, int64_t id, const void *header,
                               size_t header_size, int64_t payload_size,
                               struct audit_record *record, struct error *error) {
    struct db *db = (struct db *)store;
    enum status status = db_begin(db, error);
    if (status != STATUS_OK)
        return status;
    sqlite3_stmt *update = db_statement(db, DB_MODEL_COMPLETE, error);
    status = update ? db_bind_integer(update, 1, id, error) : STATUS_UNAVAILABLE;
    if (status == STATUS_OK)
        status = db_bind_integer(update, 2, STORE_MODEL_UPLOADING, error);
    if (status == STATUS_OK)
        status = db_bind_integer(update, 3, STORE_MODEL_PENDING, error);
    if (status == STATUS_OK)
        status = db_bind_blob(update, 4, header, header_size, error);
    if (status == STATUS_OK)
        status = db_bind_integer(update, 5, payload_size, error);
    if (status == STATUS_OK)
        status = step_forward(db, update, id, "uploading", record, error);
    return db_end(db, status, record, record ? 1 : 0, error);
}

enum status db_models_ready(struct store *store, int64_t id, const uint8_t *commitment,
                            struct audit_record *record, struct error *error) {
    struct db *db = (struct db *)store;
    enum status status = db_begin(db, error);
    if (status != STATUS_OK)
        return status;
    sqlite3_stmt *update = db_statement(db, DB_MODEL_READY, error);
    status = update ? db_bind_integer(update, 1, id, error) : STATUS_UNAVAILABLE;
    if (status == STATUS_OK)
        status = db_bind_integer(update, 2, STORE_MODEL_PENDING, error);
    if (status == STATUS_OK)
        status = db_bind_integer(update, 3, STORE_MODEL_READY, error);
    if (status == STATUS_OK)
        status = db_bind_blob(update, 4, commitment, STORE_COMMITMENT_SIZE, error);
    if (status == STATUS_OK)
        status = step_forward(db, update, id, "pending", record, error);
    return db_end(db, status, record, record ? 1 : 0, error);
}

enum status db_models_delete(struct store *store, int64_t id, struct audit_record *record,
                             struct error *error) {
    struct db *db = (struct db *)store;
    enum status status = db_begin(db, error);
    if (status != STATUS_OK)
        return status;
    int changes = 0;
    sqlite3_stmt *delete = db_statement(db, DB_MODEL_DELETE, error);
    status = delete ? db_bind_integer(delete, 1, id, error) : STATUS_UNAVAILABLE;
    if (status == STATUS_OK)
        status = db_run(db, delete, NULL, &changes, error);
    if (status == STATUS_OK && changes == 0)
        status = backend_no_model(error);
    if (status == STATUS_OK && record)
        status = db_append(db, record, error);
    return db_end(db, status, record, record ? 1 : 0, error);
}

static enum status find_latest(struct db *db, int64_t tenant, const char *name,
                               struct store_model *model, struct error *error) {
    sqlite3_stmt *list = db_statement(db, DB_MODEL_VERSIONS, error);
    enum status status = list ? db_bind_integer(list, 1, tenant, error) : STATUS_UNAVAILABLE;
    if (status == STATUS_OK)
        status = db_bind_text(list, 2, name, error);
    if (status != STATUS_OK)
        return status;
    struct latest latest = latest_of_none();
    struct store_model found;
    int rc;
    while ((rc = sqlite3_step(list)) == SQLITE_ROW && status == STATUS_OK) {
        status = read_row(list, &found, error);
        if (status == STATUS_OK)
            latest_consider(&latest, &found);
    }
    sqlite3_reset(list);
    if (status == STATUS_OK && rc != SQLITE_DONE)
        status = db_fail(rc, error);
    if (status == STATUS_OK && !latest_model(&latest))
        status = backend_no_model(error);
    if (status == STATUS_OK)
        *model = *latest_model(&latest);
    return status;
}

enum status db_models_find(struct store *store, int64_t tenant, const char *name,
                           const char *version, struct store_model *model, struct error *error) {
    struct db *db = (struct db *)store;
    if (!version)
        return find_latest(db, tenant, name, model, error);
    sqlite3_stmt *get = db_statement(db, DB_MODEL_FIND, error);
    enum status status = get ? db_bind_integer(get, 1, tenant, error) : STATUS_UNAVAILABLE;
    if (status == STATUS_OK)
        status = db_bind_text(get, 2, name, error);
    if (status == STATUS_OK)
        status = db_bind_text(get, 3, version, error);
    return status == STATUS_OK ? read_one(get, model, error) : status;
}

enum status db_models_header(struct store *store, int64_t id, void *out, size_t capacity,
                             size_t *size, struct error *error) {
    sqlite3_stmt *get = db_statement((struct db *)store, DB_MODEL_HEADER, error);
    enum status status = get ? db_bind_integer(get, 1, id, error) : STATUS_UNAVAILABLE;
    if (status != STATUS_OK)
        return status;
    int rc = sqlite3_step(get);
    if (rc == SQLITE_ROW) {
        size_t found = (size_t)sqlite3_column_bytes(get, 0);
        if (found > capacity)
            status = status_fail(error, STATUS_TOO_LARGE, "the header is %zu bytes, room for %zu",
                                 found, capacity);
        else
            status = db_column_blob(get, 0, out, capacity, size, error);
    } else {
        status = rc == SQLITE_DONE ? backend_no_model(error) : db_fail(rc, error);
    }
    sqlite3_reset(get);
    return status;
}

enum status db_models_list(struct store *store, int64_t tenant, store_model_row *row, void *context,
                           struct error *error) {
    struct db *db = (struct db *)store;
    sqlite3_stmt *list = db_statement(db, tenant ? DB_MODEL_LIST : DB_MODEL_LIST_ALL, error);
    enum status status = list ? STATUS_OK : STATUS_UNAVAILABLE;
    if (status == STATUS_OK && tenant)
        status = db_bind_integer(list, 1, tenant, error);
    if (status != STATUS_OK)
        return status;
    struct store_model found;
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
