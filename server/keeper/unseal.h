/* What the keeper does for others: it opens a model's header for the tenant whose socket asked, and
 * signs a tenant's recipient. Both begin with the tenant's wrapped identity, an age file sealed to
 * the root whose plaintext names the tenant.
 *
 * Headers and wrapped identities are untrusted: scrypt stanzas are refused (a passphrase is work
 * that anyone could ask for) and stanzas are capped. Messages are fit for the tenant. */
#ifndef SERVER_KEEPER_UNSEAL_H
#define SERVER_KEEPER_UNSEAL_H

#include "base/buf.h"
#include "base/message.h"
#include "server/keeper/keyring.h"

#define UNSEAL_STANZAS_MAX 16

/* The file key of `header`, into secret memory of the caller. `tenant` is the uid that the asking
 * socket belongs to: STATUS_FORBIDDEN where the identity is another tenant's. */
MUST_USE enum status unseal_file_key(const struct keyring *keys, const char *tenant,
                                     struct bytes header, struct bytes wrapped,
                                     uint8_t file_key[AGE_FILE_KEY_SIZE], struct error *error);

/* Does the root open this identity, and is it that tenant's? For `strongroomd --check`. */
MUST_USE enum status unseal_check(const struct keyring *keys, const char *tenant,
                                  struct bytes wrapped, struct error *error);

/* A signed note (base/recipient_text.h) into `out`, for a recipient that is the wrapped
 * identity's own: STATUS_FORBIDDEN where uid, name or recipient are not what is sealed there, or
 * no name is: else who holds the ledger could have one tenant's recipient signed under the name of
 * another. */
MUST_USE enum status unseal_sign_recipient(const struct keyring *keys,
                                           const struct message_sign_recipient *asked,
                                           struct buf *out, struct error *error);

#endif
