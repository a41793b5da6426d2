/* Running requests: threads that take slots from the ring, run the model, and answer in the slot.
 *
 * One thread at a time takes from the ring. It runs what is short itself, without waking anybody;
 * before a long run it lets the next thread take over, so that requests for a slow model do not
 * keep those for another waiting. Requests for the same model wait for each other, no longer than
 * their deadline. What a request brought and made is wiped before the next one is taken.
 *
 * Threads: infer_new and infer_free belong to the main thread. */
#ifndef SERVER_WORKER_INFER_H
#define SERVER_WORKER_INFER_H

#include "base/ring.h"
#include "server/worker/resident.h"

#include <stdint.h>

struct infer;

struct infer_options {
    struct ring *ring;
    struct resident_table *table;
    uint64_t deadline_ms; /* of a run, at most */
    unsigned threads;     /* taking requests */
};

/* `ring` becomes the infer's on success. */
MUST_USE enum status infer_new(const struct infer_options *options, struct infer **infer,
                               struct error *error);
/* Takes nothing more, waits for what runs, gives the ring back. NULL is fine. */
void infer_free(struct infer *infer);

#endif
