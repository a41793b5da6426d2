#include "server/ledger/link.h"

#include <stdlib.h>
#include <unistd.h>

struct link *link_new(enum link_kind kind, int socket, void *owner) {
    struct link *link = calloc(1, sizeof *link);
    if (!link) {
        close(socket);
        return NULL;
    }
    link->kind = kind;
    link->socket = socket;
    link->owner = owner;
    atomic_store(&link->references, 1);
    return link;
}

struct link *link_hold(struct link *link) {
    atomic_fetch_add(&link->references, 1);
    return link;
}

void link_release(struct link *link) {
    if (!link || atomic_fetch_sub(&link->references, 1) != 1)
        return;
    close(link->socket);
    if (link->kind == LINK_CHANNEL)
        free(link->owner);
    mailbox_release(link->mailbox);
    free(link);
}

_Static_assert(MESSAGE_ERROR_MAX + 64 < MAILBOX_BYTES, "the longest answer fits a box");

#define ANSWER(name)                                                                               \
    enum status link_answer_##name(struct link *link, const struct message_##name *m) {            \
        uint8_t packet[MAILBOX_BYTES];                                                             \
        if (!link->boxed)                                                                          \
            return message_send_##name(link->socket, m, NULL, NULL);                               \
        size_t size = message_pack_##name(packet, sizeof packet, m);                               \
        /* Before the answer: the next question may come at once. */                               \
        link->boxed = false;                                                                       \
        mailbox_answer(link->mailbox, link->box, packet, size);                                    \
        return size ? STATUS_OK : STATUS_INVALID;                                                  \
    }
ANSWER(admitted)
ANSWER(refused)
ANSWER(settled)
