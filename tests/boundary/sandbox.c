/* The sandbox against its policy texts. The texts are read here a second time, by a reader of
 * their own, and every system call of the kernel is tried inside the sandbox of each role: what the
 * text does not name must end the process, what it names must not. */
#include "base/sandbox.h"

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <seccomp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define CALLS 512

/* What a text says of one call, for arguments that are all 0 and all -1. A constant of the texts is
 * never 0 but for NULL, so which conditions hold then follows from the words alone. */
struct said {
    bool zeros, ones; /* the call goes through (allowed, or refused with an error) */
    bool allow_zeros, allow_ones;
};

static char folder[] = "/tmp/strongroom-sandbox-XXXXXX";

static void set_up(void) {
    cr_assert(mkdtemp(folder));
}
static void tear_down(void) {
    rmdir(folder);
}
TestSuite(sandbox, .init = set_up, .fini = tear_down, .timeout = 120);

static bool holds(char *conditions, long argument) {
    bool all = true;
    char *rest = NULL, *word = strtok_r(conditions, " \t\n", &rest); /* where */
    while (word) {
        (void)strtok_r(NULL, " \t\n", &rest); /* argN */
        const char *verb = strtok_r(NULL, " \t\n", &rest);
        const char *constant = strtok_r(NULL, " \t\n", &rest);
        cr_assert(verb && constant);
        if (strcmp(verb, "is") == 0)
            all = all && strcmp(constant, "NULL") == 0 && argument == 0;
        else if (strcmp(verb, "has") == 0)
            all = all && argument == -1;
        else
            all = all && argument == 0;
        word = strtok_r(NULL, " \t\n", &rest); /* and */
    }
    return all;
}

static size_t read_policy(const char *role, struct said said[CALLS]) {
    char path[256], line[512], name[64];
    size_t rules = 0;
    snprintf(path, sizeof path, "policies/sandbox/%s.policy", role);
    FILE *file = fopen(path, "r");
    cr_assert(file, "%s", path);
    while (fgets(line, sizeof line, file)) {
        *strchrnul(line, '#') = '\0';
        bool allow = sscanf(line, "allow %63s", name) == 1;
        if (!allow && sscanf(line, "errno %*s %63s", name) != 1)
            continue;
        rules++;
        int number = seccomp_syscall_resolve_name(name);
        if (number < 0)
            continue; /* not on this processor */
        cr_assert_lt(number, CALLS);
        char *where = strstr(line, "where"), copy[512] = "";
        if (where)
            snprintf(copy, sizeof copy, "%s", where);
        bool zeros = !where || holds(where, 0), ones = !where || holds(copy, -1);
        said[number].zeros |= zeros;
        said[number].ones |= ones;
        said[number].allow_zeros |= allow && zeros;
        said[number].allow_ones |= allow && ones;
    }
    fclose(file);
    return rules;
}

static enum role role_named(const char *name) {
    for (enum role role = ROLE_KEEPER; role <= ROLE_WORKER; role++)
        if (strcmp(message_role_name(role), name) == 0)
            return role;
    return ROLE_ANY;
}

static void enter(const char *role, int store) {
    const struct sandbox_folder folders[] = {{"store", store}};
    struct error error;
    if (sandbox_enter(role_named(role), folders, strcmp(role, "ledger") == 0, &error) !=
        STATUS_OK) {
        fprintf(stderr, "%s\n", error.message);
        _exit(99);
    }
}

/* The call once, with all arguments alike, in a process of its own. True where it got through. A
 * call that does not come back (a wait) is ended by the alarm: it got through too. */
static bool tried(const char *role, int store, long number, long argument) {
    int status;
    pid_t child = fork();
    if (child == 0) {
        signal(SIGALRM, SIG_DFL);
        setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
        alarm(1);
        enter(role, store);
        syscall(number, argument, argument, argument, argument, argument, argument);
        syscall(SYS_exit_group, 0);
    }
    cr_assert(child > 0 && waitpid(child, &status, 0) == child);
    cr_assert(!(WIFEXITED(status) && WEXITSTATUS(status) == 99), "the sandbox did not engage");
    return !(WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS);
}

/* x86-64: uretprobe and uprobe, by which a traced program returns to the kernel. Since Linux 6.14
 * the kernel asks no filter about them, and refuses them anywhere but in a probe. */
