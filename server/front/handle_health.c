/* Liveness and readiness, open to all: probes have no key. Triton's client looks at the status,
 * KServe's reads the fields. */
#include "server/front/exchange.h"
#include "server/front/handlers.h"

void handle_health_live(struct exchange *e) {
    static const char live[] = "{\"live\":true}\n";
    exchange_answer_json(e, 200, live, sizeof live - 1);
}

void handle_health_ready(struct exchange *e) {
    static const char ready[] = "{\"live\":true,\"ready\":true}\n";
    struct front *front = e->thread->front;
    if (atomic_load(&front->draining))
        exchange_error(e, STATUS_UNAVAILABLE, "the server is shutting down", 5);
    else if (!ledger_link_up(&front->ledger))
        exchange_error(e, STATUS_UNAVAILABLE, "the server is not ready", 1);
    else
        exchange_answer_json(e, 200, ready, sizeof ready - 1);
}
