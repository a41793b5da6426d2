/* To the store, whoever has it: the running server over its admin socket, or, where none runs, the
 * store itself under its lock with the same functions (tenancy/command.h).
 *
 * STRONGROOM_SOCKET names the socket of a server whose folder this user cannot read, and
 * STRONGROOM_OPERATOR_KEY a file with an operator's key, which is shown first: for who is neither
 * root nor the server's user.
 *
 * The socket is tried first: a server that runs listens there, and a socket that refuses is left
 * over from one that was killed. The lock decides in the end, so that both never write. */
#ifndef ADMIN_CONNECTION_H
#define ADMIN_CONNECTION_H

#include <jansson.h>
#include <sys/types.h>

#include "admin/cli.h"
#include "base/config.h"

#define CONNECTION_SOCKET "admin.sock"

struct connection;

MUST_USE enum status connection_open(const struct cli *cli, struct connection **connection,
                                     struct error *error);
void connection_close(struct connection *connection);
/* True where a running server answers. */
bool connection_is_server(const struct connection *connection);
/* Process id of the server's launch, which made the socket; 0 where none runs or none is told. */
pid_t connection_server_pid(const struct connection *connection);

/* Carry out `request`, whose reference is taken (NULL is reported as want of memory); *result is a
 * new reference. */
MUST_USE enum status connection_call(struct connection *connection, json_t *request,
                                     json_t **result, struct error *error);

/* Open, call once, close: what most subcommands do. */
MUST_USE enum status connection_once(const struct cli *cli, json_t *request, json_t **result,
                                     struct error *error);

#endif
