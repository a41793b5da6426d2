#include "server/ledger/commit.h"

#include "base/log.h"
#include "base/message.h"
#include "crypto/random.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define QUEUE_MAX 8192u /* records waiting; more than there are tickets */
#define GROUP_MAX 256u  /* records in one transaction */
#define DAY_US INT64_C(86400000000)
/* A write costs much the same for one record as for thirty, and the processor time it takes is
 * missing elsewhere. How many records are worth one grows with the square of the requests that may
 * still join: a few callers are not made to wait for each other, many fill a group soon. It is
 * written at the latest when its oldest record has waited this long, and at once while records
 * come so slowly that hardly any would join. */
#define GROUP_SHARE 10u
#define GROUP_WAIT_US 2000
#define GROUP_SLOW_US 250

struct commit {
    struct store *store;
    pthread_t thread;
    pthread_mutex_t mutex;
    pthread_cond_t wake;
    bool stopping;
    _Atomic bool failing;
    bool due; /* the queue is worth its write: commit_pace said so */
    int completions;
    struct commit_job *jobs, **jobs_end;
    struct commit_job *finished, **finished_end;
    int64_t since, last;  /* CLOCK_MONOTONIC of the oldest and newest record in queue */
    int64_t spacing;      /* between records, a moving mean */
    uint32_t head, count; /* of queue */
    struct commit_figures figures;
    struct commit_record queue[QUEUE_MAX];
    struct commit_record group[GROUP_MAX];
    struct audit_record records[GROUP_MAX];
    struct store_usage usage[GROUP_MAX];
};

