#include "server/ledger/admin_socket.h"

#include "base/log.h"
#include "crypto/secret.h"
#include "server/ledger/operator.h"
#include "tenancy/command.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define CLIENTS_MAX 16u
#define STRANGERS_MAX 10u /* of other users than root and the server's */
#define PER_USER_MAX 4u   /* of one such user */
#define SILENCE_MS (30 * 1000)
#define LINES_MAX 64u /* at once, of those that no command answers */
#define KEY_WORD "key "

struct client {
    struct link *link; /* NULL: free */
    int64_t last_ms;
    char who[24]; /* "uid 0", for the audit log */
    uid_t user;
    bool trusted; /* root, or the server's user */
    bool keyed;   /* has shown the key `by`: does no more than that allows */
    struct tenancy_operator by;
    bool busy; /* a command is under way; the next line waits */
    size_t in_size;
    char in[TENANCY_REQUEST_MAX];
    char *out; /* an answer that did not fit into the socket at once */
    size_t out_size, out_sent;
};

/* A command on the commit thread; the client may be gone when it ends. */
struct command {
    struct commit_job job;
    struct ledger *ledger;
    struct link *link; /* held */
    char who[24];
    bool keyed;
    struct tenancy_operator by;
    char *request;
    size_t request_size;
    char *answer; /* out: a line */
    size_t answer_size;
    struct operator_effect effect; /* out */
};

static struct client *clients[CLIENTS_MAX];

static void client_close(struct ledger *ledger, struct client *client) {
    ledger_close(ledger, client->link);
    free(client->out);
    secret_wipe(client->in, client->in_size); /* a key may stand there whose line has no end yet */
    for (size_t i = 0; i < CLIENTS_MAX; i++)
        if (clients[i] == client)
            clients[i] = NULL;
    free(client);
}

static bool is_trusted(uid_t user) {
    return user == 0 || user == geteuid();
}

/* A free place for a connection of that user, or CLIENTS_MAX. */
static size_t find_place(uid_t user) {
    size_t strangers = 0, same = 0, place = CLIENTS_MAX;
    for (size_t i = 0; i < CLIENTS_MAX; i++) {
        if (!clients[i])
            place = place == CLIENTS_MAX ? i : place;
        else if (!clients[i]->trusted)
            strangers++, same += clients[i]->user == user;
    }
    if (!is_trusted(user) && (strangers >= STRANGERS_MAX || same >= PER_USER_MAX))
        return CLIENTS_MAX;
    return place;
}

void admin_socket_accept(struct ledger *ledger, struct link *listener) {
    struct error error = {0};
    struct ucred who;
    socklen_t size = sizeof who;
    int fd = accept4(listener->socket, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd < 0)
        return;
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &size) != 0) {
        log_warn("the admin socket refused a caller that cannot be told");
        close(fd);
        return;
    }
    size_t place = find_place(who.uid);
    struct client *client = place < CLIENTS_MAX ? calloc(1, sizeof *client) : NULL;
    if (!client) {
        log_warn("the admin socket has too many callers uid=%u", (unsigned)who.uid);
        close(fd);
        return;
    }
    client->link = link_new(LINK_ADMIN, fd, client);
    if (!client->link || ledger_listen(ledger, client->link, &error) != STATUS_OK) {
        link_release(client->link);
        free(client);
        return;
    }
    client->last_ms = ledger_now_ms();
    client->user = who.uid;
    client->trusted = is_trusted(who.uid);
    snprintf(client->who, sizeof client->who, "uid %u", (unsigned)who.uid);
    clients[place] = client;
}

static void wait_for(struct ledger *ledger, struct client *client, uint32_t events) {
    struct epoll_event event = {.events = events, .data.ptr = client->link};
    epoll_ctl(ledger->epoll, EPOLL_CTL_MOD, client->link->socket, &event);
}

/* False where the client is gone, or its answer waits for room in the socket. */
static bool flush(struct ledger *ledger, struct client *client) {
    while (client->out_sent < client->out_size) {
        ssize_t n = send(client->link->socket, client->out + client->out_sent,
                         client->out_size - client->out_sent, MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
            wait_for(ledger, client, EPOLLOUT);
            return false;
        }
        if (n < 0) {
            client_close(ledger, client);
            return false;
        }
        client->out_sent += (size_t)n;
    }
    free(client->out);
    client->out = NULL;
    client->out_size = client->out_sent = 0;
    wait_for(ledger, client, EPOLLIN);
    return true;
}

static void next_command(struct ledger *ledger, struct client *client);

static void run_command(struct commit_job *job, struct store *store) {
    struct command *command = (struct command *)job;
    command->answer = operator_execute(
        command->ledger, store, command->who, command->keyed ? &command->by : NULL,
        command->request, command->request_size, &command->answer_size, &command->effect);
}

static void done_command(struct commit_job *job, void *context) {
    struct command *command = (struct command *)job;
    struct ledger *ledger = context;
    operator_settle(ledger, &command->effect);
    /* A link that was closed meanwhile has no client any more. */
    if (!command->link->closed) {
        struct client *client = command->link->owner;
        client->busy = false;
        client->last_ms = ledger_now_ms();
        client->out = command->answer;
        client->out_size = command->answer ? command->answer_size : 0;
        client->out_sent = 0;
        command->answer = NULL;
        if (!client->out)
            client_close(ledger, client);
        else if (flush(ledger, client))
            next_command(ledger, client);
    }
    link_release(command->link);
    free(command->request);
    free(command->answer);
    free(command);
}

