#include "store/sqlite/db.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

enum status db_fail(int rc, struct error *error) {
    switch (rc & 0xff) {
    case SQLITE_FULL:
        return status_fail(error, STATUS_UNAVAILABLE, "the store cannot be written: disk full");
    case SQLITE_IOERR:
        return status_fail(error, STATUS_UNAVAILABLE,
                           "the store cannot be written: input/output error");
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
    case SQLITE_PROTOCOL:
        return status_fail(error, STATUS_UNAVAILABLE, "the store is busy");
    case SQLITE_NOMEM:
        return status_fail(error, STATUS_UNAVAILABLE, "the store is out of memory");
    case SQLITE_CANTOPEN:
    case SQLITE_PERM:
        return status_fail(error, STATUS_UNAVAILABLE, "the store cannot be opened");
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
        return status_fail(error, STATUS_INTERNAL, "the store is damaged");
    case SQLITE_TOOBIG:
        return status_fail(error, STATUS_TOO_LARGE, "too large for the store");
    default:
        return status_fail(error, STATUS_INTERNAL, "the store failed (code %d)", rc);
    }
}

sqlite3_stmt *db_statement(struct db *db, enum db_statement id, struct error *error) {
    if (!db->statements[id]) {
        int rc = sqlite3_prepare_v3(db->connection, db_statements_sql[id], -1,
                                    SQLITE_PREPARE_PERSISTENT, &db->statements[id], NULL);
        if (rc != SQLITE_OK) {
            db_fail(rc, error);
            return NULL;
        }
    }
    sqlite3_reset(db->statements[id]);
    return db->statements[id];
}

enum status db_run(struct db *db, sqlite3_stmt *statement, const char *taken, db_missing *missing,
                   struct error *error) {
    int rc = sqlite3_step(statement);
    sqlite3_reset(statement);
    if ((rc & 0xff) == SQLITE_CONSTRAINT && taken)
        return status_fail(error, STATUS_CONFLICT, "%s", taken);
    if (rc != SQLITE_DONE)
        return db_fail(rc, error);
    if (missing && sqlite3_changes(db->connection) == 0)
        return missing(error);
    return STATUS_OK;
}

enum status db_one(sqlite3_stmt *get, db_read *read, void *context, db_missing *missing,
                   struct error *error) {
    int rc = sqlite3_step(get);
    enum status status = rc == SQLITE_ROW    ? read(context, get, error)
                         : rc == SQLITE_DONE ? missing(error)
                                             : db_fail(rc, error);
    sqlite3_reset(get);
    return status;
}

enum status db_each(sqlite3_stmt *list, db_read *read, void *context, struct error *error) {
    enum status status = STATUS_OK;
    int rc = SQLITE_ROW;
    while (status == STATUS_OK && (rc = sqlite3_step(list)) == SQLITE_ROW)
        status = read(context, list, error);
    sqlite3_reset(list);
    if (status == STATUS_OK && rc != SQLITE_DONE)
        status = db_fail(rc, error);
    return status;
}

static enum status bound(int rc, struct error *error) {
    return rc == SQLITE_OK ? STATUS_OK : db_fail(rc, error);
}

enum status db_bind_text(sqlite3_stmt *statement, int index, const char *text,
                         struct error *error) {
    return bound(sqlite3_bind_text(statement, index, text, -1, SQLITE_STATIC), error);
}

enum status db_bind_blob(sqlite3_stmt *statement, int index, const void *data, size_t size,
                         struct error *error) {
    return bound(sqlite3_bind_blob64(statement, index, data, size, SQLITE_STATIC), error);
}

enum status db_bind_integer(sqlite3_stmt *statement, int index, int64_t value,
                            struct error *error) {
    return bound(sqlite3_bind_int64(statement, index, value), error);
}

enum status db_column_text(sqlite3_stmt *statement, int column, char *out, size_t capacity,
                           struct error *error) {
    const unsigned char *text = sqlite3_column_text(statement, column);
    size_t size = (size_t)sqlite3_column_bytes(statement, column);
    if (!text || size >= capacity || memchr(text, '\0', size))
        return db_fail(SQLITE_CORRUPT, error);
    memcpy(out, text, size);
    out[size] = '\0';
    return STATUS_OK;
}

enum status db_column_blob(sqlite3_stmt *statement, int column, uint8_t *out, size_t capacity,
                           size_t *size, struct error *error) {
    const void *data = sqlite3_column_blob(statement, column);
    size_t found = (size_t)sqlite3_column_bytes(statement, column);
    if (found > capacity)
        return db_fail(SQLITE_CORRUPT, error);
    if (found)
        memcpy(out, data, found);
    *size = found;
    return STATUS_OK;
}

