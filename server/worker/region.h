/* Where the worker's engine gets its memory: two providers behind engine/model/memory.h.
 *
 *   secret      weights and whatever derives from them: a secret arena (crypto/secret.h) a region
 *   activation  what a request brings and makes: locked where the limits allow it, never in a dump,
 *               never in a child, wiped when it is given back
 *
 * Activations are locked only where locked memory is without limit (CAP_IPC_LOCK or an unlimited
 * RLIMIT_MEMLOCK): with a limit, weights need all of it. Where they are not locked, either no swap
 * is on or the configuration allows it: launch has refused to start otherwise.
 *
 * Threads: any; each region belongs to whoever acquired it. */
#ifndef SERVER_WORKER_REGION_H
#define SERVER_WORKER_REGION_H

#include "base/status.h"
#include "crypto/secret.h"
#include "engine/model/memory.h"

#include <stdbool.h>
#include <stdint.h>

/* Reads capabilities and limits: before the sandbox. */
void region_init(void);
/* Whether locked memory is without limit here. */
bool region_locks(void);

/* Secret memory was refused: the whole reason, which names limits of the machine, goes to the log,
 * and `error` then says what the model's tenant may know. STATUS_UNAVAILABLE; STATUS_UNSERVABLE
 * where `memory` (MESSAGE_MEMORY_...) asks for a kind of it. */
MUST_USE enum status region_refused(uint64_t load, uint8_t memory, uint64_t bytes,
                                    struct error *error);

/* How to ask for the memory of a model; NULL: as the configuration says. */
const struct secret_options *region_options(uint8_t memory);
struct memory region_secret(uint8_t memory);
struct memory region_activation(void);

#endif
