/* Models that are open in this worker, found by the handle that ledger gave them.
 *
 * A resident model holds its plaintext and everything made of it in secret memory. It is used by
 * whoever holds a reference: UNLOAD takes it out of the table at once, its memory goes when the
 * last run of it has ended. A session runs one request at a time, so a run holds `running`.
 *
 * Only tensors with a datatype of the Open Inference Protocol can be named in a request. An input
 * that is anything else makes the model unservable; such an output is left out of the signature.
 *
 * Threads: any. */
#ifndef SERVER_WORKER_RESIDENT_H
#define SERVER_WORKER_RESIDENT_H

#include "base/ring.h"
#include "base/status.h"
#include "bundle/bundle.h"
#include "server/worker/plaintext.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>

struct resident {
    uint64_t handle;
    struct plaintext plaintext;
    struct bundle *bundle;
    struct session *session; /* the bundle's */
    pthread_mutex_t running;
    _Atomic uint32_t usual_us;          /* what a run takes, averaged; 0: not known yet */
    size_t output_count;                /* in the signature */
    uint32_t outputs[RING_TENSORS_MAX]; /* the session's index of each */
    char *signature;                    /* JSON, for front */
    size_t signature_size;
    uint64_t secret_bytes; /* held for it in all */
    unsigned references;   /* guarded by the table's mutex */
    struct resident *next;
};

struct resident_options {
    unsigned threads;
    uint64_t memory_bytes; /* of activations, at most */
};

/* Opens the bundle, and with it the engine's session, under what `loading` asks for; takes over
 * `plaintext` on success. The caller holds the reference. */
MUST_USE enum status resident_open(const struct loading *loading, struct plaintext *plaintext,
                                   const struct resident_options *options, struct resident **out,
                                   struct error *error);

struct resident_table;
MUST_USE enum status resident_table_new(struct resident_table **table, struct error *error);
void resident_table_free(struct resident_table *table);
/* The table takes a reference of its own; a model of the same handle is replaced. */
void resident_add(struct resident_table *table, struct resident *resident);
struct resident *resident_get(struct resident_table *table, uint64_t handle);
void resident_remove(struct resident_table *table, uint64_t handle);
void resident_release(struct resident_table *table, struct resident *resident);
/* Calls fn for each, none of which goes away meanwhile. fn must not call back into the table. */
void resident_each(struct resident_table *table,
                   void (*fn)(void *context, const struct resident *resident), void *context);

#endif
