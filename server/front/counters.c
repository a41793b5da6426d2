#include "server/front/counters.h"

static const int statuses[COUNTERS_STATUSES] = {
    200, 201, 400, 401, 403, 404, 405, 409, 411, 413, 415, 422, 423, 429, 499, 500, 501, 503, 504,
};

#define MICROSECONDS(n) ((uint64_t)(n)*1000u)
static const uint64_t bounds[COUNTERS_BUCKETS] = {
    MICROSECONDS(100),     MICROSECONDS(250),     MICROSECONDS(500),      MICROSECONDS(1000),
    MICROSECONDS(2500),    MICROSECONDS(5000),    MICROSECONDS(10000),    MICROSECONDS(25000),
    MICROSECONDS(50000),   MICROSECONDS(100000),  MICROSECONDS(250000),   MICROSECONDS(500000),
    MICROSECONDS(1000000), MICROSECONDS(2500000), MICROSECONDS(10000000), MICROSECONDS(30000000),
};

static void add(_Atomic uint64_t *counter, uint64_t value) {
    atomic_fetch_add_explicit(counter, value, memory_order_relaxed);
}

void counters_add(struct counters *counters, const struct counters_request *request) {
    size_t class = request->class < COUNTERS_CLASSES ? request->class : COUNTERS_OTHER, row = 0;
    while (row + 1 < COUNTERS_STATUSES && statuses[row] != request->http_status)
        row++;
    add(&counters->of[class].requests[row], 1);
    if (request->http_status == COUNTERS_ABORTED)
        add(&counters->of[class].aborted, 1);
    if (request->bytes_in)
        add(&counters->of[class].bytes_in, request->bytes_in);
    if (request->bytes_out)
        add(&counters->of[class].bytes_out, request->bytes_out);
    add(&counters->of[class].duration_ns, request->duration_ns);
    for (size_t i = 0; i < COUNTERS_BUCKETS; i++)
        if (request->duration_ns <= bounds[i]) {
            add(&counters->of[class].durations[i], 1);
            break;
        }
}

const char *counters_class_name(enum counters_class class) {
    static const char *const names[COUNTERS_CLASSES] = {
        [COUNTERS_HEALTH] = "health", [COUNTERS_METADATA] = "metadata",
        [COUNTERS_INFER] = "infer",   [COUNTERS_REPOSITORY] = "repository",
        [COUNTERS_UPLOAD] = "upload", [COUNTERS_TENANT] = "tenant",
        [COUNTERS_OTHER] = "other",
    };
    return class < COUNTERS_CLASSES ? names[class] : names[COUNTERS_OTHER];
}

int counters_status(size_t row) {
    return row < COUNTERS_STATUSES ? statuses[row] : 0;
}

uint64_t counters_bound_ns(size_t bucket) {
    return bucket < COUNTERS_BUCKETS ? bounds[bucket] : UINT64_MAX;
}
