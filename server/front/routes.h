/* The routes of the HTTPS API. Threads: pure. */
#ifndef FRONT_ROUTES_H
#define FRONT_ROUTES_H

#include "server/front/router.h"

MUST_USE enum status routes_match(const char *method, const char *path, struct route_match *match,
                                  struct error *error);
/* The table, for tests and for the API's description. */
const struct route *routes_table(size_t *count);

#endif
