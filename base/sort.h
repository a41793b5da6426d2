/* Sorting in place, without memory of its own and without a system call: the C library's qsort asks
 * the system how much memory there is, which sandboxed roles may not. Heapsort (Williams 1964): not
 * stable, at most about 2 n log2 n comparisons whatever the order.
 *
 * Threads: any. */
#ifndef BASE_SORT_H
#define BASE_SORT_H

#include <stddef.h>

#define SORT_ELEMENT_MAX 128 /* bytes of one element */

typedef int sort_order(const void *a, const void *b, void *context);

void sort_heap(void *data, size_t count, size_t size, sort_order *order, void *context);

#endif
