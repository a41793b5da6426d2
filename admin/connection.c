#include "admin/connection.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "admin/files.h"
#include "admin/folder.h"
#include "crypto/apikey.h"
#include "crypto/secret.h"
#include "store/store.h"
#include "tenancy/command.h"
#include "tenancy/policy.h"

/* A command waits for the commits and signatures before it, never for a model to load. */
#define ANSWER_SECONDS 60

struct connection {
    struct config config;
    int folder; /* descriptor of the data folder */
    int socket; /* -1 where the store is open here */
    struct store *store;
    struct tenancy tenancy;
    char client[32];
};

static int64_t now(void *context) {
    struct timespec t;
    (void)context;
    clock_gettime(CLOCK_REALTIME, &t);
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static enum status sign_recipient(void *context, const struct store_tenant *tenant, char *note,
                                  size_t note_size, struct error *error) {
    const struct connection *connection = context;
    return folder_sign_recipient(&connection->config, tenant, note, note_size, error);
}

static void remove_payload(void *context, int64_t model) {
    const struct connection *connection = context;
    char path[48];
    snprintf(path, sizeof path, "models/%" PRId64, model);
    if (unlinkat(connection->folder, path, 0) != 0 && errno != ENOENT)
        fprintf(stderr, "strongroom: the file models/%" PRId64 " stays: %s\n", model,
                strerror(errno));
}

static const struct tenancy_hooks hooks = {
    .now = now, .sign_recipient = sign_recipient, .remove_payload = remove_payload};

/* Where the socket is: a name in a folder that is open, since a socket's address is shorter than a
 * path may be. `path` "" means the data folder's. */
static enum status socket_address(int folder, const char *path, struct sockaddr_un *at, int *opened,
                                  struct error *error) {
    char parent[CONFIG_PATH_MAX];
    const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
    *at = (struct sockaddr_un){.sun_family = AF_UNIX};
    if (!path[0]) {
        name = CONNECTION_SOCKET;
    } else {
        int n = slash ? snprintf(parent, sizeof parent, "%.*s", (int)(slash - path) + 1, path)
                      : snprintf(parent, sizeof parent, ".");
        if (n < 0 || (size_t)n >= sizeof parent)
            return status_fail(error, STATUS_INVALID, "the admin socket's path is too long");
        folder = *opened = open(parent, O_PATH | O_DIRECTORY | O_CLOEXEC);
    }
    int n = snprintf(at->sun_path, sizeof at->sun_path, "/proc/self/fd/%d/%s", folder, name);
    return n > 0 && (size_t)n < sizeof at->sun_path
               ? STATUS_OK
               : status_fail(error, STATUS_INVALID, "the admin socket's name is too long");
}

/* *found is -1, and the status is STATUS_OK, where no server listens. */
static enum status connect_socket(int folder, const char *path, int *found, struct error *error) {
    struct sockaddr_un at;
    const struct timeval wait = {.tv_sec = ANSWER_SECONDS};
    int opened = -1;
    enum status status = socket_address(folder, path, &at, &opened, error);
    if (status != STATUS_OK)
        return status;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return status_fail(error, STATUS_UNAVAILABLE, "no socket can be had: %s", strerror(errno));
    if (connect(fd, (const struct sockaddr *)&at, sizeof at) == 0) {
        setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof wait);
        setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof wait);
        *found = fd;
        if (opened >= 0)
            close(opened);
        return STATUS_OK;
    }
    int reason = errno;
    close(fd);
    if (opened >= 0)
        close(opened);
    if (reason == ENOENT || reason == ECONNREFUSED) {
        *found = -1;
        return STATUS_OK;
    }
    return status_fail(error, reason == EACCES ? STATUS_FORBIDDEN : STATUS_UNAVAILABLE,
                       "the server's admin socket: %s%s", strerror(reason),
                       reason == EACCES ? " (be root, the server's user, or in admin.group)" : "");
}

static enum status send_line(int fd, char *line, struct error *error) {
    size_t size = strlen(line), sent = 0;
    line[size++] = '\n'; /* in place of the terminator: what follows is not text any more */
    if (size > TENANCY_REQUEST_MAX)
        return status_fail(error, STATUS_TOO_LARGE, "the request is too long");
    while (sent < size) {
        ssize_t n = send(fd, line + sent, size - sent, MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return status_fail(error, STATUS_UNAVAILABLE, "the server does not listen: %s",
                               strerror(errno));
        sent += (size_t)n;
    }
    return STATUS_OK;
}

/* A whole line, its newline not counted; *line is the caller's to free. */
static enum status receive_line(int fd, char **line, size_t *length, struct error *error) {
    char *bytes = NULL;
    size_t capacity = 0, have = 0;
    enum status status = STATUS_OK;
    for (;;) {
        if (have == capacity) {
            size_t wanted = capacity ? 2 * capacity : 4096;
            char *grown =
                wanted <= 2 * (size_t)TENANCY_RESPONSE_MAX ? realloc(bytes, wanted) : NULL;
            if (!grown) {
                status = status_fail(error, STATUS_TOO_LARGE, "the server's answer is too long");
                break;
            }
            bytes = grown;
            capacity = wanted;
        }
        ssize_t n = recv(fd, bytes + have, capacity - have, 0);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0) {
            status = status_fail(error, STATUS_UNAVAILABLE, "the server gave no answer%s%s",
                                 n < 0 ? ": " : "", n < 0 ? strerror(errno) : "");
            break;
        }
        char *end = memchr(bytes + have, '\n', (size_t)n);
        have += (size_t)n;
        if (end) {
            *length = (size_t)(end - bytes);
            *line = bytes;
            return STATUS_OK;
        }
    }
    free(bytes);
    return status;
}

