#include <inttypes.h>
#include <stdio.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "admin/doctor.h"
#include "base/sandbox.h"
#include "crypto/secret.h"

#define LANDLOCK_NEEDED 2
#define LANDLOCK_SIGNALS 6 /* the version from which signals to outside are denied too */
#define MEMLOCK_FOR_MODELS ((uint64_t)256 << 20)

static void check_user(struct doctor *doctor) {
    if (geteuid() == 0)
        doctor_say(doctor, "user", DOCTOR_OK, "root: each role gets a user of its own");
    else
        doctor_say(doctor, "user", DOCTOR_OK,
                   "uid %u: the roles share it, and are kept apart by their sandboxes",
                   (unsigned)geteuid());
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

static void check_memory_limit(struct doctor *doctor, const struct secret_probe *probe) {
    if (probe->lock_capability)
        doctor_say(doctor, "locked memory limit", DOCTOR_OK, "CAP_IPC_LOCK: no limit binds");
    else if (probe->lock_limit == UINT64_MAX)
        doctor_say(doctor, "locked memory limit", DOCTOR_OK, "unlimited");
    else if (probe->lock_limit >= MEMLOCK_FOR_MODELS)
        doctor_say(doctor, "locked memory limit", DOCTOR_OK, "%" PRIu64 " MiB for a process",
                   probe->lock_limit >> 20);
    else
        doctor_say(doctor, "locked memory limit", DOCTOR_WEAK,
                   "%" PRIu64 " KiB for a process: a tenant's models must fit into that (raise "
                   "RLIMIT_MEMLOCK, or give CAP_IPC_LOCK)",
                   probe->lock_limit >> 10);
}

static void check_swap(struct doctor *doctor, const struct secret_probe *probe) {
    char line[256];
    unsigned lines = 0;
    FILE *file = fopen("/proc/swaps", "re");
    while (file && fgets(line, sizeof line, file))
        lines++;
    if (file)
        fclose(file);
    if (lines <= 1)
        doctor_say(doctor, "swap", DOCTOR_OK, "off");
    else if (probe->lock_capability || probe->lock_limit == UINT64_MAX)
        doctor_say(doctor, "swap", DOCTOR_OK, "on, and what is secret is locked");
    else
        doctor_say(
            doctor, "swap", DOCTOR_WEAK,
            "on, and the limit of locked memory is small: requests in flight may be swapped");
}

void doctor_machine(struct doctor *doctor, bool allow_unlocked) {
    struct secret_probe probe;
    secret_probe(&probe);
    check_user(doctor);
    check_kernel(doctor);
    check_sandbox(doctor);
    check_memory_kind(doctor, &probe, allow_unlocked);
    check_memory_limit(doctor, &probe);
    check_swap(doctor, &probe);
}
