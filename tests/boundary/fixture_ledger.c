/* A ledger for tests: it stands where the real one does, under the same sandbox, and does what a
 * test tells it over the admin socket, one line a command, one line an answer. So a test can send
 * keeper and worker what the real ledger never would.
 *
 *   start UID                                    worker NUMBER
 *   stop UID                                     ok
 *   gone                                         gone NUMBER RETRY_MS
 *   load UID LOAD MODEL HEADER PAYLOAD WRAPPED COMMITMENT
 *                                                loaded STATUS COMMITMENT RESIDENT MESSAGE
 *   unload UID MODEL                             ok
 *   sign UID NAME RECIPIENT WRAPPED              signed STATUS MESSAGE-OR-NOTE
 *   garbage keeper|worker UID                    closed
 *
 * HEADER, PAYLOAD and WRAPPED are names of files in the store folder; COMMITMENT is hexadecimal or
 * "-". Any failure is answered with "error ...". */
#include "base/log.h"
#include "base/role.h"
#include "base/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define WORKERS 8
#define WAIT_MS 20000

static struct {
    int launch, store, keeper, front, client;
    struct {
        char tenant[MESSAGE_UID_MAX + 1];
        uint32_t number;
        int socket;
    } workers[WORKERS];
    uint32_t gone, gone_retry_ms;
    bool gone_news, leave;
    uint8_t buffer[MESSAGE_MAX], header[MESSAGE_HEADER_MAX], wrapped[MESSAGE_WRAPPED_MAX];
} l;

static int wait_readable(int socket) {
    struct pollfd p = {.fd = socket, .events = POLLIN};
    return poll(&p, 1, WAIT_MS) == 1;
}

static int worker_of(const char *tenant) {
    for (int i = 0; i < WORKERS; i++)
        if (l.workers[i].socket >= 0 && strcmp(l.workers[i].tenant, tenant) == 0)
            return i;
    return -1;
}

static int take(struct message *message) {
    int descriptor = message->descriptors[0];
    message->descriptors[0] = -1;
    return descriptor;
}

static void on_launch(void) {
    struct message m;
    struct error error;
    if (message_receive(l.launch, ROLE_LAUNCH, ROLE_LEDGER, l.buffer, sizeof l.buffer, &m,
                        &error) != STATUS_OK) {
        l.leave = true;
        return;
    }
    if (m.type == MESSAGE_LEDGER_KEEPER) {
        close(l.keeper);
        l.keeper = take(&m);
    } else if (m.type == MESSAGE_LEDGER_FRONT) {
        close(l.front);
        l.front = take(&m);
    } else if (m.type == MESSAGE_LEDGER_WORKER) {
        for (int i = 0; i < WORKERS; i++)
            if (l.workers[i].socket < 0) {
                l.workers[i].number = m.ledger_worker.worker;
                l.workers[i].socket = take(&m);
                if (!bytes_to_text(m.ledger_worker.tenant, l.workers[i].tenant,
                                   sizeof l.workers[i].tenant))
                    l.leave = true;
                break;
            }
    } else if (m.type == MESSAGE_LEDGER_WORKER_GONE) {
        l.gone = m.ledger_worker_gone.worker;
        l.gone_retry_ms = m.ledger_worker_gone.retry_ms;
        l.gone_news = true;
        for (int i = 0; i < WORKERS; i++)
            if (l.workers[i].socket >= 0 && l.workers[i].number == l.gone) {
                close(l.workers[i].socket);
                l.workers[i].socket = -1;
            }
    } else if (m.type == MESSAGE_DRAIN) {
        l.leave = true;
    }
    message_close_descriptors(&m);
}