static bool never_asked(long number) {
#ifdef __x86_64__
    return number == 335 || number == 336;
#else
    return number < 0;
#endif
}

static void try_all(const char *role) {
    static struct said said[CALLS];
    size_t rules = read_policy(role, said), through = 0, table;
    int store = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    (void)sandbox_rules(role_named(role), &table);
    cr_assert_eq(rules, table, "%s: the text has %zu rules, the build has read %zu", role, rules,
                 table);
    for (long number = 0; number < CALLS; number++) {
        const struct said *s = &said[number];
        if (never_asked(number))
            continue;
        char *name = seccomp_syscall_resolve_num_arch(SCMP_ARCH_NATIVE, (int)number);
        bool ones = tried(role, store, number, -1);
        cr_expect_eq(ones, s->ones, "%s: %ld (%s) with -1: %s, the policy says %s", role, number,
                     name ? name : "?", ones ? "through" : "ended", s->ones ? "through" : "end");
        through += ones;
        if (s->zeros || s->ones) {
            bool zeros = tried(role, store, number, 0);
            cr_expect_eq(zeros, s->zeros, "%s: %ld (%s) with 0: %s, the policy says %s", role,
                         number, name ? name : "?", zeros ? "through" : "ended",
                         s->zeros ? "through" : "end");
        }
        free(name);
    }
    cr_expect_gt(through, 5, "%s: the trial itself does not work", role);
    close(store);
}

Test(sandbox, every_call_keeper) {
    try_all("keeper");
}
Test(sandbox, every_call_ledger) {
    try_all("ledger");
}
Test(sandbox, every_call_front) {
    try_all("front");
}
Test(sandbox, every_call_worker) {
    try_all("worker");
}

/* --- calls that matter, by name: whatever the texts say --------------------------------------- */

Test(sandbox, what_no_role_may_do) {
    static const char *const never[] = {"execve",
                                        "execveat",
                                        "fork",
                                        "vfork",
                                        "ptrace",
                                        "process_vm_readv",
                                        "process_vm_writev",
                                        "io_uring_setup",
                                        "bpf",
                                        "perf_event_open",
                                        "userfaultfd",
                                        "kexec_load",
                                        "init_module",
                                        "mount",
                                        "setns",
                                        "unshare",
                                        "pidfd_getfd",
                                        "connect",
                                        "keyctl",
                                        "shmget",
                                        "add_key",
                                        "setuid",
                                        "capset",
                                        "kill",
                                        "seccomp",
                                        "personality",
                                        "open_by_handle_at",
                                        "tgkill"};
    static const char *const roles[] = {"keeper", "ledger", "front", "worker"};
    int store = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    for (size_t r = 0; r < 4; r++)
        for (size_t i = 0; i < sizeof never / sizeof *never; i++) {
            int number = seccomp_syscall_resolve_name(never[i]);
            if (number >= 0)
                cr_expect_not(tried(roles[r], store, number, 0), "%s may %s", roles[r], never[i]);
        }
    close(store);
}

/* Run in a sandboxed child; the status is its exit status, or -signal. */
static int in_sandbox(const char *role, int (*what)(const char *outside), const char *outside) {
    int status, store = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    pid_t child = fork();
    if (child == 0) {
        alarm(5);
        enter(role, store);
        _exit(what(outside));
    }
    cr_assert(child > 0 && waitpid(child, &status, 0) == child);
    close(store);
    return WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
}

static int executable_memory(const char *outside) {
    (void)outside;
    return mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) !=
           MAP_FAILED;
}

static int make_executable(const char *outside) {
    (void)outside;
    void *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return mprotect(page, 4096, PROT_READ | PROT_EXEC) == 0;
}

static int make_process(const char *outside) {
    (void)outside;
    return syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0) >= 0;
}

Test(sandbox, no_new_code_and_no_new_process) {
    static const char *const roles[] = {"keeper", "ledger", "front", "worker"};
    for (size_t r = 0; r < 4; r++) {
        cr_expect_eq(in_sandbox(roles[r], executable_memory, NULL), -SIGSYS, "%s", roles[r]);
        cr_expect_eq(in_sandbox(roles[r], make_executable, NULL), -SIGSYS, "%s", roles[r]);
        cr_expect_eq(in_sandbox(roles[r], make_process, NULL), -SIGSYS, "%s", roles[r]);
    }
}

