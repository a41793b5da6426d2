/* The whole server, as it is shipped: what each of its processes has open once it serves, and that
 * two of them do not share a folder. */
#include "tests/boundary/server.h"

#include <criterion/criterion.h>
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static struct server s;

static void set_up(void) {
    server_prepare_real(&s, STRONGROOM, STRONGROOMD);
}
static void tear_down(void) {
    server_remove(&s);
}
TestSuite(whole, .init = set_up, .fini = tear_down, .timeout = 90);

/* Whether a role may have that open; `path` is what /proc says it is. */
static bool may_have(const char *role, const char *path) {
    size_t folder = strlen(s.folder);
    if (strcmp(path, "/dev/null") == 0 || strncmp(path, "pipe:", 5) == 0 ||
        strncmp(path, "socket:", 7) == 0)
        return true;
    if (strcmp(role, "front") == 0 || strcmp(role, "ledger") == 0) /* they wait by these */
        if (strcmp(path, "anon_inode:[eventpoll]") == 0 ||
            strcmp(path, "anon_inode:[eventfd]") == 0)
            return true;
    if (strcmp(role, "ledger") == 0 && strncmp(path, s.folder, folder) == 0) {
        static const char *const files[] = {"", "/store.db", "/store.db-wal", "/store.lock",
                                            "/store.db-shm"};
        for (size_t i = 0; i < sizeof files / sizeof *files; i++)
            if (strcmp(path + folder, files[i]) == 0)
                return true;
    }
    return false;
}

static unsigned descriptors_of(const char *role) {
    char path[64];
    unsigned count = 0;
    snprintf(path, sizeof path, "/proc/%d/fd", server_pid(&s, role));
    DIR *folder = opendir(path);
    for (struct dirent *entry; folder && (entry = readdir(folder));)
        count += entry->d_name[0] != '.';
    if (folder)
        closedir(folder);
    return count;
}

static void look_at(const char *role) {
    char path[64], target[256];
    unsigned count = 0;
    /* The server says that it is ready before each role has read who the others are. */
    for (int i = 0; i < 100 && descriptors_of(role) <= 4; i++)
        nanosleep(&(struct timespec){.tv_nsec = 20 * 1000 * 1000}, NULL);
    snprintf(path, sizeof path, "/proc/%d/fd", server_pid(&s, role));
    DIR *folder = opendir(path);
    if (!folder)
        cr_skip_test("only root can list the descriptors of a process that is not dumpable");
    for (struct dirent *entry; (entry = readdir(folder));) {
        ssize_t n = readlinkat(dirfd(folder), entry->d_name, target, sizeof target - 1);
        if (n < 0)
            continue;
        target[n] = '\0';
        count++;
        cr_expect(may_have(role, target), "%s has %s open as %s", role, target, entry->d_name);
    }
    closedir(folder);
    cr_expect_gt(count, 4, "%s: only %u descriptors: launch, log and two more are there", role,
                 count);
}

Test(whole, descriptors_of_every_process) {
    server_start(&s);
    look_at("keeper");
    look_at("ledger");
    look_at("front");
    cr_assert_eq(server_stop(&s), 0, "%s", s.text);
    char path[128];
    snprintf(path, sizeof path, "%s/admin.sock", s.folder);
    cr_assert_eq(access(path, F_OK), -1, "the admin socket is left behind");
}

/* Bytes that a file of the role may have; 0: no limit. */
static unsigned long long file_limit(const char *role) {
    char path[64], line[128];
    unsigned long long soft = 0;
    snprintf(path, sizeof path, "/proc/%d/limits", server_pid(&s, role));
    FILE *file = fopen(path, "r");
    cr_assert(file, "%s", path);
    while (fgets(line, sizeof line, file))
        if (strncmp(line, "Max file size", 13) == 0 && sscanf(line + 13, "%llu", &soft) != 1)
            soft = 0;
    fclose(file);
    return soft;
}

