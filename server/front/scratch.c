#include "server/front/scratch.h"

#include "base/checked.h"

#include <string.h>
#include <sys/mman.h>

#define PAGE 4096
#define STEP ((size_t)1 << 20)

enum status scratch_take(struct scratch *scratch, size_t size, struct error *error) {
    if (size <= scratch->capacity)
        return STATUS_OK;
    size_t wanted;
    if (!checked_align(size < SCRATCH_KEPT ? SCRATCH_KEPT : size, PAGE, &wanted))
        return status_fail(error, STATUS_TOO_LARGE, "too large");
    void *region = mmap(NULL, wanted, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (region == MAP_FAILED)
        return status_fail(error, STATUS_UNAVAILABLE, "the server is out of memory");
    (void)madvise(region, wanted, MADV_DONTDUMP);
    scratch_free(scratch);
    scratch->data = region;
    scratch->capacity = wanted;
    return STATUS_OK;
}

/* In steps, so that a body that grows does not ask for every piece. */
static size_t beyond(const struct scratch *scratch, size_t size) {
    size_t most = scratch->capacity > SCRATCH_KEPT ? scratch->capacity - SCRATCH_KEPT : 0;
    size_t wanted = size > SCRATCH_KEPT ? size - SCRATCH_KEPT : 0;
    wanted = wanted < most ? (wanted + STEP - 1) / STEP * STEP : most;
    return wanted < most ? wanted : most;
}

enum status scratch_allow(struct scratch *scratch, struct budget *budget, uint32_t tenant,
                          size_t had, size_t size, struct error *error) {
    if (size <= SCRATCH_KEPT)
        return STATUS_OK;
    size_t wanted = beyond(scratch, size);
    if (wanted <= scratch->allowed)
        return STATUS_OK;
    enum status status = budget_take(budget, tenant, (uint64_t)had + scratch->allowed,
                                     wanted - scratch->allowed, error);
    if (status != STATUS_OK)
        return status;
    scratch->budget = budget;
    scratch->tenant = tenant;
    scratch->allowed = wanted;
    return STATUS_OK;
}

void scratch_trim(struct scratch *scratch, size_t used) {
    size_t wanted = beyond(scratch, used);
    if (wanted >= scratch->allowed)
        return;
    budget_give(scratch->budget, scratch->tenant, scratch->allowed - wanted);
    scratch->allowed = wanted;
}

void scratch_wipe(struct scratch *scratch, size_t used) {
    if (!scratch->data)
        return;
    explicit_bzero(scratch->data, used < scratch->capacity ? used : scratch->capacity);
    if (scratch->capacity > SCRATCH_KEPT)
        scratch_free(scratch);
}

void scratch_free(struct scratch *scratch) {
    if (scratch->data)
        munmap(scratch->data, scratch->capacity);
    if (scratch->allowed)
        budget_give(scratch->budget, scratch->tenant, scratch->allowed);
    *scratch = (struct scratch){0};
}