/* --- looking in from outside ------------------------------------------------------------------ */

/* Files under /proc/PID of a process that may be dumped belong to its user, who may then also
 * attach to it; those of one that may not belong to root. */
static void sleep_in_sandbox(const char *role, int ready, bool enters) {
    int store = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    /* As an ordinary user, or root's own files would say nothing. The change of user clears the
     * flag, which exec would set again. */
    if (geteuid() == 0 &&
        (setresgid(65534, 65534, 65534) != 0 || setresuid(65534, 65534, 65534) != 0))
        _exit(3);
    if (prctl(PR_SET_DUMPABLE, 1, 0, 0, 0) != 0)
        _exit(4);
    alarm(20);
    dup2(ready, 2); /* where every role may write */
    if (enters)
        enter(role, store);
    (void)!write(2, "r", 1);
    for (;;) /* no call that every policy names would wait */
        __asm__ volatile("");
}

static uid_t owner_of_sleeper(const char *role, bool enters) {
    int pipes[2], status;
    char path[32], byte;
    struct stat info = {.st_uid = 1};
    cr_assert_eq(pipe(pipes), 0);
    pid_t child = fork();
    if (child == 0)
        sleep_in_sandbox(role, pipes[1], enters);
    close(pipes[1]);
    cr_assert_eq(read(pipes[0], &byte, 1), 1, "%s: the sandbox did not engage", role);
    snprintf(path, sizeof path, "/proc/%d/maps", (int)child);
    cr_expect_eq(stat(path, &info), 0);
    kill(child, SIGKILL);
    cr_assert_eq(waitpid(child, &status, 0), child);
    close(pipes[0]);
    return info.st_uid;
}

Test(sandbox, no_role_can_be_dumped) {
    static const char *const roles[] = {"keeper", "ledger", "front", "worker"};
    for (size_t r = 0; r < 4; r++) {
        cr_expect_neq(owner_of_sleeper(roles[r], false), 0, "the trial itself does not work");
        cr_expect_eq(owner_of_sleeper(roles[r], true), 0, "%s can be dumped", roles[r]);
    }
}

/* --- files ------------------------------------------------------------------------------------ */

/* Bits: 1 a file in the folder could not be made, 2 one outside could, 4 one outside could be
 * read, 8 the folder could be left by "..". */
static int files(const char *outside) {
    char inside[128];
    int wrong = 0, fd;
    snprintf(inside, sizeof inside, "%s/made", folder);
    if ((fd = open(inside, O_RDWR | O_CREAT, 0600)) < 0 || write(fd, "x", 1) != 1 ||
        fsync(fd) != 0 || unlink(inside) != 0)
        wrong |= 1;
    if (open(outside, O_RDWR | O_CREAT, 0600) >= 0)
        wrong |= 2;
    if (open("/etc/passwd", O_RDONLY) >= 0)
        wrong |= 4;
    snprintf(inside, sizeof inside, "%s/../made", folder);
    if (open(inside, O_RDWR | O_CREAT, 0600) >= 0)
        wrong |= 8;
    return wrong;
}

static int make_folder(const char *outside) {
    return mkdir(outside, 0700) == 0;
}

static int rename_folder(const char *outside) {
    return rename(folder, outside) == 0;
}

Test(sandbox, ledger_writes_in_the_store_alone) {
    char outside[] = "/tmp/strongroom-outside-XXXXXX";
    cr_assert(mkdtemp(outside));
    char path[128];
    snprintf(path, sizeof path, "%s/made", outside);
    int wrong = in_sandbox("ledger", files, path);
    cr_expect_eq(wrong, 0, "bits %d", wrong);
    cr_expect_eq(in_sandbox("ledger", make_folder, path), -SIGSYS);
    cr_expect_eq(in_sandbox("ledger", rename_folder, path), -SIGSYS);
    rmdir(outside);
}

static int front_files(const char *outside) {
    (void)outside;
    /* Refused with an error, not with an end: libraries go on without. */
    return open("/etc/passwd", O_RDONLY) >= 0 || errno != EACCES;
}

