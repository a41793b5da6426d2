/* What only the SQLite backend has: files, a lock, versions, crashes, full disks. */
#include <criterion/criterion.h>
#include <dirent.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "store/sqlite/db_migrate.h"
#include "store/sqlite/db_statements.h"
#include "store/store.h"
#include "tests/unit/store_fixture.h"

static struct error error;

#define ASSERT_OK(call) cr_assert_eq((call), STATUS_OK, "%s", error.message)
#define ASSERT_STATUS(call, wanted) cr_assert_eq((call), (wanted), "%s", error.message)

static struct store *make(const char *folder) {
    struct store *store = NULL;
    struct store_meta meta = store_fixture_meta();
    ASSERT_OK(store_create(folder, &meta, &error));
    ASSERT_OK(store_open(folder, &store, &error));
    return store;
}

static char *path_of(const char *folder, const char *name) {
    char *path = NULL;
    cr_assert(asprintf(&path, "%s/%s", folder, name) > 0);
    return path;
}

/* A plain connection, as somebody with the file and SQL has it. */
static sqlite3 *connect_plainly(const char *folder) {
    char *path = path_of(folder, "store.db");
    sqlite3 *db = NULL;
    cr_assert_eq(sqlite3_open_v2(path, &db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, NULL),
                 SQLITE_OK);
    free(path);
    return db;
}

static int run_sql(sqlite3 *db, const char *sql) {
    return sqlite3_exec(db, sql, NULL, NULL, NULL);
}

Test(store_files, a_store_is_made_once) {
    char *folder = store_fixture_folder();
    struct store_meta meta = store_fixture_meta();
    struct store *store = NULL;
    ASSERT_STATUS(store_open(folder, &store, &error), STATUS_NOT_FOUND);
    cr_assert_null(store);
    ASSERT_OK(store_create(folder, &meta, &error));
    ASSERT_STATUS(store_create(folder, &meta, &error), STATUS_CONFLICT);
    meta.uid[0] = 'X';
    ASSERT_STATUS(store_create(folder, &meta, &error), STATUS_INVALID);
    ASSERT_STATUS(store_open("/nonexistent", &store, &error), STATUS_NOT_FOUND);
    ASSERT_OK(store_open(folder, &store, &error));
    store_close(store);
    store_fixture_remove(folder);
}

/* A crash between the making of the file and its first row leaves what init can finish. */
Test(store_files, making_that_was_cut_off_can_be_done_again) {
    char *folder = store_fixture_folder();
    struct store_meta meta = store_fixture_meta();
    struct store *store = NULL;
    sqlite3 *db = connect_plainly(folder);
    cr_assert_eq(sqlite3_close(db), SQLITE_OK);
    ASSERT_STATUS(store_open(folder, &store, &error), STATUS_NOT_FOUND);
    db = connect_plainly(folder);
    ASSERT_OK(db_migrate(db, db_migrate_table, db_migrate_count, &error));
    cr_assert_eq(sqlite3_close(db), SQLITE_OK);
    ASSERT_STATUS(store_open(folder, &store, &error), STATUS_NOT_FOUND);
    ASSERT_OK(store_create(folder, &meta, &error));
    ASSERT_OK(store_open(folder, &store, &error));
    store_close(store);
    store_fixture_remove(folder);
}

Test(store_files, are_for_their_owner_alone_and_stay_in_the_folder) {
    char *folder = store_fixture_folder();
    umask(0);
    struct store *store = make(folder);
    struct audit_record record = store_fixture_record("a");
    ASSERT_OK(store_audit_append(store, &record, 1, NULL, 0, &error));
    DIR *dir = opendir(folder);
    int found = 0;
    for (struct dirent *entry; (entry = readdir(dir));) {
        if (entry->d_name[0] == '.')
            continue;
        struct stat s;
        cr_assert_eq(fstatat(dirfd(dir), entry->d_name, &s, 0), 0);
        cr_assert_eq(s.st_mode & 077, 0, "%s", entry->d_name);
        found++;
    }
    cr_assert_eq(found, 4, "store.db, -wal, -shm, store.lock");
    closedir(dir);
    store_close(store);
    store_fixture_remove(folder);
}

