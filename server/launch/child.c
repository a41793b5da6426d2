#include "server/launch/child.h"

#include "base/role.h"
#include "server/launch/trace.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#define SEND_SECONDS 2
#define SOCKET_BYTES (1 << 20)
/* The limit on a role's files binds the log too, where that is a file: it may have so much. */
#define LOG_FILE_BYTES ((uint64_t)1 << 30)

bool child_traced(enum role role) {
    return role == ROLE_WORKER || role == ROLE_KEEPER;
}

/* --- in the child: from here on only the exit status and one line say what went wrong --------- */

static void give_up(const char *what) {
    dprintf(ROLE_DESCRIPTOR_LOG, "strongroomd: a process cannot be started: %s (%s)\n", what,
            strerror(errno));
    _exit(1);
}

/* CAP_IPC_LOCK, where launch has it, must pass through exec into a process of an ordinary user:
 * that takes it in the inheritable and the ambient set. */
static void keep_lock_capability(void) {
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[2];
    if (syscall(SYS_capget, &header, data) != 0)
        give_up("capabilities cannot be read");
    uint32_t bit = 1u << CAP_IPC_LOCK;
    if (!(data[0].permitted & bit))
        return;
    for (size_t i = 0; i < 2; i++)
        data[i].permitted = data[i].effective = data[i].inheritable = 0;
    data[0].permitted = data[0].effective = data[0].inheritable = bit;
    if (syscall(SYS_capset, &header, data) != 0 ||
        prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_IPC_LOCK, 0, 0) != 0)
        give_up("the capability to lock memory cannot be kept");
}

static void set_limit(__rlimit_resource_t resource, rlim_t value) {
    struct rlimit limit;
    if (getrlimit(resource, &limit) != 0)
        give_up("a resource limit cannot be read");
    if (limit.rlim_max > value)
        limit.rlim_max = value;
    limit.rlim_cur = limit.rlim_max;
    if (setrlimit(resource, &limit) != 0)
        give_up("a resource limit cannot be set");
}

/* What would be longer is refused with EFBIG instead of ending the process. */
static void limit_files(uint64_t bytes) {
    struct stat log;
    if (fstat(ROLE_DESCRIPTOR_LOG, &log) == 0 && S_ISREG(log.st_mode) && bytes < LOG_FILE_BYTES)
        bytes = LOG_FILE_BYTES;
    signal(SIGXFSZ, SIG_IGN);
    set_limit(RLIMIT_FSIZE, bytes);
}

static void become(const struct child_plan *plan) {
    if (plan->threads && plan->change_user)
        set_limit(RLIMIT_NPROC, plan->threads);
    if (plan->change_user) {
        if (prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) != 0 || setgroups(0, NULL) != 0 ||
            setresgid(plan->group, plan->group, plan->group) != 0 ||
            setresuid(plan->user, plan->user, plan->user) != 0)
            give_up("the process cannot take its own user");
    }
    if (!plan->change_user || plan->user != 0)
        keep_lock_capability();
    /* A change of user clears it. */
    if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) != 0)
        give_up("the process cannot be tied to its parent");
}

/* Put descriptors at the numbers of base/role.h: first all of them out of the way, then down. */
static int arrange(const struct child_plan *plan, int launch) {
    int from[ROLE_DESCRIPTOR_FIRST + CHILD_DESCRIPTORS_MAX], count = 0;
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    from[count++] = null;
    from[count++] = null;
    from[count++] = ROLE_DESCRIPTOR_LOG;
    from[count++] = launch;
    from[count++] = plan->config;
    for (size_t i = 0; i < plan->descriptor_count; i++)
        from[count++] = plan->descriptors[i];
    int binary = fcntl(plan->binary, F_DUPFD_CLOEXEC, 512);
    for (int i = 0; i < count; i++)
        if ((from[i] = fcntl(from[i], F_DUPFD_CLOEXEC, 256)) < 0)
            give_up("descriptors cannot be handed on");
    for (int i = 0; i < count; i++)
        if (dup2(from[i], i) < 0)
            give_up("descriptors cannot be handed on");
    if (binary < 0 || close_range((unsigned)count, (unsigned)binary - 1, 0) != 0 ||
        close_range((unsigned)binary + 1, ~0u, 0) != 0)
        give_up("descriptors cannot be closed");
    return binary;
}

