/* Who a request is to other systems: X-Request-Id, and W3C Trace Context's traceparent and
 * tracestate.
 *
 * A valid traceparent is taken part in: the answer has its trace id, a parent id of ours and its
 * sampled flag. One that is malformed is as good as none: a new trace begins. tracestate means
 * something beside a valid traceparent only, and is passed on only where it is well-formed.
 *
 * Source: W3C Trace Context (Recommendation, 23 November 2021), sections 3.2 and 3.3.
 * Threads: pure, but for the randomness, which has one owner. Input: untrusted. */
#ifndef FRONT_TRACE_H
#define FRONT_TRACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TRACE_PARENT_SIZE 55
#define TRACE_STATE_MAX 512 /* bytes; a longer one is not passed on */
#define TRACE_ID_SIZE 32    /* characters of a request id of ours */

/* Random bytes, drawn many at once and used up from the end. */
struct trace_random {
    uint8_t bytes[256];
    size_t left;
};

bool trace_parent_valid(const char *value);
bool trace_state_valid(const char *value);

/* Ids are random, so that nobody can tell from two of his how many requests others have made in
 * between. False, and `out` empty, where the system gives no randomness. */
bool trace_request_id(struct trace_random *random, char out[TRACE_ID_SIZE + 1]);
/* The answer's traceparent. `caller` is a valid one or NULL. */
bool trace_parent_next(struct trace_random *random, const char *caller,
                       char out[TRACE_PARENT_SIZE + 1]);

#endif
