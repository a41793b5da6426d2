/* Notices that the certificate or its key has changed, so that front can be given the new files.
 *
 * Certificates are renewed in many ways: the files are written anew, others are renamed over them,
 * or they are symbolic links that are turned to another file or another folder (Let's Encrypt's
 * live/ and archive/, mounted secrets of Kubernetes). So it is not the files that are watched but
 * every folder on the way to them in which a name could come to mean something else, and what
 * counts is whether the paths lead to other files than before. Folders that cannot be watched, or
 * that change unseen (network file systems), are covered by a look every RENEWAL_LOOK_MS.
 *
 * The certificate and the key change one after the other: a change is acted upon RENEWAL_SETTLE_MS
 * after it was first seen, and front refuses a pair that does not belong together.
 *
 * Threads: launch has one. Times are milliseconds of CLOCK_MONOTONIC. */
#ifndef SERVER_LAUNCH_RENEWAL_H
#define SERVER_LAUNCH_RENEWAL_H

#include "base/config.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <time.h>

#define RENEWAL_LOOK_MS 5000
#define RENEWAL_SETTLE_MS 300

/* What a path leads to. All zero: nothing. */
struct renewal_file {
    dev_t device;
    ino_t inode;
    off_t size;
    struct timespec modified, changed;
};

struct renewal {
    const struct config *config;
    int inotify; /* -1: looks alone */
    struct renewal_file seen[2];
    uint64_t due; /* when to look next */
    bool forced;  /* by SIGHUP: whether anything changed or not */
};

/* `config` outlives it. What is there now counts as known. */
void renewal_open(struct renewal *renewal, const struct config *config, uint64_t now);
void renewal_close(struct renewal *renewal);
/* The inotify descriptor is readable. */
void renewal_stirred(struct renewal *renewal, uint64_t now);
void renewal_force(struct renewal *renewal, uint64_t now);
/* To be called once `due` is reached: true where the files are others than before. */
bool renewal_changed(struct renewal *renewal, uint64_t now);

#endif
