#include "store/sqlite/db_migrate.h"

#include "store/sqlite/db.h"
#include "store/sqlite/migrations.h"

const struct db_migration db_migrate_table[] = {
    {1, migration_0001}, {2, migration_0002}, {3, migration_0003},
    {4, migration_0004}, {5, migration_0005}, {6, migration_0006},
};
const int db_migrate_count = sizeof db_migrate_table / sizeof db_migrate_table[0];

/* `sql` is a constant text. */
static enum status pragma_integer(sqlite3 *db, const char *sql, int *value, struct error *error) {
    sqlite3_stmt *statement = NULL;
    int rc = sqlite3_prepare_v2(db, sql, -1, &statement, NULL);
    if (rc == SQLITE_OK)
        rc = sqlite3_step(statement);
    int found = rc == SQLITE_ROW ? sqlite3_column_int(statement, 0) : 0;
    sqlite3_finalize(statement);
    if (rc != SQLITE_ROW)
        return db_fail(rc, error);
    *value = found;
    return STATUS_OK;
}

enum status db_migrate_version(sqlite3 *db, int *version, struct error *error) {
    return pragma_integer(db, "PRAGMA user_version", version, error);
}

enum status db_migrate_application(sqlite3 *db, int *id, struct error *error) {
    return pragma_integer(db, "PRAGMA application_id", id, error);
}

static enum status apply(sqlite3 *db, const struct db_migration *migration, struct error *error) {
    int rc = sqlite3_exec(db, "BEGIN IMMEDIATE", NULL, NULL, NULL);
    if (rc == SQLITE_OK)
        rc = sqlite3_exec(db, migration->sql, NULL, NULL, NULL);
    if (rc == SQLITE_OK)
        rc = sqlite3_exec(db, "COMMIT", NULL, NULL, NULL);
    if (rc != SQLITE_OK && !sqlite3_get_autocommit(db))
        sqlite3_exec(db, "ROLLBACK", NULL, NULL, NULL);
    return rc == SQLITE_OK ? STATUS_OK : db_fail(rc, error);
}

/* Made, or meddled with, by something else: to make the first tables would fail on the way. */
static enum status refuse_unversioned(sqlite3 *db, int version, int count, struct error *error) {
    int tables = 0;
    enum status status = pragma_integer(db, "SELECT count(*) FROM sqlite_schema", &tables, error);
    if (status != STATUS_OK || (version == 0 && tables == 0))
        return status;
    return status_fail(
        error, STATUS_CONFLICT,
        "the store says that it is of version %d, which no program has made, and %s; "
        "expected is 1 to %d: restore a backup, or the number it had (PRAGMA "
        "user_version)",
        version, tables ? "has tables" : "is empty", count);
}

enum status db_migrate(sqlite3 *db, const struct db_migration *table, int count,
                       struct error *error) {
    int version = 0;
    enum status status = db_migrate_version(db, &version, error);
    if (status != STATUS_OK)
        return status;
    if (version > count)
        return status_fail(error, STATUS_CONFLICT,
                           "the store is of version %d, this program knows versions up to %d: use "
                           "the newer program",
                           version, count);
    if (version <= 0)
        status = refuse_unversioned(db, version, count, error);
    for (int i = version; i < count && status == STATUS_OK; i++)
        status = apply(db, &table[i], error);
    return status;
}
