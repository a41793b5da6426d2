/* A wall-clock bound on reading from a connection. The HTTP library waits for each piece anew, so a
 * client that sends a byte now and then could hold a thread for days. Each connection thread tells
 * here what it reads and until when; where that time is over, the socket's reading side is shut
 * down, the library's read ends, and the writing side is still there for the answer.
 *
 * Threads: a struct patience has one owner; one thread of this module watches all of them. */
#ifndef FRONT_PATIENCE_H
#define FRONT_PATIENCE_H

#include "base/status.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>

struct patience {
    pthread_mutex_t lock;
    _Atomic uint64_t until_ns; /* CLOCK_MONOTONIC; 0: not reading */
    int socket;
    struct patience *next;
};

/* Start watching; once in a process. */
MUST_USE enum status patience_watch(struct error *error);
/* Known to the watch from now on, until it is removed. */
void patience_add(struct patience *patience);
void patience_remove(struct patience *patience);

/* Between these two the socket may be shut down for reading. */
void patience_begin(struct patience *patience, int socket, uint64_t until_ns);
void patience_end(struct patience *patience);

#endif
