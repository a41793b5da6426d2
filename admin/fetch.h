/* The tenant's recipient from a running server: GET /v1/recipient over HTTPS, believed only once
 * its signed note has verified under a key that the tenant has from elsewhere.
 *
 * libcurl does HTTP and TLS (1.2 or newer, certificate and name checked, no redirects, HTTPS only,
 * a bounded answer and a deadline). It keeps a copy of the request's headers, and so of the API
 * key, in ordinary memory for the length of the call. Input: the server's answer is untrusted. */
#ifndef ADMIN_FETCH_H
#define ADMIN_FETCH_H

#include <stddef.h>

#include "base/status.h"
#include "crypto/age_x25519.h"
#include "crypto/note.h"

struct fetch_source {
    const char *url;      /* https://host:port */
    const char *cacert;   /* PEM file to trust instead of the system's authorities; may be NULL */
    const char *key;      /* the API key, terminated, in secret memory */
    const char *verifier; /* note verifier key of the server */
};

/* STATUS_FORBIDDEN where the note does not verify or says other than the answer. `tenant` receives
 * the tenant's name. */
MUST_USE enum status fetch_recipient(const struct fetch_source *source,
                                     char recipient[AGE_X25519_RECIPIENT_SIZE], char *tenant,
                                     size_t tenant_size, struct error *error);

#endif
