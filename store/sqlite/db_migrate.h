/* Bringing a database from the schema of an older version to this one's.
 *
 * Migrations are the numbered files in migrations/, compiled in. Each sets user_version to its own
 * number and runs in a transaction of its own, so that a crash leaves one version or the next. */
#ifndef STORE_SQLITE_DB_MIGRATE_H
#define STORE_SQLITE_DB_MIGRATE_H

#include <sqlite3.h>

#include "base/status.h"

/* In every database of ours, so that another program's file is not taken for a store. */
#define DB_APPLICATION_ID 1397899597

struct db_migration {
    int version;
    const char *sql;
};

/* In order, the first is version 1; the last is this program's. */
extern const struct db_migration db_migrate_table[];
extern const int db_migrate_count;

/* Apply the first `count` of `table` that `db` lacks. STATUS_CONFLICT where the database is newer
 * than they are: an older program must not write what it does not understand. */
MUST_USE enum status db_migrate(sqlite3 *db, const struct db_migration *table, int count,
                                struct error *error);
MUST_USE enum status db_migrate_version(sqlite3 *db, int *version, struct error *error);
/* 0 where the database is empty. */
MUST_USE enum status db_migrate_application(sqlite3 *db, int *id, struct error *error);

#endif
