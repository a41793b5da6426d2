/* The one authorisation gate: every request passes here before a handler sees it, and nothing is
 * answered without it but the routes that are marked open.
 *
 *   screen the headers -> find the route -> (open: answer) -> ask ledger, on the headers alone ->
 *   refused: answer, close -> no such route: 404 or 405 -> the route's handler
 *
 * A path that does not exist is answered 401 without a valid key, like any other: what exists is
 * not shown to strangers. After a refusal with a body under way the connection closes.
 *
 * Threads: the connection's. */
#ifndef FRONT_GATE_H
#define FRONT_GATE_H

#include "server/front/exchange.h"

/* `fields` are the request's headers; the values of those that hold the key are wiped. Where they
 * are not `intact` (a line of the head was not understood) the request is refused. */
void gate_handle(struct exchange *exchange, const char *version, const struct screen_field *fields,
                 size_t field_count, bool intact);

/* A request that is refused before its key is looked at, here or by the library: not recorded by
 * itself, but counted by ledger with its source. */
void gate_report_malformed(struct front_thread *thread, const char *client);

#endif
