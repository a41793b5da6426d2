/* What the parts of the front share. One struct for the process, one for each connection thread.
 *
 * Threads: `front` is set up before the first connection; after that its atomics may be touched
 * anywhere, its parts lock for themselves. A front_thread belongs to its thread. */
#ifndef FRONT_FRONT_H
#define FRONT_FRONT_H

#include "base/config.h"
#include "base/ring.h"
#include "server/front/channel.h"
#include "server/front/ledger_link.h"
#include "server/front/oip_request.h"
#include "server/front/scratch.h"
#include "server/front/sources.h"
#include "server/front/workers.h"

#include <stdatomic.h>
#include <stdbool.h>

struct front {
    const struct config *config;
    struct ledger_link ledger;
    struct workers workers;
    struct sources *sources;
    _Atomic bool draining;
    _Atomic unsigned in_flight; /* requests being answered */
};

struct front_thread {
    struct front *front;
    struct channel channel;
    struct scratch body;   /* of the request */
    struct scratch answer; /* head and body of the answer */
    struct oip_request request;
    struct ring_response response;
    uintptr_t head_begin;   /* where a request's first byte lies; 0: not known yet */
    uint8_t id_random[256]; /* for request ids: drawn at once, used up from the end */
    size_t id_left;
};

#endif
