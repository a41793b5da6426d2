/* The workers that front knows: for each its socket, its ring, and the signatures of the models it
 * has loaded. The control loop adds and removes them; connection threads borrow.
 *
 * A worker that is borrowed stays mapped until it is returned, also when it has died meanwhile
 * (ring_wait then fails at once). Introductions, signatures and admissions come over different
 * sockets, so a borrower waits a moment for a worker or signature that has not arrived yet.
 *
 * Threads: any; the table has one lock, held briefly. Input from workers: untrusted. */
#ifndef FRONT_WORKERS_H
#define FRONT_WORKERS_H

#include "base/ring.h"
#include "base/status.h"
#include "server/front/oip_signature.h"

#include <poll.h>
#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define WORKERS_MAX 1024
#define WORKERS_MODELS_MAX 1024  /* signatures kept for one worker */
#define WORKERS_PAYLOADS_MAX 64  /* payloads that wait for their worker's introduction */
#define WORKERS_PATIENCE_MS 2000 /* how long a borrower waits for an introduction */

struct worker;
struct model;

struct workers {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct worker *list[WORKERS_MAX];
    size_t count;
    struct {
        uint32_t worker;
        uint64_t load;
        int payload;
    } waiting[WORKERS_PAYLOADS_MAX];
    size_t waiting_count;
};

struct borrowed {
    struct worker *worker;
    struct model *model;
    struct ring *ring;
    const struct oip_signature *signature;
};

void workers_init(struct workers *workers);

/* A worker was introduced. Takes over `socket`; the ring's descriptor stays the caller's. */
MUST_USE enum status workers_add(struct workers *workers, uint32_t number, int socket,
                                 int ring_memory, uint32_t slots, uint64_t slot_bytes, bool lock,
                                 struct error *error);
/* Pass a model's payload to its worker, now or when it is introduced. Takes over `payload`. */
void workers_payload(struct workers *workers, uint32_t number, uint64_t load, int payload);

/* For poll(2): the sockets of up to `max` workers; returns how many. Only the thread that adds and
 * removes workers may call this and workers_readable. */
size_t workers_poll(const struct workers *workers, struct pollfd *polls, size_t max);
/* Take what lies on the socket of one of them; a worker that closed or sent what is no message is
 * removed, and so is one that does not take a payload. Its sockets never make front wait. */
void workers_readable(struct workers *workers, int socket, void *buffer, size_t buffer_size);

size_t workers_running(struct workers *workers);

/* STATUS_UNAVAILABLE where the worker is gone or did not tell of that model in time,
 * STATUS_UNSERVABLE where what it told of it is not understood. */
MUST_USE enum status workers_borrow(struct workers *workers, uint32_t number, uint64_t model,
                                    struct borrowed *borrowed, struct error *error);
void workers_return(struct workers *workers, struct borrowed *borrowed);

#endif
