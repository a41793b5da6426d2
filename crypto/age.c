#include "crypto/age.h"

#include <stdlib.h>
#include <string.h>

#include "crypto/armor.h"
#include "crypto/random.h"
#include "crypto/secret.h"

enum { HEADER_STEP = 4096 };

/* ---- opening ---- */

static enum status open_stanza(const struct age_stanza *stanza, const struct age_keys *keys,
                               uint8_t *file_key, struct error *error) {
    if (age_header_stanza_is(stanza, "scrypt")) {
        if (!keys->passphrase)
            return status_fail(error, STATUS_FORBIDDEN,
                               "sealed to a passphrase, which is refused here");
        return age_scrypt_unwrap(stanza, keys->passphrase, keys->passphrase_size,
                                 keys->max_work ? keys->max_work : AGE_SCRYPT_WORK_MAX, file_key,
                                 error);
    }
    for (size_t i = 0; i < keys->count; i++) {
        enum status status = age_x25519_unwrap(stanza, &keys->identities[i], file_key, error);
        if (status != STATUS_FORBIDDEN)
            return status;
    }
    return status_fail(error, STATUS_FORBIDDEN,
                       "sealed to another recipient: no identity here opens it");
}

static enum status open_header(const struct age_header *header, const struct age_keys *keys,
                               uint8_t *file_key, struct error *error) {
    size_t max = keys->max_stanzas ? keys->max_stanzas : AGE_HEADER_STANZAS;
    if (header->count > max)
        return status_fail(error, STATUS_TOO_LARGE,
                           "age header: %zu recipients, at most %zu are taken here", header->count,
                           max);
    for (size_t i = 0; i < header->count; i++)
        if (header->count > 1 && age_header_stanza_is(&header->stanzas[i], "scrypt"))
            return status_fail(error, STATUS_INVALID,
                               "age header: a passphrase and other recipients do not mix");
    enum status status = STATUS_FORBIDDEN;
    for (size_t i = 0; i < header->count && status == STATUS_FORBIDDEN; i++)
        status = open_stanza(&header->stanzas[i], keys, file_key, error);
    if (status == STATUS_OK && !age_header_verify(header, file_key))
        status = status_fail(error, STATUS_UNSERVABLE,
                             "age header: its MAC does not verify: the header was altered");
    return status;
}

enum status age_file_key(const void *bytes, size_t size, bool payload_follows,
                         const struct age_keys *keys, uint8_t file_key[AGE_FILE_KEY_SIZE],
                         struct error *error) {
    struct age_header header;
    uint8_t opened[AGE_FILE_KEY_SIZE] = {0};
    enum status status = age_header_parse(bytes, size, &header, error);
    if (status == STATUS_OK && !payload_follows && header.size != size)
        status = status_fail(error, STATUS_INVALID, "age header: %zu bytes follow its end",
                             size - header.size);
    if (status == STATUS_OK)
        status = open_header(&header, keys, opened, error);
    if (status == STATUS_OK)
        memcpy(file_key, opened, sizeof opened);
    secret_wipe(opened, sizeof opened);
    return status;
}

/* What was read ahead of the payload, then the rest. */
struct rest {
    struct stream_bytes ahead;
    stream_read read;
    void *context;
};

static enum status rest_read(void *context, void *data, size_t size, size_t *got,
                             struct error *error) {
    struct rest *rest = context;
    size_t first = 0, second = 0;
    enum status status = stream_bytes_read(&rest->ahead, data, size, &first, error);
    if (status == STATUS_OK && first < size)
        status = rest->read(rest->context, (uint8_t *)data + first, size - first, &second, error);
    *got = first + second;
    return status;
}

/* Read until the header is whole, or the input ends. */
static enum status read_header(struct rest *rest, size_t *length, struct error *error) {
    struct stream_bytes *ahead = &rest->ahead;
    for (;;) {
        size_t got = 0;
        size_t step =
            AGE_HEADER_MAX - ahead->size < HEADER_STEP ? AGE_HEADER_MAX - ahead->size : HEADER_STEP;
        enum status status =
            rest->read(rest->context, ahead->data + ahead->size, step, &got, error);
        if (status != STATUS_OK)
            return status;
        ahead->size += got;
        status = age_header_length(ahead->data, ahead->size, length, error);
        if (status != STATUS_OK || *length)
            return status;
        if (got < step)
            return status_fail(error, STATUS_INVALID, "age header: cut");
    }
}

