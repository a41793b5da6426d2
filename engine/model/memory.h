/* Where the engine's memory comes from: the caller.
 *
 * `struct memory` is a pair of callbacks that hand out whole regions: a worker gives locked,
 * undumpable memory for activations and secret memory for weights; a test gives malloc. acquire
 * returns at least 64-byte aligned memory (any content), or NULL; release gets back what acquire
 * gave, with its size, and wipes it.
 *
 * `struct arena` is a bump allocator over such regions, with a budget. Nothing is freed one by one:
 * an arena is reset to a mark (wiping what lay above it, keeping the regions for reuse) or freed.
 *
 * Threads: an arena belongs to one thread at a time. */
#ifndef ENGINE_MODEL_MEMORY_H
#define ENGINE_MODEL_MEMORY_H

#include "base/status.h"

#include <stdbool.h>
#include <stddef.h>

#define MEMORY_ALIGN 64

struct memory {
    void *(*acquire)(void *ctx, size_t size);
    void (*release)(void *ctx, void *data, size_t size);
    void *ctx;
};

struct arena_block;

struct arena {
    struct memory memory;
    struct arena_block *blocks; /* newest first: the one allocated from */
    struct arena_block *spare;  /* emptied by a reset, kept for reuse */
    size_t used, held, peak;    /* bytes handed out, bytes acquired, highest `used` */
    size_t budget;              /* `held` never passes it */
    size_t step;                /* least size of a new block */
    const char *what;           /* for messages: "activations", "weights" */
};

struct arena_mark {
    struct arena_block *block;
    size_t block_used, used;
};

void arena_init(struct arena *a, struct memory memory, size_t step, size_t budget,
                const char *what);
/* MEMORY_ALIGN-aligned bytes of any content; NULL where the budget or the memory is exhausted.
 * size 0 gives a valid pointer to nothing. */
void *arena_alloc(struct arena *a, size_t size);
void *arena_zalloc(struct arena *a, size_t size);              /* zeroed */
void *arena_array(struct arena *a, size_t count, size_t size); /* zeroed, product checked */
/* Make sure that the next allocations of `size` bytes in total come from one block. */
MUST_USE enum status arena_reserve(struct arena *a, size_t size, struct error *error);
/* The error that fits a NULL of the three above. */
enum status arena_exhausted(const struct arena *a, size_t size, struct error *error);
struct arena_mark arena_mark(const struct arena *a);
void arena_reset(struct arena *a, struct arena_mark mark); /* wipes what it takes back */
void arena_clear(struct arena *a);                         /* reset to empty, keeps the regions */
void arena_trim(struct arena *a); /* gives back the regions that a reset emptied */
void arena_free(struct arena *a); /* gives the regions back; NULL is fine */

#endif
