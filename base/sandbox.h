/* The sandbox of a role, from the text in policies/sandbox/<role>.policy, which the build turns
 * into a table: that file is the only place where a rule stands, and says why for each.
 *
 * sandbox_enter does, in this order: limits (no core, file size, processes where the policy names
 * them), drops every capability but those the policy keeps, not dumpable, no_new_privs, Landlock
 * (no file at all but the folders that the policy names and the caller gives; no TCP bind or
 * connect unless the policy says so, where the kernel has that; from kernel 6.12 on no signals and
 * no abstract sockets to the outside), and last seccomp on all threads: a system call that the
 * policy does not name ends the process.
 *
 * Call it once, in the main thread, before the first thread is made (Landlock binds the calling
 * thread and those that it makes; STATUS_INTERNAL where there is a second one already). It fails
 * closed: whatever cannot be engaged is an error with a plain message, after which the process
 * must exit. */
#ifndef BASE_SANDBOX_H
#define BASE_SANDBOX_H

#include "base/message.h"
#include "base/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A folder that the policy names (`write store`), as an open descriptor that stays the caller's. */
struct sandbox_folder {
    const char *name;
    int descriptor;
};

/* Every folder of the policy must be among `folders`, and none besides. */
MUST_USE enum status sandbox_enter(enum role role, const struct sandbox_folder *folders,
                                   size_t folder_count, struct error *error);

/* What this machine offers, for `doctor`: 0 where there is no Landlock. */
int sandbox_landlock_version(void);
bool sandbox_seccomp_available(void);

/* The policy, for tests and for `doctor`: the rules of a role as the build has read them. */
enum sandbox_action { SANDBOX_ALLOW, SANDBOX_ERRNO };
struct sandbox_condition {
    unsigned argument;    /* 0 to 5 */
    uint64_t mask, value; /* holds where (argument & mask) == value */
};
struct sandbox_rule {
    const char *syscall;
    enum sandbox_action action;
    int error_number;
    unsigned condition_count; /* all of them must hold; several rules for a call: any of them */
    struct sandbox_condition conditions[3];
};
const struct sandbox_rule *sandbox_rules(enum role role, size_t *count);
const char *const *sandbox_folders(enum role role, size_t *count);

#endif
