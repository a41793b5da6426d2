/* The SQLite backend's handle: connection, prepared statements, lock and transactions.
 *
 * One connection per handle, used under the handle's mutex. Statements are prepared at first use
 * and kept; nothing is built from text at run time. WAL with synchronous=FULL: a commit that
 * returned is on the disk. Files: store.db (with SQLite's -wal and -shm) and store.lock, whose
 * flock says who the writer is; nothing outside the folder is touched (temp_store=MEMORY). */
#ifndef STORE_SQLITE_DB_H
#define STORE_SQLITE_DB_H

#include <sqlite3.h>

#include "store/backend.h"
#include "store/sqlite/db_statements.h"

struct db {
    struct store store; /* first: a struct store * is a struct db * */
    sqlite3 *connection;
    sqlite3_stmt *statements[DB_STATEMENTS];
    int lock;   /* descriptor of the lock file, -1 in a reader */
    char *path; /* of store.db, for readers */

    /* Place of the next record. Unknown (false) after a failed transaction, then read again. */
    bool next_known;
    uint64_t next;
    /* Leaves of the transaction under way, given to the records once it is durable. */
    uint8_t (*leaves)[AUDIT_RECORD_LEAF_SIZE];
    size_t leaves_capacity;
    size_t leaves_count;
    uint8_t scratch[AUDIT_RECORD_MAX];
};

MUST_USE enum status db_create(const char *dir, const struct store_meta *meta, struct error *error);
MUST_USE enum status db_inspect(const char *dir, bool *running, struct store **store,
                                struct error *error);
MUST_USE enum status db_open(const char *dir, struct store **store, struct error *error);

/* The status and message of an SQLite result code; never STATUS_OK. */
enum status db_fail(int rc, struct error *error);

/* The prepared statement, reset and unbound; NULL, and the reason in `error`. */
sqlite3_stmt *db_statement(struct db *db, enum db_statement id, struct error *error);

/* Says what a statement did not find: backend_no_tenant and its like. */
typedef enum status db_missing(struct error *error);
/* Run a bound statement that gives no rows, then reset it. A broken constraint is STATUS_CONFLICT
 * with the message `taken`, and what changed no row is what `missing` says; either may be NULL. */
MUST_USE enum status db_run(struct db *db, sqlite3_stmt *statement, const char *taken,
                            db_missing *missing, struct error *error);

/* Reads the columns of a row that a statement stands on. */
typedef enum status db_read(void *context, sqlite3_stmt *row, struct error *error);
/* Read the one row of a bound statement, then reset it; `missing` where there is none. */
MUST_USE enum status db_one(sqlite3_stmt *get, db_read *read, void *context, db_missing *missing,
                            struct error *error);
/* Read every row of a bound statement until a read fails, then reset it. */
MUST_USE enum status db_each(sqlite3_stmt *list, db_read *read, void *context, struct error *error);

/* What is bound is borrowed until the statement has run. */
MUST_USE enum status db_bind_text(sqlite3_stmt *statement, int index, const char *text,
                                  struct error *error);
MUST_USE enum status db_bind_blob(sqlite3_stmt *statement, int index, const void *data, size_t size,
                                  struct error *error);
MUST_USE enum status db_bind_integer(sqlite3_stmt *statement, int index, int64_t value,
                                     struct error *error);

/* Copy a column into a fixed text or blob; STATUS_INTERNAL where the stored value does not fit,
 * which only a damaged store has. */
MUST_USE enum status db_column_text(sqlite3_stmt *statement, int column, char *out, size_t capacity,
                                    struct error *error);
MUST_USE enum status db_column_blob(sqlite3_stmt *statement, int column, uint8_t *out,
                                    size_t capacity, size_t *size, struct error *error);

/* A write transaction. db_end commits where `status` is STATUS_OK and gives seq and leaf to the
 * `count` records that were appended within; it rolls back otherwise. Returns what came out. */
MUST_USE enum status db_begin(struct db *db, struct error *error);
MUST_USE enum status db_append(struct db *db, const struct audit_record *record,
                               struct error *error);
enum status db_end(struct db *db, enum status status, struct audit_record *records, size_t count,
                   struct error *error);
/* The end of an act: where `status` is STATUS_OK append its record, which may be NULL, and end. */
MUST_USE enum status db_finish(struct db *db, enum status status, struct audit_record *record,
                               struct error *error);
/* A whole act: run a statement bound to one row id, with its record. */
MUST_USE enum status db_act(struct db *db, enum db_statement statement, int64_t row,
                            db_missing *missing, struct audit_record *record, struct error *error);

/* Empty the write-ahead log into the database, so that what was deleted and overwritten there is
 * gone from the log too. A reader that is busy makes it wait for the next one. */
void db_truncate_log(struct db *db);

#endif
