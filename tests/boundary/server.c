#include "tests/boundary/server.h"

#include "crypto/crypto.h"
#include "crypto/secret.h"
#include "tests/boundary/onnx_bytes.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define must(x) cr_assert((x), "%s (%s)", #x, strerror(errno))

/* --- files ------------------------------------------------------------------------------------ */

void server_file(struct server *s, const char *name, const void *data, size_t size) {
    char path[256];
    snprintf(path, sizeof path, "%s/%s", s->folder, name);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    must(fd >= 0 && write(fd, data, size) == (ssize_t)size);
    close(fd);
}

size_t server_read(struct server *s, const char *name, uint8_t **data) {
    char path[256];
    struct stat info;
    snprintf(path, sizeof path, "%s/%s", s->folder, name);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    must(fd >= 0 && fstat(fd, &info) == 0);
    *data = malloc((size_t)info.st_size + 1);
    must(read(fd, *data, (size_t)info.st_size) == info.st_size);
    close(fd);
    return (size_t)info.st_size;
}

static void seal_text(struct server *s, const char *name, const struct age_recipient *to,
                      const void *text, size_t size) {
    const struct age_to recipients = {.recipients = to, .count = 1};
    uint8_t sealed[8192];
    size_t sealed_size;
    struct error error;
    must(age_encrypt_bytes(&recipients, text, size, sealed, sizeof sealed, &sealed_size, &error) ==
         STATUS_OK);
    server_file(s, name, sealed, sealed_size);
}

void server_seal(struct server *s, const char *name, const struct age_recipient *to,
                 const void *plain, size_t size) {
    const struct age_to recipients = {.recipients = to, .count = 1};
    size_t capacity = size + size / 1024 + 65536, sealed_size, header;
    uint8_t *sealed = malloc(capacity);
    char file[64];
    struct error error;
    must(age_encrypt_bytes(&recipients, plain, size, sealed, capacity, &sealed_size, &error) ==
         STATUS_OK);
    must(age_header_length(sealed, sealed_size, &header, &error) == STATUS_OK);
    snprintf(file, sizeof file, "header-%s", name);
    server_file(s, file, sealed, header);
    snprintf(file, sizeof file, "payload-%s", name);
    server_file(s, file, sealed + header, sealed_size - header);
    free(sealed);
}

size_t server_model(uint8_t *out, size_t capacity, uint8_t shift) {
    uint8_t weights[4096];
    for (size_t i = 0; i < sizeof weights; i++)
        weights[i] = (uint8_t)SERVER_MARKER[i % 32];
    weights[0] = (uint8_t)(weights[0] + shift);
    const struct onnx_bytes model = {.operation = "Add",
                                     .input = "x",
                                     .output = "y",
                                     .type = 1,
                                     .dimension = 1024,
                                     .weights = weights,
                                     .weights_size = sizeof weights};
    size_t size = onnx_bytes_write(&model, out, capacity);
    cr_assert_gt(size, 0);
    return size;
}

/* --- preparing -------------------------------------------------------------------------------- */

static void write_identity(struct server *s, const char *name, const struct age_identity *identity,
                           const char *tenant, const char *tenant_name) {
    uint8_t text[1024];
    struct buf out = buf_of(text, sizeof text);
    age_keyfile_write(&out, identity, tenant, tenant_name);
    if (tenant)
        seal_text(s, name, &s->root->recipient, out.data, out.size);
    else
        server_file(s, name, out.data, out.size);
}

