/* What the parts of the front share. One struct for the process, one for each connection thread.
 *
 * Threads: `front` is set up before the first connection; after that its atomics may be touched
 * anywhere, its parts lock for themselves. A front_thread belongs to its thread. */
#ifndef FRONT_FRONT_H
#define FRONT_FRONT_H

#include "base/config.h"
#include "base/ring.h"
#include "server/front/budget.h"
#include "server/front/channel.h"
#include "server/front/counters.h"
#include "server/front/ledger_link.h"
#include "server/front/oip_request.h"
#include "server/front/patience.h"
#include "server/front/refusals.h"
#include "server/front/scratch.h"
#include "server/front/sources.h"
#include "server/front/trace.h"
#include "server/front/workers.h"

#include <openssl/ssl.h>
#include <stdatomic.h>
#include <stdbool.h>

struct front {
    const struct config *config;
    struct ledger_link ledger;
    struct workers workers;
    struct sources *sources;
    struct refusals *refusals;
    struct budget budget;       /* of bodies and answers */
    _Atomic bool unrecorded;    /* the ledger says that it cannot write its log: 503 for all */
    _Atomic bool leaving;       /* not ready any more; what is asked is still answered */
    _Atomic bool draining;      /* what is under way is finished, the rest refused */
    _Atomic unsigned in_flight; /* requests being answered */
    struct counters counters;
};

struct front_thread {
    struct front *front;
    struct channel channel;
    struct scratch body;   /* of the request */
    struct scratch answer; /* head and body of the answer */
    struct scratch work;   /* of compression and classification */
    struct oip_request request;
    struct ring_response response;
    int socket;           /* of the connection; -1 */
    SSL *session;         /* of the connection; NULL where it has no TLS, or there is none */
    bool complained;      /* the connection ends with a complaint of the library's */
    uintptr_t head_begin; /* where a request's first byte lies; 0: not known yet */
    bool head_suspect;    /* the connection's first byte is not a request's */
    struct patience patience;
    struct trace_random random;
};

#endif