static void run(const struct child_plan *plan, int gate, int launch) {
    /* What the image libraries free in a worker is a tenant's: the C library overwrites it, which
     * it does not do with the small pieces that each thread keeps for itself, so it keeps none. */
    char *const environment[] = {
        "LANG=C",
        "LC_ALL=C",
        "TZ=UTC0",
        "OPENBLAS_NUM_THREADS=1",
        "MALLOC_ARENA_MAX=4",
        plan->role == ROLE_WORKER
            ? "GLIBC_TUNABLES=glibc.malloc.perturb=90:glibc.malloc.tcache_count=0"
            : NULL,
        NULL};
    char program[] = "strongroomd", option[] = "--role", role[16], number_option[] = "--worker",
         number[16];
    char *arguments[] = {program, option, role, NULL, NULL, NULL};
    char go;
    sigset_t none;
    if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) != 0)
        _exit(1);
    /* Launch is not dumpable, and so neither is its child: then only root could attach. Until it
     * has, the child says so and waits; exec and the sandbox set the flag anew. */
    if (child_traced(plan->role) &&
        (prctl(PR_SET_DUMPABLE, 1, 0, 0, 0) != 0 || write(launch, "d", 1) != 1))
        _exit(1);
    if (read(gate, &go, 1) != 1) /* launch is gone, or could not attach */
        _exit(1);
    snprintf(role, sizeof role, "%s", message_role_name(plan->role));
    if (plan->role == ROLE_WORKER) {
        snprintf(number, sizeof number, "%u", plan->worker);
        arguments[3] = number_option;
        arguments[4] = number;
    }
    setsid();
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    signal(SIGPIPE, SIG_DFL);
    /* Throughput: whoever is woken lets the waker finish its turn, so that ledger and workers find
     * more than one message waiting. Not vital, so a refusal is not an error. */
    (void)sched_setscheduler(0, SCHED_BATCH, &(const struct sched_param){0});
    int binary = arrange(plan, launch);
    become(plan);
    if (plan->address_space)
        set_limit(RLIMIT_AS, plan->address_space);
    if (plan->file_bytes)
        limit_files(plan->file_bytes);
    syscall(SYS_execveat, binary, "", arguments, environment, 0x1000 /* AT_EMPTY_PATH */);
    give_up("the program cannot be executed");
}

/* --- in launch -------------------------------------------------------------------------------- */

enum status child_start(const struct child_plan *plan, pid_t *pid, int *socket,
                        struct error *error) {
    int pair[2] = {-1, -1}, gate[2] = {-1, -1};
    const struct timeval patience = {.tv_sec = SEND_SECONDS};
    const int room = SOCKET_BYTES;
    enum status status = STATUS_OK;
    pid_t child = -1;
    char traceable;
    if (plan->descriptor_count > CHILD_DESCRIPTORS_MAX)
        return status_fail(error, STATUS_INTERNAL, "too many descriptors for a process");
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0 ||
        pipe2(gate, O_CLOEXEC) != 0) {
        status = status_fail(error, STATUS_UNAVAILABLE, "no descriptors for a new process (%s)",
                             strerror(errno));
        goto out;
    }
    /* A role that does not read its messages must not hold up launch for long. */
    setsockopt(pair[0], SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
    setsockopt(pair[0], SOL_SOCKET, SO_SNDBUF, &room, sizeof room);
    child = fork();
    if (child == 0) {
        close(gate[1]);
        run(plan, gate[0], pair[1]);
    }
    if (child < 0) {
        status = status_fail(error, STATUS_UNAVAILABLE, "no new process can be made (%s)",
                             strerror(errno));
        goto out;
    }
    close(pair[1]); /* or the end of a child that dies at once would go unseen */
    pair[1] = -1;
    if (child_traced(plan->role))
        status = read(pair[0], &traceable, 1) == 1
                     ? trace_attach(child, error)
                     : status_fail(error, STATUS_UNAVAILABLE, "a new process went away at once");
    if (status == STATUS_OK && write(gate[1], "g", 1) != 1)
        status = status_fail(error, STATUS_UNAVAILABLE, "a new process went away at once");
    if (status != STATUS_OK) {
        kill(child, SIGKILL);
        while (waitpid(child, NULL, __WALL) < 0 && errno == EINTR)
            ;
        goto out;
    }
    *pid = child;
    *socket = pair[0];
    pair[0] = -1;
out:
    for (size_t i = 0; i < 2; i++) {
        if (pair[i] >= 0)
            close(pair[i]);
        if (gate[i] >= 0)
            close(gate[i]);
    }
    return status;
}
