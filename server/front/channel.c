#include "server/front/channel.h"

#include "base/log.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

static enum status no_ledger(struct error *error) {
    return status_fail(error, STATUS_UNAVAILABLE, "temporarily unavailable");
}

enum status channel_init(struct channel *channel, struct ledger_link *link, struct error *error) {
    /* Presented keys and answers pass through here: as little as possible of it is kept. */
    void *buffer =
        mmap(NULL, MESSAGE_MAX, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (buffer == MAP_FAILED)
        return status_fail(error, STATUS_UNAVAILABLE, "the server is out of memory");
    (void)madvise(buffer, MESSAGE_MAX, MADV_DONTDUMP);
    *channel = (struct channel){.link = link, .socket = -1, .buffer = buffer};
    return STATUS_OK;
}

static void drop(struct channel *channel) {
    if (channel->socket >= 0)
        close(channel->socket);
    channel->socket = -1;
    mailbox_release(channel->mailbox);
    channel->mailbox = NULL;
    channel->asked = false;
}

void channel_free(struct channel *channel) {
    drop(channel);
    if (channel->buffer)
        munmap(channel->buffer, MESSAGE_MAX);
    channel->buffer = NULL;
}

static void wait_at_most(int socket, time_t seconds) {
    const struct timeval patience = {.tv_sec = seconds};
    (void)setsockopt(socket, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
}

/* A fresh pair of sockets, one end of which goes to ledger. */
static enum status open_channel(struct channel *channel, struct error *error) {
    int ends[2];
    if (channel->mailbox && mailbox_closed(channel->mailbox))
        drop(channel); /* the ledger that had this channel is gone */
    if (channel->socket >= 0)
        return STATUS_OK;
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0)
        return no_ledger(error);
    int room = 2 * MESSAGE_MAX;
    wait_at_most(ends[0], CHANNEL_REPLY_SECONDS);
    (void)setsockopt(ends[0], SOL_SOCKET, SO_SNDBUF, &room, sizeof room);
    (void)setsockopt(ends[1], SOL_SOCKET, SO_SNDBUF, &room, sizeof room);
    /* Ledger serves all channels in one loop: it waits for no thread of ours. */
    if (fcntl(ends[1], F_SETFL, O_NONBLOCK) != 0) {
        close(ends[0]);
        close(ends[1]);
        return no_ledger(error);
    }
    struct error why = {0};
    enum status status =
        ledger_link_hand_over(channel->link, ends[1], &channel->mailbox, &channel->box, &why);
    close(ends[1]);
    if (status != STATUS_OK) {
        close(ends[0]);
        return no_ledger(error);
    }
    channel->socket = ends[0];
    return STATUS_OK;
}

/* Whatever comes by the box comes from the ledger alone and without descriptors. */
static enum status receive_boxed(struct channel *channel, struct message *reply,
                                 struct error *error) {
    size_t size, descriptors;
    enum status status = mailbox_wait(channel->mailbox, channel->box, CHANNEL_REPLY_SECONDS,
                                      channel->buffer, &size, error);
    channel->asked = status != STATUS_OK;
    if (status == STATUS_OK)
        status = message_decode(bytes_of(channel->buffer, size), ROLE_LEDGER, ROLE_FRONT, reply,
                                &descriptors, error);
    return status;
}

static enum status receive(struct channel *channel, struct message *reply, struct error *error) {
    struct error why = {0};
    enum status status = channel->asked
                             ? receive_boxed(channel, reply, &why)
                             : message_receive(channel->socket, ROLE_LEDGER, ROLE_FRONT,
                                               channel->buffer, MESSAGE_MAX, reply, &why);
    if (status == STATUS_OK)
        return STATUS_OK;
    log_warn("no answer from ledger: %s", why.message);
    drop(channel);
    return no_ledger(error);
}

/* A reply that the table allows but that does not answer the question. */
static enum status out_of_place(struct channel *channel, struct message *reply,
                                struct error *error) {
    log_error("ledger answered with %s out of place", message_type_name(reply->type));
    message_close_descriptors(reply);
    drop(channel);
    return no_ledger(error);
}

static bool ask(struct channel *channel, size_t size) {
    if (!size)
        return false;
    channel->asked = true;
    mailbox_ask(channel->mailbox, channel->box, size);
    return true;
}

/* By the box where there is one and the answer fits it: an upload's brings a descriptor. */
static enum status send_admit(struct channel *channel, const struct message_admit *admit,
                              struct error *error) {
    if (channel->mailbox && admit->action != ACTION_UPLOAD &&
        ask(channel, message_pack_admit(mailbox_space(channel->mailbox, channel->box),
                                        MAILBOX_BYTES, admit)))
        return STATUS_OK;
    return message_send_admit(channel->socket, admit, NULL, error);
}

static enum status send_settle(struct channel *channel, const struct message_settle *settle,
                               struct error *error) {
    if (channel->mailbox &&
        ask(channel, message_pack_settle(mailbox_space(channel->mailbox, channel->box),
                                         MAILBOX_BYTES, settle)))
        return STATUS_OK;
    return message_send_settle(channel->socket, settle, NULL, error);
}

enum status channel_admit(struct channel *channel, const struct message_admit *admit,
                          struct message *reply, struct error *error) {
    struct error why = {0};
    enum status status = open_channel(channel, error);
    if (status != STATUS_OK)
        return status;
    status = send_admit(channel, admit, &why);
    if (status == STATUS_UNAVAILABLE) {
        /* The ledger that had this channel is gone and nothing was taken: once more, anew. */
        drop(channel);
        status = open_channel(channel, error);
        if (status != STATUS_OK)
            return status;
        status = send_admit(channel, admit, &why);
    }
    if (status != STATUS_OK) {
        drop(channel);
        return no_ledger(error);
    }
    status = receive(channel, reply, error);
    if (status != STATUS_OK)
        return status;
    if (reply->type != MESSAGE_ADMITTED && reply->type != MESSAGE_ADMITTED_UPLOAD &&
        reply->type != MESSAGE_REFUSED)
        return out_of_place(channel, reply, error);
    return STATUS_OK;
}

enum status channel_perform(struct channel *channel, const struct message_perform *perform,
                            struct message *reply, struct error *error) {
    struct error why = {0};
    if (channel->socket < 0 ||
        message_send_perform(channel->socket, perform, NULL, &why) != STATUS_OK) {
        drop(channel);
        return no_ledger(error);
    }
    enum status status = receive(channel, reply, error);
    if (status != STATUS_OK)
        return status;
    if (reply->type != MESSAGE_PERFORMED)
        return out_of_place(channel, reply, error);
    return STATUS_OK;
}

enum status channel_settle(struct channel *channel, const struct message_settle *settle,
                           struct message *reply, struct error *error) {
    struct error why = {0};
    if (channel->socket < 0 || send_settle(channel, settle, &why) != STATUS_OK) {
        drop(channel);
        return no_ledger(error);
    }
    enum status status = receive(channel, reply, error);
    if (status != STATUS_OK)
        return status;
    if (reply->type != MESSAGE_SETTLED || reply->settled.ticket != settle->ticket)
        return out_of_place(channel, reply, error);
    return STATUS_OK;
}

enum status channel_measure(struct channel *channel, struct message *reply, struct error *error) {
    struct error why = {0};
    enum status status = open_channel(channel, error);
    if (status != STATUS_OK)
        return status;
    if (message_send_measure(channel->socket, &(struct message_measure){0}, NULL, &why) !=
        STATUS_OK) {
        drop(channel);
        return no_ledger(error);
    }
    wait_at_most(channel->socket, CHANNEL_MEASURE_SECONDS);
    status = receive(channel, reply, error);
    if (status != STATUS_OK)
        return status;
    wait_at_most(channel->socket, CHANNEL_REPLY_SECONDS);
    if (reply->type != MESSAGE_MEASURED)
        return out_of_place(channel, reply, error);
    return STATUS_OK;
}

void channel_undelivered(struct channel *channel, uint64_t ticket, uint64_t sequence) {
    struct message_undelivered message = {.ticket = ticket, .sequence = sequence};
    struct error why = {0};
    if (channel->socket >= 0 &&
        message_send_undelivered(channel->socket, &message, NULL, &why) != STATUS_OK)
        drop(channel);
}
