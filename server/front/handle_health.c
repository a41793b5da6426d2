/* Liveness and readiness, open to all: probes have no key. Triton's client looks at the status,
 * KServe's reads the fields. */
#include "server/front/exchange.h"
#include "server/front/handlers.h"

static void answer(struct exchange *e, bool ready) {
    static const char up[] = "{\"live\":true,\"ready\":true}\n";
    static const char starting[] = "{\"live\":true,\"ready\":false}\n";
    if (ready)
        exchange_answer_json(e, 200, up, sizeof up - 1);
    else
        exchange_answer_json(e, 200, starting, sizeof starting - 1);
}

void handle_health_live(struct exchange *e) {
    struct front *front = e->thread->front;
    answer(e, !atomic_load(&front->leaving) && ledger_link_up(&front->ledger) &&
                  !atomic_load(&front->unrecorded));
}

void handle_health_ready(struct exchange *e) {
    struct front *front = e->thread->front;
    if (atomic_load(&front->leaving))
        exchange_error(e, STATUS_UNAVAILABLE, "the server is shutting down", 5);
    else if (!ledger_link_up(&front->ledger))
        exchange_error(e, STATUS_UNAVAILABLE, "the server is not ready", 1);
    else if (atomic_load(&front->unrecorded))
        exchange_error(e, STATUS_UNAVAILABLE,
                       "requests cannot be recorded now, so none is answered", 1);
    else
        answer(e, true);
}
