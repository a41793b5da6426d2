#include "server/front/budget.h"

#include <inttypes.h>
#include <stdbool.h>

void budget_give(struct budget *b, uint32_t tenant, uint64_t bytes) {
    atomic_fetch_sub_explicit(&b->of[tenant % BUDGET_SHARES], bytes, memory_order_relaxed);
    atomic_fetch_sub_explicit(&b->used, bytes, memory_order_relaxed);
}

enum status budget_take(struct budget *b, uint32_t tenant, uint64_t had, uint64_t bytes,
                        struct error *error) {
    if (had > b->limit / 2 || bytes > b->limit / 2 - had) {
        atomic_fetch_add_explicit(&b->refused, 1, memory_order_relaxed);
        return status_fail(error, STATUS_TOO_LARGE,
                           "the request and its answer take more memory than the %" PRIu64
                           " bytes that one tenant may have",
                           b->limit / 2);
    }
    uint64_t used = bytes + atomic_fetch_add_explicit(&b->used, bytes, memory_order_relaxed);
    uint64_t own = bytes + atomic_fetch_add_explicit(&b->of[tenant % BUDGET_SHARES], bytes,
                                                     memory_order_relaxed);
    if (used <= b->limit && own <= b->limit - used)
        return STATUS_OK;
    budget_give(b, tenant, bytes);
    atomic_fetch_add_explicit(&b->refused, 1, memory_order_relaxed);
    return status_fail(error, STATUS_UNAVAILABLE,
                       "too much memory is in use by bodies and answers of other requests; try "
                       "again");
}
