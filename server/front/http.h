/* CivetWeb, set up for the front: TLS only, no files, a thread for each connection, every request
 * through the gate. What the library answers by itself (a head it cannot parse) has the same shape
 * as our errors.
 *
 * Threads: http_start once; the library's threads call back. */
#ifndef FRONT_HTTP_H
#define FRONT_HTTP_H

#include "base/status.h"
#include "server/front/front.h"

#include <openssl/ssl.h>
#include <stddef.h>

struct http;

/* Serve on `listeners` (bound and listening). Takes over the context, and on success the
 * listeners. `front->sources` must be there. */
MUST_USE enum status http_start(struct front *front, SSL_CTX *tls, const int *listeners,
                                size_t count, struct http **http, struct error *error);
/* Connections to expect: what http_start makes threads for. */
size_t http_threads(const struct config *config);
void http_stop(struct http *http);

#endif
