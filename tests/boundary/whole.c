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
