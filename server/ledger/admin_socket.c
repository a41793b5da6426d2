#include "server/ledger/admin_socket.h"

#include "base/log.h"
#include "server/ledger/operator.h"
#include "tenancy/command.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define CLIENTS_MAX 16u
#define SILENCE_MS (30 * 1000)

struct client {
    struct link *link; /* NULL: free */
    int64_t last_ms;
    char who[24]; /* "uid 0", for the audit log */
    bool busy;    /* a command is under way; the next line waits */
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
    for (size_t i = 0; i < CLIENTS_MAX; i++)
        if (clients[i] == client)
            clients[i] = NULL;
    free(client);
}

void admin_socket_accept(struct ledger *ledger, struct link *listener) {
    struct error error = {0};
    struct ucred who;
    socklen_t size = sizeof who;
    size_t place = 0;
    int fd = accept4(listener->socket, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd < 0)
        return;
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &size) != 0 ||
        (who.uid != 0 && who.uid != geteuid())) {
        log_warn("the admin socket refused a caller uid=%u", (unsigned)who.uid);
        close(fd);
        return;
    }
    while (place < CLIENTS_MAX && clients[place])
        place++;
    struct client *client = place < CLIENTS_MAX ? calloc(1, sizeof *client) : NULL;
    if (!client) {
        log_warn("the admin socket has too many callers");
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
    snprintf(client->who, sizeof client->who, "uid %u", (unsigned)who.uid);
    clients[place] = client;
}

static void wait_for(struct ledger *ledger, struct client *client, uint32_t events) {
    struct epoll_event event = {.events = events, .data.ptr = client->link};
    epoll_ctl(ledger->epoll, EPOLL_CTL_MOD, client->link->socket, &event);
}

static void next_command(struct ledger *ledger, struct client *client);

static void flush(struct ledger *ledger, struct client *client) {
    while (client->out_sent < client->out_size) {
        ssize_t n = send(client->link->socket, client->out + client->out_sent,
                         client->out_size - client->out_sent, MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
            wait_for(ledger, client, EPOLLOUT);
            return;
        }
        if (n < 0) {
            client_close(ledger, client);
            return;
        }
        client->out_sent += (size_t)n;
    }
    free(client->out);
    client->out = NULL;
    client->out_size = client->out_sent = 0;
    wait_for(ledger, client, EPOLLIN);
    next_command(ledger, client);
}

static void run_command(struct commit_job *job, struct store *store) {
    struct command *command = (struct command *)job;
    command->answer =
        operator_execute(command->ledger, store, command->who, command->request,
                         command->request_size, &command->answer_size, &command->effect);
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
        if (client->out)
            flush(ledger, client);
        else
            client_close(ledger, client);
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
    client->busy = true;
    commit_post(ledger->commit, &command->job);
    return true;
}

/* Start what is the next whole line, one command at a time. */
static void next_command(struct ledger *ledger, struct client *client) {
    char *end = memchr(client->in, '\n', client->in_size);
    if (!end || client->busy)
        return;
    size_t length = (size_t)(end - client->in);
    if (!start_command(ledger, client, length)) {
        client_close(ledger, client);
        return;
    }
    client->in_size -= length + 1;
    memmove(client->in, end + 1, client->in_size);
}

void admin_socket_read(struct ledger *ledger, struct link *link) {
    struct client *client = link->owner;
    client->last_ms = ledger_now_ms();
    if (client->out) {
        flush(ledger, client);
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
