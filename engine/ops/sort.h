/* Stable sorting of positions, without memory of its own.
 *
 * before(ctx, a, b) says that element a stands strictly before element b; it must be a strict weak
 * order. Positions that are equal keep their order, so the result is the same each time.
 *
 * Threads: none shared. Sizes are trusted. */
#ifndef ENGINE_OPS_SORT_H
#define ENGINE_OPS_SORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef bool sort_before_fn(const void *ctx, int64_t a, int64_t b);

/* Sorts order[0..n); spare[0..n) is overwritten. */
void sort_positions(int64_t *order, int64_t *spare, size_t n, sort_before_fn *before,
                    const void *ctx);

#endif
