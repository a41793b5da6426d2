/* What Triton's protocol has and this server never offers: memory shared with a client would let
 * one process write where another reads, and how the server traces and logs is its operator's. */
#include "server/front/exchange.h"
#include "server/front/handlers.h"

static void never(struct exchange *e, const char *message) {
    struct error error = {0};
    status_fail(&error, STATUS_UNIMPLEMENTED, "%s", message);
    exchange_fail(e, &error);
}

void handle_never_memory(struct exchange *e) {
    never(e, "shared memory is never offered; send tensors in the request, as JSON or binary");
}

void handle_never_trace(struct exchange *e) {
    never(e, "trace settings are never offered; send traceparent and it is answered");
}

void handle_never_logging(struct exchange *e) {
    never(e, "log settings are never offered; they are the operator's");
}
