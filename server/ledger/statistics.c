#include "server/ledger/statistics.h"

#include "server/ledger/page.h"
#include "server/ledger/state.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#define LISTED_MAX 4096u /* versions in one answer */

struct duration {
    uint64_t count, ns;
};

struct batch {
    uint64_t size;
    struct duration input, infer, output;
};

struct row {
    struct row *next; /* in its bucket */
    int64_t model;
    int64_t last_us; /* when the last one ended */
    uint64_t inferences, executions;
    struct duration success, fail, queue, input, infer, output;
    uint32_t batch_count;
    struct batch batches[STATISTICS_BATCHES];
};

#define BUCKETS 4096u

struct statistics {
    struct row *buckets[BUCKETS];
};

enum status statistics_new(struct statistics **statistics, struct error *error) {
    struct statistics *s = calloc(1, sizeof *s);
    if (!s)
        return status_fail(error, STATUS_UNAVAILABLE, "no memory for statistics");
    *statistics = s;
    return STATUS_OK;
}

void statistics_free(struct statistics *s) {
    for (size_t i = 0; s && i < BUCKETS; i++)
        while (s->buckets[i]) {
            struct row *row = s->buckets[i];
            s->buckets[i] = row->next;
            free(row);
        }
    free(s);
}

/* Row ids count up, so their low bits spread by themselves. */
static struct row **bucket_of(struct statistics *s, int64_t model) {
    return &s->buckets[(uint64_t)model % BUCKETS];
}

static struct row *find(struct statistics *s, int64_t model) {
    struct row *row = *bucket_of(s, model);
    while (row && row->model != model)
        row = row->next;
    return row;
}

void statistics_forget(struct statistics *s, int64_t model) {
    for (struct row **at = bucket_of(s, model); *at; at = &(*at)->next)
        if ((*at)->model == model) {
            struct row *row = *at;
            *at = row->next;
            free(row);
            return;
        }
}

static void add(struct duration *duration, uint64_t us) {
    duration->count++;
    duration->ns += us * 1000;
}

static void count_batch(struct row *row, uint64_t size, const struct message_settle *m) {
    struct batch *batch = NULL;
    for (uint32_t i = 0; i < row->batch_count && !batch; i++)
        if (row->batches[i].size == size)
            batch = &row->batches[i];
    if (!batch && row->batch_count < STATISTICS_BATCHES) {
        batch = &row->batches[row->batch_count++];
        batch->size = size;
    }
    if (!batch)
        return;
    add(&batch->input, m->decode_us);
    add(&batch->infer, m->compute_us);
    add(&batch->output, m->encode_us);
}

void statistics_count(struct statistics *s, const struct ticket *ticket,
                      const struct message_settle *m) {
    if (ticket->action != ACTION_INFER || !ticket->model.id)
        return;
    struct row *row = find(s, ticket->model.id);
    if (!row && (row = calloc(1, sizeof *row))) {
        row->model = ticket->model.id;
        row->next = *bucket_of(s, row->model);
        *bucket_of(s, row->model) = row;
    }
    if (!row)
        return;
    uint64_t all = (uint64_t)m->decode_us + m->queue_us + m->compute_us + m->encode_us;
    row->last_us = ledger_now_us();
    if (m->outcome != STATUS_OK) {
        add(&row->fail, all);
        return;
    }
    row->inferences += m->units;
    row->executions++;
    add(&row->success, all);
    add(&row->queue, m->queue_us);
    add(&row->input, m->decode_us);
    add(&row->infer, m->compute_us);
    add(&row->output, m->encode_us);
    count_batch(row, m->units, m);
}

/* --- the answer ---------------------------------------------------------------------------- */

struct listing {
    const struct act *act;
    uint32_t count;
    struct store_model models[LISTED_MAX];
};

