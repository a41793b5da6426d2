#include "base/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/landlock.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <seccomp.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

struct limit {
    int resource; /* 0 with value 0 ends a list: RLIMIT_CPU is never limited to nothing */
    rlim_t value;
};

#include "base/sandbox_policy.inc"

struct policy {
    const struct sandbox_rule *rules;
    size_t rule_count;
    const char *const *folders;
    const unsigned *capabilities;
    const struct limit *limits;
};

#define POLICY(name)                                                                               \
    {                                                                                              \
        name##_rules, sizeof name##_rules / sizeof *name##_rules, name##_folders,                  \
            name##_capabilities, name##_limits                                                     \
    }
static const struct policy policies[] = {[ROLE_KEEPER] = POLICY(keeper),
                                         [ROLE_LEDGER] = POLICY(ledger),
                                         [ROLE_FRONT] = POLICY(front),
                                         [ROLE_WORKER] = POLICY(worker)};

static const struct policy *policy_of(enum role role) {
    if ((unsigned)role >= sizeof policies / sizeof *policies || !policies[role].rules)
        return NULL;
    return &policies[role];
}

const struct sandbox_rule *sandbox_rules(enum role role, size_t *count) {
    const struct policy *policy = policy_of(role);
    *count = policy ? policy->rule_count : 0;
    return policy ? policy->rules : NULL;
}

const char *const *sandbox_folders(enum role role, size_t *count) {
    const struct policy *policy = policy_of(role);
    *count = 0;
    while (policy && policy->folders[*count])
        ++*count;
    return policy ? policy->folders : NULL;
}

static enum status unavailable(struct error *error, const char *what) {
    return status_fail(error, STATUS_UNAVAILABLE, "the sandbox cannot be engaged: %s (%s)", what,
                       strerror(errno));
}

static enum status one_thread(struct error *error) {
    char text[4096];
    int fd = open("/proc/self/status", O_RDONLY | O_CLOEXEC);
    ssize_t n = fd >= 0 ? read(fd, text, sizeof text - 1) : -1;
    if (fd >= 0)
        close(fd);
    if (n <= 0)
        return unavailable(error, "/proc is not there");
    text[n] = '\0';
    const char *line = strstr(text, "\nThreads:");
    int threads;
    if (!line || sscanf(line, "\nThreads: %d", &threads) != 1 || threads != 1)
        return status_fail(error, STATUS_INTERNAL,
                           "the sandbox cannot be engaged: a second thread is running already");
    return STATUS_OK;
}

static enum status set_limits(const struct policy *policy, struct error *error) {
    const struct rlimit none = {0, 0};
    if (setrlimit(RLIMIT_CORE, &none) != 0)
        return unavailable(error, "core dumps cannot be turned off");
    for (const struct limit *l = policy->limits; l->resource || l->value; l++) {
        struct rlimit limit;
        if (getrlimit((__rlimit_resource_t)l->resource, &limit) != 0)
            return unavailable(error, "a resource limit cannot be read");
        if (limit.rlim_max > l->value)
            limit.rlim_max = l->value;
        limit.rlim_cur = limit.rlim_max;
        if (setrlimit((__rlimit_resource_t)l->resource, &limit) != 0)
            return unavailable(error, "a resource limit cannot be set");
    }
    return STATUS_OK;
}

static enum status drop_capabilities(const struct policy *policy, struct error *error) {
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[2], kept[2] = {{0}};
    if (syscall(SYS_capget, &header, data) != 0)
        return unavailable(error, "capabilities cannot be read");
    for (const unsigned *c = policy->capabilities; *c != UINT32_MAX; c++)
        kept[*c / 32].permitted |= data[*c / 32].permitted & (1u << (*c % 32));
    for (size_t i = 0; i < 2; i++)
        kept[i].effective = kept[i].permitted;
    if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) != 0)
        return unavailable(error, "ambient capabilities cannot be dropped");
    /* Only with CAP_SETPCAP; without it there is no exec that could bring one back either. */
    for (int c = 0; prctl(PR_CAPBSET_READ, c, 0, 0, 0) >= 0; c++)
        (void)prctl(PR_CAPBSET_DROP, c, 0, 0, 0);
    if (syscall(SYS_capset, &header, kept) != 0)
        return unavailable(error, "capabilities cannot be dropped");
    return STATUS_OK;
}

/* --- Landlock --------------------------------------------------------------------------------- */

/* linux/landlock.h of older systems knows fewer fields and rights than the kernel may offer. */
struct ruleset {
    uint64_t files, network, scopes;
};
#define FILES_1 ((1ull << 13) - 1)
#define FILE_EXECUTE (1ull << 0)
#define FILE_DEVICES ((1ull << 6) | (1ull << 11) | (1ull << 15)) /* make char, block; ioctl */
#define FILE_SPECIAL ((1ull << 9) | (1ull << 10) | (1ull << 12)) /* make socket, FIFO, symlink */

int sandbox_landlock_version(void) {
    long version =
        syscall(SYS_landlock_create_ruleset, NULL, (size_t)0, LANDLOCK_CREATE_RULESET_VERSION);
    return version > 0 ? (int)version : 0;
}

bool sandbox_seccomp_available(void) {
    uint32_t action = SECCOMP_RET_KILL_PROCESS;
    return syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &action) == 0;
}

static enum status find_folder(const struct sandbox_folder *folders, size_t count, const char *name,
                               int *descriptor, struct error *error) {
    for (size_t i = 0; i < count; i++)
        if (strcmp(folders[i].name, name) == 0) {
            *descriptor = folders[i].descriptor;
            return STATUS_OK;
        }
    return status_fail(error, STATUS_INTERNAL,
                       "the sandbox cannot be engaged: no folder \"%s\" was given", name);
}

