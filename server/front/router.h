/* The table of routes, and the strict reading of paths.
 *
 * A path is taken as it came over the wire, still percent-encoded. It must begin with `/` and hold
 * no empty segment, no dot segment (encoded or not), no `%00` or other control character, no bad
 * escape and nothing that is not ASCII: such a path is malformed (STATUS_INVALID), whatever it
 * would have meant. A trailing `/` is no route. HEAD is taken for GET, wherever that is.
 *
 * Threads: pure. Input: untrusted. */
#ifndef FRONT_ROUTER_H
#define FRONT_ROUTER_H

#include "base/message.h"
#include "base/name.h"
#include "base/status.h"

#include <stdbool.h>
#include <stddef.h>

#define ROUTER_PATH_MAX 1024
#define ROUTER_ALLOW_MAX 64

struct exchange;

struct route {
    const char *method;
    const char *pattern; /* `{m}` a model, `{v}` a version, `{k}` a key's id, `{r}` any segment */
    bool open;           /* no key needed; `action` is not used then */
    enum message_action action;
    /* Answers the exchange, which has been admitted (unless `open`). */
    void (*handle)(struct exchange *exchange);
    bool takes_query; /* otherwise a query string is refused */
};

struct route_match {
    const struct route *route; /* NULL where nothing matched */
    char model[NAME_MAX_LENGTH + 1];
    char version[NAME_MAX_LENGTH + 1];
    char key[NAME_MAX_LENGTH + 1];
    char allow[ROUTER_ALLOW_MAX]; /* methods that the path has, where only the method is wrong */
};

/* Find the route in `table`: the first that matches, so a literal segment stands before a name that
 * it could be taken for. STATUS_OK with match->route; STATUS_NOT_FOUND (no such path, or a
 * name that cannot be one); STATUS_METHOD with match->allow, for HEAD_WHOLE_SERVER of all routes;
 * STATUS_UNIMPLEMENTED for a method that neither HTTP (RFC 9110, RFC 5789) nor the table knows, on
 * whatever path; STATUS_INVALID. */
MUST_USE enum status router_match(const struct route *table, size_t count, const char *method,
                                  const char *path, struct route_match *match, struct error *error);

#endif
