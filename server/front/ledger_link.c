#include "server/front/ledger_link.h"

#include <unistd.h>

void ledger_link_init(struct ledger_link *link) {
    pthread_mutex_init(&link->lock, NULL);
    link->socket = -1;
}

void ledger_link_set(struct ledger_link *link, int socket) {
    pthread_mutex_lock(&link->lock);
    if (link->socket >= 0)
        close(link->socket);
    link->socket = socket;
    pthread_mutex_unlock(&link->lock);
}

bool ledger_link_up(struct ledger_link *link) {
    pthread_mutex_lock(&link->lock);
    bool up = link->socket >= 0;
    pthread_mutex_unlock(&link->lock);
    return up;
}

enum status ledger_link_hand_over(struct ledger_link *link, int channel, struct error *error) {
    struct message_channel message = {0};
    enum status status = STATUS_UNAVAILABLE;
    pthread_mutex_lock(&link->lock);
    if (link->socket >= 0)
        status = message_send_channel(link->socket, &message, &channel, error);
    pthread_mutex_unlock(&link->lock);
    return status;
}
