/* The API key that a command speaks to a server with: out of a file or the environment, since an
 * argument would be seen by every user of the machine. */
#ifndef ADMIN_KEY_FILE_H
#define ADMIN_KEY_FILE_H

#include "admin/options.h"
#include "base/status.h"

/* The key of --key-file, else of $STRONGROOM_KEY, checked for its form, as a text in secret memory
 * to be freed with secret_free. Files: the tenant's own, trusted. */
MUST_USE enum status key_file_read(const struct options *options, char **key, struct error *error);

#endif
