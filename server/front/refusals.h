/* How often each source address was refused for want of a valid key (401) in the running minute:
 * who guesses keys, or floods with none, is turned away before ledger hears of it.
 *
 * A table of fixed size; where it is full the source with the fewest refusals is forgotten, so that
 * many sources cannot hide one that fails much.
 *
 * Threads: any. Addresses are texts as visitors.h makes them. Times are milliseconds of
 * CLOCK_MONOTONIC. */
#ifndef FRONT_REFUSALS_H
#define FRONT_REFUSALS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define REFUSALS_WINDOW_MS 60000

struct refusals;

/* NULL where there is no memory. */
struct refusals *refusals_new(size_t sources, uint32_t per_window);
void refusals_free(struct refusals *refusals);

/* One more. True where it was the last that this source may have in its minute. */
bool refusals_count(struct refusals *refusals, const char *address, uint64_t now);
/* Seconds until the source may ask again, at least 1; 0 where it may now. */
uint32_t refusals_wait(struct refusals *refusals, const char *address, uint64_t now);

#endif
