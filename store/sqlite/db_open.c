#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "store/sqlite/db.h"
#include "store/sqlite/db_migrate.h"
#include "store/sqlite/db_tables.h"

/* A writer waits this long for readers when it empties the log, a reader for recovery. */
#define BUSY_MS 1000

static void db_close(struct store *store);
static enum status open_reader(struct store *writer, struct store **reader, struct error *error);
static enum status read_version(struct store *store, int *version, struct error *error);
static enum status read_meta(struct store *store, struct store_meta *meta, struct error *error);

static const struct store_backend backend = {
    .close = db_close,
    .open_reader = open_reader,
    .version = read_version,
    .meta = read_meta,
    .tenant_create = db_tenants_create,
    .tenant_get = db_tenants_get,
    .tenant_find = db_tenants_find,
    .tenant_list = db_tenants_list,
    .tenant_set_state = db_tenants_set_state,
    .tenant_delete = db_tenants_delete,
    .tenant_set_policy = db_policies_give,
    .policy_set = db_policies_set,
    .policy_find = db_policies_find,
    .policy_list = db_policies_list,
    .policy_delete = db_policies_delete,
    .secret = db_policies_secret,
    .secret_replace = db_policies_secret_replace,
    .key_create = db_keys_create,
    .key_find = db_keys_find,
    .key_list = db_keys_list,
    .key_revoke = db_keys_revoke,
    .model_create = db_models_create,
    .model_complete = db_models_complete,
    .model_ready = db_models_ready,
    .model_delete = db_models_delete,
    .model_get = db_models_get,
    .model_find = db_models_find,
    .model_header = db_models_header,
    .model_list = db_models_list,
    .model_set_unloaded = db_models_set_unloaded,
    .usage_list = db_audit_usage_list,
    .audit_append = db_audit_append,
    .audit_list = db_audit_list,
    .audit_count = db_audit_count,
    .audit_size = db_audit_size,
    .audit_leaves = db_audit_leaves,
};

static struct db *new_handle(bool reader, struct error *error) {
    struct db *db = calloc(1, sizeof *db);
    if (!db) {
        db_fail(SQLITE_NOMEM, error);
        return NULL;
    }
    db->lock = -1;
    if (backend_init(&db->store, &backend, reader, error) != STATUS_OK) {
        free(db);
        return NULL;
    }
    return db;
}

static void db_close(struct store *store) {
    struct db *db = (struct db *)store;
    for (size_t i = 0; i < DB_STATEMENTS; i++)
        sqlite3_finalize(db->statements[i]);
    if (db->connection && !store->reader)
        db_truncate_log(db);
    sqlite3_close(db->connection);
    if (db->lock >= 0)
        close(db->lock);
    free(db->path);
    free(db->leaves);
    backend_destroy(store);
    free(db);
}

static char *join(const char *dir, const char *name, struct error *error) {
    char *path = NULL;
    if (asprintf(&path, "%s/%s", dir, name) < 0) {
        db_fail(SQLITE_NOMEM, error);
        return NULL;
    }
    return path;
}

/* `running`, unless NULL, tells whether it is because a server has it. */
static enum status lock_file(int fd, bool *running, struct error *error) {
    if (flock(fd, LOCK_EX | LOCK_NB) == 0)
        return STATUS_OK;
    if (errno != EWOULDBLOCK)
        return status_fail(error, STATUS_UNAVAILABLE, "the store cannot be locked: %s",
                           strerror(errno));
    if (running)
        *running = true;
    return status_fail(error, STATUS_CONFLICT, "the store is in use by a running server");
}

static enum status take_lock(struct db *db, const char *dir, struct error *error) {
    char *path = join(dir, "store.lock", error);
    if (!path)
        return STATUS_UNAVAILABLE;
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    int reason = errno;
    free(path);
    if (fd < 0)
        return status_fail(error, reason == ENOENT ? STATUS_NOT_FOUND : STATUS_UNAVAILABLE,
                           "the store cannot be opened: %s", strerror(reason));
    enum status status = lock_file(fd, NULL, error);
    if (status == STATUS_OK)
        db->lock = fd;
    else
        close(fd);
    return status;
}

