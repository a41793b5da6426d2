/* The tenant's recipient from a running server: GET /v1/recipient over HTTPS, believed only once
 * its signed note has verified under a key that the tenant has from elsewhere, and names the tenant
 * that is meant: the signature alone would let who edits the store answer with another tenant's
 * note, which the server signed as well.
 *
 * HTTPS as in https.h. Input: the server's answer is untrusted. */
#ifndef ADMIN_FETCH_H
#define ADMIN_FETCH_H

#include <stddef.h>

#include "base/message.h"
#include "base/name.h"
#include "base/status.h"
#include "crypto/age_x25519.h"
#include "crypto/note.h"

struct fetch_source {
    const char *url;      /* https://host:port */
    const char *cacert;   /* PEM file to trust instead of the system's authorities; may be NULL */
    const char *key;      /* the API key, terminated, in secret memory */
    const char *verifier; /* note verifier key of the server */
    const char *tenant;   /* name or uid of whom the recipient must be, known from elsewhere */
};

/* What a believed note says. */
struct fetch_target {
    char recipient[AGE_X25519_RECIPIENT_SIZE];
    char name[NAME_MAX_LENGTH + 1]; /* of the tenant */
    char uid[MESSAGE_UID_MAX + 1];
};

/* STATUS_FORBIDDEN where the note does not verify or is for another tenant. */
MUST_USE enum status fetch_recipient(const struct fetch_source *source, struct fetch_target *target,
                                     struct error *error);

#endif
