/* The query of a request's target, `name=value&...`, read strictly: every name is one that the
 * path takes, stands once, and has a value of printable ASCII (percent-encoded or not; `+` is a
 * plus). STATUS_INVALID names what is wrong and lists what would be right.
 *
 * Threads: pure. Input: untrusted. */
#ifndef FRONT_QUERY_H
#define FRONT_QUERY_H

#include "base/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define QUERY_VALUE_MAX 224

struct query_value {
    const char *name;
    bool given;
    char text[QUERY_VALUE_MAX + 1];
};

/* Fill `values`; `query` may be NULL. */
MUST_USE enum status query_parse(const char *query, struct query_value *values, size_t count,
                                 struct error *error);
/* The value as a number of low to high; *out stays as it is where it was not given. */
MUST_USE enum status query_number(const struct query_value *value, uint64_t low, uint64_t high,
                                  uint64_t *out, struct error *error);
/* The value as a time (base/instant.h), as microseconds. */
MUST_USE enum status query_time(const struct query_value *value, uint64_t *out,
                                struct error *error);
/* The value as a day, "2026-11-23". */
MUST_USE enum status query_day(const struct query_value *value, int32_t *out, struct error *error);

#endif
