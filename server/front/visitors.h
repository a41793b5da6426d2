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
#include "server/front/refusals.h"
#include "server/front/sources.h"

#include <openssl/ssl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define VISITORS_FIRST_MS 5000 /* for handshake and head of the first request */
#define VISITORS_OVER 4        /* beyond their source's share, to be told so */

/* What the handshake has established. */
struct visitors_peer {
    uint32_t tls_version; /* 12 or 13; 0: no TLS */
    bool has_certificate; /* the client has shown one that the configured authorities vouch for */
    uint8_t certificate[32]; /* its SHA-256 */
};

/* Watch every connection of this context for the life of the process; once. `sources` and
 * `refusals` outlive the context. */
MUST_USE enum status visitors_watch(SSL_CTX *tls, struct sources *sources,
                                    struct refusals *refusals, struct error *error);
/* Watch those of another context too, which takes over handshakes that the first began. */
void visitors_attach(SSL_CTX *tls);

/* Connections whose first request has not arrived. */
size_t visitors_waiting(void);

/* The connection whose handshake this thread has just done: its first request is here. True where
 * its source has more than its share. */
bool visitors_too_many(void);
void visitors_asked(void);
struct visitors_peer visitors_peer(void);
/* Seconds for which its source is turned away for want of valid keys; 0: it is not. */
uint32_t visitors_wait(void);
/* It had no valid key. */
void visitors_refused(void);

#endif
