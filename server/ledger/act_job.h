/* One act under way: a PERFORM, or the making of an upload, carried out on the commit thread or the
 * desk while the loop goes on. An act and its record are one transaction where it changes the
 * store; what only reads is recorded when it is answered.
 *
 * Threads: made and ended on the loop; `run` on the thread that it was posted to, which touches the
 * act alone, never the ticket. */
#ifndef SERVER_LEDGER_ACT_JOB_H
#define SERVER_LEDGER_ACT_JOB_H

#include "base/message.h"
#include "server/ledger/state.h"

/* What was asked, out of PERFORM: texts are terminated, "" and 0 where nothing was given. */
struct act_question {
    uint32_t limit;
    uint64_t before, from, to, expires, payload_bytes;
    bool ready;
    char after[MESSAGE_CURSOR_MAX + 1];
    char key[MESSAGE_NAME_MAX + 1];
    char model[MESSAGE_TARGET_MAX + 1];
    char action[MESSAGE_NAME_MAX + 1];
    char outcome[MESSAGE_NAME_MAX + 1];
    char request[MESSAGE_REQUEST_ID_MAX + 1];
    char label[MESSAGE_NAME_MAX + 1];
    char scopes[MESSAGE_SCOPES_MAX + 1];
};

/* The ticket stays put until `done`, whoever gives it up. */
struct act {
    struct commit_job job;
    struct ledger *ledger;
    struct ticket *ticket;
    enum message_action action;
    struct commit_record record; /* a copy: the job must not touch the loop's ticket */
    int64_t tenant, model;
    char name[NAME_MAX_LENGTH + 1], version[NAME_MAX_LENGTH + 1];
    uint8_t commitment[STORE_COMMITMENT_SIZE];
    int payload; /* descriptor, or -1 */
    struct act_question question;
    enum status status;      /* out */
    struct error error;      /* out */
    struct store_model made; /* out */
    char *result;            /* out: JSON, from malloc, or from secret_alloc where `secret` */
    size_t result_size;
    bool secret;
    void *context; /* the run's, for its done */
    size_t header_size;
    uint8_t header[]; /* of an upload */
};

typedef void act_run(struct commit_job *job, struct store *store);
typedef void act_done(struct commit_job *job, void *ledger);

/* NULL where memory is short. */
struct act *act_job_new(struct ledger *ledger, struct ticket *ticket, struct bytes header,
                        act_run *run, act_done *done);
void act_job_free(struct act *act);

/* End the ticket of an act that is recorded (or could not be), with its answer. */
void act_job_finish(struct ledger *ledger, struct ticket *ticket, enum status status,
                    const char *message, const char *result, size_t result_size);
/* End it with a record of its own, which the answer waits for. */
void act_job_record(struct ledger *ledger, struct ticket *ticket, enum status status,
                    const char *message, const char *result, size_t result_size);
/* `done` of what only reads, or changed the store without a record: record and answer. */
act_done act_job_done;

void act_job_close_upload(struct ticket *ticket);
/* Where a model's payload lies in the store folder. */
void act_job_model_path(int64_t model, char *path, size_t size);
/* The model's JSON in answers to acts, from malloc; NULL where memory is short. */
char *act_job_model_json(const char *name, const char *version, const char *state, size_t *size);

#endif
