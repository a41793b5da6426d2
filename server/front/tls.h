/* The server's TLS: version 1.3 only, no session tickets and no cache (a stolen ticket key would
 * open recorded traffic), certificate chain and key from descriptors that launch has opened.
 *
 * Threads: tls_context at start; the result is OpenSSL's and may be used by all. */
#ifndef FRONT_TLS_H
#define FRONT_TLS_H

#include "base/status.h"

#include <openssl/ssl.h>

/* Reads both descriptors from where they stand (they stay the caller's). The key must be an
 * unencrypted PEM and belong to the certificate. */
MUST_USE enum status tls_context(int certificate, int key, SSL_CTX **context, struct error *error);

#endif
