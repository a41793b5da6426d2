#include "engine/model/layout.h"

#include "base/checked.h"

#include <string.h>

struct gap {
    size_t offset, size;
};

/* Gaps in the order of offsets, none touching another. */
struct gaps {
    struct gap *list;
    size_t count;
    size_t end; /* everything from here on is free */
};

static size_t take(struct gaps *g, size_t size) {
    size_t best = g->count;
    for (size_t i = 0; i < g->count; i++)
        if (g->list[i].size >= size && (best == g->count || g->list[i].size < g->list[best].size))
            best = i;
    if (best == g->count) {
        /* The last gap may touch the end: grow it rather than leave it. */
        size_t offset = g->end;
        if (g->count > 0 && g->list[g->count - 1].offset + g->list[g->count - 1].size == g->end)
            offset = g->list[--g->count].offset;
        g->end = offset + size;
        return offset;
    }
    struct gap *b = &g->list[best];
    size_t offset = b->offset;
    b->offset += size;
    b->size -= size;
    if (b->size == 0)
        memmove(b, b + 1, (--g->count - best) * sizeof *b);
    return offset;
}

static void give(struct gaps *g, size_t offset, size_t size) {
    size_t i = 0;
    while (i < g->count && g->list[i].offset < offset)
        i++;
    bool before = i > 0 && g->list[i - 1].offset + g->list[i - 1].size == offset;
    bool after = i < g->count && offset + size == g->list[i].offset;
    if (before && after) {
        g->list[i - 1].size += size + g->list[i].size;
        memmove(&g->list[i], &g->list[i + 1], (--g->count - i) * sizeof *g->list);
    } else if (before) {
        g->list[i - 1].size += size;
    } else if (after) {
        g->list[i].offset = offset;
        g->list[i].size += size;
    } else {
        memmove(&g->list[i + 1], &g->list[i], (g->count++ - i) * sizeof *g->list);
        g->list[i] = (struct gap){offset, size};
    }
}

/* Items by death, as a heap would give them: an index sorted once, since births are sorted too. */
static void sift(size_t *heap, size_t n, size_t at, const struct layout_item *items) {
    for (;;) {
        size_t least = at;
        for (size_t child = at * 2 + 1; child <= at * 2 + 2 && child < n; child++)
            if (items[heap[child]].death < items[heap[least]].death)
                least = child;
        if (least == at)
            return;
        size_t t = heap[at];
        heap[at] = heap[least];
        heap[least] = t;
        at = least;
    }
}

static void push(size_t *heap, size_t *n, size_t item, const struct layout_item *items) {
    size_t at = (*n)++;
    heap[at] = item;
    while (at > 0 && items[heap[at]].death < items[heap[(at - 1) / 2]].death) {
        size_t parent = (at - 1) / 2, t = heap[at];
        heap[at] = heap[parent];
        heap[parent] = t;
        at = parent;
    }
}

enum status layout_assign(struct layout_item *items, size_t count, struct arena *scratch,
                          size_t *total, struct error *error) {
    struct arena_mark mark = arena_mark(scratch);
    struct gaps g = {.list = arena_array(scratch, count + 1, sizeof *g.list)};
    size_t *living = arena_array(scratch, count + 1, sizeof *living), alive = 0, sum = 0;
    enum status s = STATUS_OK;
    if (!g.list || !living) {
        s = arena_exhausted(scratch, count * sizeof *g.list, error);
        goto out;
    }
    for (size_t i = 0; i < count; i++) {
        size_t size = 0;
        /* The sum bounds every offset, so that nothing below can overflow. */
        if (!checked_align(items[i].size ? items[i].size : 1, LAYOUT_ALIGN, &size) ||
            !checked_add(sum, size, &sum)) {
            s = status_fail(error, STATUS_TOO_LARGE, "the activations are too large");
            goto out;
        }
    }
    for (size_t i = 0; i < count; i++) {
        while (alive > 0 && items[living[0]].death < items[i].birth) {
            const struct layout_item *dead = &items[living[0]];
            give(&g, dead->offset,
                 (dead->size + LAYOUT_ALIGN - (dead->size > 0)) & ~(size_t)(LAYOUT_ALIGN - 1));
            living[0] = living[--alive];
            sift(living, alive, 0, items);
        }
        size_t size =
            (items[i].size + LAYOUT_ALIGN - (items[i].size > 0)) & ~(size_t)(LAYOUT_ALIGN - 1);
        items[i].offset = take(&g, size);
        push(living, &alive, i, items);
    }
    *total = g.end;
out:
    arena_reset(scratch, mark);
    return s;
}