enum status age_decrypt(const struct age_keys *keys, stream_read read, void *read_context,
                        stream_write write, void *write_context, struct error *error) {
    enum status status = STATUS_OK;
    uint8_t *file_key = NULL;
    size_t length = 0;
    struct rest rest = {.read = read, .context = read_context};
    rest.ahead.data = malloc(AGE_HEADER_MAX);
    if (!rest.ahead.data) {
        status = status_fail(error, STATUS_UNAVAILABLE, "out of memory");
        goto out;
    }
    file_key = secret_alloc(AGE_FILE_KEY_SIZE, error);
    if (!file_key) {
        status = STATUS_UNAVAILABLE;
        goto out;
    }
    status = read_header(&rest, &length, error);
    if (status == STATUS_OK)
        status = age_file_key(rest.ahead.data, length, false, keys, file_key, error);
    if (status == STATUS_OK) {
        rest.ahead.offset = length;
        status = stream_decrypt(file_key, rest_read, &rest, write, write_context, error);
    }
out:
    secret_free(file_key);
    free(rest.ahead.data);
    return status;
}

enum status age_decrypt_bytes(const struct age_keys *keys, const void *file, size_t file_size,
                              uint8_t *out, size_t capacity, size_t *size, struct error *error) {
    enum status status = STATUS_OK;
    uint8_t *binary = NULL;
    struct stream_bytes in = {.data = (uint8_t *)(uintptr_t)file, .size = file_size};
    if (armor_detect(file, file_size)) {
        size_t room = armor_decoded_max(file_size);
        binary = malloc(room);
        if (!binary)
            return status_fail(error, STATUS_UNAVAILABLE, "out of memory");
        status = armor_decode(file, file_size, binary, room, &in.size, error);
        in.data = binary;
    }
    struct stream_bytes to = {.data = out, .size = capacity};
    if (status == STATUS_OK)
        status = age_decrypt(keys, stream_bytes_read, &in, stream_bytes_write, &to, error);
    if (status == STATUS_OK)
        *size = to.offset;
    else
        secret_wipe(out, to.offset);
    free(binary);
    return status;
}

/* ---- sealing ---- */

static enum status wrap_all(struct buf *out, const struct age_to *to,
                            const uint8_t file_key[AGE_FILE_KEY_SIZE], struct error *error) {
    if (to->passphrase)
        return age_scrypt_wrap(out, to->passphrase, to->passphrase_size,
                               to->work ? to->work : AGE_SCRYPT_WORK_DEFAULT, file_key, error);
    enum status status = STATUS_OK;
    for (size_t i = 0; i < to->count && status == STATUS_OK; i++)
        status = age_x25519_wrap(out, &to->recipients[i], file_key, error);
    return status;
}

enum status age_wrap(struct buf *out, const struct age_to *to,
                     const uint8_t file_key[AGE_FILE_KEY_SIZE], struct error *error) {
    if (!to->passphrase == !to->count)
        return status_fail(error, STATUS_INVALID,
                           "sealing takes recipients or a passphrase, one of the two");
    if (to->count > AGE_HEADER_STANZAS)
        return status_fail(error, STATUS_TOO_LARGE, "%zu recipients, at most %d", to->count,
                           AGE_HEADER_STANZAS);
    if (out->failed)
        return status_fail(error, STATUS_TOO_LARGE, "age header: no room to write it");
    struct buf header = buf_of(out->data + out->size, out->capacity - out->size);
    age_header_begin(&header);
    enum status status = wrap_all(&header, to, file_key, error);
    if (status != STATUS_OK)
        return status;
    age_header_end(&header, file_key);
    if (header.failed)
        return status_fail(error, STATUS_TOO_LARGE, "age header: no room to write it");
    out->size += header.size;
    return STATUS_OK;
}

enum status age_encrypt(const struct age_to *to, stream_read read, void *read_context,
                        stream_write write, void *write_context, struct error *error) {
    enum status status = STATUS_UNAVAILABLE;
    uint8_t *bytes = malloc(AGE_HEADER_MAX);
    uint8_t *file_key = secret_alloc(AGE_FILE_KEY_SIZE, error);
    if (!bytes) {
        status = status_fail(error, STATUS_UNAVAILABLE, "out of memory");
        goto out;
    }
    if (!file_key)
        goto out;
    random_bytes(file_key, AGE_FILE_KEY_SIZE);
    struct buf header = buf_of(bytes, AGE_HEADER_MAX);
    status = age_wrap(&header, to, file_key, error);
    if (status == STATUS_OK)
        status = write(write_context, header.data, header.size, error);
    if (status == STATUS_OK)
        status = stream_encrypt(file_key, read, read_context, write, write_context, error);
out:
    secret_free(file_key);
    free(bytes);
    return status;
}

enum status age_encrypt_bytes(const struct age_to *to, const void *plain, size_t plain_size,
                              uint8_t *out, size_t capacity, size_t *size, struct error *error) {
    struct stream_bytes from = {.data = (uint8_t *)(uintptr_t)plain, .size = plain_size};
    struct stream_bytes into = {.data = out, .size = capacity};
    enum status status =
        age_encrypt(to, stream_bytes_read, &from, stream_bytes_write, &into, error);
    if (status == STATUS_OK)
        *size = into.offset;
    return status;
}