void server_prepare(struct server *s) {
    const struct secret_options options = {.allow_unlocked = true};
    struct note_signer signer;
    struct error error;
    uint8_t text[1024], model[16384];
    struct buf key = buf_of(text, sizeof text);
    char config[1024];
    *s = (struct server){
        .folder = "/tmp/strongroom-boundary-XXXXXX", .pid = 0, .admin = -1, .log = -1, .ready = -1};
    must(mkdtemp(s->folder));
    must(crypto_init(&error) == STATUS_OK);
    secret_configure(&options);
    s->root = age_x25519_generate(&error);
    s->acme = age_x25519_generate(&error);
    s->globex = age_x25519_generate(&error);
    must(s->root && s->acme && s->globex);
    write_identity(s, "root.txt", s->root, NULL, NULL);
    write_identity(s, "wrapped-acme", s->acme, SERVER_ACME, "acme");
    write_identity(s, "wrapped-nameless", s->acme, SERVER_ACME, NULL);
    write_identity(s, "wrapped-globex", s->globex, SERVER_GLOBEX, "globex");
    must(note_generate("boundary.test", &signer, &error) == STATUS_OK);
    s->verifier = signer.verifier;
    note_signer_format(&signer, &key);
    seal_text(s, "signing.age", &s->root->recipient, key.data, key.size);
    size_t size = server_model(model, sizeof model, 0);
    server_seal(s, "a", &s->acme->recipient, model, size);
    server_seal(s, "g", &s->globex->recipient, model, size);
    size = server_model(model, sizeof model, 1);
    server_seal(s, "b", &s->acme->recipient, model, size);
    server_file(s, "cert.pem", "none", 4);
    server_file(s, "key.pem", "none", 4);
    /* The keeper of an ordinary user has 8 MiB of lockable memory; that is enough here. */
    int n = snprintf(config, sizeof config,
                     "listen: [\"127.0.0.1:0\"]\n"
                     "data: .\n"
                     "tls: {certificate: cert.pem, key: key.pem}\n"
                     "root: {identity: root.txt}\n"
                     "signing: {key: signing.age}\n"
                     "worker: {threads: 2, slots: 4}\n"
                     "limits: {body_bytes: 1048576}\n");
    server_file(s, "strongroom.yaml", config, (size_t)n);
}

void server_prepare_real(struct server *s, const char *strongroom, const char *strongroomd) {
    int status;
    *s = (struct server){.folder = "/tmp/strongroom-boundary-XXXXXX",
                         .program = strongroomd,
                         .admin = -1,
                         .log = -1,
                         .ready = -1};
    must(mkdtemp(s->folder) && rmdir(s->folder) == 0); /* init makes it */
    pid_t child = fork();
    if (child == 0) {
        int null = open("/dev/null", O_WRONLY);
        dup2(null, 1);
        execl(strongroom, "strongroom", "init", s->folder, "--listen", "127.0.0.1:0", (char *)NULL);
        _exit(127);
    }
    must(waitpid(child, &status, 0) == child && status == 0);
}

/* --- running ---------------------------------------------------------------------------------- */