Test(store_files, one_writer_at_a_time) {
    char *folder = store_fixture_folder();
    struct store_meta meta = store_fixture_meta();
    struct store *store = make(folder), *second = NULL;
    ASSERT_STATUS(store_open(folder, &second, &error), STATUS_CONFLICT);
    cr_assert_str_eq(error.message, "the store is in use by a running server");
    ASSERT_STATUS(store_create(folder, &meta, &error), STATUS_CONFLICT);
    store_close(store);
    ASSERT_OK(store_open(folder, &second, &error));
    store_close(second);
    store_fixture_remove(folder);
}

Test(store_files, somebody_elses_file_is_refused_and_not_written) {
    char *folder = store_fixture_folder();
    struct store *store = NULL;
    struct store_meta meta = store_fixture_meta();
    sqlite3 *db = connect_plainly(folder);
    cr_assert_eq(run_sql(db, "CREATE TABLE recipes (name)"), SQLITE_OK);
    cr_assert_eq(sqlite3_close(db), SQLITE_OK);
    ASSERT_STATUS(store_open(folder, &store, &error), STATUS_INVALID);
    ASSERT_STATUS(store_create(folder, &meta, &error), STATUS_INVALID);
    db = connect_plainly(folder);
    cr_assert_eq(run_sql(db, "SELECT * FROM meta"), SQLITE_ERROR);
    sqlite3_close(db);

    char *path = path_of(folder, "store.db");
    FILE *file = fopen(path, "w");
    for (int i = 0; i < 1000; i++)
        fputs("this is not a database\n", file);
    fclose(file);
    free(path);
    ASSERT_STATUS(store_open(folder, &store, &error), STATUS_INTERNAL);
    cr_assert_str_eq(error.message, "the store is damaged");
    store_fixture_remove(folder);
}

Test(store_migrations, an_older_store_is_brought_forward_with_what_it_holds) {
    char *folder = store_fixture_folder();
    sqlite3 *db = connect_plainly(folder);
    ASSERT_OK(db_migrate(db, db_migrate_table, 1, &error));
    cr_assert_eq(
        run_sql(db, "INSERT INTO meta VALUES (1, '00112233445566778899aabbccddeeff', 5, "
                    "'age1rootroot', 'v');"
                    "INSERT INTO tenants (uid, name, state, created, recipient, wrapped, note) "
                    "VALUES ('u', 'acme', 1, 6, 'age1x', x'0102', 'n')"),
        SQLITE_OK);
    cr_assert_eq(run_sql(db, "SELECT * FROM audit"), SQLITE_ERROR);
    cr_assert_eq(sqlite3_close(db), SQLITE_OK);

    struct store *store = NULL;
    struct store_tenant tenant;
    struct audit_record record = store_fixture_record("a");
    int version = 0;
    ASSERT_OK(store_open(folder, &store, &error));
    ASSERT_OK(store_version(store, &version, &error));
    cr_assert_eq(version, store_version_known());
    ASSERT_OK(store_tenant_find(store, "acme", &tenant, &error));
    cr_assert_eq(tenant.created, 6);
    cr_assert_str_eq(tenant.policy, "standard");
    ASSERT_OK(store_audit_append(store, &record, 1, NULL, 0, &error));
    store_close(store);
    store_fixture_remove(folder);
}

