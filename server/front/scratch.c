#include "server/front/scratch.h"

#include "base/checked.h"

#include <string.h>
#include <sys/mman.h>

#define PAGE 4096

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
    *scratch = (struct scratch){0};
}
