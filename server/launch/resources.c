#include "server/launch/resources.h"

#include "base/role.h"
#include "base/sandbox.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#define BACKLOG 1024
#define ADMIN_NAME "admin.sock"

/* Root may read every file, so that it can be read says nothing: whose is it? */
static enum status check_owner(const struct config *config, const char *field, const char *path,
                               const struct stat *info, struct error *error) {
    struct stat folder;
    if (geteuid() != 0)
        return info->st_uid == geteuid()
                   ? STATUS_OK
                   : status_fail(error, STATUS_FORBIDDEN, "%s: %s belongs to another user", field,
                                 path);
    if (info->st_uid == 0 || stat(config->data, &folder) != 0 || info->st_uid == folder.st_uid)
        return STATUS_OK;
    return status_fail(error, STATUS_FORBIDDEN,
                       "%s: %s belongs to uid %u, expected root's or uid %u, whose the data folder "
                       "is",
                       field, path, (unsigned)info->st_uid, (unsigned)folder.st_uid);
}

enum status resources_file(const struct config *config, const char *path, const char *field,
                           bool secret, int *descriptor, struct error *error) {
    struct stat info;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return status_fail(error, STATUS_NOT_FOUND, "%s: %s cannot be read (%s)", field, path,
                           strerror(errno));
    enum status status = STATUS_OK;
    if (fstat(fd, &info) != 0 || !S_ISREG(info.st_mode))
        status = status_fail(error, STATUS_INVALID, "%s: %s is not a file", field, path);
    else if (secret && (info.st_mode & 077))
        status = status_fail(error, STATUS_FORBIDDEN,
                             "%s: %s can be read by others (mode %04o), expected 0600 or less",
                             field, path, (unsigned)info.st_mode & 07777);
    else if (secret)
        status = check_owner(config, field, path, &info, error);
    if (status != STATUS_OK)
        close(fd);
    else
        *descriptor = fd;
    return status;
}

/* --- what the machine must offer -------------------------------------------------------------- */

