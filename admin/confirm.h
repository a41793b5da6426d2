/* The question before something is destroyed for good. */
#ifndef ADMIN_CONFIRM_H
#define ADMIN_CONFIRM_H

#include "admin/cli.h"

enum confirm { CONFIRM_YES, CONFIRM_NO, CONFIRM_CANNOT_ASK };

/* --yes, or the answer of who sits at the terminal. CONFIRM_CANNOT_ASK, with the reason in `error`,
 * where there is no terminal to ask on, or the result is to be JSON. */
MUST_USE enum confirm confirm_ask(const struct cli *cli, struct error *error);

#endif
