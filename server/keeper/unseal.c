#include "server/keeper/unseal.h"

#include "base/recipient_text.h"
#include "crypto/secret.h"

#include <string.h>

/* The tenant's identity file, opened and checked to be `tenant`'s. */
static enum status unseal_identity(const struct keyring *keys, struct bytes tenant,
                                   struct bytes wrapped, struct age_keyfile **out,
                                   struct error *error) {
    const struct age_keys root = {.identities = keys->root->identities,
                                  .count = keys->root->count,
                                  .max_stanzas = UNSEAL_STANZAS_MAX};
    uint8_t *text = secret_alloc(MESSAGE_WRAPPED_MAX, error);
    struct age_keyfile *found = NULL;
    size_t size = 0;
    enum status status = STATUS_UNAVAILABLE;
    if (!text)
        goto out;
    status = age_decrypt_bytes(&root, wrapped.data, wrapped.size, text, MESSAGE_WRAPPED_MAX, &size,
                               error);
    if (status == STATUS_OK)
        status = age_keyfile_parse((const char *)text, size, &found, error);
    if (status != STATUS_OK) {
        status = status_fail(error, STATUS_FORBIDDEN,
                             "the tenant's identity cannot be opened with the root identity");
        goto out;
    }
    if (tenant.size == 0 || strlen(found->tenant) != tenant.size ||
        memcmp(found->tenant, tenant.data, tenant.size) != 0) {
        status = status_fail(error, STATUS_FORBIDDEN, "the identity belongs to another tenant");
        goto out;
    }
    *out = found;
    found = NULL;
out:
    secret_free(found);
    secret_free(text);
    return status;
}

enum status unseal_file_key(const struct keyring *keys, const char *tenant, struct bytes header,
                            struct bytes wrapped, uint8_t file_key[AGE_FILE_KEY_SIZE],
                            struct error *error) {
    struct age_keyfile *identity = NULL;
    enum status status = unseal_identity(keys, bytes_text(tenant), wrapped, &identity, error);
    if (status != STATUS_OK)
        return status;
    const struct age_keys with = {.identities = identity->identities,
                                  .count = identity->count,
                                  .max_stanzas = UNSEAL_STANZAS_MAX};
    status = age_file_key(header.data, header.size, false, &with, file_key, error);
    if (status == STATUS_FORBIDDEN)
        status = status_fail(error, STATUS_UNSERVABLE,
                             "the model is not sealed to this tenant's recipient");
    else if (status == STATUS_UNSERVABLE)
        status = status_fail(error, STATUS_INVALID,
                             "the sealed model's header was altered: its MAC does not verify");
    secret_free(identity);
    return status;
}

enum status unseal_sign_recipient(const struct keyring *keys,
                                  const struct message_sign_recipient *asked, struct buf *out,
                                  struct error *error) {
    struct age_keyfile *identity = NULL;
    char own[AGE_X25519_RECIPIENT_SIZE];
    uint8_t space[RECIPIENT_TEXT_MAX];
    struct buf text = buf_of(space, sizeof space);
    const struct recipient_text parts = {asked->tenant, asked->name, asked->recipient};
    enum status status = unseal_identity(keys, asked->tenant, asked->wrapped, &identity, error);
    if (status != STATUS_OK)
        return status;
    age_x25519_recipient_format(&identity->identities[0].recipient, own);
    if (!identity->name[0])
        status = status_fail(error, STATUS_FORBIDDEN,
                             "the tenant's identity holds no name, as those made before names were "
                             "sealed into it: nothing is signed for it; create the tenant anew");
    else if (strlen(identity->name) != asked->name.size ||
             memcmp(identity->name, asked->name.data, asked->name.size) != 0)
        status =
            status_fail(error, STATUS_FORBIDDEN, "the tenant's identity was made for another name");
    else if (identity->count != 1 || strlen(own) != asked->recipient.size ||
             memcmp(own, asked->recipient.data, asked->recipient.size) != 0)
        status = status_fail(error, STATUS_FORBIDDEN,
                             "the recipient is not the one of the tenant's identity");
    if (status == STATUS_OK)
        status = recipient_text_write(&parts, &text, error);
    if (status == STATUS_OK)
        status = note_sign(keys->signer, (const char *)text.data, text.size, out, error);
    secret_free(identity);
    return status;
}

enum status unseal_check(const struct keyring *keys, const char *tenant, struct bytes wrapped,
                         struct error *error) {
    struct age_keyfile *identity = NULL;
    enum status status = unseal_identity(keys, bytes_text(tenant), wrapped, &identity, error);
    secret_free(identity);
    return status;
}
