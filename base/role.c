#include "base/role.h"

#include <string.h>

enum role role_of_name(const char *name) {
    static const enum role startable[] = {ROLE_KEEPER, ROLE_LEDGER, ROLE_FRONT, ROLE_WORKER};
    for (size_t i = 0; i < sizeof startable / sizeof *startable; i++)
        if (strcmp(name, message_role_name(startable[i])) == 0)
            return startable[i];
    return ROLE_ANY;
}
