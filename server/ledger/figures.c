#include "server/ledger/figures.h"

#include "server/ledger/state.h"

#include <inttypes.h>

#define TEXT_MAX 16384 /* bytes, more than it takes */

static void head(struct buf *out, const char *name, const char *type, const char *help) {
    buf_printf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static void single(struct buf *out, const char *name, const char *type, const char *help,
                   uint64_t value) {
    head(out, name, type, help);
    buf_printf(out, "%s %" PRIu64 "\n", name, value);
}

/* Every category has its row from the start: a rate over a series that appears with its first
 * refusal would miss that one. */
static void write_admissions(const struct figures *figures, struct buf *out) {
    head(out, "strongroom_admissions_total", "counter",
         "Requests that the ledger was asked about, by its answer (ok: admitted).");
    for (int i = 0; i < STATUS_COUNT; i++)
        buf_printf(out, "strongroom_admissions_total{answer=\"%s\"} %" PRIu64 "\n",
                   status_name((enum status)i), figures->admissions[i]);
}

static void write_commits(const struct commit_figures *f, struct buf *out) {
    static const char name[] = "strongroom_audit_commit_duration_seconds";
    uint64_t sum = 0;
    head(out, "strongroom_audit_records_total", "counter",
         "Records of requests that were to be written, by whether they were.");
    buf_printf(out,
               "strongroom_audit_records_total{outcome=\"written\"} %" PRIu64 "\n"
               "strongroom_audit_records_total{outcome=\"failed\"} %" PRIu64 "\n",
               f->written, f->failed);
    single(out, "strongroom_audit_queue_records", "gauge", "Records that wait to be written.",
           f->queued);
    single(out, "strongroom_audit_queue_limit", "gauge",
           "Records that may wait; requests beyond are answered 503.", f->queue_limit);
    head(out, name, "histogram", "Of writing a group of records, one transaction.");
    for (size_t i = 0; i < COMMIT_BUCKETS; i++) {
        sum += f->durations[i];
        buf_printf(out, "%s_bucket{le=\"%g\"} %" PRIu64 "\n", name,
                   (double)commit_bound_us(i) / 1e6, sum);
    }
    buf_printf(out, "%s_bucket{le=\"+Inf\"} %" PRIu64 "\n", name, f->groups);
    buf_printf(out, "%s_sum %.6f\n%s_count %" PRIu64 "\n", name, (double)f->duration_us / 1e6, name,
               f->groups);
}

static void write_workers(const struct workers_figures *f, struct buf *out) {
    single(out, "strongroom_worker_starts_total", "counter",
           "Tenants' processes that were started, the first time or again.", f->starts);
    single(out, "strongroom_worker_restarts_total", "counter",
           "Tenants' processes that ended without being told to, and are started again.",
           f->restarts);
    head(out, "strongroom_model_loads_total", "counter",
         "Models opened in a tenant's process, by outcome. Each asks the keeper for its file key.");
    for (int i = 0; i < STATUS_COUNT; i++)
        if (i == STATUS_OK || f->loads[i])
            buf_printf(out, "strongroom_model_loads_total{outcome=\"%s\"} %" PRIu64 "\n",
                       status_name((enum status)i), f->loads[i]);
    single(out, "strongroom_models_loading", "gauge", "Models that are being opened.", f->loading);
    single(out, "strongroom_models_loaded", "gauge", "Models in memory.", f->loaded);
    single(out, "strongroom_models_loaded_bytes", "gauge",
           "Of those models in memory, locked unless the configuration lets it be otherwise.",
           f->loaded_bytes);
    head(out, "strongroom_worker_slots", "gauge",
         "Places for requests in the tenants' processes, by state (lost: the process may still "
         "write there, so it is not given out again).");
    buf_printf(out,
               "strongroom_worker_slots{state=\"free\"} %" PRIu64 "\n"
               "strongroom_worker_slots{state=\"used\"} %" PRIu64 "\n"
               "strongroom_worker_slots{state=\"lost\"} %" PRIu64 "\n",
               f->slots_free, f->slots_used, f->slots_lost);
}

void figures_write(const struct ledger *ledger, struct buf *out) {
    struct commit_figures commits;
    struct workers_figures workers;
    commit_measure(ledger->commit, &commits);
    workers_measure(ledger->workers, &workers);
    write_admissions(&ledger->figures, out);
    single(out, "strongroom_tickets_open", "gauge",
           "Requests that were admitted and have not ended.", ticket_count(ledger->tickets));
    single(out, "strongroom_tickets_limit", "gauge",
           "Requests that may be under way; further ones are answered 503.", TICKETS_MAX);
    write_commits(&commits, out);
    write_workers(&workers, out);
}

enum status figures_answer(const struct ledger *ledger, const struct link *channel) {
    uint8_t text[TEXT_MAX];
    struct buf out = buf_of(text, sizeof text);
    figures_write(ledger, &out);
    /* A page that is cut would be wrong; one without these numbers is only poorer. */
    const struct message_measured m = {.figures = bytes_of(text, out.failed ? 0 : out.size)};
    return message_send_measured(channel->socket, &m, NULL, NULL);
}
