/* A thread's working memory for bodies and answers: payloads are secrets, so it is kept out of
 * dumps, wiped after each request, and never copied by growing.
 *
 * One region at a time; scratch_take of a size up to SCRATCH_KEPT reuses what is there. Memory is
 * mapped without being reserved, so a generous bound costs only what is touched. What is to be
 * touched beyond SCRATCH_KEPT is asked for by scratch_allow, and given back with the region.
 * Threads: one owner. */
#ifndef FRONT_SCRATCH_H
#define FRONT_SCRATCH_H

#include "base/status.h"
#include "server/front/budget.h"

#include <stddef.h>
#include <stdint.h>

#define SCRATCH_KEPT (1024 * 1024)

struct scratch {
    uint8_t *data;
    size_t capacity;
    /* What it has of a budget; NULL: nothing. */
    struct budget *budget;
    uint32_t tenant;
    size_t allowed;
};

/* At least `size` bytes in scratch->data, zero or left from a wiped use. What was there is gone.
 * STATUS_UNAVAILABLE where there is no memory. */
MUST_USE enum status scratch_take(struct scratch *scratch, size_t size, struct error *error);
/* The first `size` bytes may be touched: what of them lies beyond SCRATCH_KEPT has been taken from
 * the budget; `had` is what the same request holds in other regions. What is allowed already stays
 * so, whatever the outcome. */
MUST_USE enum status scratch_allow(struct scratch *scratch, struct budget *budget, uint32_t tenant,
                                   size_t had, size_t size, struct error *error);
/* Only the first `used` bytes have been touched: the rest goes back to the budget. */
void scratch_trim(struct scratch *scratch, size_t used);
/* Wipe the first `used` bytes; a region larger than SCRATCH_KEPT is given back. */
void scratch_wipe(struct scratch *scratch, size_t used);
void scratch_free(struct scratch *scratch);

#endif
