/* A page of rows as JSON: `{"NAME":[...` up to what one answer holds, then `]` and, where there may
 * be more, `,"next":...`. Lies in memory from malloc, which becomes the act's result.
 *
 * Threads: one owner. */
#ifndef SERVER_LEDGER_PAGE_H
#define SERVER_LEDGER_PAGE_H

#include "base/buf.h"
#include "base/status.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

struct page {
    char *text;
    struct buf out;
    uint32_t count, limit;
};

/* Begin with `opening`, at most `limit` rows. STATUS_UNAVAILABLE where memory is short. */
MUST_USE enum status page_open(struct page *page, const char *opening, uint32_t limit,
                               struct error *error);
/* Append a row as it stands; false where the page is full, and nothing was added. */
MUST_USE bool page_add(struct page *page, const void *json, size_t size);
/* The same for a value, which is taken over. STATUS_RATE where the page is full: what a callback of
 * the store returns to end a listing. */
MUST_USE enum status page_add_value(struct page *page, json_t *value, struct error *error);
/* Close the array and the object; `next` (may be NULL) is the value of `next`, as JSON. Hands the
 * text over. */
char *page_close(struct page *page, const char *next, size_t *size);
/* Give it up. */
void page_drop(struct page *page);

#endif
