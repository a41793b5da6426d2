/* Serving on sockets that launch has bound: CivetWeb can only open its own.
 *
 * So it is let open one for each of ours, "127.0.0.1:0s", and before anybody could connect to it,
 * ours is put in its place, under the same descriptor number (dup3). In the sandbox its bind and
 * listen do nothing at all: the policy answers them with success, and the socket, never bound and
 * unable to connect, only keeps the number.
 *
 * Threads: listener_note before the server starts, listener_replace right after; the others
 * after that, one thread. */
#ifndef FRONT_LISTENER_H
#define FRONT_LISTENER_H

#include "base/role.h"
#include "base/status.h"

#include <stdbool.h>
#include <stddef.h>

#define LISTENER_DESCRIPTORS_MAX 4096

/* The value of CivetWeb's listening_ports for `count` sockets with TLS and, where `plain`, one
 * without after them. */
#define LISTENER_PORTS_MAX ((ROLE_LISTENERS_MAX + 1) * sizeof "127.0.0.1:0s,")
void listener_ports(size_t count, bool plain, char out[LISTENER_PORTS_MAX]);

/* Which descriptors are stream sockets of the Internet, now, before the server starts. */
struct listener_note {
    unsigned char known[LISTENER_DESCRIPTORS_MAX / 8];
};
void listener_note(struct listener_note *note);

/* Put `sockets` in the place of those that have appeared since, in order; `sockets` are closed.
 * STATUS_INTERNAL where there are not exactly as many. */
MUST_USE enum status listener_replace(const struct listener_note *note, const int *sockets,
                                      size_t count, struct error *error);

/* From now on a connection is accepted as soon as it is there, not with its first bytes: none is
 * left for listener_end to reset because its client took a moment. */
void listener_hurry(void);
/* Refuse who comes from now on, at a moment when everyone who came is accepted (or after a tenth of
 * a second). The socket itself ends, so it does for launch's descriptor too. */
void listener_end(void);

#endif