static enum status add_model(void *context, const struct store_model *model, struct error *error) {
    struct listing *listing = context;
    const struct act *act = listing->act;
    if (model->state != STORE_MODEL_READY ||
        (act->name[0] && strcmp(act->name, model->name) != 0) ||
        (act->version[0] && strcmp(act->version, model->version) != 0))
        return STATUS_OK;
    if (listing->count == LISTED_MAX)
        return status_fail(error, STATUS_TOO_LARGE,
                           "there are more than %u versions; ask for one model", LISTED_MAX);
    listing->models[listing->count++] = *model;
    return STATUS_OK;
}

void statistics_run(struct commit_job *job, struct store *store) {
    struct act *act = (struct act *)job;
    struct listing *listing = calloc(1, sizeof *listing);
    if (!listing) {
        act->status = status_fail(&act->error, STATUS_UNAVAILABLE, "memory is short");
        return;
    }
    listing->act = act;
    act->context = listing;
    act->status = store_model_list(store, act->tenant, add_model, listing, &act->error);
}

static json_t *duration_json(const struct duration *d) {
    return json_pack("{s:I, s:I}", "count", (json_int_t)d->count, "ns", (json_int_t)d->ns);
}

static json_t *batches_json(const struct row *row) {
    json_t *list = json_array();
    for (uint32_t i = 0; list && i < row->batch_count; i++) {
        const struct batch *b = &row->batches[i];
        json_t *o =
            json_pack("{s:I, s:o, s:o, s:o}", "batch_size", (json_int_t)b->size, "compute_input",
                      duration_json(&b->input), "compute_infer", duration_json(&b->infer),
                      "compute_output", duration_json(&b->output));
        if (json_array_append_new(list, o) != 0) {
            json_decref(list);
            return NULL;
        }
    }
    return list;
}

static json_t *memory_json(uint64_t bytes) {
    if (!bytes)
        return json_array();
    return json_pack("[{s:s, s:i, s:I}]", "type", "CPU", "id", 0, "byte_size", (json_int_t)bytes);
}

static json_t *row_json(const struct store_model *model, const struct row *row, uint64_t bytes) {
    static const struct row none;
    static const struct duration never;
    if (!row)
        row = &none;
    return json_pack(
        "{s:s, s:s, s:I, s:I, s:I, s:{s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}, s:{}, s:o, s:o}",
        "name", model->name, "version", model->version, "last_inference",
        (json_int_t)(row->last_us / 1000), "inference_count", (json_int_t)row->inferences,
        "execution_count", (json_int_t)row->executions, "inference_stats", "success",
        duration_json(&row->success), "fail", duration_json(&row->fail), "queue",
        duration_json(&row->queue), "compute_input", duration_json(&row->input), "compute_infer",
        duration_json(&row->infer), "compute_output", duration_json(&row->output), "cache_hit",
        duration_json(&never), "cache_miss", duration_json(&never), "response_stats", "batch_stats",
        batches_json(row), "memory_usage", memory_json(bytes));
}

static enum status write_rows(struct ledger *ledger, struct act *act, const struct listing *listing,
                              struct error *error) {
    struct page page;
    enum status status = page_open(&page, "{\"model_stats\":[", UINT32_MAX, error);
    for (uint32_t i = 0; i < listing->count && status == STATUS_OK; i++) {
        const struct store_model *model = &listing->models[i];
        status = page_add_value(&page,
                                row_json(model, find(ledger->statistics, model->id),
                                         workers_resident_bytes(ledger, act->tenant, model->id)),
                                error);
    }
    if (status == STATUS_RATE)
        status = status_fail(error, STATUS_TOO_LARGE,
                             "the statistics do not fit into one answer; ask for one model");
    if (status == STATUS_OK)
        act->result = page_close(&page, NULL, &act->result_size);
    page_drop(&page);
    return status;
}

void statistics_done(struct commit_job *job, void *context) {
    struct act *act = (struct act *)job;
    if (act->status == STATUS_OK)
        act->status = write_rows(context, act, act->context, &act->error);
    free(act->context);
    act->context = NULL;
    act_job_done(job, context);
}