/* The key goes from its file through secret memory into the socket, and nowhere else. */
static enum status show_key(int fd, const char *path, struct error *error) {
    enum { LINE_MAX_BYTES = sizeof "key " + APIKEY_SIZE };
    uint8_t *key = NULL;
    char *line = secret_alloc(LINE_MAX_BYTES, error), *answer = NULL;
    size_t size = 0, length = 0;
    json_t *result = NULL;
    enum status status =
        line ? files_read_secret(path, "operator key", APIKEY_SIZE, &key, &size, error)
             : STATUS_UNAVAILABLE;
    if (status != STATUS_OK)
        goto out;
    while (size && (key[size - 1] == '\n' || key[size - 1] == '\r'))
        size--;
    if (size != APIKEY_LENGTH) {
        status = status_fail(error, STATUS_INVALID,
                             "operator key: the file has %zu characters, expected a key of %d",
                             size, APIKEY_LENGTH);
        goto out;
    }
    memcpy(line, "key ", 4);
    memcpy(line + 4, key, size);
    line[4 + size] = '\0';
    status = send_line(fd, line, error);
    if (status == STATUS_OK)
        status = receive_line(fd, &answer, &length, error);
    if (status == STATUS_OK)
        status = tenancy_read_answer(answer, length, &result, error);
out:
    json_decref(result);
    free(answer);
    secret_free(key);
    secret_free(line);
    return status;
}

/* To a server whose folder this user cannot read: STRONGROOM_SOCKET names its admin socket. */
static enum status open_remote(struct connection *made, const char *path, struct error *error) {
    enum status status = connect_socket(-1, path, &made->socket, error);
    if (status == STATUS_OK && made->socket < 0)
        status = status_fail(error, STATUS_UNAVAILABLE, "no server listens at %s", path);
    return status;
}

static enum status open_local(const struct cli *cli, struct connection *made, struct error *error) {
    enum status status = folder_config(cli, &made->config, error);
    if (status != STATUS_OK)
        return status;
    const struct secret_options memory = {.allow_unlocked =
                                              made->config.worker.allow_unlocked_memory};
    secret_configure(&memory);
    made->folder = open(made->config.data, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (made->folder < 0)
        return status_fail(error, errno == EACCES ? STATUS_FORBIDDEN : STATUS_NOT_FOUND, "%s: %s",
                           made->config.data, strerror(errno));
    status = connect_socket(made->folder, made->config.admin_socket, &made->socket, error);
    if (status == STATUS_OK && made->socket < 0) {
        status = store_open(made->config.data, &made->store, error);
        if (status == STATUS_NOT_FOUND)
            status_prefix(error, "%s: ", made->config.data);
    }
    return status;
}

enum status connection_open(const struct cli *cli, struct connection **connection,
                            struct error *error) {
    struct connection *made = calloc(1, sizeof *made);
    if (!made)
        return status_fail(error, STATUS_UNAVAILABLE, "out of memory");
    made->folder = made->socket = -1;
    const char *remote = getenv("STRONGROOM_SOCKET"), *key = getenv("STRONGROOM_OPERATOR_KEY");
    enum status status = STATUS_OK;
    if (remote && *remote)
        status = open_remote(made, remote, error);
    else
        status = open_local(cli, made, error);
    if (status == STATUS_OK && key && *key && made->socket >= 0)
        status = show_key(made->socket, key, error);
    if (status != STATUS_OK)
        goto out;
    snprintf(made->client, sizeof made->client, "uid %u", (unsigned)getuid());
    made->tenancy = (struct tenancy){.store = made->store,
                                     .hooks = &hooks,
                                     .context = made,
                                     .client = made->client,
                                     .tls_minimum = made->config.tls_minimum};
    *connection = made;
out:
    if (status != STATUS_OK)
        connection_close(made);
    return status;
}

void connection_close(struct connection *connection) {
    if (!connection)
        return;
    store_close(connection->store);
    if (connection->socket >= 0)
        close(connection->socket);
    if (connection->folder >= 0)
        close(connection->folder);
    free(connection);
}

bool connection_is_server(const struct connection *connection) {
    return connection->socket >= 0;
}

pid_t connection_server_pid(const struct connection *connection) {
    struct ucred who = {0};
    socklen_t size = sizeof who;
    if (connection->socket < 0 ||
        getsockopt(connection->socket, SOL_SOCKET, SO_PEERCRED, &who, &size) != 0)
        return 0;
    return who.pid;
}

static enum status call_server(struct connection *connection, const json_t *request,
                               json_t **result, struct error *error) {
    char *line = json_dumps(request, JSON_COMPACT), *answer = NULL;
    size_t length = 0;
    if (!line)
        return status_fail(error, STATUS_UNAVAILABLE, "out of memory");
    enum status status = send_line(connection->socket, line, error);
    if (status == STATUS_OK)
        status = receive_line(connection->socket, &answer, &length, error);
    if (status == STATUS_OK)
        status = tenancy_read_answer(answer, length, result, error);
    free(answer);
    free(line);
    return status;
}

enum status connection_call(struct connection *connection, json_t *request, json_t **result,
                            struct error *error) {
    if (!request)
        return status_fail(error, STATUS_UNAVAILABLE, "out of memory");
    enum status status = connection->socket >= 0
                             ? call_server(connection, request, result, error)
                             : tenancy_execute(&connection->tenancy, request, result, error);
    json_decref(request);
    return status;
}

enum status connection_once(const struct cli *cli, json_t *request, json_t **result,
                            struct error *error) {
    struct connection *connection = NULL;
    enum status status = connection_open(cli, &connection, error);
    if (status == STATUS_OK)
        status = connection_call(connection, request, result, error);
    else
        json_decref(request);
    connection_close(connection);
    return status;
}
