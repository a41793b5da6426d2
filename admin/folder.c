#include "admin/folder.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "admin/files.h"
#include "base/recipient_text.h"
#include "crypto/age.h"
#include "crypto/note.h"
#include "crypto/secret.h"

#define SIGNING_FILE_MAX 4096

enum status folder_config(const struct cli *cli, struct config *config, struct error *error) {
    char real[PATH_MAX];
    struct stat s;
    if (cli->config)
        return config_load(cli->config, config, error);
    if (!realpath(cli->data, real) || stat(real, &s) != 0 || !S_ISDIR(s.st_mode))
        return status_fail(error, STATUS_NOT_FOUND,
                           "there is no folder %s: say where with --data DIR, or make one with "
                           "`strongroom init DIR`",
                           cli->data);
    char *path = files_join(real, "strongroom.yaml", error);
    if (!path)
        return STATUS_UNAVAILABLE;
    enum status status = access(path, F_OK) == 0 ? config_load(path, config, error)
                                                 : config_parse("{}", 2, real, config, error);
    free(path);
    return status;
}

static enum status load_root(const struct config *config, struct age_keyfile **root,
                             struct error *error) {
    uint8_t *text = NULL;
    size_t size = 0;
    enum status status = files_read_secret(config->root_identity, "root identity", AGE_KEYFILE_MAX,
                                           &text, &size, error);
    if (status == STATUS_OK &&
        (status = age_keyfile_parse((const char *)text, size, root, error)) != STATUS_OK)
        status_prefix(error, "root identity: ");
    secret_free(text);
    return status;
}

/* `signer` stands in secret memory. */
static enum status load_signer(const struct config *config, const struct age_keys *with,
                               struct note_signer *signer, struct error *error) {
    uint8_t *file = NULL, *text = secret_alloc(SIGNING_FILE_MAX, error);
    size_t size = 0, length = 0;
    enum status status = text ? files_read_secret(config->signing_key, "signing key",
                                                  SIGNING_FILE_MAX, &file, &size, error)
                              : STATUS_UNAVAILABLE;
    if (status == STATUS_OK && (status = age_decrypt_bytes(with, file, size, text, SIGNING_FILE_MAX,
                                                           &length, error)) != STATUS_OK)
        status_prefix(error, "the signing key cannot be opened with the root identity: ");
    while (status == STATUS_OK && length && text[length - 1] == '\n')
        length--;
    if (status == STATUS_OK)
        status = note_signer_parse((const char *)text, length, signer, error);
    secret_free(file);
    secret_free(text);
    return status;
}

static enum status check_wrapped(const struct age_keys *with, const struct store_tenant *tenant,
                                 struct error *error) {
    uint8_t *text = secret_alloc(AGE_KEYFILE_MAX, error);
    struct age_keyfile *inside = NULL;
    char recipient[AGE_X25519_RECIPIENT_SIZE] = "";
    size_t length = 0;
    enum status status = text ? age_decrypt_bytes(with, tenant->wrapped, tenant->wrapped_size, text,
                                                  AGE_KEYFILE_MAX, &length, error)
                              : STATUS_UNAVAILABLE;
    if (status == STATUS_OK)
        status = age_keyfile_parse((const char *)text, length, &inside, error);
    if (status != STATUS_OK) {
        status_prefix(error, "the tenant's wrapped identity: ");
        goto out;
    }
    age_x25519_recipient_format(&inside->identities[0].recipient, recipient);
    if (strcmp(inside->tenant, tenant->uid) != 0)
        status = status_fail(error, STATUS_FORBIDDEN, "the wrapped identity is not this tenant's");
    else if (strcmp(inside->name, tenant->name) != 0)
        status = status_fail(error, STATUS_FORBIDDEN, "the wrapped identity %s",
                             inside->name[0] ? "was made for another name"
                                             : "holds no name: nothing is signed for it");
    else if (inside->count != 1 || strcmp(recipient, tenant->recipient) != 0)
        status = status_fail(error, STATUS_FORBIDDEN,
                             "the wrapped identity has another recipient than the one given");
out:
    secret_free(inside);
    secret_free(text);
    return status;
}

enum status folder_sign_recipient(const struct config *config, const struct store_tenant *tenant,
                                  char *note, size_t note_size, struct error *error) {
    struct age_keyfile *root = NULL;
    struct note_signer *signer = secret_alloc(sizeof *signer, error);
    char text[RECIPIENT_TEXT_MAX];
    struct buf plain = buf_of(text, sizeof text), out = buf_of(note, note_size);
    const struct recipient_text parts = {.tenant = bytes_text(tenant->uid),
                                         .name = bytes_text(tenant->name),
                                         .recipient = bytes_text(tenant->recipient)};
    enum status status = signer ? load_root(config, &root, error) : STATUS_UNAVAILABLE;
    if (status != STATUS_OK)
        goto out;
    const struct age_keys with = {.identities = root->identities, .count = root->count};
    status = check_wrapped(&with, tenant, error);
    if (status == STATUS_OK)
        status = load_signer(config, &with, signer, error);
    if (status == STATUS_OK)
        status = recipient_text_write(&parts, &plain, error);
    if (status == STATUS_OK)
        status = note_sign(signer, text, plain.size, &out, error);
    if (status == STATUS_OK) {
        buf_u8(&out, 0);
        if (out.failed)
            status = status_fail(error, STATUS_TOO_LARGE, "the signed note is too long");
    }
out:
    secret_free(signer);
    secret_free(root);
    return status;
}
