/* The admin socket: one JSON object a line in, one JSON object a line out, executed with the same
 * functions that the CLI uses when the server is stopped (tenancy/command.h). Only root and the
 * server's own user are heard (SO_PEERCRED); launch has made the socket for its owner alone. */
#ifndef SERVER_LEDGER_ADMIN_SOCKET_H
#define SERVER_LEDGER_ADMIN_SOCKET_H

#include "server/ledger/state.h"

void admin_socket_accept(struct ledger *ledger, struct link *listener);
void admin_socket_read(struct ledger *ledger, struct link *link);
/* Close connections that have been silent for too long. */
void admin_socket_expire(struct ledger *ledger);

#endif
