#include <inttypes.h>
#include <linux/capability.h>
#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "admin/doctor.h"
#include "base/sandbox.h"
#include "crypto/secret.h"

#define LANDLOCK_NEEDED 2
#define LANDLOCK_SIGNALS 6 /* the version from which signals to outside are denied too */
#define MEMLOCK_FOR_MODELS ((uint64_t)256 << 20)
/* Under any limit weights need all of it: server/worker/region.c and front do not lock theirs. */
#define REST_UNLOCKED                                                                              \
    "activations and the ring between front and workers are not locked, so swap has to be off"

/* What binds the process that is looked at. */
struct bounds {
    bool server; /* the running server's, else those of this command */
    unsigned user;
    bool lock_capability;
    uint64_t lock_limit; /* bytes, UINT64_MAX for none */
};

/* The line of /proc/PID/`file` that begins with `mark`, behind it. */
static bool proc_line(pid_t pid, const char *file, const char *mark, char *out, int size) {
    char path[48];
    bool found = false;
    snprintf(path, sizeof path, "/proc/%d/%s", (int)pid, file);
    FILE *stream = fopen(path, "re");
    while (stream && !found && fgets(out, size, stream))
        found = strncmp(out, mark, strlen(mark)) == 0;
    if (stream)
        fclose(stream);
    if (found)
        memmove(out, out + strlen(mark), strlen(out + strlen(mark)) + 1);
    return found;
}

/* Launch hands its limit and CAP_IPC_LOCK on to every role, so its own are theirs. */
static bool bounds_of(pid_t pid, struct bounds *bounds) {
    struct bounds found = {.server = true};
    uint64_t capabilities = 0;
    char line[256], limit[32];
    unsigned real = 0;
    if (!proc_line(pid, "status", "Uid:", line, sizeof line) ||
        sscanf(line, "%u %u", &real, &found.user) != 2 ||
        !proc_line(pid, "status", "CapPrm:", line, sizeof line) ||
        sscanf(line, "%" SCNx64, &capabilities) != 1 ||
        !proc_line(pid, "limits", "Max locked memory", line, sizeof line) ||
        sscanf(line, "%31s", limit) != 1)
        return false;
    found.lock_capability = capabilities >> CAP_IPC_LOCK & 1;
    if (strcmp(limit, "unlimited") == 0)
        found.lock_limit = UINT64_MAX;
    else if (sscanf(limit, "%" SCNu64, &found.lock_limit) != 1)
        return false;
    *bounds = found;
    return true;
}

static void check_user(struct doctor *doctor, const struct bounds *bounds) {
    if (bounds->user == 0)
        doctor_say(doctor, "user", DOCTOR_OK, "root: each role gets a user of its own");
    else
        doctor_say(doctor, "user", DOCTOR_WEAK,
                   "uid %u%s: all roles share it, so sandboxes alone keep them apart, and whoever "
                   "has this uid may read the data folder; started as root, each role gets a user "
                   "of its own",
                   bounds->user, bounds->server ? "" : " (a server started like this command)");
}

static void check_kernel(struct doctor *doctor) {
    struct utsname name;
    unsigned major = 0, minor = 0;
    if (uname(&name) != 0 || sscanf(name.release, "%u.%u", &major, &minor) != 2)
        doctor_say(doctor, "kernel", DOCTOR_BAD, "its version cannot be read");
    else if (major < 5 || (major == 5 && minor < 19))
        doctor_say(doctor, "kernel", DOCTOR_BAD, "Linux %s, needed is 5.19 or newer", name.release);
    else
        doctor_say(doctor, "kernel", DOCTOR_OK, "Linux %s on %s", name.release, name.machine);
}

static void check_sandbox(struct doctor *doctor) {
    int version = sandbox_landlock_version();
    if (version < LANDLOCK_NEEDED)
        doctor_say(doctor, "landlock", DOCTOR_BAD,
                   "version %d, needed is %d: is landlock among the kernel's security modules?",
                   version, LANDLOCK_NEEDED);
    else if (version < LANDLOCK_SIGNALS)
        doctor_say(doctor, "landlock", DOCTOR_OK,
                   "version %d (from version %d on signals are fenced too)", version,
                   LANDLOCK_SIGNALS);
    else
        doctor_say(doctor, "landlock", DOCTOR_OK, "version %d", version);
    if (sandbox_seccomp_available())
        doctor_say(doctor, "seccomp", DOCTOR_OK, "filters are available");
    else
        doctor_say(doctor, "seccomp", DOCTOR_BAD, "filters are not available");
}

