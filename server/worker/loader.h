/* One thread that opens models, one after the other, so that requests and messages go on meanwhile:
 * decrypt, read, pack, then tell front the signature and ledger that it is loaded. One at a time,
 * because opening already uses every thread that the worker may have.
 *
 * Threads: loader_new, loader_give and loader_free belong to the main thread. */
#ifndef SERVER_WORKER_LOADER_H
#define SERVER_WORKER_LOADER_H

#include "server/worker/links.h"
#include "server/worker/loading.h"
#include "server/worker/resident.h"

struct loader;

struct loader_options {
    struct links *links;
    struct resident_table *table;
    struct resident_options resident;
};

MUST_USE enum status loader_new(const struct loader_options *options, struct loader **loader,
                                struct error *error);
/* Takes over a complete loading. */
void loader_give(struct loader *loader, struct loading *loading);
/* UNLOAD that arrives while the model is waiting or being opened: it is dropped when done. */
void loader_unload(struct loader *loader, uint64_t handle);
/* Finishes the one that is being opened, drops those that wait. NULL is fine. */
void loader_free(struct loader *loader);

#endif
