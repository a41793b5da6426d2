/* What `strongroom doctor` looks at, one line each.
 *
 * ok: as it should be. weak: it works, and protects less than it could; the reason says what. bad:
 * it does not work, or a promise of the project does not hold; the command then fails. */
#ifndef ADMIN_DOCTOR_H
#define ADMIN_DOCTOR_H

#include <jansson.h>
#include <sys/types.h>

#include "admin/cli.h"
#include "base/config.h"

struct connection;

enum doctor_verdict { DOCTOR_OK, DOCTOR_WEAK, DOCTOR_BAD };

struct doctor {
    json_t *lines; /* array of {"check", "verdict", "reason"} */
    unsigned counts[3];
};

void doctor_say(struct doctor *doctor, const char *check, enum doctor_verdict verdict,
                const char *format, ...) PRINTF_LIKE(4, 5);

/* Kernel, sandbox, memory, swap: holds for any server on this machine. `allow_unlocked` as the
 * configuration says. What binds a process (its user, how much memory it may lock) is looked up at
 * `server`, the process id of launch; where that is 0 or cannot be looked at, the facts are those
 * of this command's own process, and the reasons say so. */
void doctor_machine(struct doctor *doctor, bool allow_unlocked, pid_t server);
/* Configuration, files and their modes, certificate. */
void doctor_folder(struct doctor *doctor, const struct config *config);
/* The server, or the store where none runs; `connection` is NULL where `why` says why. */
void doctor_store(struct doctor *doctor, struct connection *connection, const struct error *why);

#endif
