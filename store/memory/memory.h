/* The in-memory backend: rows in plain arrays, searched from the front. It lives as long as a
 * handle of it does, and is there to hold the interface to its word: what it and the SQLite backend
 * do differently is a fault of one of them. A mutex of its own serves all its handles. */
#ifndef STORE_MEMORY_MEMORY_H
#define STORE_MEMORY_MEMORY_H

#include "store/backend.h"

MUST_USE enum status memory_open(const struct store_meta *meta, struct store **store,
                                 struct error *error);

#endif
