/* What the parts of launch share. One thread; the loop is in launch.c. */
#ifndef SERVER_LAUNCH_STATE_H
#define SERVER_LAUNCH_STATE_H

#include "base/message.h"
#include "server/launch/backoff.h"
#include "server/launch/renewal.h"
#include "server/launch/resources.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define LAUNCH_WORKERS_MAX 1024

/* keeper, ledger, front: one each, started again when dead. */
struct core {
    pid_t pid;      /* 0: not running */
    int socket;     /* -1 with pid 0 */
    bool ready;     /* has said READY */
    bool was_ready; /* at least once since launch began: a failure before that ends the server */
    struct backoff backoff;
};

/* A tenant's worker, or the memory of one that died. */
struct worker {
    bool used;
    char tenant[MESSAGE_UID_MAX + 1];
    uint32_t number; /* changes with every start */
    pid_t pid;
    int socket;
    bool wanted;     /* ledger asked for it, and it waits for the end of its pause */
    bool introduced; /* ready, and known to the others */
    bool stopped;    /* on purpose, by ledger's word */
    bool forgiven;   /* ended with its ledger or the server: it starts again without a pause */
    struct backoff backoff;
};

enum phase { PHASE_RUNNING, PHASE_FRONT_DRAINS, PHASE_LEDGER_DRAINS, PHASE_OVER };

struct launch {
    struct resources resources;
    struct renewal renewal;
    struct core core[ROLE_WORKER]; /* by enum role: keeper, ledger, front */
    struct worker workers[LAUNCH_WORKERS_MAX];
    uint32_t next_worker;
    enum phase phase;
    uint64_t phase_ends; /* ms; PHASE_RUNNING has no end */
    int exit_status;
    bool announced;
};

/* --- core.c: keeper, ledger, front ------------------------------------------------------------ */

/* Start every core role that is not running and whose pause is over. */
void core_start_due(struct launch *launch, uint64_t now);
/* It has said READY: introduce it to the others. */
void core_ready(struct launch *launch, enum role role);
/* The certificate or its key has changed: front is given the files. */
void core_renew(struct launch *launch);
void core_died(struct launch *launch, enum role role, const char *how, uint64_t now);
/* Its socket broke or it spoke nonsense: end it; the rest follows when it is reaped. */
void core_kill(struct launch *launch, enum role role);

/* --- fleet.c ---------------------------------------------------------------------------------- */

void fleet_want(struct launch *launch, const char *tenant, uint64_t now);
void fleet_stop(struct launch *launch, uint32_t number);
void fleet_start_due(struct launch *launch, uint64_t now);
void fleet_ready(struct launch *launch, struct worker *worker);
void fleet_died(struct launch *launch, struct worker *worker, const char *how, uint64_t now);
void fleet_kill_all(struct launch *launch);
/* Keeper or front was started again: give it, and every live worker, new sockets. */
void fleet_reintroduce(struct launch *launch, enum role role);
struct worker *fleet_by_pid(struct launch *launch, pid_t pid);
/* Bytes of tensors in a slot of a ring. */
uint64_t fleet_slot_bytes(const struct config *config);

#endif
