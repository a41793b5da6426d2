/* The keeper's own secrets: the root identities and the signing key, in secret memory.
 *
 * The root file is an age identity file (several identities may stand in it, so that a root can be
 * replaced: what was sealed to the old one still opens). The signing key is a C2SP note key, in an
 * age file sealed to the root. */
#ifndef SERVER_KEEPER_KEYRING_H
#define SERVER_KEEPER_KEYRING_H

#include "base/status.h"
#include "crypto/age.h"
#include "crypto/note.h"

#include <stdbool.h>

struct keyring {
    struct age_keyfile *root;   /* secret memory */
    struct note_signer *signer; /* secret memory */
};

/* Reads both descriptors to their ends; closing them is the caller's. */
MUST_USE enum status keyring_load(int root_identity, int signing_key, struct keyring *keys,
                                  struct error *error);
/* Would a keeper start with these? In a process that does nothing else: this sets up the memory for
 * secrets, in unlocked memory too where `allow_unlocked`, and gives everything back. *field
 * becomes the setting of the one that is at fault. Where they are good, `use` (unless NULL) is
 * called with them, and what it returns is the result. */
typedef enum status keyring_use(void *context, const struct keyring *keys, struct error *error);
MUST_USE enum status keyring_check(int root_identity, int signing_key, bool allow_unlocked,
                                   const char **field, keyring_use *use, void *context,
                                   struct error *error);
/* Wipes. NULL and a struct of zeros are fine. */
void keyring_free(struct keyring *keys);

#endif
