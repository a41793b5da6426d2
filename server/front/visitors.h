/* Connections from their very beginning: the HTTP library tells of one only after its TLS
 * handshake, which a client that says nothing never ends, and until then it holds a thread.
 *
 * So the handshake itself is watched, through OpenSSL's callbacks on the server's context: at its
 * start the connection is counted against its source address (an IPv6 one with its /64, which is
 * what one host has), and where that has more than its share and a few over, it is shut down there
 * and then. Those few over may finish, to be told why. A connection whose first request has not
 * arrived VISITORS_FIRST_MS after its handshake began is shut down too, by a thread of its own. The
 * count is given back, and the descriptor not touched any more, when OpenSSL frees the connection;
 * the library closes the descriptor after that.
 *
 * Threads: any. The library runs handshake and requests of a connection on one thread. */
#ifndef FRONT_VISITORS_H
#define FRONT_VISITORS_H

#include "base/status.h"
#include "server/front/sources.h"

#include <openssl/ssl.h>
#include <stdbool.h>

#define VISITORS_FIRST_MS 5000 /* for handshake and head of the first request */
#define VISITORS_OVER 4        /* beyond their source's share, to be told so */

/* Watch every connection of this context for the life of the process; once. `sources` outlives the
 * context. */
MUST_USE enum status visitors_watch(SSL_CTX *tls, struct sources *sources, struct error *error);

/* The connection whose handshake this thread has just done: its first request is here. True where
 * its source has more than its share. */
bool visitors_too_many(void);
void visitors_asked(void);

#endif
