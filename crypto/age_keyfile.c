#include "crypto/age_keyfile.h"

#include <string.h>

#include "base/name.h"
#include "crypto/secret.h"

_Static_assert(AGE_KEYFILE_TENANT == NAME_MAX_LENGTH + 1, "a tenant is a name");

static const char tenant_mark[] = "# tenant: ", name_mark[] = "# name: ";

/* What stands behind `mark`, into `out`. */
static enum status take(char out[AGE_KEYFILE_TENANT], const char *mark, const char *line,
                        size_t length, size_t number, struct error *error) {
    const size_t skip = strlen(mark);
    if (length < skip || memcmp(line, mark, skip) != 0)
        return STATUS_OK;
    line += skip;
    length -= skip;
    if (!name_valid(line, length))
        return status_fail(error, STATUS_INVALID, "identity file, line %zu: not a tenant's name",
                           number);
    if (out[0] && (strlen(out) != length || memcmp(out, line, length) != 0))
        return status_fail(error, STATUS_INVALID, "identity file, line %zu: names a second tenant",
                           number);
    memcpy(out, line, length);
    out[length] = '\0';
    return STATUS_OK;
}

static void put(struct buf *out, const char *mark, const char *value) {
    if (!value)
        return;
    buf_string(out, mark);
    buf_string(out, value);
    buf_u8(out, '\n');
}

static enum status parse_comment(struct age_keyfile *file, const char *line, size_t length,
                                 size_t number, struct error *error) {
    enum status status = take(file->tenant, tenant_mark, line, length, number, error);
    return status == STATUS_OK ? take(file->name, name_mark, line, length, number, error) : status;
}

static enum status parse_line(struct age_keyfile *file, const char *line, size_t length,
                              size_t number, struct error *error) {
    if (length == 0)
        return STATUS_OK;
    if (line[0] == '#')
        return parse_comment(file, line, length, number, error);
    if (file->count == AGE_KEYFILE_IDENTITIES)
        return status_fail(error, STATUS_TOO_LARGE,
                           "identity file: more than %d identities are not taken",
                           AGE_KEYFILE_IDENTITIES);
    enum status status =
        age_x25519_identity_parse(line, length, &file->identities[file->count], error);
    if (status != STATUS_OK)
        return error ? status_prefix(error, "identity file, line %zu: ", number) : status;
    file->count++;
    return STATUS_OK;
}

enum status age_keyfile_parse(const char *text, size_t length, struct age_keyfile **out,
                              struct error *error) {
    if (length > AGE_KEYFILE_MAX)
        return status_fail(error, STATUS_TOO_LARGE, "identity file: %zu bytes, at most %d", length,
                           AGE_KEYFILE_MAX);
    struct age_keyfile *file = secret_alloc(sizeof *file, error);
    if (!file)
        return STATUS_UNAVAILABLE;
    enum status status = STATUS_OK;
    size_t at = 0;
    for (size_t number = 1; at < length && status == STATUS_OK; number++) {
        const char *line = text + at;
        const char *end = memchr(line, '\n', length - at);
        size_t n = end ? (size_t)(end - line) : length - at;
        at += end ? n + 1 : n;
        if (n > 0 && line[n - 1] == '\r')
            n--;
        status = parse_line(file, line, n, number, error);
    }
    if (status == STATUS_OK && file->count == 0)
        status = status_fail(error, STATUS_INVALID,
                             "identity file: no line with \"AGE-SECRET-KEY-1...\" in it");
    if (status != STATUS_OK) {
        secret_free(file);
        return status;
    }
    *out = file;
    return STATUS_OK;
}

void age_keyfile_write(struct buf *out, const struct age_identity *identity, const char *tenant,
                       const char *name) {
    put(out, tenant_mark, tenant);
    put(out, name_mark, name);
    char recipient[AGE_X25519_RECIPIENT_SIZE];
    age_x25519_recipient_format(&identity->recipient, recipient);
    buf_string(out, "# public key: ");
    buf_string(out, recipient);
    buf_u8(out, '\n');
    /* The terminator goes where the newline will stand, so no copy is made elsewhere. */
    uint8_t *text = buf_reserve(out, AGE_X25519_IDENTITY_SIZE);
    if (!text)
        return;
    age_x25519_identity_format(identity, (char *)text);
    text[AGE_X25519_IDENTITY_SIZE - 1] = '\n';
}