static uint64_t now_ms(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static void start(struct server *s) {
    int err[2], out[2];
    char config[128];
    must(pipe2(err, O_CLOEXEC) == 0 && pipe2(out, O_CLOEXEC) == 0);
    must(prctl(PR_SET_CHILD_SUBREAPER, 1) == 0); /* orphans come to us, so they can be counted */
    snprintf(config, sizeof config, "%s/strongroom.yaml", s->folder);
    s->pid = fork();
    if (s->pid == 0) {
        dup2(out[1], 1);
        dup2(err[1], 2);
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        execl(s->program ? s->program : BOUNDARY_SERVER, "strongroomd", "--config", config,
              (char *)NULL);
        _exit(127);
    }
    must(s->pid > 0);
    close(err[1]);
    close(out[1]);
    s->log = err[0];
    s->ready = out[0];
}

/* Take what the log has; false at its end. */
static int read_log(struct server *s, int timeout_ms) {
    struct pollfd p = {.fd = s->log, .events = POLLIN};
    char part[4096];
    if (poll(&p, 1, timeout_ms) != 1)
        return 1;
    ssize_t n = read(s->log, part, sizeof part);
    if (n <= 0)
        return 0;
    s->text = realloc(s->text, s->size + (size_t)n + 1);
    memcpy(s->text + s->size, part, (size_t)n);
    s->size += (size_t)n;
    s->text[s->size] = '\0';
    return 1;
}

size_t server_log_has(struct server *s, size_t from, const char *text) {
    uint64_t end = now_ms() + 20000;
    for (;;) {
        char *found = s->text && s->size >= from ? strstr(s->text + from, text) : NULL;
        if (found)
            return (size_t)(found - s->text) + strlen(text);
        if (now_ms() > end || !read_log(s, 100))
            break;
    }
    cr_assert_fail("the log does not say \"%s\":\n%s", text, s->text ? s->text : "");
    return 0;
}

void server_start(struct server *s) {
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    char line[128];
    start(s);
    struct pollfd p = {.fd = s->ready, .events = POLLIN};
    uint64_t end = now_ms() + 20000;
    while (poll(&p, 1, 50) != 1 && now_ms() < end)
        read_log(s, 0);
    ssize_t n = read(s->ready, line, sizeof line - 1);
    read_log(s, 100);
    cr_assert(n > 0, "not ready:\n%s", s->text ? s->text : "");
    line[n] = '\0';
    cr_assert(strncmp(line, "ready https://127.0.0.1:", 24) == 0, "%s", line);
    snprintf(at.sun_path, sizeof at.sun_path, "%s/admin.sock", s->folder);
    s->admin = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    must(connect(s->admin, (struct sockaddr *)&at, sizeof at) == 0);
}

static int reap(struct server *s) {
    int status = -1, found = -1;
    uint64_t end = now_ms() + 30000;
    while (now_ms() < end) {
        pid_t pid = waitpid(-1, &status, WNOHANG);
        if (pid == s->pid) {
            found = status;
            break;
        }
        if (pid < 0)
            break;
        read_log(s, 20);
    }
    cr_assert(found != -1, "the server did not end:\n%s", s->text ? s->text : "");
    while (read_log(s, 0) && poll(&(struct pollfd){.fd = s->log, .events = POLLIN}, 1, 0) == 1)
        ;
    s->pid = 0;
    return WIFEXITED(found) ? WEXITSTATUS(found) : 128 + WTERMSIG(found);
}

int server_fails(struct server *s) {
    start(s);
    return reap(s);
}

int server_stop(struct server *s) {
    kill(s->pid, SIGTERM);
    int status = reap(s);
    /* We are the subreaper: a process that it left behind is now a child of ours. */
    cr_assert(waitpid(-1, NULL, WNOHANG | __WALL) < 0 && errno == ECHILD,
              "processes are left behind:\n%s", s->text);
    return status;
}

void server_remove(struct server *s) {
    char command[128];
    if (s->pid > 0) {
        kill(s->pid, SIGKILL);
        while (waitpid(-1, NULL, 0) > 0)
            ;
    }
    secret_free(s->root);
    secret_free(s->acme);
    secret_free(s->globex);
    free(s->text);
    close(s->admin);
    close(s->log);
    close(s->ready);
    pid_t child = fork();
    if (child == 0) {
        snprintf(command, sizeof command, "%s", s->folder);
        execlp("rm", "rm", "-rf", command, (char *)NULL);
        _exit(127);
    }
    waitpid(child, NULL, 0);
}

const char *server_ask(struct server *s, const char *format, ...) {
    static char answer[8192];
    char line[1024];
    va_list args;
    va_start(args, format);
    int n = vsnprintf(line, sizeof line - 1, format, args);
    va_end(args);
    line[n++] = '\n';
    must(send(s->admin, line, (size_t)n, MSG_NOSIGNAL) == n);
    size_t have = 0;
    while (have + 1 < sizeof answer) {
        ssize_t got = recv(s->admin, answer + have, sizeof answer - 1 - have, 0);
        read_log(s, 0);
        cr_assert(got > 0, "the ledger is gone:\n%s", s->text);
        have += (size_t)got;
        if (answer[have - 1] == '\n')
            break;
    }
    answer[have ? have - 1 : 0] = '\0';
    return answer;
}

pid_t server_pid(struct server *s, const char *role) {
    char text[64];
    int pid = 0;
    snprintf(text, sizeof text, "started role=%s ", role);
    server_log_has(s, 0, text);
    while (poll(&(struct pollfd){.fd = s->log, .events = POLLIN}, 1, 0) == 1 && read_log(s, 0))
        ;
    for (char *at = s->text; (at = strstr(at, text)); at++)
        sscanf(strstr(at, "pid="), "pid=%d", &pid);
    return pid;
}