static bool swap_active(void) {
    char text[512];
    int fd = open("/proc/swaps", O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false; /* a kernel without swap has no such file */
    ssize_t n = read(fd, text, sizeof text - 1);
    close(fd);
    if (n <= 0)
        return false;
    text[n] = '\0';
    const char *end = strchr(text, '\n'); /* of the heading */
    return end && end[1] != '\0';
}

static bool memory_lockable(void) {
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[2];
    struct rlimit limit;
    if (syscall(SYS_capget, &header, data) == 0 && (data[0].permitted & (1u << CAP_IPC_LOCK)))
        return true;
    return getrlimit(RLIMIT_MEMLOCK, &limit) == 0 && limit.rlim_cur == RLIM_INFINITY;
}

static enum status check_machine(const struct config *config, struct error *error) {
    if (sandbox_landlock_version() < 2)
        return status_fail(error, STATUS_UNAVAILABLE,
                           "this kernel does not offer Landlock 2 or newer (Linux 5.19, with "
                           "landlock among the security modules), which every process needs");
    if (!sandbox_seccomp_available())
        return status_fail(error, STATUS_UNAVAILABLE,
                           "this kernel does not offer seccomp filters, which every process needs");
    if (swap_active() && !memory_lockable() && !config->worker.allow_unlocked_memory)
        return status_fail(
            error, STATUS_UNAVAILABLE,
            "swap is on and memory cannot be locked, so requests and weights could "
            "reach the disk: give the service CAP_IPC_LOCK or LimitMEMLOCK=infinity, "
            "turn swap off, or set worker.allow_unlocked_memory: true");
    return STATUS_OK;
}

static enum status open_store(const struct config *config, int *folder, struct error *error) {
    int fd = open(config->data, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    struct stat info;
    if (fd < 0)
        return status_fail(error, STATUS_NOT_FOUND,
                           "data: the folder %s cannot be opened (%s); `strongroom init` makes one",
                           config->data, strerror(errno));
    if (fstat(fd, &info) != 0 || (info.st_mode & 022)) {
        close(fd);
        return status_fail(error, STATUS_FORBIDDEN,
                           "data: the folder %s can be written by others (mode %04o), expected "
                           "0700",
                           config->data, (unsigned)info.st_mode & 07777);
    }
    *folder = fd;
    return STATUS_OK;
}

static enum status find_group(const struct config *config, gid_t *group, struct error *error) {
    errno = 0;
    const struct group *found = getgrnam(config->admin_group);
    if (!found)
        return status_fail(error, STATUS_INVALID,
                           "admin.group: found \"%s\", expected the name of a group%s%s",
                           config->admin_group, errno ? ": " : "", errno ? strerror(errno) : "");
    *group = found->gr_gid;
    return STATUS_OK;
}

static enum status check_group(const struct config *config, struct error *error) {
    gid_t group;
    return config->admin_group[0] ? find_group(config, &group, error) : STATUS_OK;
}

static enum status check_store(const struct config *config, struct error *error) {
    int fd = -1;
    enum status status = open_store(config, &fd, error);
    if (status == STATUS_OK)
        close(fd);
    return status;
}

/* The store's own file, where there is one. */
static enum status check_store_file(const struct config *config, struct error *error) {
    char path[CONFIG_PATH_MAX + 16];
    struct stat info;
    snprintf(path, sizeof path, "%s/store.db", config->data);
    if (stat(path, &info) != 0)
        return STATUS_OK; /* the ledger says what is wrong with a store that is not there */
    if (info.st_mode & 077)
        return status_fail(error, STATUS_FORBIDDEN,
                           "data: %s can be read by others (mode %04o), expected 0600 or less",
                           path, (unsigned)info.st_mode & 07777);
    return check_owner(config, "data", path, &info, error);
}

struct check {
    resources_finding *say;
    void *context;
    struct error *first;
    enum status status;
};

/* True where the checks go on. */
static bool found(struct check *check, const char *field, enum status status,
                  const struct error *error) {
    if (status == STATUS_OK)
        return true;
    if (check->status == STATUS_OK) {
        check->status = status;
        if (check->first)
            *check->first = *error;
    }
    if (check->say)
        check->say(check->context, field, error);
    return check->say != NULL;
}

enum status resources_check(const struct config *config, resources_finding *say, void *context,
                            struct error *error) {
    static const struct {
        const char *field;
        enum status (*run)(const struct config *config, struct error *error);
    } checks[] = {{"", check_machine},
                  {"data", check_store},
                  {"data", check_store_file},
                  {"admin.group", check_group}};
    const struct {
        const char *field, *path;
        bool secret;
    } files[] = {{"root.identity", config->root_identity, true},
                 {"signing.key", config->signing_key, false},
                 {"tls.certificate", config->tls_certificate, false},
                 {"tls.key", config->tls_key, true},
                 {"tls.client_ca", config->tls_client_ca, false}};
    struct check check = {.say = say, .context = context, .first = error};
    for (size_t i = 0; i < sizeof checks / sizeof *checks; i++) {
        struct error why;
        if (!found(&check, checks[i].field, checks[i].run(config, &why), &why))
            return check.status;
    }
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        struct error why;
        int fd = -1;
        if (!files[i].path[0])
            continue;
        enum status status =
            resources_file(config, files[i].path, files[i].field, files[i].secret, &fd, &why);
        if (fd >= 0)
            close(fd);
        if (!found(&check, files[i].field, status, &why))
            break;
    }
    return check.status;
}

/* --- sockets ---------------------------------------------------------------------------------- */

static enum status listen_at(const char *address, int *descriptor, char url[], size_t url_size,
                             struct error *error) {
    char host[CONFIG_ADDRESS_MAX];
    uint16_t port;
    union {
        struct sockaddr any;
        struct sockaddr_in four;
        struct sockaddr_in6 six;
    } at = {0};
    const int on = 1, defer_seconds = 5;
    enum status status = config_address(address, host, sizeof host, &port, error);
    if (status != STATUS_OK)
        return status;
    bool six = strchr(host, ':') != NULL;
    socklen_t size = six ? sizeof at.six : sizeof at.four;
    if (six) {
        at.six.sin6_family = AF_INET6;
        at.six.sin6_port = htons(port);
        inet_pton(AF_INET6, host, &at.six.sin6_addr);
    } else {
        at.four.sin_family = AF_INET;
        at.four.sin_port = htons(port);
        inet_pton(AF_INET, host, &at.four.sin_addr);
    }
    int fd = socket(six ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0 ||
        (six && setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on) != 0) ||
        bind(fd, &at.any, size) != 0 || listen(fd, BACKLOG) != 0 ||
        getsockname(fd, &at.any, &size) != 0) {
        status = status_fail(error, STATUS_UNAVAILABLE, "listen: %s cannot be had (%s)", address,
                             strerror(errno));
        goto out;
    }
    /* A connection that sends nothing does not reach front at all; where the kernel cannot do
     * that, front's own time limit holds. */
    (void)setsockopt(fd, IPPROTO_TCP, TCP_DEFER_ACCEPT, &defer_seconds, sizeof defer_seconds);
    if (url)
        snprintf(url, url_size, six ? "https://[%s]:%u" : "https://%s:%u", host,
                 ntohs(six ? at.six.sin6_port : at.four.sin_port));
    *descriptor = fd;
    fd = -1;
out:
    if (fd >= 0)
        close(fd);
    return status;
}

