/* How many connections are open from each source address. A connection is counted once its address
 * is known, and given back when it ends.
 *
 * Threads: any. */
#ifndef FRONT_SOURCES_H
#define FRONT_SOURCES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct sources;
struct source;

/* Room for `capacity` connections at once; NULL where there is no memory. */
struct sources *sources_new(size_t capacity, uint32_t per_source);
void sources_free(struct sources *sources);

/* Count a connection; *source is to be given back with sources_leave (NULL: it was not counted).
 * False where that address has more than its share; it is counted all the same. */
bool sources_enter(struct sources *sources, const char *address, struct source **source);
void sources_leave(struct sources *sources, struct source *source);
/* By how many its address is over its share; 0 where it is not. */
uint32_t sources_over(struct sources *sources, const struct source *source);
/* Connections counted now. */
size_t sources_count(struct sources *sources);

#endif
