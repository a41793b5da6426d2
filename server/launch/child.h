/* Starting one process of a role, as base/role.h lays it out.
 *
 * The child waits between fork and exec until launch has attached to it (where the role is traced),
 * so that there is no moment in which somebody else could; then it takes its uid, its limits and
 * its descriptors, and executes the same binary again: fresh address-space randomisation, nothing
 * inherited. It gets a session of its own (a Ctrl-C at a terminal reaches launch alone) and
 * dies with launch.
 *
 * Threads: launch has one. */
#ifndef SERVER_LAUNCH_CHILD_H
#define SERVER_LAUNCH_CHILD_H

#include "base/message.h"
#include "base/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define CHILD_DESCRIPTORS_MAX 16

struct child_plan {
    enum role role;
    uint32_t worker;                        /* its number, for a worker */
    int binary;                             /* descriptor of the program, as opened at the start */
    int config;                             /* sealed memfd with the struct config */
    int descriptors[CHILD_DESCRIPTORS_MAX]; /* the role's own, in the order of base/role.h */
    size_t descriptor_count;
    size_t opened;    /* of these, the first so many were opened for this start alone */
    bool change_user; /* launch is root: become `user` */
    uid_t user;
    gid_t group;
    uint64_t address_space; /* bytes, 0 for no limit */
    uint64_t file_bytes;    /* the longest file, memory in files too; 0 for no limit */
    uint64_t threads;       /* of the user, where change_user; 0 for no limit */
};

/* On success the caller owns *socket (messages between launch and the child) and reaps *pid. */
MUST_USE enum status child_start(const struct child_plan *plan, pid_t *pid, int *socket,
                                 struct error *error);

/* Whether launch attaches to processes of that role: those that hold secrets of others' models. */
bool child_traced(enum role role);

#endif
