/* How much memory all requests together may hold for bodies and answers, beyond the small standing
 * buffers of the threads (server/front/scratch.h): a small request never asks.
 *
 * Nobody holds more than what is then still free: one tenant alone gets at most half of the whole,
 * two a third each, and so on, so that there is always room for one that has nothing yet. Tenants
 * are told apart by the number of their worker, modulo BUDGET_SHARES: two that fall together share.
 *
 * What is refused is STATUS_UNAVAILABLE (it can be had later), or STATUS_TOO_LARGE where one tenant
 * alone could never have it. Two who ask at the same moment for the last of it may both be refused.
 * Threads: any; no lock. Sizes come from requests and are not trusted. */
#ifndef FRONT_BUDGET_H
#define FRONT_BUDGET_H

#include "base/status.h"

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#define BUDGET_SHARES 1024

struct budget {
    uint64_t limit;
    _Atomic uint64_t used;
    _Atomic uint64_t refused; /* how often */
    _Atomic uint64_t of[BUDGET_SHARES];
};

/* `bytes` more for that tenant, which holds `had` of its own for the same request. */
MUST_USE enum status budget_take(struct budget *budget, uint32_t tenant, uint64_t had,
                                 uint64_t bytes, struct error *error);
void budget_give(struct budget *budget, uint32_t tenant, uint64_t bytes);

#endif