/* A folder's path may be longer than a socket address can hold; the descriptor's is not. */
static enum status admin_address(const struct resources *r, struct sockaddr_un *at,
                                 struct error *error) {
    *at = (struct sockaddr_un){.sun_family = AF_UNIX};
    int n = snprintf(at->sun_path, sizeof at->sun_path, "/proc/self/fd/%d/%s", r->admin_folder,
                     r->admin_name);
    return n > 0 && (size_t)n < sizeof at->sun_path
               ? STATUS_OK
               : status_fail(error, STATUS_INVALID, "admin.socket: the file's name is too long");
}

static enum status open_admin_folder(struct resources *r, struct error *error) {
    const char *path = r->config->admin_socket;
    char folder[CONFIG_PATH_MAX];
    struct stat info;
    if (!path[0]) {
        snprintf(r->admin_name, sizeof r->admin_name, ADMIN_NAME);
        r->admin_folder = fcntl(r->store_folder, F_DUPFD_CLOEXEC, 0);
    } else {
        const char *slash = strrchr(path, '/'); /* config.c makes every path absolute */
        snprintf(folder, sizeof folder, "%.*s", (int)(slash - path) + (slash == path), path);
        snprintf(r->admin_name, sizeof r->admin_name, "%s", slash + 1);
        r->admin_folder = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    }
    if (r->admin_folder < 0)
        return status_fail(error, STATUS_NOT_FOUND,
                           "admin.socket: the folder of %s cannot be opened (%s)", path,
                           strerror(errno));
    if (fstat(r->admin_folder, &info) != 0 || (info.st_mode & 022))
        return status_fail(error, STATUS_FORBIDDEN,
                           "admin.socket: the folder of %s can be written by others (mode %04o), "
                           "expected 0755 or less",
                           path, (unsigned)info.st_mode & 07777);
    return STATUS_OK;
}

/* Who may connect: the server's user, and the group where one is configured. */
static enum status share_admin(const struct resources *r, struct error *error) {
    gid_t group = r->root ? r->store_group : (gid_t)-1;
    enum status status = STATUS_OK;
    if (r->config->admin_group[0] && (status = find_group(r->config, &group, error)) != STATUS_OK)
        return status;
    if ((r->root || r->config->admin_group[0]) &&
        fchownat(r->admin_folder, r->admin_name, r->root ? r->store_user : (uid_t)-1, group, 0) !=
            0)
        return status_fail(error, STATUS_FORBIDDEN,
                           "admin.group: the socket cannot be given to \"%s\" (%s); the server's "
                           "user must be a member",
                           r->config->admin_group, strerror(errno));
    if (r->config->admin_group[0] && fchmodat(r->admin_folder, r->admin_name, 0660, 0) != 0)
        return status_fail(error, STATUS_FORBIDDEN, "admin.group: the socket's mode cannot be set");
    return STATUS_OK;
}

