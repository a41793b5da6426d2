/* A small pool of threads for the inside of one operator.
 *
 * threads_for splits [0, n) into ranges of at least `grain` and calls fn(arg, begin, end) for each,
 * in any order, on the pool's threads and the caller's; it returns when all are done. Idle threads
 * sleep on a condition variable. A NULL pool, or a range too small to split, runs on the caller
 * alone. fn must not call threads_for of the same pool, must not fail (record a failure in arg,
 * atomically), and writes to disjoint places.
 *
 * Threads: one caller at a time; a session owns its pool. */
#ifndef ENGINE_KERNELS_THREADS_H
#define ENGINE_KERNELS_THREADS_H

#include "base/status.h"

#include <stddef.h>

#define THREADS_MAX 64

struct threads;

typedef void threads_fn(void *arg, size_t begin, size_t end);

/* `count` threads in all, the caller's included; 1 gives a pool that starts none. */
MUST_USE enum status threads_new(size_t count, struct threads **out, struct error *error);
void threads_free(struct threads *pool);
size_t threads_count(const struct threads *pool);
void threads_for(struct threads *pool, size_t n, size_t grain, threads_fn *fn, void *arg);

#endif
