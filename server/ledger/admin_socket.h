/* The admin socket: one JSON object a line in, one JSON object a line out, executed with the same
 * functions that the CLI uses when the server is stopped (tenancy/command.h).
 *
 * Who may connect is the socket's mode (launch makes it; admin.group). Root and the server's own
 * user (SO_PEERCRED) may do everything. Everybody else shows an operator's key first, in a line
 * `key sr_...`, which is answered like a command, and then may do what its scopes say, as long as
 * the key is valid; root may show one too, and is then held to it. Connections are bounded, those
 * of one other user too, so that root always finds a place. */
#ifndef SERVER_LEDGER_ADMIN_SOCKET_H
#define SERVER_LEDGER_ADMIN_SOCKET_H

#include "server/ledger/state.h"

void admin_socket_accept(struct ledger *ledger, struct link *listener);
void admin_socket_read(struct ledger *ledger, struct link *link);
/* Close connections that have been silent for too long. */
void admin_socket_expire(struct ledger *ledger);

#endif
