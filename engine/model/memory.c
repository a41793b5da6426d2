#include "engine/model/memory.h"

#include "base/checked.h"

#include <stdint.h>
#include <string.h>

/* Lies at the start of its region; the payload begins at the next multiple of MEMORY_ALIGN. */
struct arena_block {
    struct arena_block *next;
    size_t size; /* of the region */
    size_t used; /* from the region's start, header included */
};

#define HEADER MEMORY_ALIGN
_Static_assert(sizeof(struct arena_block) <= HEADER, "the header fits before the payload");

void arena_init(struct arena *a, struct memory memory, size_t step, size_t budget,
                const char *what) {
    *a = (struct arena){.memory = memory, .budget = budget, .step = step, .what = what};
}

static void release_list(struct arena *a, struct arena_block *b) {
    while (b) {
        struct arena_block *next = b->next;
        a->held -= b->size;
        a->memory.release(a->memory.ctx, b, b->size);
        b = next;
    }
}

void arena_trim(struct arena *a) {
    release_list(a, a->spare);
    a->spare = NULL;
}

/* The smallest spare block that has room becomes the newest. */
static bool take_spare(struct arena *a, size_t need) {
    struct arena_block **best = NULL;
    for (struct arena_block **link = &a->spare; *link; link = &(*link)->next)
        if ((*link)->size >= need && (!best || (*link)->size < (*best)->size))
            best = link;
    if (!best)
        return false;
    struct arena_block *b = *best;
    *best = b->next;
    b->next = a->blocks;
    a->blocks = b;
    return true;
}

static bool within_budget(const struct arena *a, size_t need) {
    return need <= a->budget && a->held <= a->budget - need;
}

/* Make a block with room for `size` more bytes the newest: a spare one, or a new region. */
static bool arena_grow(struct arena *a, size_t size) {
    size_t need = 0;
    if (!checked_add(size, HEADER, &need) || !checked_align(need, MEMORY_ALIGN, &need))
        return false;
    if (take_spare(a, need))
        return true;
    /* Spare blocks that are too small must not stand in the way of one that is not. */
    if (!within_budget(a, need))
        arena_trim(a);
    if (!within_budget(a, need))
        return false;
    if (need < a->step && within_budget(a, a->step))
        need = a->step;
    struct arena_block *b = a->memory.acquire(a->memory.ctx, need);
    if (!b)
        return false;
    b->size = need;
    b->used = HEADER;
    b->next = a->blocks;
    a->blocks = b;
    a->held += need;
    return true;
}

void *arena_alloc(struct arena *a, size_t size) {
    size_t need = 0;
    if (!checked_align(size, MEMORY_ALIGN, &need))
        return NULL;
    if (need == 0)
        need = MEMORY_ALIGN;
    if ((!a->blocks || a->blocks->size - a->blocks->used < need) && !arena_grow(a, need))
        return NULL;
    struct arena_block *b = a->blocks;
    void *p = (char *)b + b->used;
    b->used += need;
    a->used += need;
    if (a->used > a->peak)
        a->peak = a->used;
    return p;
}

void *arena_zalloc(struct arena *a, size_t size) {
    void *p = arena_alloc(a, size);
    if (p)
        memset(p, 0, size);
    return p;
}

void *arena_array(struct arena *a, size_t count, size_t size) {
    size_t bytes = 0;
    return checked_mul(count, size, &bytes) ? arena_zalloc(a, bytes) : NULL;
}

enum status arena_reserve(struct arena *a, size_t size, struct error *error) {
    size_t need = 0;
    if (!checked_align(size, MEMORY_ALIGN, &need))
        return arena_exhausted(a, size, error);
    if (a->blocks && a->blocks->size - a->blocks->used >= need)
        return STATUS_OK;
    return arena_grow(a, need) ? STATUS_OK : arena_exhausted(a, size, error);
}

enum status arena_exhausted(const struct arena *a, size_t size, struct error *error) {
    return status_fail(error, STATUS_TOO_LARGE,
                       "memory for %s is exhausted: %zu bytes more are needed, %zu of at most %zu "
                       "are in use",
                       a->what, size, a->held, a->budget);
}

struct arena_mark arena_mark(const struct arena *a) {
    return (struct arena_mark){a->blocks, a->blocks ? a->blocks->used : 0, a->used};
}

/* memset alone could be left out by the compiler as a dead store. */
static void wipe(void *data, size_t size) {
    memset(data, 0, size);
    __asm__ volatile("" : : "r"(data) : "memory");
}

void arena_reset(struct arena *a, struct arena_mark mark) {
    while (a->blocks != mark.block) {
        struct arena_block *b = a->blocks;
        a->blocks = b->next;
        wipe((char *)b + HEADER, b->used - HEADER);
        b->used = HEADER;
        b->next = a->spare;
        a->spare = b;
    }
    if (a->blocks) {
        wipe((char *)a->blocks + mark.block_used, a->blocks->used - mark.block_used);
        a->blocks->used = mark.block_used;
    }
    a->used = mark.used;
}

void arena_clear(struct arena *a) {
    arena_reset(a, (struct arena_mark){NULL, 0, 0});
}

void arena_free(struct arena *a) {
    if (!a)
        return;
    release_list(a, a->blocks);
    release_list(a, a->spare);
    a->blocks = a->spare = NULL;
    a->used = a->held = 0;
}
