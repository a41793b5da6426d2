#include "server/front/ledger_link.h"

#include <unistd.h>

void ledger_link_init(struct ledger_link *link) {
    pthread_mutex_init(&link->lock, NULL);
    link->socket = -1;
    link->mailbox = NULL;
}

static void leave_mailbox(struct ledger_link *link) {
    if (link->mailbox)
        mailbox_close(link->mailbox);
    mailbox_release(link->mailbox);
    link->mailbox = NULL;
}

void ledger_link_set(struct ledger_link *link, int socket) {
    pthread_mutex_lock(&link->lock);
    if (link->socket >= 0)
        close(link->socket);
    leave_mailbox(link);
    link->socket = socket;
    pthread_mutex_unlock(&link->lock);
}

void ledger_link_set_mailbox(struct ledger_link *link, struct mailbox *mailbox) {
    pthread_mutex_lock(&link->lock);
    leave_mailbox(link);
    link->mailbox = mailbox;
    pthread_mutex_unlock(&link->lock);
}

bool ledger_link_up(struct ledger_link *link) {
    pthread_mutex_lock(&link->lock);
    bool up = link->socket >= 0;
    pthread_mutex_unlock(&link->lock);
    return up;
}

enum status ledger_link_hand_over(struct ledger_link *link, int channel, struct mailbox **mailbox,
                                  uint32_t *box, struct error *error) {
    struct message_channel message = {.box = MAILBOX_NONE};
    enum status status = STATUS_UNAVAILABLE;
    pthread_mutex_lock(&link->lock);
    if (link->mailbox)
        message.box = mailbox_claim(link->mailbox);
    if (link->socket >= 0)
        status = message_send_channel(link->socket, &message, &channel, error);
    *mailbox = NULL;
    if (message.box != MAILBOX_NONE && status == STATUS_OK) {
        *mailbox = mailbox_hold(link->mailbox);
        *box = message.box;
    }
    pthread_mutex_unlock(&link->lock);
    return status;
}