static enum status listen_admin(struct resources *r, int *descriptor, struct error *error) {
    struct sockaddr_un at;
    int probe = -1, fd = -1;
    enum status status = open_admin_folder(r, error);
    if (status == STATUS_OK)
        status = admin_address(r, &at, error);
    if (status != STATUS_OK)
        return status;
    probe = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (probe < 0 || fd < 0) {
        status = status_fail(error, STATUS_UNAVAILABLE, "no descriptor for the admin socket");
        goto out;
    }
    if (connect(probe, (struct sockaddr *)&at, sizeof at) == 0) {
        status =
            status_fail(error, STATUS_CONFLICT,
                        "another strongroomd serves the data folder %s already", r->config->data);
        goto out;
    }
    unlinkat(r->admin_folder, r->admin_name, 0); /* left over from a server that was killed */
    /* The umask gives it 0600 from the start. */
    if (bind(fd, (struct sockaddr *)&at, sizeof at) != 0 || listen(fd, 16) != 0) {
        status =
            status_fail(error, STATUS_UNAVAILABLE, "the admin socket cannot be made in %s (%s)",
                        r->config->data, strerror(errno));
        goto out;
    }
    status = share_admin(r, error);
    if (status != STATUS_OK) {
        unlinkat(r->admin_folder, r->admin_name, 0);
        goto out;
    }
    *descriptor = fd;
    fd = -1;
out:
    if (probe >= 0)
        close(probe);
    if (fd >= 0)
        close(fd);
    return status;
}

static enum status share_config(const struct config *config, int *descriptor, struct error *error) {
    int fd = memfd_create("strongroom-config", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (fd < 0 || write(fd, config, sizeof *config) != (ssize_t)sizeof *config ||
        fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL) != 0) {
        if (fd >= 0)
            close(fd);
        return status_fail(error, STATUS_UNAVAILABLE, "no memory to share the configuration (%s)",
                           strerror(errno));
    }
    *descriptor = fd;
    return STATUS_OK;
}

enum status resources_open(const struct config *config, struct resources *resources,
                           struct error *error) {
    struct resources r = {.config = config,
                          .binary = -1,
                          .config_memory = -1,
                          .store_folder = -1,
                          .admin_folder = -1,
                          .admin = -1,
                          .metrics = -1,
                          .root = geteuid() == 0};
    struct stat info;
    enum status status;
    for (size_t i = 0; i < CONFIG_LISTEN_MAX; i++)
        r.listeners[i] = -1;
    umask(077);
    if ((status = resources_check(config, NULL, NULL, error)) != STATUS_OK ||
        (status = open_store(config, &r.store_folder, error)) != STATUS_OK)
        goto out;
    if (fstat(r.store_folder, &info) != 0 ||
        (r.binary = open("/proc/self/exe", O_PATH | O_CLOEXEC)) < 0) {
        status = status_fail(error, STATUS_UNAVAILABLE, "the program cannot find itself in /proc");
        goto out;
    }
    r.store_user = info.st_uid;
    r.store_group = info.st_gid;
    if (!r.root && r.store_user != geteuid()) {
        status = status_fail(error, STATUS_FORBIDDEN, "data: the folder %s belongs to another user",
                             config->data);
        goto out;
    }
    if ((status = share_config(config, &r.config_memory, error)) != STATUS_OK ||
        (status = listen_admin(&r, &r.admin, error)) != STATUS_OK)
        goto out;
    for (size_t i = 0; status == STATUS_OK && i < config->listen_count; i++)
        status = listen_at(config->listen[i], &r.listeners[i], i == 0 ? r.url : NULL, sizeof r.url,
                           error);
    if (status == STATUS_OK && config->metrics_listen[0])
        status = listen_at(config->metrics_listen, &r.metrics, NULL, 0, error);
out:
    if (status == STATUS_OK)
        *resources = r;
    else
        resources_close(&r);
    return status;
}

void resources_close(struct resources *r) {
    if (!r || !r->config)
        return;
    if (r->admin >= 0) {
        unlinkat(r->admin_folder, r->admin_name, 0);
        close(r->admin);
    }
    const int all[] = {r->binary, r->config_memory, r->store_folder, r->admin_folder, r->metrics};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        if (all[i] >= 0)
            close(all[i]);
    for (size_t i = 0; i < CONFIG_LISTEN_MAX; i++)
        if (r->listeners[i] >= 0)
            close(r->listeners[i]);
    r->config = NULL;
}