static void check_memory_kind(struct doctor *doctor, const struct secret_probe *probe,
                              bool allow_unlocked) {
    if (!probe->obtained)
        doctor_say(doctor, "secret memory", allow_unlocked ? DOCTOR_WEAK : DOCTOR_BAD,
                   allow_unlocked ? "no memory can be locked; the configuration allows weights in "
                                    "memory that may be swapped"
                                  : "no memory can be locked: raise RLIMIT_MEMLOCK, or set "
                                    "worker.allow_unlocked_memory");
    else if (probe->kind == SECRET_MEMFD)
        doctor_say(doctor, "secret memory", DOCTOR_OK,
                   "memfd_secret: not even root reads it from outside");
    else
        doctor_say(doctor, "secret memory", DOCTOR_WEAK,
                   "%s: never swapped, but a debugger of root may read it (memfd_secret is %s)",
                   secret_kind_name(probe->kind),
                   probe->memfd_secret ? "offered and cannot be had"
                                       : "not offered: Linux 6.5, or secretmem.enable=1");
    if (allow_unlocked)
        doctor_say(doctor, "unlocked memory", DOCTOR_WEAK,
                   "the configuration allows it (worker.allow_unlocked_memory)");
}

static void check_memory_limit(struct doctor *doctor, const struct bounds *bounds) {
    const char *whose = bounds->server
                            ? "the running server"
                            : "this command's own process (no server could be looked at)";
    if (bounds->lock_capability)
        doctor_say(doctor, "locked memory limit", DOCTOR_OK, "CAP_IPC_LOCK: no limit binds %s",
                   whose);
    else if (bounds->lock_limit == UINT64_MAX)
        doctor_say(doctor, "locked memory limit", DOCTOR_OK, "unlimited for %s", whose);
    else if (bounds->lock_limit >= MEMLOCK_FOR_MODELS)
        doctor_say(doctor, "locked memory limit", DOCTOR_OK,
                   "%" PRIu64 " MiB for %s: for weights; " REST_UNLOCKED, bounds->lock_limit >> 20,
                   whose);
    else
        doctor_say(doctor, "locked memory limit", DOCTOR_WEAK,
                   "%" PRIu64 " KiB for %s: a tenant's weights must fit into that; " REST_UNLOCKED
                   " (no limit: RLIMIT_MEMLOCK unlimited, or CAP_IPC_LOCK)",
                   bounds->lock_limit >> 10, whose);
}

static void check_swap(struct doctor *doctor, const struct bounds *bounds) {
    char line[256];
    unsigned lines = 0;
    FILE *file = fopen("/proc/swaps", "re");
    while (file && fgets(line, sizeof line, file))
        lines++;
    if (file)
        fclose(file);
    if (lines <= 1)
        doctor_say(doctor, "swap", DOCTOR_OK, "off");
    else if (bounds->lock_capability || bounds->lock_limit == UINT64_MAX)
        doctor_say(doctor, "swap", DOCTOR_OK, "on, and what is secret is locked");
    else
        doctor_say(
            doctor, "swap", DOCTOR_WEAK,
            "on, and the limit of locked memory is small: requests in flight may be swapped");
}

void doctor_machine(struct doctor *doctor, bool allow_unlocked, pid_t server) {
    struct secret_probe probe;
    struct bounds bounds;
    secret_probe(&probe);
    if (!server || !bounds_of(server, &bounds))
        bounds = (struct bounds){.user = geteuid(),
                                 .lock_capability = probe.lock_capability,
                                 .lock_limit = probe.lock_limit};
    check_user(doctor, &bounds);
    check_kernel(doctor);
    check_sandbox(doctor);
    check_memory_kind(doctor, &probe, allow_unlocked);
    check_memory_limit(doctor, &bounds);
    check_swap(doctor, &bounds);
}
