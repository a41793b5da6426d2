#include "server/front/metrics.h"

#include "server/front/front.h"

#include <inttypes.h>

static void gauge(struct buf *out, const char *name, const char *help, uint64_t value) {
    buf_printf(out, "# HELP %s %s\n# TYPE %s gauge\n%s %" PRIu64 "\n", name, help, name, name,
               value);
}

static uint64_t value_of(const _Atomic uint64_t *counter) {
    return atomic_load_explicit(counter, memory_order_relaxed);
}

static void counter(struct buf *out, const char *name, const char *help) {
    buf_printf(out, "# HELP %s %s\n# TYPE %s counter\n", name, help, name);
}

static void write_requests(const struct counters *counters, struct buf *out) {
    counter(out, "strongroom_requests_total",
            "Requests answered, by class of route and status (499: the client went away).");
    for (int c = 0; c < COUNTERS_CLASSES; c++)
        for (size_t row = 0; row < COUNTERS_STATUSES; row++) {
            uint64_t count = value_of(&counters->of[c].requests[row]);
            int status = counters_status(row);
            if (!count)
                continue;
            buf_printf(out, "strongroom_requests_total{class=\"%s\",status=\"",
                       counters_class_name((enum counters_class)c));
            if (status)
                buf_printf(out, "%d", status);
            else
                buf_string(out, "other");
            buf_printf(out, "\"} %" PRIu64 "\n", count);
        }
}

/* Buckets of a Prometheus histogram count all that is not longer than their bound. */
static void write_durations(const struct counters *counters, struct buf *out) {
    static const char name[] = "strongroom_request_duration_seconds";
    buf_printf(out,
               "# HELP %s From a request's head to the end of its answer.\n# TYPE %s histogram\n",
               name, name);
    for (int c = 0; c < COUNTERS_CLASSES; c++) {
        const char *class = counters_class_name((enum counters_class)c);
        uint64_t sum = 0, all = 0;
        for (size_t row = 0; row < COUNTERS_STATUSES; row++)
            all += value_of(&counters->of[c].requests[row]);
        for (size_t i = 0; i < COUNTERS_BUCKETS; i++) {
            sum += value_of(&counters->of[c].durations[i]);
            all = sum > all ? sum : all; /* counted meanwhile */
            buf_printf(out, "%s_bucket{class=\"%s\",le=\"%g\"} %" PRIu64 "\n", name, class,
                       (double)counters_bound_ns(i) / 1e9, sum);
        }
        buf_printf(out, "%s_bucket{class=\"%s\",le=\"+Inf\"} %" PRIu64 "\n", name, class, all);
        buf_printf(out, "%s_sum{class=\"%s\"} %.9f\n", name, class,
                   (double)value_of(&counters->of[c].duration_ns) / 1e9);
        buf_printf(out, "%s_count{class=\"%s\"} %" PRIu64 "\n", name, class, all);
    }
}

static void write_bytes(const struct counters *counters, struct buf *out) {
    counter(out, "strongroom_body_bytes_total", "Bytes of bodies, as they went over the wire.");
    for (int c = 0; c < COUNTERS_CLASSES; c++) {
        const char *class = counters_class_name((enum counters_class)c);
        buf_printf(out,
                   "strongroom_body_bytes_total{class=\"%s\",direction=\"in\"} %" PRIu64 "\n"
                   "strongroom_body_bytes_total{class=\"%s\",direction=\"out\"} %" PRIu64 "\n",
                   class, value_of(&counters->of[c].bytes_in), class,
                   value_of(&counters->of[c].bytes_out));
    }
    counter(out, "strongroom_bodies_compressed_total", "Bodies that came, and went, compressed.");
    buf_printf(out,
               "strongroom_bodies_compressed_total{direction=\"in\"} %" PRIu64 "\n"
               "strongroom_bodies_compressed_total{direction=\"out\"} %" PRIu64 "\n",
               value_of(&counters->inflated), value_of(&counters->deflated));
}

void metrics_write(struct front *front, struct buf *out) {
    buf_string(out, "# HELP strongroom_build_info The version that runs.\n"
                    "# TYPE strongroom_build_info gauge\n"
                    "strongroom_build_info{version=\"" STRONGROOM_VERSION "\"} 1\n");
    gauge(out, "strongroom_ready", "1 where requests are taken.",
          !atomic_load(&front->draining) && ledger_link_up(&front->ledger) &&
              !atomic_load(&front->unrecorded));
    gauge(out, "strongroom_requests_in_flight", "Requests being answered, this one included.",
          atomic_load(&front->in_flight));
    gauge(out, "strongroom_connections_limit", "Connections that are served at once.",
          front->config->limits.connections);
    gauge(out, "strongroom_workers", "Tenants' processes that run.",
          workers_running(&front->workers));
    gauge(out, "strongroom_payload_memory_bytes",
          "Memory of bodies and answers, beyond the standing buffers.",
          value_of(&front->budget.used));
    gauge(out, "strongroom_payload_memory_limit_bytes",
          "How much that may be; a tenant has at most as much as is still free.",
          front->budget.limit);
    counter(out, "strongroom_payload_memory_refusals_total",
            "Times that a request or its compression was refused more.");
    buf_printf(out, "strongroom_payload_memory_refusals_total %" PRIu64 "\n",
               value_of(&front->budget.refused));
    write_requests(&front->counters, out);
    write_durations(&front->counters, out);
    write_bytes(&front->counters, out);
}
