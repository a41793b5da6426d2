/* The commit thread: everything that the ledger writes goes through it, so that the loop never
 * waits for a disk. Records of finished requests are committed in groups: a group gathers while
 * the last one is being written and, where records come fast, for up to two milliseconds while more
 * are to be expected. Other writes are jobs, done one by one in between.
 *
 * A SETTLED message leaves only after its record is durable; where the record could not be
 * written it says so, and front answers 503. The commit thread sends it itself. */
#ifndef SERVER_LEDGER_COMMIT_H
#define SERVER_LEDGER_COMMIT_H

#include "base/message_table.h"
#include "base/status.h"
#include "server/ledger/link.h"
#include "store/store.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct commit;

/* What front is told once the record is durable, instead of SETTLED. One allocation, freed by the
 * commit thread: the JSON of an act, or why not. */
struct commit_answer {
    bool performed; /* PERFORMED, else REFUSED */
    enum status status;
    uint32_t retry_after_s;
    size_t result_size;
    const uint8_t *result; /* inside this allocation */
    char message[];        /* terminated; the result's bytes follow */
};

/* NULL where memory is short. */
struct commit_answer *commit_answer_new(bool performed, enum status status, const char *message,
                                        const void *result, size_t result_size);

/* One record with its strings inside, so that it outlives the ticket it was made from. */
struct commit_record {
    int64_t time; /* microseconds since the epoch */
    char tenant[STORE_UID_LENGTH + 1];
    char key[STORE_KEY_ID_MAX + 1];
    const char *action; /* static */
    char target[STORE_MODEL_NAME_MAX + 1];
    const char *outcome; /* static */
    char request[MESSAGE_REQUEST_ID_MAX + 1];
    char client[MESSAGE_CLIENT_MAX + 1];
    bool hide_target; /* it counts for usage, and does not stand in the record */
    uint64_t units;

    int64_t usage_tenant; /* row id; 0: nothing is added to usage */
    uint64_t compute_us, bytes_in, bytes_out;

    struct link *reply; /* held; the answer goes there. NULL: nobody waits */
    uint64_t ticket;
    struct commit_answer *answer; /* owned once queued; NULL: SETTLED is the answer */
};

/* A write with its own answer. `run` is called on the commit thread, `done` afterwards on the
 * loop, which then owns the job again. */
struct commit_job {
    struct commit_job *next; /* the commit thread's */
    void (*run)(struct commit_job *job, struct store *store);
    void (*done)(struct commit_job *job, void *context);
};

/* `completions` is an eventfd that is written when jobs are done, or writing begins or ceases to
 * fail. */
MUST_USE enum status commit_start(struct store *store, int completions, struct commit **commit,
                                  struct error *error);
/* Ends the thread after everything queued is written. NULL is safe. */
void commit_stop(struct commit *commit);

/* Queue a record; its `reply` is held by this call. False where the queue is full: then whoever
 * waits has been told that it is unavailable, and the answer was freed. */
bool commit_append(struct commit *commit, const struct commit_record *record);
/* Have the queue written if it is worth it: the loop calls this before it waits; without it nothing
 * that was appended is written. `open` requests are under way and will join. Microseconds until it
 * wants to be called again, -1: no need. */
int64_t commit_pace(struct commit *commit, uint32_t open);
/* The last group could not be written. The loop is woken (`completions`) when that changes. Any
 * thread. */
bool commit_failing(struct commit *commit);
/* Where that is so, try with a record that says that records are written again: nobody may ask
 * anything before readiness is true again, so somebody has to try. `now` as in records. */
void commit_probe(struct commit *commit, int64_t now);
/* What has been written so far, and what waits. */
#define COMMIT_BUCKETS 12 /* upper bounds of commit_bound_us; what took longer is in none */
struct commit_figures {
    uint64_t written, failed; /* records */
    uint64_t groups;          /* transactions, with those that failed */
    uint64_t durations[COMMIT_BUCKETS], duration_us;
    uint32_t queued, queue_limit;
};
void commit_measure(struct commit *commit, struct commit_figures *figures);
uint64_t commit_bound_us(size_t bucket);
void commit_post(struct commit *commit, struct commit_job *job);
/* Call `done` of every finished job, on the loop. */
void commit_finish(struct commit *commit, void *context);

/* Tell the one who waits, without a record: because it is recorded already, or because it could
 * not be (`status` not OK: unavailable, whatever the answer says). Frees the answer. */
void commit_tell(struct link *reply, uint64_t ticket, struct commit_answer *answer,
                 enum status status, uint64_t sequence);

/* The store's form of a record: borrows the strings, draws the salt. */
struct audit_record commit_audit_record(const struct commit_record *record);

#endif
