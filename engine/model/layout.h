/* Offsets in one region for buffers with known lifetimes.
 *
 * Pure. Greedy best fit in the order of birth: a buffer goes into the smallest free gap that takes
 * it, else to the end. Offsets are multiples of LAYOUT_ALIGN. */
#ifndef ENGINE_MODEL_LAYOUT_H
#define ENGINE_MODEL_LAYOUT_H

#include "base/status.h"
#include "engine/model/memory.h"

#include <stddef.h>
#include <stdint.h>

#define LAYOUT_ALIGN 64

struct layout_item {
    int32_t birth, death; /* both inclusive; items are given in the order of birth */
    size_t size;
    size_t offset; /* result */
};

/* `scratch` is used for the list of gaps and reset. *total: bytes of the region. */
MUST_USE enum status layout_assign(struct layout_item *items, size_t count, struct arena *scratch,
                                   size_t *total, struct error *error);

#endif
