/* The ledger's way to the keeper: one question at a time, from the commit thread or the loop. */
#ifndef SERVER_LEDGER_KEEPER_LINK_H
#define SERVER_LEDGER_KEEPER_LINK_H

#include "base/message.h"

struct keeper_link;

MUST_USE enum status keeper_link_new(struct keeper_link **link, struct error *error);
void keeper_link_free(struct keeper_link *link);
/* A keeper was started (again): its socket, which is taken over. */
void keeper_link_replace(struct keeper_link *link, int socket);

/* Ask the keeper to sign a tenant's recipient. `note` receives the signed note, terminated. The
 * keeper refuses where the wrapped identity is not that tenant's or has another recipient. */
MUST_USE enum status keeper_link_sign(struct keeper_link *link,
                                      const struct message_sign_recipient *question, char *note,
                                      size_t note_size, struct error *error);

#endif
