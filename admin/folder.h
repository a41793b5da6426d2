/* The server's folder as the CLI sees it: its configuration, and its root keys for the acts that
 * take them while the server is stopped. */
#ifndef ADMIN_FOLDER_H
#define ADMIN_FOLDER_H

#include "admin/cli.h"
#include "base/config.h"
#include "store/types.h"

/* Read the configuration: --config, else strongroom.yaml in the folder, else the defaults that hold
 * there. STATUS_NOT_FOUND, with a hint at `init`, where the folder is not there. */
MUST_USE enum status folder_config(const struct cli *cli, struct config *config,
                                   struct error *error);

/* What the keeper does while the server runs: check that `wrapped` holds an identity of this tenant
 * with this recipient, and sign uid, name and recipient with the signing key. Both keys are read
 * into secret memory and wiped before this returns. */
MUST_USE enum status folder_sign_recipient(const struct config *config,
                                           const struct store_tenant *tenant, char *note,
                                           size_t note_size, struct error *error);

#endif
