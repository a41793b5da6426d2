#include "base/sort.h"

#include <assert.h>
#include <stdint.h>
#include <string.h>

struct heap {
    uint8_t *data;
    size_t size;
    sort_order *order;
    void *context;
};

static uint8_t *at(const struct heap *h, size_t i) {
    return h->data + i * h->size;
}

static void swap(const struct heap *h, size_t i, size_t k) {
    uint8_t held[SORT_ELEMENT_MAX];
    memcpy(held, at(h, i), h->size);
    memcpy(at(h, i), at(h, k), h->size);
    memcpy(at(h, k), held, h->size);
}

/* Elements below `i` are a heap with the greatest on top; makes it one with i. */
static void sink(const struct heap *h, size_t i, size_t count) {
    for (size_t child = 2 * i + 1; child < count; i = child, child = 2 * i + 1) {
        if (child + 1 < count && h->order(at(h, child), at(h, child + 1), h->context) < 0)
            child++;
        if (h->order(at(h, i), at(h, child), h->context) >= 0)
            return;
        swap(h, i, child);
    }
}

void sort_heap(void *data, size_t count, size_t size, sort_order *order, void *context) {
    const struct heap h = {data, size, order, context};
    assert(size > 0 && size <= SORT_ELEMENT_MAX);
    if (count < 2)
        return;
    for (size_t i = count / 2; i-- > 0;)
        sink(&h, i, count);
    for (size_t i = count - 1; i > 0; i--) {
        swap(&h, 0, i);
        sink(&h, 0, i);
    }
}
