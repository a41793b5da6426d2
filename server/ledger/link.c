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
    free(link);
}
