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

/* Bound and listening. */
struct http_sockets {
    const int *tls;
    size_t tls_count;
    int plain; /* on loopback, for metrics alone; -1: none */
};

/* Serve on `sockets`. Takes over the context, and on success the sockets. `front->sources` and
 * `front->refusals` must be there. */
MUST_USE enum status http_start(struct front *front, SSL_CTX *tls,
                                const struct http_sockets *sockets, struct http **http,
                                struct error *error);
/* Connections to expect: what http_start makes threads for. */
size_t http_threads(const struct config *config);
void http_stop(struct http *http);

#endif
