/* Which scope of an operator's key a command takes. A command that has no row here is for root and
 * the server's own user alone. Threads: pure. */
#ifndef TENANCY_PERMISSION_H
#define TENANCY_PERMISSION_H

#include "base/status.h"

#include <stdint.h>

/* STATUS_FORBIDDEN, with the scope that is missing, where `scopes` do not allow `command`. */
MUST_USE enum status permission_check(uint32_t scopes, const char *command, struct error *error);

#endif
