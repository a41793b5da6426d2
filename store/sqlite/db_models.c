#include <string.h>

#include "store/latest.h"
#include "store/sqlite/db.h"
#include "store/sqlite/db_tables.h"

/* Columns in the order of MODEL in db_statements.c. */
static enum status read_row(void *context, sqlite3_stmt *row, struct error *error) {
    struct store_model *out = context;
    *out = (struct store_model){
        .id = sqlite3_column_int64(row, 0),
        .tenant = sqlite3_column_int64(row, 1),
        .state = (enum store_model_state)sqlite3_column_int(row, 4),
        .payload_size = sqlite3_column_int64(row, 5),
        .has_commitment = sqlite3_column_type(row, 6) != SQLITE_NULL,
        .created = sqlite3_column_int64(row, 7),
        .header_size = (size_t)sqlite3_column_int64(row, 8),
        .unloaded = sqlite3_column_int(row, 9) != 0,
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
    enum status status = db_one(get, read_row, &found, backend_no_model, error);
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
        status = db_run(db, insert, "this version of the model exists", backend_no_tenant, error);
    if (status == STATUS_OK)
        id = sqlite3_last_insert_rowid(db->connection);
    status = db_finish(db, status, record, error);
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

/* Run an update of one row, bound by the caller. */
static enum status step_forward(struct db *db, sqlite3_stmt *update, int64_t id, const char *wanted,
                                struct error *error) {
    enum status status = db_run(db, update, NULL, NULL, error);
    if (status == STATUS_OK && sqlite3_changes(db->connection) == 0)
        status = why_unchanged(db, id, wanted, error);
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
        status = step_forward(db, update, id, "uploading", error);
    return db_finish(db, status, record, error);
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
        status = step_forward(db, update, id, "pending", error);
    return db_finish(db, status, record, error);
}

enum status db_models_delete(struct store *store, int64_t id, struct audit_record *record,
                             struct error *error) {
    return db_act((struct db *)store, DB_MODEL_DELETE, id, backend_no_model, record, error);
}

enum status db_models_set_unloaded(struct store *store, int64_t tenant, const char *name,
                                   bool unloaded, struct audit_record *record,
                                   struct error *error) {
    struct db *db = (struct db *)store;
    enum status status = db_begin(db, error);
    if (status != STATUS_OK)
        return status;
    sqlite3_stmt *update = db_statement(db, DB_MODEL_UNLOADED, error);
    status = update ? db_bind_integer(update, 1, tenant, error) : STATUS_UNAVAILABLE;
    if (status == STATUS_OK)
        status = db_bind_text(update, 2, name, error);
    if (status == STATUS_OK)
        status = db_bind_integer(update, 3, unloaded, error);
    if (status == STATUS_OK)
        status = db_run(db, update, NULL, backend_no_model, error);
    return db_finish(db, status, record, error);
}

static enum status consider_row(void *context, sqlite3_stmt *row, struct error *error) {
    struct store_model found;
    enum status status = read_row(&found, row, error);
    if (status == STATUS_OK)
        latest_consider(context, &found);
    return status;
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
    status = db_each(list, consider_row, &latest, error);
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

struct header {
    void *out;
    size_t capacity;
    size_t *size;
};

static enum status read_header(void *context, sqlite3_stmt *row, struct error *error) {
    const struct header *header = context;
    size_t found = (size_t)sqlite3_column_bytes(row, 0);
    if (found > header->capacity)
        return status_fail(error, STATUS_TOO_LARGE, "the header is %zu bytes, room for %zu", found,
                           header->capacity);
    return db_column_blob(row, 0, header->out, header->capacity, header->size, error);
}

enum status db_models_header(struct store *store, int64_t id, void *out, size_t capacity,
                             size_t *size, struct error *error) {
    sqlite3_stmt *get = db_statement((struct db *)store, DB_MODEL_HEADER, error);
    enum status status = get ? db_bind_integer(get, 1, id, error) : STATUS_UNAVAILABLE;
    struct header header = {.out = out, .capacity = capacity, .size = size};
    return status == STATUS_OK ? db_one(get, read_header, &header, backend_no_model, error)
                               : status;
}

struct visit {
    store_model_row *row;
    void *context;
};

static enum status visit_row(void *context, sqlite3_stmt *row, struct error *error) {
    const struct visit *visit = context;
    struct store_model found;
    enum status status = read_row(&found, row, error);
    return status == STATUS_OK ? visit->row(visit->context, &found, error) : status;
}

enum status db_models_list(struct store *store, int64_t tenant, store_model_row *row, void *context,
                           struct error *error) {
    struct db *db = (struct db *)store;
    sqlite3_stmt *list = db_statement(db, tenant ? DB_MODEL_LIST : DB_MODEL_LIST_ALL, error);
    enum status status = list ? STATUS_OK : STATUS_UNAVAILABLE;
    if (status == STATUS_OK && tenant)
        status = db_bind_integer(list, 1, tenant, error);
    struct visit visit = {.row = row, .context = context};
    return status == STATUS_OK ? db_each(list, visit_row, &visit, error) : status;
}
