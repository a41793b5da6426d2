/* `strongroomd --check`: everything that can be known to be wrong without starting anything. Each
 * finding is a line on standard error with the file, its line where the setting stands in it, the
 * setting, what was found and what was expected. */
#ifndef SERVER_CHECK_H
#define SERVER_CHECK_H

#include "base/config.h"

/* `path` is where the configuration came from. Returns the exit status: 0, or that of the first
 * finding. */
int check_run(const char *path, const struct config *config);

#endif
