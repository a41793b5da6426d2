#include "server/keeper/keyring.h"

#include "crypto/crypto.h"
#include "crypto/secret.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#define SIGNING_FILE_MAX 4096

/* Straight into secret memory, without a library's buffer in between. */
static enum status read_all(int descriptor, uint8_t *to, size_t capacity, const char *what,
                            size_t *size, struct error *error) {
    size_t have = 0;
    for (;;) {
        if (have == capacity)
            return status_fail(error, STATUS_TOO_LARGE, "the %s has more than %zu bytes", what,
                               capacity - 1);
        ssize_t n = read(descriptor, to + have, capacity - have);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return status_fail(error, STATUS_UNAVAILABLE, "the %s cannot be read (%s)", what,
                               strerror(errno));
        if (n == 0)
            break;
        have += (size_t)n;
    }
    *size = have;
    return STATUS_OK;
}

static enum status load_signer(int descriptor, const struct age_keyfile *root,
                               struct note_signer **signer, struct error *error) {
    uint8_t *file = secret_alloc(SIGNING_FILE_MAX, error);
    uint8_t *text = file ? secret_alloc(SIGNING_FILE_MAX, error) : NULL;
    struct note_signer *found = text ? secret_alloc(sizeof *found, error) : NULL;
    const struct age_keys with = {.identities = root->identities, .count = root->count};
    size_t file_size = 0, text_size = 0;
    enum status status = STATUS_UNAVAILABLE;
    if (!found)
        goto out;
    status = read_all(descriptor, file, SIGNING_FILE_MAX, "signing key", &file_size, error);
    if (status == STATUS_OK &&
        (status = age_decrypt_bytes(&with, file, file_size, text, SIGNING_FILE_MAX, &text_size,
                                    error)) != STATUS_OK)
        status_prefix(error, "the signing key cannot be opened with the root identity: ");
    while (status == STATUS_OK && text_size && text[text_size - 1] == '\n')
        text_size--;
    if (status == STATUS_OK)
        status = note_signer_parse((const char *)text, text_size, found, error);
    if (status == STATUS_OK) {
        *signer = found;
        found = NULL;
    }
out:
    secret_free(found);
    secret_free(text);
    secret_free(file);
    return status;
}

static enum status load_root(int descriptor, struct age_keyfile **root, struct error *error) {
    uint8_t *text = secret_alloc(AGE_KEYFILE_MAX, error);
    size_t size = 0;
    if (!text)
        return STATUS_UNAVAILABLE;
    enum status status = read_all(descriptor, text, AGE_KEYFILE_MAX, "root identity", &size, error);
    if (status == STATUS_OK &&
        (status = age_keyfile_parse((const char *)text, size, root, error)) != STATUS_OK)
        status_prefix(error, "the root identity: ");
    secret_free(text);
    return status;
}

enum status keyring_load(int root_identity, int signing_key, struct keyring *keys,
                         struct error *error) {
    struct keyring loaded = {NULL, NULL};
    enum status status = load_root(root_identity, &loaded.root, error);
    if (status == STATUS_OK)
        status = load_signer(signing_key, loaded.root, &loaded.signer, error);
    if (status == STATUS_OK)
        *keys = loaded;
    else
        keyring_free(&loaded);
    return status;
}

enum status keyring_check(int root_identity, int signing_key, bool allow_unlocked,
                          const char **field, keyring_use *use, void *context,
                          struct error *error) {
    const struct secret_options memory = {.allow_unlocked = allow_unlocked};
    struct keyring keys = {NULL, NULL};
    secret_configure(&memory);
    *field = "root.identity";
    enum status status = crypto_init(error);
    if (status == STATUS_OK)
        status = load_root(root_identity, &keys.root, error);
    if (status == STATUS_OK) {
        *field = "signing.key";
        status = load_signer(signing_key, keys.root, &keys.signer, error);
    }
    if (status == STATUS_OK && use)
        status = use(context, &keys, error);
    keyring_free(&keys);
    return status;
}

void keyring_free(struct keyring *keys) {
    if (!keys)
        return;
    secret_free(keys->signer);
    secret_free(keys->root);
    *keys = (struct keyring){NULL, NULL};
}
