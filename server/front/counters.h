/* What the front has answered, counted: requests by class of route and status, clients that went
 * away, bytes of bodies, and a histogram of durations for each class. For metrics to read.
 *
 * Everything is an atomic that only grows; a reader sees each number as it is at that moment, not
 * all of them at one. No label comes from a request, so their number is fixed.
 *
 * Threads: any. */
#ifndef FRONT_COUNTERS_H
#define FRONT_COUNTERS_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

enum counters_class {
    COUNTERS_HEALTH,     /* routes that take no key */
    COUNTERS_METADATA,   /* what the server and its models are */
    COUNTERS_INFER,      /* inference */
    COUNTERS_REPOSITORY, /* index, load, unload, delete */
    COUNTERS_UPLOAD,     /* sealed models */
    COUNTERS_TENANT,     /* a tenant's own keys, records, usage */
    COUNTERS_OTHER,      /* no route, or a request that was not understood */
    COUNTERS_CLASSES
};

#define COUNTERS_STATUSES 20 /* rows of counters_status, the last for any other */
#define COUNTERS_BUCKETS                                                                           \
    16                       /* upper bounds of counters_bound_ns; what is longer is in no bucket  \
                              */
#define COUNTERS_ABORTED 499 /* a client that went away before it had its answer */

struct counters {
    struct {
        _Atomic uint64_t requests[COUNTERS_STATUSES];
        _Atomic uint64_t aborted;
        _Atomic uint64_t bytes_in, bytes_out; /* of bodies, as they went over the wire */
        _Atomic uint64_t durations[COUNTERS_BUCKETS];
        _Atomic uint64_t duration_ns; /* the sum */
    } of[COUNTERS_CLASSES];
    _Atomic uint64_t inflated, deflated; /* bodies that came, and went, compressed */
};

struct counters_request {
    enum counters_class class;
    int http_status; /* COUNTERS_ABORTED where nobody was there for the answer */
    uint64_t bytes_in, bytes_out, duration_ns;
};

void counters_add(struct counters *counters, const struct counters_request *request);

/* The class's name as a label, a row's status (0: any other), a bucket's upper bound. */
const char *counters_class_name(enum counters_class class);
int counters_status(size_t row);
uint64_t counters_bound_ns(size_t bucket);

#endif
