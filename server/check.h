/* `strongroomd --check`: everything that can be known to be wrong without starting anything. Each
 * finding is a line on standard error: file:line:column where the setting stands in the file, the
 * setting, what was found and what was expected. With the server stopped the store is looked at
 * too, and nothing in it is changed. */
#ifndef SERVER_CHECK_H
#define SERVER_CHECK_H

#include "base/config.h"

/* How many faults the text at `path` has, all of them told; 0 where it cannot be read. */
size_t check_text(const char *path);
/* `path` is where the configuration came from. Returns the exit status: 0, or that of the first
 * finding. */
int check_run(const char *path, const struct config *config);

#endif
