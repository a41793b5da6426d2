/* Which audit records are asked for. A filter is held against a record's canonical bytes: member
 * names and values stand in them exactly as RFC 8785 writes them, quotes inside a string are
 * escaped, so that `,"key":"abc"` is found where that is the record's member and nowhere else.
 * Shared by the backends, which go by tenant and place alone.
 *
 * Threads: pure. Input: the filter's texts are untrusted. */
#ifndef STORE_AUDIT_FILTER_H
#define STORE_AUDIT_FILTER_H

#include "base/status.h"
#include "store/types.h"

/* NULL and 0: any. */
struct store_audit_filter {
    const char *key, *action, *outcome, *request;
    const char *model; /* "name" or "name/version": what was done to that model */
    int64_t from, to;  /* microseconds: not before, and before */
};

#define AUDIT_FILTER_NEEDLES 6
#define AUDIT_FILTER_NEEDLE_MAX 800 /* 129 bytes escape to six each at most */

struct audit_filter {
    int64_t from, to;
    size_t count;
    struct {
        char text[AUDIT_FILTER_NEEDLE_MAX];
        size_t size;
        char other[AUDIT_FILTER_NEEDLE_MAX]; /* matches as well; size 0: there is none */
        size_t other_size;
    } needles[AUDIT_FILTER_NEEDLES];
};

/* STATUS_INVALID where a text is not UTF-8 or is longer than a record has it. */
MUST_USE enum status audit_filter_prepare(const struct store_audit_filter *filter,
                                          struct audit_filter *prepared, struct error *error);
bool audit_filter_matches(const struct audit_filter *filter, const struct store_audit_row *row);

#endif