/* Sockets of its own are shells: binding and listening are only pretended. */
static int front_listens(const char *outside) {
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct sockaddr_in is;
    socklen_t size = sizeof is;
    (void)outside;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    if (fd < 0 || bind(fd, (struct sockaddr *)&at, sizeof at) != 0 || listen(fd, 1) != 0)
        return 1;
    if (getsockname(fd, (struct sockaddr *)&is, &size) != 0 || is.sin_port != 0)
        return 2;
    return accept4(fd, NULL, NULL, 0) >= 0 || errno != EINVAL ? 3 : 0;
}

static int front_connects(const char *outside) {
    struct sockaddr_in at = {
        .sin_family = AF_INET, .sin_port = htons(9), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    (void)outside;
    return connect(socket(AF_INET, SOCK_STREAM, 0), (struct sockaddr *)&at, sizeof at) == 0;
}

/* The flag connects without `connect`. */
static int front_connects_by_sending(const char *outside) {
    struct sockaddr_in at = {
        .sin_family = AF_INET, .sin_port = htons(9), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    (void)outside;
    return sendto(socket(AF_INET, SOCK_STREAM, 0), "x", 1, MSG_FASTOPEN, (struct sockaddr *)&at,
                  sizeof at) == 1;
}

static int front_talks_udp(const char *outside) {
    (void)outside;
    return socket(AF_INET, SOCK_DGRAM, 0) >= 0;
}

/* Whoever closes a socket that lingers waits for its peer; front can have others close its own. */
static int front_lingers(const char *outside) {
    const struct linger linger = {.l_onoff = 1, .l_linger = 3600};
    (void)outside;
    return setsockopt(socket(AF_INET, SOCK_STREAM, 0), SOL_SOCKET, SO_LINGER, &linger,
                      sizeof linger) == 0;
}

Test(sandbox, front_opens_nothing) {
    cr_assert_eq(in_sandbox("front", front_files, NULL), 0);
    cr_assert_eq(in_sandbox("front", front_listens, NULL), 0);
    cr_assert_eq(in_sandbox("front", front_connects, NULL), -SIGSYS);
    cr_assert_eq(in_sandbox("front", front_connects_by_sending, NULL), -SIGSYS);
    cr_assert_eq(in_sandbox("front", front_talks_udp, NULL), -SIGSYS);
    cr_assert_eq(in_sandbox("front", front_lingers, NULL), -SIGSYS);
}

/* Even without seccomp the rules on files hold: both are asked for, and each is tried alone by
 * what only it refuses. */
static int landlock_holds(const char *outside) {
    (void)outside;
    return access("/etc/passwd", R_OK) == 0 && open("/etc/passwd", O_RDONLY) >= 0;
}

Test(sandbox, landlock_refuses_what_seccomp_lets_through) {
    cr_assert_eq(in_sandbox("ledger", landlock_holds, NULL), 0);
}

/* --- fails closed ----------------------------------------------------------------------------- */

static int status_of(enum role role, const struct sandbox_folder *folders, size_t count,
                     char *message, size_t size) {
    int out[2], status;
    cr_assert_eq(pipe2(out, O_CLOEXEC), 0);
    pid_t child = fork();
    if (child == 0) {
        struct error error = {0};
        enum status s = sandbox_enter(role, folders, count, &error);
        if (s != STATUS_OK && write(out[1], error.message, strlen(error.message)) < 0)
            _exit(98);
        _exit((int)s);
    }
    close(out[1]);
    ssize_t n = read(out[0], message, size - 1);
    message[n > 0 ? n : 0] = '\0';
    close(out[0]);
    waitpid(child, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

static void *sleeper(void *context) {
    pause();
    return context;
}

Test(sandbox, it_fails_closed) {
    char message[512];
    int store = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    const struct sandbox_folder wrong = {"attic", store}, right = {"store", store};
    cr_assert_eq(status_of(ROLE_LEDGER, NULL, 0, message, sizeof message), STATUS_INTERNAL);
    cr_assert(strstr(message, "no folder \"store\" was given"), "%s", message);
    cr_assert_eq(status_of(ROLE_LEDGER, &wrong, 1, message, sizeof message), STATUS_INTERNAL);
    cr_assert_eq(status_of(ROLE_KEEPER, &right, 1, message, sizeof message), STATUS_INTERNAL);
    cr_assert_eq(status_of(ROLE_LAUNCH, NULL, 0, message, sizeof message), STATUS_INTERNAL);
    /* A kernel without Landlock, as a filter makes it look. */
    pid_t child = fork();
    int status;
    if (child == 0) {
        scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ALLOW);
        seccomp_rule_add(filter, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(landlock_create_ruleset), 0);
        seccomp_load(filter);
        struct error error = {0};
        enum status s = sandbox_enter(ROLE_WORKER, NULL, 0, &error);
        _exit(s == STATUS_UNAVAILABLE && strstr(error.message, "Landlock 2") ? 0 : 1);
    }
    waitpid(child, &status, 0);
    cr_assert_eq(status, 0);
    /* And one without seccomp filters. */
    child = fork();
    if (child == 0) {
        scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ALLOW);
        seccomp_rule_add(filter, SCMP_ACT_ERRNO(EINVAL), SCMP_SYS(seccomp), 0);
        seccomp_rule_add(filter, SCMP_ACT_ERRNO(EINVAL), SCMP_SYS(prctl), 1,
                         SCMP_A0(SCMP_CMP_EQ, PR_SET_SECCOMP, 0));
        seccomp_load(filter);
        struct error error = {0};
        _exit(sandbox_enter(ROLE_WORKER, NULL, 0, &error) == STATUS_UNAVAILABLE ? 0 : 1);
    }
    waitpid(child, &status, 0);
    cr_assert_eq(status, 0);
    /* A second thread would not be bound by Landlock. */
    child = fork();
    if (child == 0) {
        pthread_t thread;
        struct error error = {0};
        if (pthread_create(&thread, NULL, sleeper, NULL) != 0)
            _exit(2);
        _exit(sandbox_enter(ROLE_WORKER, NULL, 0, &error) == STATUS_INTERNAL ? 0 : 1);
    }
    waitpid(child, &status, 0);
    cr_assert_eq(status, 0);
    close(store);
}

/* --- the state that stays --------------------------------------------------------------------- */

Test(sandbox, state_of_a_sandboxed_process) {
    int ready[2], go[2], status;
    char path[64], text[4096], byte;
    cr_assert(pipe2(ready, O_CLOEXEC) == 0 && pipe2(go, O_CLOEXEC) == 0);
    pid_t child = fork();
    if (child == 0) {
        dup2(ready[1], 2); /* the one descriptor that a keeper may write to */
        enter("keeper", -1);
        if (write(2, "r", 1) == 1)
            while (1)
                syscall(SYS_ppoll, NULL, 0, NULL, NULL, 0);
        _exit(1);
    }
    cr_assert_eq(read(ready[0], &byte, 1), 1);
    snprintf(path, sizeof path, "/proc/%d/status", child);
    int fd = open(path, O_RDONLY);
    ssize_t n = read(fd, text, sizeof text - 1);
    cr_assert_gt(n, 0);
    text[n] = '\0';
    close(fd);
    unsigned long long permitted, ambient;
    cr_assert(strstr(text, "NoNewPrivs:\t1"), "%s", text);
    cr_assert(strstr(text, "Seccomp:\t2"), "%s", text);
    cr_assert_eq(sscanf(strstr(text, "CapPrm:"), "CapPrm: %llx", &permitted), 1);
    cr_assert_eq(sscanf(strstr(text, "CapAmb:"), "CapAmb: %llx", &ambient), 1);
    cr_assert_eq(permitted & ~(1ull << 14), 0, "more than CAP_IPC_LOCK: %llx", permitted);
    cr_assert_eq(ambient, 0);
    struct rlimit core;
    cr_assert_eq(prlimit(child, RLIMIT_CORE, NULL, &core), 0);
    cr_assert_eq(core.rlim_max, 0);
    struct rlimit descriptors;
    cr_assert_eq(prlimit(child, RLIMIT_NOFILE, NULL, &descriptors), 0);
    cr_assert_leq(descriptors.rlim_max, 2048, "the policy's own limit");
    /* Not dumpable: its files in /proc belong to root. */
    struct stat info;
    snprintf(path, sizeof path, "/proc/%d/mem", child);
    cr_assert_eq(stat(path, &info), 0);
    cr_assert_eq(info.st_uid, 0);
    kill(child, SIGKILL);
    waitpid(child, &status, 0);
}
