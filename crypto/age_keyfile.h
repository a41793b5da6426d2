/* Identity files: lines of AGE-SECRET-KEY-1..., blank lines, and comments that begin with '#', as
 * age-keygen writes and `age -i` reads them. The comments `# tenant: <uid>` and `# name: <name>`
 * say whose the identity is; they hold for the file. Everything here is secret but the comments:
 * the text, and the struct, stand in secret memory. */
#ifndef CRYPTO_AGE_KEYFILE_H
#define CRYPTO_AGE_KEYFILE_H

#include <stddef.h>

#include "base/buf.h"
#include "base/status.h"
#include "crypto/age_x25519.h"

#define AGE_KEYFILE_MAX 16384     /* bytes of a file */
#define AGE_KEYFILE_IDENTITIES 32 /* identities in one */
#define AGE_KEYFILE_TENANT 65     /* characters of a tenant, with the NUL */

struct age_keyfile {
    struct age_identity identities[AGE_KEYFILE_IDENTITIES];
    size_t count;
    char tenant[AGE_KEYFILE_TENANT]; /* "" where no comment names one */
    char name[AGE_KEYFILE_TENANT];   /* the same */
};

/* A keyfile in secret memory; free with secret_free. STATUS_INVALID names the line that is wrong
 * and never quotes it; at least one identity is required, two different tenants or
 * names are refused. */
MUST_USE enum status age_keyfile_parse(const char *text, size_t length, struct age_keyfile **out,
                                       struct error *error);
/* Append the file for one identity: tenant and name (each may be NULL) and recipient as comments,
 * then the identity. `out` stands in secret memory; overflow shows as out->failed. */
void age_keyfile_write(struct buf *out, const struct age_identity *identity, const char *tenant,
                       const char *name);

#endif
