#include "server/ledger/boxes.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LOOKS_MAX 256u /* at marked boxes, in search of a question */

struct boxes {
    struct mailbox *mailbox; /* NULL while there is no front */
    struct link *channels[MAILBOX_BOXES];
    bool early[MAILBOX_BOXES]; /* asked before its channel was introduced over the socket */
};

enum status boxes_new(struct boxes **boxes, struct error *error) {
    *boxes = calloc(1, sizeof **boxes);
    return *boxes ? STATUS_OK : status_fail(error, STATUS_UNAVAILABLE, "no memory for channels");
}

void boxes_free(struct boxes *boxes) {
    if (boxes)
        boxes_close(boxes);
    free(boxes);
}

enum status boxes_open(struct boxes *b, struct link *front, int *bell, struct error *error) {
    const struct message_mailbox message = {0};
    struct mailbox *mailbox;
    int descriptors[2];
    boxes_close(b);
    enum status status = mailbox_new(&mailbox, &descriptors[0], &descriptors[1], error);
    if (status != STATUS_OK)
        return status;
    status = message_send_mailbox(front->socket, &message, descriptors, error);
    close(descriptors[0]);
    if (status != STATUS_OK) {
        close(descriptors[1]);
        mailbox_release(mailbox);
        return status;
    }
    b->mailbox = mailbox;
    *bell = descriptors[1];
    return STATUS_OK;
}

void boxes_close(struct boxes *b) {
    mailbox_release(b->mailbox);
    b->mailbox = NULL;
    memset(b->channels, 0, sizeof b->channels);
    memset(b->early, 0, sizeof b->early);
}

bool boxes_join(struct boxes *b, struct link *channel, uint32_t box) {
    if (box == MAILBOX_NONE)
        return true; /* all it asks comes over its socket */
    if (!b->mailbox || box >= MAILBOX_BOXES || b->channels[box])
        return false;
    channel->mailbox = mailbox_hold(b->mailbox);
    channel->box = box;
    b->channels[box] = channel;
    if (b->early[box])
        mailbox_again(b->mailbox, box);
    b->early[box] = false;
    return true;
}

void boxes_leave(struct boxes *b, const struct link *channel) {
    if (channel->mailbox && channel->mailbox == b->mailbox && b->channels[channel->box] == channel)
        b->channels[channel->box] = NULL;
}

struct link *boxes_next(struct boxes *b, void *out, size_t *size) {
    uint32_t box;
    /* Bounded: front can mark boxes faster than they are looked at. */
    for (unsigned i = 0; i < LOOKS_MAX; i++) {
        if (!b->mailbox || (box = mailbox_next(b->mailbox)) == MAILBOX_NONE)
            break;
        struct link *channel = b->channels[box];
        b->early[box] = !channel;
        if (channel && !channel->boxed && mailbox_take(b->mailbox, box, out, size)) {
            channel->boxed = true;
            return channel;
        }
    }
    return NULL;
}

bool boxes_sleep(struct boxes *b) {
    return !b->mailbox || mailbox_sleep(b->mailbox);
}

void boxes_wake(struct boxes *b) {
    if (b->mailbox)
        mailbox_wake(b->mailbox);
}