/* Makers came later than keys; the log of before says them. */
Test(store_migrations, makers_are_found_in_the_log) {
    char *folder = store_fixture_folder();
    sqlite3 *db = connect_plainly(folder);
    ASSERT_OK(db_migrate(db, db_migrate_table, 5, &error));
    cr_assert_eq(
        run_sql(db,
                "INSERT INTO meta VALUES (1, '00112233445566778899aabbccddeeff', 5, "
                "'age1rootroot', 'v');"
                "INSERT INTO tenants (uid, name, state, created, recipient, wrapped, note) "
                "VALUES ('u', 'acme', 1, 6, 'age1x', x'0102', 'n');"
                "INSERT INTO keys (id, tenant, label, hash, scopes, created, expires, revoked) "
                "VALUES ('a', 1, '', zeroblob(32), 1, 7, 0, 0), ('b', 1, '', zeroblob(32), 1, 8, "
                "0, 0), ('c', NULL, '', zeroblob(32), 2048, 9, 0, 0), ('d', 1, '', zeroblob(32), "
                "1, 9, 0, 0);"
                "INSERT INTO audit VALUES (0, 7, 'u', 'operator', zeroblob(32), CAST("
                "'{\"action\":\"key.create\",\"outcome\":\"ok\",\"target\":\"a\"}' AS BLOB)), "
                "(1, 8, 'u', 'a', zeroblob(32), CAST("
                "'{\"action\":\"key.create\",\"outcome\":\"ok\",\"target\":\"b\"}' AS BLOB)), "
                "(2, 9, '', 'operator', zeroblob(32), CAST("
                "'{\"action\":\"operator.create\",\"outcome\":\"ok\",\"target\":\"c\"}' AS BLOB)), "
                "(3, 10, 'u', 'x', zeroblob(32), CAST("
                "'{\"action\":\"key.read\",\"outcome\":\"ok\",\"target\":\"b\"}' AS BLOB)), "
                "(4, 11, 'u', 'x', zeroblob(32), x'7bff')"),
        SQLITE_OK);
    cr_assert_eq(sqlite3_close(db), SQLITE_OK);
    struct store *store = NULL;
    struct store_key key;
    ASSERT_OK(store_open(folder, &store, &error));
    static const char *const makers[][2] = {
        {"a", "operator"}, {"b", "a"}, {"c", "operator"}, {"d", ""}};
    for (size_t i = 0; i < sizeof makers / sizeof makers[0]; i++) {
        ASSERT_OK(store_key_find(store, makers[i][0], &key, &error));
        cr_expect_str_eq(key.maker, makers[i][1], "%s", makers[i][0]);
    }
    store_close(store);
    store_fixture_remove(folder);
}

Test(store_migrations, a_newer_store_is_refused_and_not_touched) {
    char *folder = store_fixture_folder();
    store_close(make(folder));
    sqlite3 *db = connect_plainly(folder);
    cr_assert_eq(run_sql(db, "PRAGMA user_version = 4711"), SQLITE_OK);
    cr_assert_eq(sqlite3_close(db), SQLITE_OK);
    struct store *store = NULL;
    ASSERT_STATUS(store_open(folder, &store, &error), STATUS_CONFLICT);
    cr_assert(strstr(error.message, "version 4711"), "%s", error.message);
    cr_assert(strstr(error.message, "newer program"), "%s", error.message);
    cr_assert_null(store);
    int version = 0;
    db = connect_plainly(folder);
    ASSERT_STATUS(db_migrate(db, db_migrate_table, db_migrate_count, &error), STATUS_CONFLICT);
    ASSERT_OK(db_migrate_version(db, &version, &error));
    cr_assert_eq(version, 4711);
    sqlite3_close(db);
    store_fixture_remove(folder);
}

Test(store_migrations, a_store_without_its_version_is_refused_and_not_touched) {
    static const struct {
        const char *sql, *words;
    } cases[] = {{"PRAGMA user_version = 0", "version 0,"},
                 {"PRAGMA user_version = -3", "version -3,"}};
    char *folder = store_fixture_folder(), expected[32];
    snprintf(expected, sizeof expected, "expected is 1 to %d", store_version_known());
    store_close(make(folder));
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        sqlite3 *db = connect_plainly(folder);
        cr_assert_eq(run_sql(db, cases[i].sql), SQLITE_OK);
        cr_assert_eq(sqlite3_close(db), SQLITE_OK);
        struct store *store = NULL;
        ASSERT_STATUS(store_open(folder, &store, &error), STATUS_CONFLICT);
        cr_assert(strstr(error.message, cases[i].words), "%s", error.message);
        cr_assert(strstr(error.message, expected), "%s", error.message);
        cr_assert_null(store);
    }
    store_fixture_remove(folder);
}