static enum status restrict_files(const struct policy *policy, const struct sandbox_folder *folders,
                                  size_t folder_count, struct error *error) {
    enum status status = STATUS_OK;
    size_t wanted = 0;
    int ruleset_fd = -1, version = sandbox_landlock_version();
    if (version < 2) {
        errno = ENOSYS;
        return unavailable(error, "the kernel needs Landlock 2 or newer (Linux 5.19), switched on");
    }
    struct ruleset ruleset = {.files = FILES_1 | (1ull << 13) /* refer */};
    if (version >= 3)
        ruleset.files |= 1ull << 14; /* truncate */
    if (version >= 4)
        ruleset.network = 3; /* bind and connect of TCP */
    if (version >= 5)
        ruleset.files |= 1ull << 15; /* ioctl of devices */
    if (version >= 6)
        ruleset.scopes = 3; /* abstract sockets and signals of the outside */
    size_t size = version >= 6   ? sizeof ruleset
                  : version >= 4 ? 2 * sizeof(uint64_t)
                                 : sizeof(uint64_t);
    ruleset_fd = (int)syscall(SYS_landlock_create_ruleset, &ruleset, size, 0u);
    if (ruleset_fd < 0)
        return unavailable(error, "Landlock refuses a rule set");
    for (const char *const *name = policy->folders; *name; name++, wanted++) {
        struct landlock_path_beneath_attr beneath = {
            .allowed_access = ruleset.files & ~(FILE_EXECUTE | FILE_DEVICES | FILE_SPECIAL)};
        int folder = -1;
        status = find_folder(folders, folder_count, *name, &folder, error);
        if (status != STATUS_OK)
            goto out;
        beneath.parent_fd = folder;
        if (syscall(SYS_landlock_add_rule, ruleset_fd, LANDLOCK_RULE_PATH_BENEATH, &beneath, 0u) !=
            0) {
            status = unavailable(error, "Landlock refuses a folder");
            goto out;
        }
    }
    if (wanted != folder_count)
        status = status_fail(error, STATUS_INTERNAL,
                             "the sandbox cannot be engaged: %zu folders given, the policy has %zu",
                             folder_count, wanted);
    else if (syscall(SYS_landlock_restrict_self, ruleset_fd, 0u) != 0)
        status = unavailable(error, "Landlock refuses to restrict the process");
out:
    close(ruleset_fd);
    return status;
}

/* --- seccomp ---------------------------------------------------------------------------------- */

static enum status add_rule(scmp_filter_ctx filter, const struct sandbox_rule *rule,
                            struct error *error) {
    int number = seccomp_syscall_resolve_name(rule->syscall);
    if (number == __NR_SCMP_ERROR)
        return status_fail(error, STATUS_UNAVAILABLE,
                           "the sandbox cannot be engaged: this libseccomp does not know %s",
                           rule->syscall);
    if (number < 0)
        return STATUS_OK; /* this processor's table of calls does not have it */
    struct scmp_arg_cmp compare[3];
    for (unsigned i = 0; i < rule->condition_count; i++) {
        const struct sandbox_condition *c = &rule->conditions[i];
        compare[i] = (struct scmp_arg_cmp){
            .arg = c->argument, .op = SCMP_CMP_MASKED_EQ, .datum_a = c->mask, .datum_b = c->value};
    }
    uint32_t action = rule->action == SANDBOX_ALLOW ? SCMP_ACT_ALLOW
                                                    : SCMP_ACT_ERRNO((uint16_t)rule->error_number);
    int e = seccomp_rule_add_array(filter, action, number, rule->condition_count, compare);
    if (e != 0) {
        errno = -e;
        return unavailable(error, rule->syscall);
    }
    return STATUS_OK;
}

static enum status filter_calls(const struct policy *policy, struct error *error) {
    enum status status = STATUS_OK;
    scmp_filter_ctx filter = seccomp_init(SCMP_ACT_KILL_PROCESS);
    int e = filter ? 0 : -ENOMEM;
    if (e == 0)
        e = seccomp_attr_set(filter, SCMP_FLTATR_CTL_TSYNC, 1);
    if (e == 0)
        e = seccomp_attr_set(filter, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS);
    if (e == 0) /* a tree of comparisons: the long list costs ledger and front nothing */
        e = seccomp_attr_set(filter, SCMP_FLTATR_CTL_OPTIMIZE, 2);
    for (size_t i = 0; e == 0 && status == STATUS_OK && i < policy->rule_count; i++)
        status = add_rule(filter, &policy->rules[i], error);
    if (e == 0 && status == STATUS_OK)
        e = seccomp_load(filter);
    if (e != 0) {
        errno = -e;
        status = unavailable(error, "the filter of system calls");
    }
    seccomp_release(filter);
    return status;
}

enum status sandbox_enter(enum role role, const struct sandbox_folder *folders, size_t folder_count,
                          struct error *error) {
    const struct policy *policy = policy_of(role);
    enum status status;
    if (!policy)
        return status_fail(error, STATUS_INTERNAL, "the sandbox cannot be engaged: no policy");
    if ((status = one_thread(error)) != STATUS_OK ||
        (status = set_limits(policy, error)) != STATUS_OK ||
        (status = drop_capabilities(policy, error)) != STATUS_OK)
        return status;
    /* After the capabilities: a change of credentials would set it again. */
    if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0)
        return unavailable(error, "dumps cannot be turned off");
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
        return unavailable(error, "new privileges cannot be refused");
    if ((status = restrict_files(policy, folders, folder_count, error)) != STATUS_OK)
        return status;
    return filter_calls(policy, error);
}
