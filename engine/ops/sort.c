#include "engine/ops/sort.h"

#include <string.h>

/* Bottom-up merging: runs of 1, 2, 4, ... from one array to the other. Input that is in order
 * already costs one pass. */
void sort_positions(int64_t *order, int64_t *spare, size_t n, sort_before_fn *before,
                    const void *ctx) {
    size_t sorted = 1;
    while (sorted < n && !before(ctx, order[sorted], order[sorted - 1]))
        sorted++;
    if (sorted >= n)
        return;
    int64_t *from = order, *to = spare;
    for (size_t run = 1; run < n; run *= 2) {
        for (size_t start = 0; start < n; start += 2 * run) {
            size_t a = start, a_end = n - start < run ? n : start + run;
            size_t b = a_end, b_end = n - a_end < run ? n : a_end + run;
            for (size_t k = start; k < b_end; k++) {
                bool take_b = a == a_end || (b < b_end && before(ctx, from[b], from[a]));
                to[k] = take_b ? from[b++] : from[a++];
            }
        }
        int64_t *t = from;
        from = to;
        to = t;
    }
    if (from != order)
        memcpy(order, from, n * sizeof *order);
}
