/* The server's TLS: 1.3 (1.2 where the configuration allows it), no session tickets and no cache (a
 * stolen ticket key would open recorded traffic), certificate chain and key from descriptors that
 * launch has opened, and client certificates where there is an authority for them.
 *
 * Renewal. Every handshake takes certificate and key from the context that is current when its
 * first message arrives, and keeps it to its end: tls_renew puts another context in its place at
 * once, and no connection sees a half of each.
 *
 * Threads: tls_context anywhere; tls_serve once, before the first connection; tls_renew then from
 * any thread. */
#ifndef FRONT_TLS_H
#define FRONT_TLS_H

#include "base/status.h"

#include <openssl/ssl.h>
#include <stdint.h>

struct tls_files {
    int certificate, key;
    int client_ca; /* -1: clients are not asked for certificates */
};

/* Reads the descriptors from where they stand (they stay the caller's). The key must be an
 * unencrypted PEM and belong to the certificate; a handshake with itself must succeed. `minimum` is
 * 12 or 13. On failure *field, where it is not NULL, is the setting at fault. */
MUST_USE enum status tls_context(const struct tls_files *files, uint32_t minimum, SSL_CTX **context,
                                 const char **field, struct error *error);
/* Close those that are open. */
void tls_close(struct tls_files *files);

/* Connections of `context` use its certificate until tls_renew gives another. */
void tls_serve(SSL_CTX *context);
/* A context for a new certificate and key, with everything else as in the one that serves. */
MUST_USE enum status tls_renewed(int certificate, int key, uint32_t minimum, SSL_CTX **context,
                                 struct error *error);
/* Takes over `context`. */
void tls_renew(SSL_CTX *context);

#endif