Test(store_migrations, one_that_fails_leaves_the_version_before) {
    char *folder = store_fixture_folder();
    sqlite3 *db = connect_plainly(folder);
    const struct db_migration table[] = {
        {1, "PRAGMA user_version = 1; CREATE TABLE a (x)"},
        {2, "PRAGMA user_version = 2; CREATE TABLE b (x); CREATE TABLE a (x)"},
    };
    int version = 9;
    cr_assert_neq(db_migrate(db, table, 2, &error), STATUS_OK);
    ASSERT_OK(db_migrate_version(db, &version, &error));
    cr_assert_eq(version, 1);
    cr_assert_eq(run_sql(db, "SELECT * FROM b"), SQLITE_ERROR);
    sqlite3_close(db);
    store_fixture_remove(folder);
}

Test(store_migrations, are_numbered_as_they_stand) {
    for (int i = 0; i < db_migrate_count; i++)
        cr_assert_eq(db_migrate_table[i].version, i + 1);
}

/* Guard rails for the store's own connection and everybody else's. */
Test(store_guards, records_are_neither_changed_nor_deleted_nor_replaced) {
    char *folder = store_fixture_folder();
    struct store *store = make(folder);
    struct audit_record record = store_fixture_record("a");
    ASSERT_OK(store_audit_append(store, &record, 1, NULL, 0, &error));
    store_close(store);
    sqlite3 *db = connect_plainly(folder);
    cr_assert_eq(run_sql(db, "PRAGMA recursive_triggers = ON"), SQLITE_OK);
    cr_assert_eq(run_sql(db, "UPDATE audit SET tenant = 'b'"), SQLITE_CONSTRAINT);
    cr_assert_eq(run_sql(db, "DELETE FROM audit"), SQLITE_CONSTRAINT);
    cr_assert_eq(run_sql(db, "INSERT OR REPLACE INTO audit VALUES (0, 1, 'b', 'k', "
                             "zeroblob(32), x'7b7d')"),
                 SQLITE_CONSTRAINT);
    cr_assert(strstr(sqlite3_errmsg(db), "not deleted"));
    sqlite3_close(db);
    store_fixture_remove(folder);
}

/* Statements are constants with places for values: none is built from text at run time. */
Test(store_guards, no_statement_is_formatted) {
    for (int i = 0; i < DB_STATEMENTS; i++) {
        cr_assert_not_null(db_statements_sql[i], "statement %d", i);
        cr_assert_null(strchr(db_statements_sql[i], '%'));
    }
    DIR *dir = opendir("store/sqlite");
    cr_assert_not_null(dir, "run in the root of the sources");
    int files = 0;
    for (struct dirent *entry; (entry = readdir(dir));) {
        size_t length = strlen(entry->d_name);
        if (length < 2 || strcmp(entry->d_name + length - 2, ".c") != 0)
            continue;
        char *path = path_of("store/sqlite", entry->d_name), line[512];
        FILE *file = fopen(path, "r");
        while (fgets(line, sizeof line, file)) {
            cr_assert_null(strstr(line, "sqlite3_mprintf"), "%s: %s", path, line);
            cr_assert_null(strstr(line, "sqlite3_snprintf"), "%s: %s", path, line);
            if (strstr(line, "sqlite3_exec("))
                cr_assert(strstr(line, "\"BEGIN") || strstr(line, "\"COMMIT") ||
                              strstr(line, "\"ROLLBACK") || strstr(line, "migration->sql") ||
                              strstr(line, "(db->connection, set,"),
                          "%s: %s", path, line);
        }
        fclose(file);
        free(path);
        files++;
    }
    closedir(dir);
    cr_assert_gt(files, 5);
}

static bool folder_contains(const char *folder, const char *needle, size_t size) {
    bool found = false;
    DIR *dir = opendir(folder);
    for (struct dirent *entry; (entry = readdir(dir));) {
        char *path = path_of(folder, entry->d_name);
        FILE *file = entry->d_name[0] == '.' ? NULL : fopen(path, "r");
        if (file) {
            static char bytes[4 << 20];
            size_t n = fread(bytes, 1, sizeof bytes, file);
            found = found || (n >= size && memmem(bytes, n, needle, size));
            fclose(file);
        }
        free(path);
    }
    closedir(dir);
    return found;
}

/* A deleted identity is overwritten in the database, and gone from the write-ahead log as well,
 * while the store stays open. */