static int64_t now_us(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

/* Counts that began outside this process: one over the store's limit would fail its whole group. */
static int64_t counted(uint64_t value) {
    return value > (uint64_t)AUDIT_RECORD_INTEGER_MAX ? AUDIT_RECORD_INTEGER_MAX : (int64_t)value;
}

static struct audit_record audit_record_of(const struct commit_record *r) {
    return (struct audit_record){.time = r->time,
                                 .tenant = r->tenant,
                                 .key = r->key,
                                 .action = r->action,
                                 .target = r->hide_target ? "" : r->target,
                                 .outcome = r->outcome,
                                 .request = r->request,
                                 .units = counted(r->units),
                                 .client = r->client};
}

struct audit_record commit_audit_record(const struct commit_record *r) {
    struct audit_record a = audit_record_of(r);
    random_bytes(a.salt, sizeof a.salt);
    return a;
}

/* Add to the group's counts; most requests of a group are of few keys and models. */
static size_t add_usage(struct store_usage *usage, size_t count, const struct commit_record *r) {
    const struct store_usage one = {
        .tenant = r->usage_tenant,
        .key = r->key,
        .model = r->target,
        .day = (int32_t)(r->time / DAY_US),
        .requests = 1,
        .errors = strcmp(r->outcome, status_name(STATUS_OK)) != 0,
        .compute_us = counted(r->compute_us),
        .bytes_in = counted(r->bytes_in),
        .bytes_out = counted(r->bytes_out),
    };
    for (size_t i = 0; i < count; i++) {
        struct store_usage *u = &usage[i], sum = *u;
        if (u->tenant != one.tenant || u->day != one.day || strcmp(u->key, one.key) != 0 ||
            strcmp(u->model, one.model) != 0)
            continue;
        sum.requests++;
        sum.errors += one.errors;
        if (__builtin_add_overflow(u->compute_us, one.compute_us, &sum.compute_us) ||
            __builtin_add_overflow(u->bytes_in, one.bytes_in, &sum.bytes_in) ||
            __builtin_add_overflow(u->bytes_out, one.bytes_out, &sum.bytes_out))
            continue;
        *u = sum;
        return count;
    }
    usage[count] = one;
    return count + 1;
}

struct commit_answer *commit_answer_new(bool performed, enum status status, const char *message,
                                        const void *result, size_t result_size) {
    size_t length = strlen(message) + 1;
    struct commit_answer *a = malloc(sizeof *a + length + result_size);
    if (!a)
        return NULL;
    *a = (struct commit_answer){
        .performed = performed, .status = status, .result_size = result_size};
    memcpy(a->message, message, length);
    if (result_size)
        memcpy(a->message + length, result, result_size);
    a->result = (const uint8_t *)a->message + length;
    return a;
}

#define UNRECORDED "the audit log cannot be written; nothing is answered without its record"

void commit_tell(struct link *reply, uint64_t ticket, struct commit_answer *answer,
                 enum status status, uint64_t sequence) {
    enum status sent = STATUS_OK;
    bool good = status == STATUS_OK;
    if (reply && !answer) {
        const struct message_settled m = {.ticket = ticket,
                                          .status =
                                              (uint8_t)(good ? STATUS_OK : STATUS_UNAVAILABLE),
                                          .sequence = good ? sequence : 0};
        sent = link_answer_settled(reply, &m);
    } else if (reply && answer->performed) {
        const struct message_performed m = {
            .status = (uint8_t)(good ? answer->status : STATUS_UNAVAILABLE),
            .message = bytes_text(good ? answer->message : UNRECORDED),
            .result = good ? bytes_of(answer->result, answer->result_size) : bytes_of(NULL, 0),
            .retry_after_s = good ? answer->retry_after_s : 1};
        sent = message_send_performed(reply->socket, &m, NULL, NULL);
    } else if (reply) {
        const struct message_refused m = {
            .status = (uint8_t)(good ? answer->status : STATUS_UNAVAILABLE),
            .message = bytes_text(good ? answer->message : UNRECORDED),
            .retry_after_s = good ? answer->retry_after_s : 1};
        sent = link_answer_refused(reply, &m);
    }
    /* A channel that is gone has nobody waiting; the loop notices its end by itself. */
    if (sent != STATUS_OK)
        log_warn("an answer found nobody waiting ticket=%llu", (unsigned long long)ticket);
    free(answer);
}

uint64_t commit_bound_us(size_t bucket) {
    static const uint64_t bounds[COMMIT_BUCKETS] = {100,   250,   500,    1000,   2500,    5000,
                                                    10000, 25000, 100000, 250000, 1000000, 5000000};
    return bucket < COMMIT_BUCKETS ? bounds[bucket] : UINT64_MAX;
}

/* Under the mutex. */
static void count_group(struct commit_figures *f, uint64_t records, bool good, int64_t us) {
    const uint64_t took = us > 0 ? (uint64_t)us : 0;
    size_t bucket = 0;
    while (bucket < COMMIT_BUCKETS && took > commit_bound_us(bucket))
        bucket++;
    if (bucket < COMMIT_BUCKETS)
        f->durations[bucket]++;
    f->duration_us += took;
    f->groups++;
    *(good ? &f->written : &f->failed) += records;
}

void commit_measure(struct commit *c, struct commit_figures *figures) {
    pthread_mutex_lock(&c->mutex);
    *figures = c->figures;
    figures->queued = c->count;
    pthread_mutex_unlock(&c->mutex);
    figures->queue_limit = QUEUE_MAX;
}

static void wake_loop(const struct commit *c) {
    const uint64_t one = 1;
    if (write(c->completions, &one, sizeof one) < 0)
        log_error("the ledger's loop cannot be woken");
}

bool commit_failing(struct commit *c) {
    return atomic_load(&c->failing);
}

void commit_probe(struct commit *c, int64_t now) {
    const struct commit_record probe = {
        .time = now, .action = "audit.resumed", .outcome = status_name(STATUS_OK)};
    if (commit_failing(c))
        (void)commit_append(c, &probe);
}

static void commit_group(struct commit *c, size_t count) {
    size_t usage_count = 0;
    uint8_t salts[GROUP_MAX][AUDIT_RECORD_SALT_SIZE];
    random_bytes(salts, count * sizeof *salts);
    for (size_t i = 0; i < count; i++) {
        c->records[i] = audit_record_of(&c->group[i]);
        memcpy(c->records[i].salt, salts[i], sizeof *salts);
        if (c->group[i].usage_tenant)
            usage_count = add_usage(c->usage, usage_count, &c->group[i]);
    }
    struct error error = {0};
    const int64_t begun = now_us();
    enum status status =
        store_audit_append(c->store, c->records, count, c->usage, usage_count, &error);
    /* Counted before anybody is answered: who asks afterwards finds its request counted. */
    pthread_mutex_lock(&c->mutex);
    count_group(&c->figures, count, status == STATUS_OK, now_us() - begun);
    pthread_mutex_unlock(&c->mutex);
    /* Said once per outage, not once per group: the log may be on the same full disk. */
    if (atomic_exchange(&c->failing, status != STATUS_OK) != (status != STATUS_OK)) {
        if (status != STATUS_OK)
            log_error("the audit log cannot be written, answers are withheld: %s", error.message);
        else
            log_info("the audit log can be written again");
        wake_loop(c);
    }
    for (size_t i = 0; i < count; i++) {
        struct commit_record *r = &c->group[i];
        commit_tell(r->reply, r->ticket, r->answer, status, c->records[i].seq);
        link_release(r->reply);
    }
}

static void *commit_thread(void *argument) {
    struct commit *c = argument;
    pthread_mutex_lock(&c->mutex);
    for (;;) {
        while (!(c->count && c->due) && !c->jobs && !c->stopping)
            pthread_cond_wait(&c->wake, &c->mutex);
        if (c->count) {
            size_t n = c->count < GROUP_MAX ? c->count : GROUP_MAX;
            for (size_t i = 0; i < n; i++)
                c->group[i] = c->queue[(c->head + i) % QUEUE_MAX];
            c->head = (c->head + (uint32_t)n) % QUEUE_MAX;
            c->count -= (uint32_t)n;
            c->due = c->count != 0;
            pthread_mutex_unlock(&c->mutex);
            commit_group(c, n);
            pthread_mutex_lock(&c->mutex);
        }
        struct commit_job *job = c->jobs;
        if (job) {
            c->jobs = job->next;
            if (!c->jobs)
                c->jobs_end = &c->jobs;
            pthread_mutex_unlock(&c->mutex);
            job->run(job, c->store);
            pthread_mutex_lock(&c->mutex);
            job->next = NULL;
            *c->finished_end = job;
            c->finished_end = &job->next;
            wake_loop(c);
        }
        if (c->stopping && !c->count && !c->jobs)
            break;
    }
    pthread_mutex_unlock(&c->mutex);
    return NULL;
}

enum status commit_start(struct store *store, int completions, struct commit **commit,
                         struct error *error) {
    struct commit *c = calloc(1, sizeof *c);
    if (!c)
        return status_fail(error, STATUS_UNAVAILABLE, "no memory for the commit queue");
    c->store = store;
    c->completions = completions;
    c->spacing = GROUP_WAIT_US;
    c->jobs_end = &c->jobs;
    c->finished_end = &c->finished;
    pthread_mutex_init(&c->mutex, NULL);
    pthread_cond_init(&c->wake, NULL);
    if (pthread_create(&c->thread, NULL, commit_thread, c) != 0) {
        free(c);
        return status_fail(error, STATUS_UNAVAILABLE, "the commit thread cannot be started");
    }
    *commit = c;
    return STATUS_OK;
}

void commit_stop(struct commit *c) {
    if (!c)
        return;
    pthread_mutex_lock(&c->mutex);
    c->stopping = true;
    pthread_cond_signal(&c->wake);
    pthread_mutex_unlock(&c->mutex);
    pthread_join(c->thread, NULL);
    pthread_mutex_destroy(&c->mutex);
    pthread_cond_destroy(&c->wake);
    free(c);
}

bool commit_append(struct commit *c, const struct commit_record *record) {
    int64_t now = now_us();
    pthread_mutex_lock(&c->mutex);
    bool room = c->count < QUEUE_MAX;
    if (room) {
        struct commit_record *r = &c->queue[(c->head + c->count) % QUEUE_MAX];
        *r = *record;
        if (r->reply)
            link_hold(r->reply);
        if (c->count++ == 0)
            c->since = now;
        int64_t gap = now - c->last;
        c->spacing = (7 * c->spacing + (gap < GROUP_WAIT_US ? gap : GROUP_WAIT_US)) / 8;
        c->last = now;
    }
    pthread_mutex_unlock(&c->mutex);
    if (!room)
        commit_tell(record->reply, record->ticket, record->answer, STATUS_UNAVAILABLE, 0);
    return room;
}

int64_t commit_pace(struct commit *c, uint32_t open) {
    int64_t left = -1;
    pthread_mutex_lock(&c->mutex);
    if (c->count && !c->due) {
        left = c->since + GROUP_WAIT_US - now_us();
        if ((uint64_t)c->count * GROUP_SHARE >= (uint64_t)open * open || left <= 0 ||
            c->spacing > GROUP_SLOW_US) {
            c->due = true;
            left = -1;
            pthread_cond_signal(&c->wake);
        }
    }
    pthread_mutex_unlock(&c->mutex);
    return left;
}

void commit_post(struct commit *c, struct commit_job *job) {
    job->next = NULL;
    pthread_mutex_lock(&c->mutex);
    *c->jobs_end = job;
    c->jobs_end = &job->next;
    pthread_cond_signal(&c->wake);
    pthread_mutex_unlock(&c->mutex);
}

void commit_finish(struct commit *c, void *context) {
    uint64_t ignored;
    if (read(c->completions, &ignored, sizeof ignored) < 0)
        ignored = 0;
    pthread_mutex_lock(&c->mutex);
    struct commit_job *job = c->finished;
    c->finished = NULL;
    c->finished_end = &c->finished;
    pthread_mutex_unlock(&c->mutex);
    while (job) {
        struct commit_job *next = job->next;
        job->done(job, context);
        job = next;
    }
}