static size_t file_bytes(const char *name, uint8_t *to, size_t size) {
    int fd = openat(l.store, name, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd >= 0 ? read(fd, to, size) : -1;
    if (fd >= 0)
        close(fd);
    return n > 0 ? (size_t)n : 0;
}

static void __attribute__((format(printf, 1, 2))) say(const char *format, ...) {
    char line[8192];
    va_list args;
    va_start(args, format);
    int n = vsnprintf(line, sizeof line - 1, format, args);
    va_end(args);
    for (int i = 0; i < n; i++)
        if (line[i] == '\n')
            line[i] = '|';
    line[n++] = '\n';
    if (send(l.client, line, (size_t)n, MSG_NOSIGNAL) != n)
        l.leave = true;
}

static void do_start(const char *tenant) {
    const struct message_start_worker m = {.tenant = bytes_text(tenant)};
    struct error error;
    if (message_send_start_worker(l.launch, &m, NULL, &error) != STATUS_OK) {
        say("error %s", error.message);
        return;
    }
    while (worker_of(tenant) < 0 && !l.leave && wait_readable(l.launch))
        on_launch();
    if (worker_of(tenant) < 0)
        say("error no worker came");
    else
        say("worker %u", l.workers[worker_of(tenant)].number);
}

static void do_stop(const char *tenant) {
    struct error error;
    int i = worker_of(tenant);
    const struct message_stop_worker m = {.worker = i >= 0 ? l.workers[i].number : 0};
    if (i < 0 || message_send_stop_worker(l.launch, &m, NULL, &error) != STATUS_OK)
        say("error no such worker");
    else
        say("ok");
}

static void do_gone(void) {
    while (!l.gone_news && !l.leave && wait_readable(l.launch))
        on_launch();
    if (!l.gone_news)
        say("error nobody went");
    else
        say("gone %u %u", l.gone, l.gone_retry_ms);
    l.gone_news = false;
}

static int hex(const char *text, uint8_t out[32]) {
    if (strlen(text) != 64)
        return 0;
    for (int i = 0; i < 32; i++)
        if (sscanf(text + 2 * i, "%2hhx", &out[i]) != 1)
            return 0;
    return 1;
}

static void do_load(char **word) {
    struct error error = {0};
    uint8_t commitment[32];
    int i = worker_of(word[0]);
    int payload = openat(l.store, word[4], O_RDONLY | O_CLOEXEC);
    struct message_load load = {.load = strtoull(word[1], NULL, 10),
                                .model = strtoull(word[2], NULL, 10),
                                .domains = MESSAGE_DOMAIN_ONNX};
    const struct message_front_payload forward = {.worker = i >= 0 ? l.workers[i].number : 0,
                                                  .load = load.load};
    struct message m;
    load.header = bytes_of(l.header, file_bytes(word[3], l.header, sizeof l.header));
    load.wrapped = bytes_of(l.wrapped, file_bytes(word[5], l.wrapped, sizeof l.wrapped));
    if (hex(word[6], commitment))
        load.commitment = bytes_of(commitment, 32);
    if (i < 0 || payload < 0) {
        say("error no worker or no payload");
        return;
    }
    load.payload_bytes = (uint64_t)lseek(payload, 0, SEEK_END);
    enum status status = message_send_load(l.workers[i].socket, &load, NULL, &error);
    if (status == STATUS_OK)
        status = message_send_front_payload(l.front, &forward, &payload, &error);
    close(payload);
    if (status == STATUS_OK && !wait_readable(l.workers[i].socket))
        status = status_fail(&error, STATUS_DEADLINE, "no answer from the worker");
    if (status == STATUS_OK)
        status = message_receive(l.workers[i].socket, ROLE_WORKER, ROLE_LEDGER, l.buffer,
                                 sizeof l.buffer, &m, &error);
    if (status != STATUS_OK) {
        say("error %s", error.message);
        return;
    }
    char found[65] = "-";
    for (size_t b = 0; b < m.loaded.commitment.size; b++)
        snprintf(found + 2 * b, 3, "%02x", m.loaded.commitment.data[b]);
    say("loaded %u %s %llu %.*s", m.loaded.status, found,
        (unsigned long long)m.loaded.resident_bytes, (int)m.loaded.message.size,
        (const char *)m.loaded.message.data);
}

static void do_unload(const char *tenant, const char *model) {
    struct error error;
    const struct message_unload m = {.model = strtoull(model, NULL, 10)};
    int i = worker_of(tenant);
    if (i < 0 || message_send_unload(l.workers[i].socket, &m, NULL, &error) != STATUS_OK)
        say("error no such worker");
    else
        say("ok");
}

static void do_sign(char **word) {
    struct error error = {0};
    struct message_sign_recipient ask = {.tenant = bytes_text(word[0]),
                                         .name = bytes_text(word[1]),
                                         .recipient = bytes_text(word[2])};
    struct message m;
    ask.wrapped = bytes_of(l.wrapped, file_bytes(word[3], l.wrapped, sizeof l.wrapped));
    enum status status = message_send_sign_recipient(l.keeper, &ask, NULL, &error);
    if (status == STATUS_OK && !wait_readable(l.keeper))
        status = status_fail(&error, STATUS_DEADLINE, "no answer from the keeper");
    if (status == STATUS_OK)
        status = message_receive(l.keeper, ROLE_KEEPER, ROLE_LEDGER, l.buffer, sizeof l.buffer, &m,
                                 &error);
    if (status != STATUS_OK)
        say("error %s", error.message);
    else if (m.recipient_signed.status != STATUS_OK)
        say("signed %u %.*s", m.recipient_signed.status, (int)m.recipient_signed.message.size,
            (const char *)m.recipient_signed.message.data);
    else
        say("signed 0 %.*s", (int)m.recipient_signed.note.size,
            (const char *)m.recipient_signed.note.data);
}

static void do_garbage(const char *who, const char *tenant) {
    int i = worker_of(tenant);
    int socket = strcmp(who, "keeper") == 0 ? l.keeper : i >= 0 ? l.workers[i].socket : -1;
    char byte;
    if (send(socket, "\377\377garbage", 9, MSG_NOSIGNAL) != 9) {
        say("error not sent");
        return;
    }
    if (!wait_readable(socket) || recv(socket, &byte, 1, 0) > 0)
        say("error still open");
    else
        say("closed");
}

static void command(char *line) {
    char *word[9] = {"", "", "", "", "", "", "", "", ""}, *rest = NULL;
    int n = 0;
    for (char *w = strtok_r(line, " \n", &rest); w && n < 9; w = strtok_r(NULL, " \n", &rest))
        word[n++] = w;
    if (strcmp(word[0], "start") == 0 && n == 2)
        do_start(word[1]);
    else if (strcmp(word[0], "stop") == 0 && n == 2)
        do_stop(word[1]);
    else if (strcmp(word[0], "gone") == 0)
        do_gone();
    else if (strcmp(word[0], "load") == 0 && n == 8)
        do_load(word + 1);
    else if (strcmp(word[0], "unload") == 0 && n == 3)
        do_unload(word[1], word[2]);
    else if (strcmp(word[0], "sign") == 0 && n == 5)
        do_sign(word + 1);
    else if (strcmp(word[0], "garbage") == 0 && n == 3)
        do_garbage(word[1], word[2]);
    else
        say("error unknown command");
}

int ledger_main(const struct role_start *start) {
    const struct sandbox_folder folder = {"store", start->store_folder};
    const struct message_ready ready = {.pid = (uint32_t)getpid()};
    struct error error;
    char line[4096];
    l.launch = start->launch;
    l.store = start->store_folder;
    l.keeper = l.front = l.client = -1;
    for (int i = 0; i < WORKERS; i++)
        l.workers[i].socket = -1;
    if (sandbox_enter(ROLE_LEDGER, &folder, 1, &error) != STATUS_OK ||
        message_send_ready(l.launch, &ready, NULL, &error) != STATUS_OK) {
        log_error("cannot start: %s", error.message);
        return 1;
    }
    while (!l.leave) {
        struct pollfd polls[] = {{.fd = l.launch, .events = POLLIN},
                                 {.fd = l.client, .events = POLLIN},
                                 {.fd = start->admin_listener, .events = POLLIN}};
        if (poll(polls, 3, -1) < 0)
            continue;
        if (polls[0].revents)
            on_launch();
        if (polls[1].revents) {
            ssize_t n = recv(l.client, line, sizeof line - 1, 0);
            if (n <= 0) {
                close(l.client);
                l.client = -1;
            } else {
                line[n] = '\0';
                command(line);
            }
        }
        if (polls[2].revents && l.client < 0)
            l.client = accept4(start->admin_listener, NULL, NULL, SOCK_CLOEXEC);
    }
    return 0;
}