Test(store_guards, what_is_deleted_is_gone_from_the_files) {
    static const char marker[] = "MARKER-of-a-wrapped-identity-0123456789";
    char *folder = store_fixture_folder();
    struct store *store = make(folder);
    struct store_tenant tenant = store_fixture_tenant(1);
    memset(tenant.wrapped, 'x', 3000);
    memcpy(tenant.wrapped + 1000, marker, sizeof marker);
    tenant.wrapped_size = 3000;
    ASSERT_OK(store_tenant_create(store, &tenant, NULL, &error));
    cr_assert(folder_contains(folder, marker, sizeof marker));
    ASSERT_OK(store_tenant_delete(store, tenant.id, NULL, &error));
    cr_assert_not(folder_contains(folder, marker, sizeof marker));
    store_close(store);
    store_fixture_remove(folder);
}

/* A child appends and says so through a pipe until it is killed in mid-work: all it had been
 * promised is there, whole and without a gap. */
static void append_until_killed(const char *folder, int say) {
    struct store *store = NULL;
    if (store_open(folder, &store, NULL) != STATUS_OK)
        _exit(1);
    for (;;) {
        struct audit_record group[7];
        for (int i = 0; i < 7; i++)
            group[i] = store_fixture_record("a");
        struct store_usage usage = {
            .tenant = 1, .key = "k", .model = "m/1", .day = 1, .requests = 7};
        if (store_audit_append(store, group, 7, &usage, 1, NULL) != STATUS_OK)
            _exit(2);
        uint64_t size = group[6].seq + 1;
        if (write(say, &size, sizeof size) != sizeof size)
            _exit(3);
    }
}

static enum status add_requests(void *context, const struct store_usage *usage, struct error *e) {
    (void)e;
    *(int64_t *)context += usage->requests;
    return STATUS_OK;
}

static enum status count_leaf(void *context, uint64_t seq, const uint8_t *leaf, struct error *e) {
    (void)leaf;
    uint64_t *next = context;
    if (seq != (*next)++)
        return status_fail(e, STATUS_INTERNAL, "a gap at %zu", (size_t)seq);
    return STATUS_OK;
}

Test(store_crash, a_killed_writer_has_kept_every_promise, .timeout = 60) {
    char *folder = store_fixture_folder();
    struct store *store = make(folder);
    struct store_tenant tenant = store_fixture_tenant(1);
    ASSERT_OK(store_tenant_create(store, &tenant, NULL, &error));
    cr_assert_eq(tenant.id, 1);
    store_close(store);
    for (int round = 0; round < 5; round++) {
        int ends[2];
        cr_assert_eq(pipe(ends), 0);
        pid_t child = fork();
        if (child == 0) {
            close(ends[0]);
            append_until_killed(folder, ends[1]);
        }
        close(ends[1]);
        uint64_t promised = 0, said;
        for (int i = 0; i < 20 + 13 * round; i++)
            if (read(ends[0], &said, sizeof said) == sizeof said)
                promised = said;
        kill(child, SIGKILL);
        while (read(ends[0], &said, sizeof said) == sizeof said)
            promised = said;
        close(ends[0]);
        waitpid(child, NULL, 0);
        cr_assert_gt(promised, 0);

        uint64_t size = 0, leaves = 0;
        int64_t requests = 0;
        ASSERT_OK(store_open(folder, &store, &error));
        ASSERT_OK(store_audit_size(store, &size, &error));
        cr_assert_geq(size, promised);
        cr_assert_eq(size % 7, 0, "a group is whole or not there");
        ASSERT_OK(store_audit_leaves(store, 0, count_leaf, &leaves, &error));
        cr_assert_eq(leaves, size);
        ASSERT_OK(store_usage_list(store, 1, 0, 9, add_requests, &requests, &error));
        cr_assert_eq((uint64_t)requests, size, "usage is of the same transaction");
        store_close(store);
    }
    store_fixture_remove(folder);
}

/* Append groups until the disk takes no more; then nothing of the failed group is there, reads go
 * on, and so do writes once there is room. */