/* A pragma that silently did nothing would be a promise broken quietly, so each is read back. */
static enum status set_pragma(struct db *db, const char *set, const char *get, const char *wanted,
                              struct error *error) {
    int rc = sqlite3_exec(db->connection, set, NULL, NULL, NULL);
    if (rc != SQLITE_OK)
        return db_fail(rc, error);
    sqlite3_stmt *statement = NULL;
    rc = sqlite3_prepare_v2(db->connection, get, -1, &statement, NULL);
    if (rc == SQLITE_OK)
        rc = sqlite3_step(statement);
    const char *found = rc == SQLITE_ROW ? (const char *)sqlite3_column_text(statement, 0) : NULL;
    bool same = found && strcmp(found, wanted) == 0;
    sqlite3_finalize(statement);
    if (rc != SQLITE_ROW)
        return db_fail(rc, error);
    if (!same)
        return status_fail(error, STATUS_INTERNAL, "the store refuses a setting it needs: %s",
                           wanted);
    return STATUS_OK;
}

static enum status configure(struct db *db, struct error *error) {
    static const struct {
        const char *set, *get, *wanted;
    } pragmas[] = {
        {"PRAGMA journal_mode = WAL", "PRAGMA journal_mode", "wal"},
        {"PRAGMA synchronous = FULL", "PRAGMA synchronous", "2"},
        {"PRAGMA foreign_keys = ON", "PRAGMA foreign_keys", "1"},
        {"PRAGMA recursive_triggers = ON", "PRAGMA recursive_triggers", "1"},
        {"PRAGMA secure_delete = ON", "PRAGMA secure_delete", "1"},
        {"PRAGMA temp_store = MEMORY", "PRAGMA temp_store", "2"},
        {"PRAGMA trusted_schema = OFF", "PRAGMA trusted_schema", "0"},
        {"PRAGMA cell_size_check = ON", "PRAGMA cell_size_check", "1"},
    };
    sqlite3_extended_result_codes(db->connection, 1);
    sqlite3_busy_timeout(db->connection, BUSY_MS);
    sqlite3_db_config(db->connection, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
    /* Seeds SQLite's generator now, so that no device is opened later, inside a sandbox. */
    uint8_t seed[8];
    sqlite3_randomness(sizeof seed, seed);
    for (size_t i = db->store.reader ? 1 : 0; i < sizeof pragmas / sizeof pragmas[0]; i++) {
        enum status status =
            set_pragma(db, pragmas[i].set, pragmas[i].get, pragmas[i].wanted, error);
        if (status != STATUS_OK)
            return status;
    }
    return STATUS_OK;
}

static enum status connect_to(struct db *db, int flags, struct error *error) {
    int rc = sqlite3_open_v2(db->path, &db->connection,
                             flags | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_PRIVATECACHE, NULL);
    if (rc != SQLITE_OK)
        return db_fail(rc, error);
    return configure(db, error);
}

/* Refuse a file that is not ours before anything is written to it. */
static enum status check_file(struct db *db, int flags, bool *empty, struct error *error) {
    int application = 0, version = 0;
    sqlite3_stmt *probe = NULL;
    int rc = sqlite3_open_v2(db->path, &db->connection, flags | SQLITE_OPEN_NOMUTEX, NULL);
    if (rc == SQLITE_OK)
        rc = sqlite3_prepare_v2(db->connection, "SELECT count(*) FROM sqlite_schema", -1, &probe,
                                NULL);
    if (rc == SQLITE_OK)
        rc = sqlite3_step(probe);
    bool tables = rc == SQLITE_ROW && sqlite3_column_int(probe, 0) > 0;
    sqlite3_finalize(probe);
    enum status status = rc == SQLITE_ROW ? STATUS_OK : db_fail(rc, error);
    if (status == STATUS_OK)
        status = db_migrate_application(db->connection, &application, error);
    if (status == STATUS_OK)
        status = db_migrate_version(db->connection, &version, error);
    sqlite3_close(db->connection);
    db->connection = NULL;
    if (status != STATUS_OK)
        return status;
    if (tables && application != DB_APPLICATION_ID)
        return status_fail(error, STATUS_INVALID, "the file store.db is not a Strongroom store");
    if (version > db_migrate_count)
        return status_fail(error, STATUS_CONFLICT,
                           "the store is of version %d, this program knows versions up to %d: use "
                           "the newer program",
                           version, db_migrate_count);
    *empty = !tables;
    return STATUS_OK;
}

static enum status insert_meta(struct db *db, const struct store_meta *meta, struct error *error) {
    enum status status = db_begin(db, error);
    if (status != STATUS_OK)
        return status;
    sqlite3_stmt *insert = db_statement(db, DB_META_INSERT, error);
    status = insert ? db_bind_text(insert, 1, meta->uid, error) : STATUS_UNAVAILABLE;
    if (status == STATUS_OK)
        status = db_bind_integer(insert, 2, meta->created, error);
    if (status == STATUS_OK)
        status = db_bind_text(insert, 3, meta->recipient, error);
    if (status == STATUS_OK)
        status = db_bind_text(insert, 4, meta->verifier, error);
    if (status == STATUS_OK)
        status = db_run(db, insert, "there is a store in this folder already", NULL, error);
    return db_end(db, status, NULL, 0, error);
}

enum status db_create(const char *dir, const struct store_meta *meta, struct error *error) {
    struct db *db = new_handle(false, error);
    if (!db)
        return STATUS_UNAVAILABLE;
    enum status status = take_lock(db, dir, error);
    if (status != STATUS_OK)
        goto out;
    db->path = join(dir, "store.db", error);
    if (!db->path) {
        status = STATUS_UNAVAILABLE;
        goto out;
    }
    /* SQLite gives its other files the mode of this one. */
    int fd = open(db->path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0) {
        status =
            status_fail(error, STATUS_UNAVAILABLE, "the store cannot be made: %s", strerror(errno));
        goto out;
    }
    close(fd);
    bool empty = false;
    status = check_file(db, SQLITE_OPEN_READWRITE, &empty, error);
    if (status == STATUS_OK)
        status = connect_to(db, SQLITE_OPEN_READWRITE, error);
    if (status == STATUS_OK)
        status = db_migrate(db->connection, db_migrate_table, db_migrate_count, error);
    if (status == STATUS_OK)
        status = insert_meta(db, meta, error);
out:
    db_close(&db->store);
    return status;
}

enum status db_open(const char *dir, struct store **store, struct error *error) {
    struct store_meta meta;
    struct db *db = new_handle(false, error);
    if (!db)
        return STATUS_UNAVAILABLE;
    enum status status;
    db->path = join(dir, "store.db", error);
    if (!db->path) {
        status = STATUS_UNAVAILABLE;
        goto out;
    }
    if (access(db->path, F_OK) != 0) {
        status = errno == ENOENT || errno == ENOTDIR
                     ? status_fail(error, STATUS_NOT_FOUND, "there is no store in this folder")
                     : status_fail(error, STATUS_UNAVAILABLE, "the store cannot be opened: %s",
                                   strerror(errno));
        goto out;
    }
    status = take_lock(db, dir, error);
    bool empty = false;
    if (status == STATUS_OK)
        status = check_file(db, SQLITE_OPEN_READWRITE, &empty, error);
    if (status == STATUS_OK && empty)
        status = status_fail(error, STATUS_NOT_FOUND, "the store in this folder is empty");
    if (status == STATUS_OK)
        status = connect_to(db, SQLITE_OPEN_READWRITE, error);
    if (status == STATUS_OK)
        status = db_migrate(db->connection, db_migrate_table, db_migrate_count, error);
    if (status == STATUS_OK)
        status = read_meta(&db->store, &meta, error);
    if (status == STATUS_OK)
        *store = &db->store;
out:
    if (status != STATUS_OK)
        db_close(&db->store);
    return status;
}

/* The lock as it is: no file is made for it, and where there is none no server has run. */
static enum status look_at_lock(struct db *db, const char *dir, bool *running,
                                struct error *error) {
    char *path = join(dir, "store.lock", error);
    if (!path)
        return STATUS_UNAVAILABLE;
    db->lock = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    int reason = errno;
    free(path);
    if (db->lock >= 0)
        return lock_file(db->lock, running, error);
    return reason == ENOENT ? STATUS_OK
                            : status_fail(error, STATUS_UNAVAILABLE,
                                          "the store cannot be locked: %s", strerror(reason));
}

/* STATUS_INTERNAL with the first thing that SQLite finds wrong. */
static enum status check_integrity(struct db *db, struct error *error) {
    sqlite3_stmt *check = NULL;
    int rc = sqlite3_prepare_v2(db->connection, "PRAGMA quick_check(1)", -1, &check, NULL);
    if (rc == SQLITE_OK)
        rc = sqlite3_step(check);
    const char *found = rc == SQLITE_ROW ? (const char *)sqlite3_column_text(check, 0) : NULL;
    enum status status = STATUS_OK;
    if (!found || strcmp(found, "ok") != 0)
        status = status_fail(error, STATUS_INTERNAL, "the store is damaged: %.200s",
                             found ? found : sqlite3_errmsg(db->connection));
    sqlite3_finalize(check);
    return status;
}

enum status db_inspect(const char *dir, bool *running, struct store **store, struct error *error) {
    struct db *db = new_handle(true, error);
    bool empty = false;
    if (!db)
        return STATUS_UNAVAILABLE;
    db->path = join(dir, "store.db", error);
    enum status status = db->path ? STATUS_OK : STATUS_UNAVAILABLE;
    if (status == STATUS_OK && access(db->path, F_OK) != 0)
        status = status_fail(error, STATUS_NOT_FOUND, "there is no store in this folder");
    if (status == STATUS_OK)
        status = look_at_lock(db, dir, running, error);
    if (status == STATUS_OK)
        status = check_file(db, SQLITE_OPEN_READONLY, &empty, error);
    if (status == STATUS_OK && empty)
        status = status_fail(error, STATUS_NOT_FOUND, "the store in this folder is empty");
    if (status == STATUS_OK)
        status = connect_to(db, SQLITE_OPEN_READONLY, error);
    if (status == STATUS_OK)
        status = check_integrity(db, error);
    if (status == STATUS_OK)
        *store = &db->store;
    else
        db_close(&db->store);
    return status;
}

static enum status open_reader(struct store *writer, struct store **reader, struct error *error) {
    const struct db *from = (const struct db *)writer;
    struct db *db = new_handle(true, error);
    if (!db)
        return STATUS_UNAVAILABLE;
    enum status status = STATUS_OK;
    db->path = strdup(from->path);
    if (!db->path)
        status = db_fail(SQLITE_NOMEM, error);
    if (status == STATUS_OK)
        status = connect_to(db, SQLITE_OPEN_READONLY, error);
    if (status == STATUS_OK)
        *reader = &db->store;
    else
        db_close(&db->store);
    return status;
}

static enum status read_version(struct store *store, int *version, struct error *error) {
    struct db *db = (struct db *)store;
    return db_migrate_version(db->connection, version, error);
}

static enum status read_meta(struct store *store, struct store_meta *meta, struct error *error) {
    struct db *db = (struct db *)store;
    sqlite3_stmt *get = db_statement(db, DB_META, error);
    if (!get)
        return STATUS_UNAVAILABLE;
    struct store_meta found = {0};
    int rc = sqlite3_step(get);
    enum status status = STATUS_OK;
    if (rc == SQLITE_DONE)
        status = status_fail(error, STATUS_NOT_FOUND, "the store in this folder is not complete");
    else if (rc != SQLITE_ROW)
        status = db_fail(rc, error);
    if (status == STATUS_OK)
        status = db_column_text(get, 0, found.uid, sizeof found.uid, error);
    if (status == STATUS_OK)
        status = db_column_text(get, 2, found.recipient, sizeof found.recipient, error);
    if (status == STATUS_OK)
        status = db_column_text(get, 3, found.verifier, sizeof found.verifier, error);
    if (status == STATUS_OK) {
        found.created = sqlite3_column_int64(get, 1);
        *meta = found;
    }
    sqlite3_reset(get);
    return status;
}
