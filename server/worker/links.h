/* The worker's sockets to keeper, ledger and front, for threads that send while the main thread
 * replaces one (a sibling was started again). A message to a sibling that is not there is lost:
 * whoever comes after it is told anew.
 *
 * Threads: any. */
#ifndef SERVER_WORKER_LINKS_H
#define SERVER_WORKER_LINKS_H

#include "base/message.h"
#include "server/worker/loading.h"
#include "server/worker/resident.h"

#include <pthread.h>

struct links {
    pthread_mutex_t mutex;
    int keeper, ledger, front; /* -1: not there; changed with links_set by the main thread alone */
};

void links_init(struct links *links);
/* Closes what was there. */
void links_set(struct links *links, int *which, int socket);

void links_unwrap(struct links *links, const struct loading *loading);
void links_signature(struct links *links, const struct resident *resident);
void links_loaded(struct links *links, uint64_t load, const struct resident *resident);
void links_load_failed(struct links *links, uint64_t load, const struct error *error);

#endif