static void fill(struct store *store, void (*make_room)(void *), void *context) {
    uint64_t size = 0, after = 0;
    enum status status = STATUS_OK;
    for (int i = 0; i < 20000 && status == STATUS_OK; i++) {
        struct audit_record group[16];
        for (int j = 0; j < 16; j++)
            group[j] = store_fixture_record("a");
        status = store_audit_append(store, group, 16, NULL, 0, &error);
        if (status == STATUS_OK)
            size = group[15].seq + 1;
    }
    cr_assert_eq(status, STATUS_UNAVAILABLE, "%s", error.message);
    cr_assert(strstr(error.message, "cannot be written"), "%s", error.message);
    cr_assert_gt(size, 0);
    ASSERT_OK(store_audit_size(store, &after, &error));
    cr_assert_eq(after, size);
    struct audit_record record = store_fixture_record("b");
    struct store_tenant tenant = store_fixture_tenant(1);
    memset(tenant.wrapped, 1, sizeof tenant.wrapped);
    tenant.wrapped_size = sizeof tenant.wrapped;
    make_room(context);
    ASSERT_OK(store_tenant_create(store, &tenant, &record, &error));
    cr_assert_eq(record.seq, size);
}

static void lift_limit(void *context) {
    (void)context;
    struct rlimit limit = {.rlim_cur = RLIM_INFINITY, .rlim_max = RLIM_INFINITY};
    getrlimit(RLIMIT_FSIZE, &limit);
    limit.rlim_cur = limit.rlim_max;
    cr_assert_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

Test(store_disk, a_file_at_its_limit, .timeout = 60) {
    char *folder = store_fixture_folder();
    struct store *store = make(folder);
    struct rlimit limit;
    signal(SIGXFSZ, SIG_IGN);
    getrlimit(RLIMIT_FSIZE, &limit);
    limit.rlim_cur = 512 * 1024;
    cr_assert_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
    fill(store, lift_limit, NULL);
    store_close(store);
    store_fixture_remove(folder);
}

static void remove_ballast(void *context) {
    cr_assert_eq(unlink(context), 0);
}

Test(store_disk, a_full_disk, .timeout = 60) {
    char *folder = store_fixture_folder();
    /* In a mount namespace of this test's own: a test that fails leaves no mount behind. */
    if (unshare(CLONE_NEWNS) != 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 ||
        mount("tmpfs", folder, "tmpfs", 0, "size=2m") != 0) {
        store_fixture_remove(folder);
        cr_skip_test("needs the right to mount a tmpfs");
    }
    struct store *store = make(folder);
    char *ballast = path_of(folder, "ballast");
    FILE *file = fopen(ballast, "w");
    for (int i = 0; i < 1024; i++)
        for (int j = 0; j < 1024; j++)
            putc('x', file);
    fclose(file);
    fill(store, remove_ballast, ballast);
    store_close(store);
    free(ballast);
    umount(folder);
    store_fixture_remove(folder);
}

/* No promise about speed, but the order of it: the hot path is thousands of groups a second. */
Test(store_speed, groups_of_records, .timeout = 60) {
    char *folder = store_fixture_folder();
    struct store *store = make(folder);
    struct timespec start, end;
    clock_gettime(CLOCK_MONOTONIC, &start);
    const int groups = 200;
    for (int i = 0; i < groups; i++) {
        struct audit_record group[16];
        for (int j = 0; j < 16; j++)
            group[j] = store_fixture_record("0123456789abcdef0123456789abcdef");
        ASSERT_OK(store_audit_append(store, group, 16, NULL, 0, &error));
    }
    clock_gettime(CLOCK_MONOTONIC, &end);
    double seconds =
        (double)(end.tv_sec - start.tv_sec) + (double)(end.tv_nsec - start.tv_nsec) / 1e9;
    cr_log_info("%.0f groups/s of 16, %.0f records/s", groups / seconds, 16 * groups / seconds);
    uint64_t size = 0;
    ASSERT_OK(store_audit_size(store, &size, &error));
    cr_assert_eq(size, 16 * groups);
    store_close(store);
    store_fixture_remove(folder);
}

Test(store_handle, closing_nothing_is_fine) {
    store_close(NULL);
}