static bool start_command(struct ledger *ledger, struct client *client, size_t length) {
    struct command *command = calloc(1, sizeof *command);
    char *request = malloc(length + 1);
    if (!command || !request) {
        free(command);
        free(request);
        return false;
    }
    command->job.run = run_command;
    command->job.done = done_command;
    command->ledger = ledger;
    command->link = link_hold(client->link);
    memcpy(request, client->in, length);
    command->request = request;
    command->request_size = length;
    memcpy(command->who, client->who, sizeof command->who);
    command->keyed = client->keyed;
    command->by = client->by;
    client->busy = true;
    commit_post(ledger->commit, &command->job);
    return true;
}

/* --- who is it ------------------------------------------------------------------------------- */

/* An answer that needs no command. */
static bool answer_now(struct client *client, enum status status, const char *message) {
    json_t *answer =
        status == STATUS_OK
            ? json_pack("{s:b,s:{s:s}}", "ok", 1, "result", "key", client->by.key)
            : json_pack("{s:b,s:s,s:s}", "ok", 0, "status", status_name(status), "error", message);
    char *text = answer ? json_dumps(answer, JSON_COMPACT) : NULL;
    json_decref(answer);
    size_t size = text ? strlen(text) : 0;
    char *line = text ? realloc(text, size + 1) : NULL;
    if (!line) {
        free(text);
        return false;
    }
    line[size] = '\n';
    client->out = line;
    client->out_size = size + 1;
    client->out_sent = 0;
    return true;
}

/* The key itself stays nowhere but in the line, which is wiped by the caller. */
static bool take_key(struct ledger *ledger, struct client *client, const char *key, size_t size) {
    struct directory_caller caller;
    struct error error = {0};
    enum status status = directory_authenticate(ledger->directory, bytes_of(key, size),
                                                ledger_now_us(), &caller, &error);
    if (status == STATUS_OK && !caller.is_operator)
        status = STATUS_UNAUTHENTICATED;
    if (status == STATUS_OK) {
        client->keyed = true;
        memcpy(client->by.key, caller.key, sizeof client->by.key);
        client->by.scopes = caller.scopes;
        return answer_now(client, STATUS_OK, NULL);
    }
    if (status != STATUS_UNAUTHENTICATED)
        return answer_now(client, status, error.message);
    failures_count(ledger->failures, bytes_text(client->who), false);
    client->keyed = false;
    client->trusted = false; /* who shows a bad key is not taken for root on this connection */
    return answer_now(client, status, "that is not a valid operator key");
}

/* False where the connection is to be closed; otherwise either an answer waits to be sent, or the
 * command may start. */
static bool may_ask(struct ledger *ledger, struct client *client) {
    struct error error = {0};
    if (client->keyed) {
        enum status status = directory_operator(ledger->directory, client->by.key, ledger_now_us(),
                                                &client->by.scopes, &error);
        return status == STATUS_OK || answer_now(client, status, error.message);
    }
    return client->trusted || answer_now(client, STATUS_UNAUTHENTICATED,
                                         "an operator key is needed: be root or the server's user, "
                                         "or name a file with one in STRONGROOM_OPERATOR_KEY");
}

static bool take_line(struct ledger *ledger, struct client *client, size_t length) {
    const size_t word = sizeof KEY_WORD - 1;
    if (length > word && memcmp(client->in, KEY_WORD, word) == 0) {
        bool going_on = take_key(ledger, client, client->in + word, length - word);
        secret_wipe(client->in, length);
        return going_on;
    }
    if (!may_ask(ledger, client))
        return false;
    return client->out || start_command(ledger, client, length);
}

/* Take the next whole lines, one command at a time. Lines that need none are answered here, and
 * anybody may send those: as many at once as no honest client does end the connection. */
static void next_command(struct ledger *ledger, struct client *client) {
    for (unsigned lines = 0; !client->busy; lines++) {
        char *end = memchr(client->in, '\n', client->in_size);
        if (!end)
            return;
        size_t length = (size_t)(end - client->in);
        if (lines == LINES_MAX || !take_line(ledger, client, length)) {
            client_close(ledger, client);
            return;
        }
        client->in_size -= length + 1;
        memmove(client->in, end + 1, client->in_size);
        secret_wipe(client->in + client->in_size, length + 1); /* a key may have stood there */
        if (client->out && !flush(ledger, client))
            return;
    }
}

void admin_socket_read(struct ledger *ledger, struct link *link) {
    struct client *client = link->owner;
    client->last_ms = ledger_now_ms();
    if (client->out) {
        if (flush(ledger, client))
            next_command(ledger, client);
        return;
    }
    if (client->in_size == sizeof client->in) {
        log_warn("the admin socket was sent a line that is too long");
        client_close(ledger, client);
        return;
    }
    ssize_t n =
        recv(link->socket, client->in + client->in_size, sizeof client->in - client->in_size, 0);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n <= 0) {
        client_close(ledger, client);
        return;
    }
    client->in_size += (size_t)n;
    next_command(ledger, client);
}

void admin_socket_expire(struct ledger *ledger) {
    int64_t oldest = ledger_now_ms() - SILENCE_MS;
    for (size_t i = 0; i < CLIENTS_MAX; i++)
        if (clients[i] && !clients[i]->busy && clients[i]->last_ms < oldest)
            client_close(ledger, clients[i]);
}
