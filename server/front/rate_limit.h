/* What an answer tells of the caller's limits: RateLimit-Policy, the quota, and RateLimit, what is
 * left of it. Nothing is sent where nothing is known.
 *
 * Source: draft-ietf-httpapi-ratelimit-headers-10. Threads: pure. */
#ifndef FRONT_RATE_LIMIT_H
#define FRONT_RATE_LIMIT_H

#include "base/buf.h"

#include <stdbool.h>
#include <stdint.h>

#define RATE_LIMIT_TEXT_MAX 256

struct rate_limit {
    bool known;
    uint64_t quota;    /* requests */
    uint32_t window_s; /* in so many seconds */
    uint64_t left;     /* requests now */
    uint32_t reset_s;  /* seconds until the quota is whole again */
};

/* Header lines, each with its line end. */
void rate_limit_write(const struct rate_limit *limit, struct buf *out);

#endif