static enum status run_plain(struct db *db, enum db_statement id, struct error *error) {
    sqlite3_stmt *statement = db_statement(db, id, error);
    return statement ? db_run(db, statement, NULL, NULL, error) : STATUS_UNAVAILABLE;
}

enum status db_begin(struct db *db, struct error *error) {
    db->leaves_count = 0;
    return run_plain(db, DB_BEGIN, error);
}

static enum status find_next(struct db *db, struct error *error) {
    sqlite3_stmt *statement = db_statement(db, DB_AUDIT_SIZE, error);
    if (!statement)
        return STATUS_UNAVAILABLE;
    int rc = sqlite3_step(statement);
    if (rc == SQLITE_ROW) {
        db->next = (uint64_t)sqlite3_column_int64(statement, 0);
        db->next_known = true;
    }
    sqlite3_reset(statement);
    return rc == SQLITE_ROW ? STATUS_OK : db_fail(rc, error);
}

static enum status keep_leaf(struct db *db, const uint8_t *bytes, size_t size,
                             struct error *error) {
    if (db->leaves_count == db->leaves_capacity) {
        size_t capacity = db->leaves_capacity ? 2 * db->leaves_capacity : 64;
        void *grown = realloc(db->leaves, capacity * sizeof *db->leaves);
        if (!grown)
            return db_fail(SQLITE_NOMEM, error);
        db->leaves = grown;
        db->leaves_capacity = capacity;
    }
    audit_record_leaf(bytes, size, db->leaves[db->leaves_count]);
    db->leaves_count++;
    return STATUS_OK;
}

enum status db_append(struct db *db, const struct audit_record *record, struct error *error) {
    enum status status = db->next_known ? STATUS_OK : find_next(db, error);
    if (status != STATUS_OK)
        return status;
    uint64_t seq = db->next + db->leaves_count;
    struct buf out = buf_of(db->scratch, sizeof db->scratch);
    status = audit_record_write(record, seq, &out, error);
    if (status == STATUS_OK)
        status = keep_leaf(db, out.data, out.size, error);
    if (status != STATUS_OK)
        return status;

    sqlite3_stmt *insert = db_statement(db, DB_AUDIT_INSERT, error);
    if (!insert)
        return STATUS_UNAVAILABLE;
    status = db_bind_integer(insert, 1, (int64_t)seq, error);
    if (status == STATUS_OK)
        status = db_bind_integer(insert, 2, record->time, error);
    if (status == STATUS_OK)
        status = db_bind_text(insert, 3, record->tenant, error);
    if (status == STATUS_OK)
        status = db_bind_text(insert, 4, record->key, error);
    if (status == STATUS_OK)
        status = db_bind_blob(insert, 5, db->leaves[db->leaves_count - 1], AUDIT_RECORD_LEAF_SIZE,
                              error);
    if (status == STATUS_OK)
        status = db_bind_blob(insert, 6, out.data, out.size, error);
    if (status == STATUS_OK)
        status = db_run(db, insert, NULL, NULL, error);
    return status;
}

enum status db_end(struct db *db, enum status status, struct audit_record *records, size_t count,
                   struct error *error) {
    if (status == STATUS_OK)
        status = run_plain(db, DB_COMMIT, error);
    if (status != STATUS_OK) {
        /* A failed commit may have rolled back by itself. What it left is read again, since a
         * commit that failed late might be found whole after all. */
        if (!sqlite3_get_autocommit(db->connection)) {
            struct error ignored;
            if (run_plain(db, DB_ROLLBACK, &ignored) != STATUS_OK)
                sqlite3_exec(db->connection, "ROLLBACK", NULL, NULL, NULL);
        }
        db->next_known = false;
        return status;
    }
    for (size_t i = 0; i < count; i++) {
        records[i].seq = db->next + i;
        memcpy(records[i].leaf, db->leaves[i], AUDIT_RECORD_LEAF_SIZE);
    }
    db->next += db->leaves_count;
    return STATUS_OK;
}

enum status db_finish(struct db *db, enum status status, struct audit_record *record,
                      struct error *error) {
    if (status == STATUS_OK && record)
        status = db_append(db, record, error);
    return db_end(db, status, record, record ? 1 : 0, error);
}

enum status db_act(struct db *db, enum db_statement statement, int64_t row, db_missing *missing,
                   struct audit_record *record, struct error *error) {
    enum status status = db_begin(db, error);
    if (status != STATUS_OK)
        return status;
    sqlite3_stmt *act = db_statement(db, statement, error);
    status = act ? db_bind_integer(act, 1, row, error) : STATUS_UNAVAILABLE;
    if (status == STATUS_OK)
        status = db_run(db, act, NULL, missing, error);
    return db_finish(db, status, record, error);
}

void db_truncate_log(struct db *db) {
    sqlite3_wal_checkpoint_v2(db->connection, NULL, SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL);
}
