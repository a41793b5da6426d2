/* What `strongroom doctor` looks at, one line each.
 *
 * ok: as it should be. weak: it works, and protects less than it could; the reason says what. bad:
 * it does not work, or a promise of the project does not hold; the command then fails. */
#ifndef ADMIN_DOCTOR_H
#define ADMIN_DOCTOR_H

#include <jansson.h>

#include "admin/cli.h"
#include "base/config.h"

enum doctor_verdict { DOCTOR_OK, DOCTOR_WEAK, DOCTOR_BAD };

struct doctor {
    json_t *lines; /* array of {"check", "verdict", "reason"} */
    unsigned counts[3];
};

void doctor_say(struct doctor *doctor, const char *check, enum doctor_verdict verdict,
                const char *format, ...) PRINTF_LIKE(4, 5);

/* Kernel, sandbox, memory, swap: holds for any server on this machine. `allow_unlocked` as the
 * configuration says. */
void doctor_machine(struct doctor *doctor, bool allow_unlocked);
/* Configuration, files and their modes, certificate. */
void doctor_folder(struct doctor *doctor, const struct config *config);
/* The server, or the store where none runs. */
void doctor_store(struct doctor *doctor, const struct cli *cli);

#endif