Test(whole, files_of_the_roles_have_a_longest) {
    server_start(&s);
    cr_expect_eq(file_limit("keeper"), 64ull << 20);
    cr_expect_eq(file_limit("front"), 4ull << 30, "the default of limits.model_bytes");
    cr_expect_eq(file_limit("ledger"), 0, "the store and its log grow");
    cr_assert_eq(server_stop(&s), 0, "%s", s.text);
}

/* A descriptor of ours for the eventfd that front and ledger share: the bell of their mailbox. */
static int bell_of_front(void) {
    char path[64], line[64];
    long ids[2][64], id;
    int numbers[64], counts[2] = {0};
    for (int side = 0; side < 2; side++)
        for (int fd = 0; fd < 64 && counts[side] < 64; fd++) {
            snprintf(path, sizeof path, "/proc/%d/fdinfo/%d",
                     server_pid(&s, side ? "ledger" : "front"), fd);
            FILE *file = fopen(path, "r");
            for (id = -1; file && id < 0 && fgets(line, sizeof line, file);)
                if (sscanf(line, "eventfd-id: %ld", &id) == 1) {
                    if (side == 0)
                        numbers[counts[0]] = fd;
                    ids[side][counts[side]++] = id;
                }
            if (file)
                fclose(file);
        }
    int front = (int)syscall(SYS_pidfd_open, server_pid(&s, "front"), 0), bell = -1;
    for (int i = 0; i < counts[0]; i++)
        for (int j = 0; j < counts[1] && bell < 0; j++)
            if (ids[0][i] == ids[1][j])
                bell = (int)syscall(SYS_pidfd_getfd, front, numbers[i], 0);
    close(front);
    return bell;
}

/* Front shares the bell's flags and its count with ledger. One that was broken into makes reading
 * it wait and takes the count away: a ledger that reads it would serve nobody any more. */
Test(whole, the_bell_is_never_read) {
    const uint64_t rings = 3;
    uint64_t count = 0;
    server_start(&s);
    if (geteuid() != 0)
        cr_skip_test("only root can take a descriptor of front's");
    int bell = -1;
    for (int i = 0; i < 100 && (bell = bell_of_front()) < 0; i++)
        nanosleep(&(struct timespec){.tv_nsec = 20 * 1000 * 1000}, NULL);
    cr_assert_geq(bell, 0, "front and ledger share no eventfd, or it cannot be taken");
    cr_assert_eq(write(bell, &rings, sizeof rings), sizeof rings);
    nanosleep(&(struct timespec){.tv_nsec = 300 * 1000 * 1000}, NULL);
    cr_expect_eq(read(bell, &count, sizeof count), sizeof count, "ledger has read it");
    cr_expect_geq(count, rings);
    close(bell);
    cr_assert_eq(server_stop(&s), 0, "%s", s.text);
}

Test(whole, files_belong_to_the_owner_alone) {
    struct stat info;
    char path[128];
    server_start(&s);
    static const char *const names[] = {"admin.sock", "store.db", "keys/root.txt", "tls/key.pem"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        snprintf(path, sizeof path, "%s/%s", s.folder, names[i]);
        cr_assert_eq(stat(path, &info), 0, "%s", names[i]);
        cr_expect_eq(info.st_mode & 0077, 0, "%s: mode %04o", names[i], info.st_mode & 07777u);
    }
}

Test(whole, a_second_server_on_the_folder_is_refused) {
    struct server second = s;
    server_start(&s);
    second.text = NULL;
    second.size = 0;
    cr_assert_eq(server_fails(&second), status_exit(STATUS_CONFLICT));
    cr_assert(strstr(second.text, "another strongroomd serves the data folder"), "%s", second.text);
    cr_assert_eq(server_stop(&s), 0, "the first goes on");
}

Test(whole, a_killed_server_can_be_started_again) {
    server_start(&s);
    kill(s.pid, SIGKILL);
    for (int i = 0; i < 100 && kill(s.pid, 0) == 0; i++) {
        usleep(20000);
        while (waitpid(-1, NULL, WNOHANG) > 0)
            ;
    }
    s.pid = 0;
    server_start(&s);
    cr_assert_eq(server_stop(&s), 0, "%s", s.text);
}
