/* Can everything be opened again? Each sealed model of a folder, whole, with the root identity:
 * what the worker does at a model's first use, for all of them at once, without the server. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "admin/commands.h"
#include "admin/files.h"
#include "admin/folder.h"
#include "admin/output.h"
#include "admin/progress.h"
#include "crypto/age.h"
#include "crypto/commitment.h"
#include "crypto/secret.h"
#include "store/store.h"

struct verify {
    struct config config;
    struct store *store;
    struct age_keyfile *root; /* secret */
    struct store_model *models;
    size_t count, capacity;
    uint64_t total, done; /* bytes of payloads */
    json_t *rows;
    size_t bad;
};

static enum status read_root(struct verify *verify, const char *path, struct error *error) {
    uint8_t *text = NULL;
    size_t size = 0;
    enum status status = files_read_secret(path ? path : verify->config.root_identity,
                                           "root identity", AGE_KEYFILE_MAX, &text, &size, error);
    if (status == STATUS_OK)
        status = age_keyfile_parse((const char *)text, size, &verify->root, error);
    secret_free(text);
    return status;
}

static enum status keep_model(void *context, const struct store_model *model, struct error *error) {
    struct verify *verify = context;
    if (model->state == STORE_MODEL_UPLOADING) /* nothing is promised of it yet */
        return STATUS_OK;
    if (verify->count == verify->capacity) {
        size_t wanted = verify->capacity ? 2 * verify->capacity : 64;
        struct store_model *grown = wanted < SIZE_MAX / sizeof *grown
                                        ? realloc(verify->models, wanted * sizeof *grown)
                                        : NULL;
        if (!grown)
            return status_fail(error, STATUS_UNAVAILABLE, "out of memory");
        verify->models = grown;
        verify->capacity = wanted;
    }
    verify->models[verify->count++] = *model;
    verify->total += (uint64_t)model->payload_size;
    return STATUS_OK;
}

/* The tenant's identity, in secret memory, out of its wrapping. */
static enum status open_identity(const struct verify *verify, const struct store_tenant *tenant,
                                 struct age_keyfile **identity, struct error *error) {
    const struct age_keys with = {.identities = verify->root->identities,
                                  .count = verify->root->count};
    uint8_t *text = secret_alloc(AGE_KEYFILE_MAX, error);
    size_t length = 0;
    enum status status = text ? age_decrypt_bytes(&with, tenant->wrapped, tenant->wrapped_size,
                                                  text, AGE_KEYFILE_MAX, &length, error)
                              : STATUS_UNAVAILABLE;
    if (status == STATUS_OK)
        status = age_keyfile_parse((const char *)text, length, identity, error);
    if (status != STATUS_OK)
        status_prefix(error, "the tenant's identity: ");
    else if (strcmp((*identity)->tenant, tenant->uid) != 0)
        status = status_fail(error, STATUS_FORBIDDEN, "the identity is not this tenant's");
    secret_free(text);
    return status;
}

struct payload {
    struct verify *verify;
    int fd;
};

static enum status read_payload(void *context, void *data, size_t size, size_t *got,
                                struct error *error) {
    struct payload *payload = context;
    size_t have = 0;
    while (have < size) {
        ssize_t n = read(payload->fd, (uint8_t *)data + have, size - have);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return status_fail(error, STATUS_UNAVAILABLE, "it cannot be read: %s", strerror(errno));
        if (n == 0)
            break;
        have += (size_t)n;
    }
    payload->verify->done += have;
    progress_at(payload->verify->done);
    *got = have;
    return STATUS_OK;
}

/* That it verifies is all that is asked: the plaintext goes nowhere. */
static enum status drop(void *context, const void *data, size_t size, struct error *error) {
    (void)context, (void)data, (void)size, (void)error;
    return STATUS_OK;
}

static enum status open_payload(struct verify *verify, const struct store_model *model,
                                const uint8_t file_key[AGE_FILE_KEY_SIZE], struct error *error) {
    char name[48];
    struct stat s;
    uint8_t nonce[STREAM_NONCE_SIZE];
    snprintf(name, sizeof name, "models/%" PRId64, model->id);
    char *path = files_join(verify->config.data, name, error);
    if (!path)
        return STATUS_UNAVAILABLE;
    struct payload payload = {verify, open(path, O_RDONLY | O_CLOEXEC)};
    enum status status = STATUS_OK;
    free(path);
    if (payload.fd < 0 || fstat(payload.fd, &s) != 0)
        status = status_fail(error, STATUS_NOT_FOUND, "%s: %s", name, strerror(errno));
    else if (s.st_size != model->payload_size)
        status = status_fail(error, STATUS_UNSERVABLE, "%s: found %lld bytes, expected %" PRId64,
                             name, (long long)s.st_size, model->payload_size);
    else if (pread(payload.fd, nonce, sizeof nonce, 0) != (ssize_t)sizeof nonce)
        status = status_fail(error, STATUS_UNSERVABLE, "%s: it is too short", name);
    if (status == STATUS_OK) {
        struct commitment_expectation expectation = {
            .file_key = file_key, .expected = model->has_commitment ? model->commitment : NULL};
        status = commitment_check(&expectation, nonce, error);
    }
    if (status == STATUS_OK)
        status = stream_decrypt(file_key, read_payload, &payload, drop, NULL, error);
    if (payload.fd >= 0)
        close(payload.fd);
    return status;
}

static enum status open_model(struct verify *verify, const struct store_model *model,
                              const struct store_tenant *tenant, struct error *error) {
    uint8_t *header = malloc(STORE_HEADER_MAX), *file_key = secret_alloc(AGE_FILE_KEY_SIZE, error);
    struct age_keyfile *identity = NULL;
    size_t size = 0;
    enum status status = header && file_key
                             ? open_identity(verify, tenant, &identity, error)
                             : status_fail(error, STATUS_UNAVAILABLE, "out of memory");
    if (status == STATUS_OK)
        status =
            store_model_header(verify->store, model->id, header, STORE_HEADER_MAX, &size, error);
    if (status == STATUS_OK) {
        const struct age_keys with = {.identities = identity->identities, .count = identity->count};
        status = age_file_key(header, size, false, &with, file_key, error);
    }
    if (status == STATUS_OK)
        status = open_payload(verify, model, file_key, error);
    secret_free(identity);
    secret_free(file_key);
    free(header);
    return status;
}

static enum status add_row(struct verify *verify, const struct store_model *model,
                           const char *tenant, enum status opened, const char *reason,
                           struct error *error) {
    json_t *row = json_pack(
        "{s:s,s:s,s:s,s:s,s:I,s:s}", "verdict", opened == STATUS_OK ? "ok" : "bad", "tenant",
        tenant, "model", model->name, "version", model->version, "payload_bytes",
        (json_int_t)model->payload_size, "reason", opened == STATUS_OK ? "opens whole" : reason);
    if (json_array_append_new(verify->rows, row) != 0)
        return status_fail(error, STATUS_UNAVAILABLE, "out of memory");
    verify->bad += opened != STATUS_OK;
    return STATUS_OK;
}

static enum status verify_all(struct verify *verify, const struct cli *cli, struct error *error) {
    enum status status = STATUS_OK;
    progress_start(cli, "verifying", verify->total);
    for (size_t i = 0; i < verify->count && status == STATUS_OK; i++) {
        const struct store_model *model = &verify->models[i];
        struct store_tenant tenant = {0};
        struct error reason = {0};
        uint64_t before = verify->done;
        status = store_tenant_get(verify->store, model->tenant, &tenant, error);
        if (status != STATUS_OK)
            break;
        enum status opened = open_model(verify, model, &tenant, &reason);
        verify->done = before + (uint64_t)model->payload_size; /* however much of it was read */
        status = add_row(verify, model, tenant.name, opened, reason.message, error);
    }
    progress_end();
    return status;
}

static enum status report(const struct verify *verify, const struct cli *cli, struct error *error) {
    static const struct output_field fields[] = {
        {"verdict", "verdict", OUTPUT_STATE},    {"tenant", "tenant", OUTPUT_TEXT},
        {"model", "model", OUTPUT_TEXT},         {"version", "version", OUTPUT_TEXT},
        {"size", "payload_bytes", OUTPUT_BYTES}, {"reason", "reason", OUTPUT_PROSE},
    };
    json_t *result = json_pack("{s:O,s:I,s:I}", "models", verify->rows, "verified",
                               (json_int_t)verify->count, "bad", (json_int_t)verify->bad);
    enum status status = result ? output_table(cli, result, "models", fields,
                                               sizeof fields / sizeof fields[0], "no models", error)
                                : status_fail(error, STATUS_UNAVAILABLE, "out of memory");
    json_decref(result);
    if (status == STATUS_OK && verify->bad)
        status = status_fail(error, STATUS_UNSERVABLE, "%zu of %zu models cannot be opened",
                             verify->bad, verify->count);
    return status;
}

static enum status verify(struct cli *cli, struct error *error) {
    const char *name = options_value(&cli->options, "tenant");
    struct verify all = {.rows = json_array()};
    struct store_tenant tenant = {0};
    enum status status = all.rows ? folder_config(cli, &all.config, error)
                                  : status_fail(error, STATUS_UNAVAILABLE, "out of memory");
    if (status != STATUS_OK)
        goto out;
    const struct secret_options memory = {.allow_unlocked =
                                              all.config.worker.allow_unlocked_memory};
    secret_configure(&memory);
    status = store_open(all.config.data, &all.store, error);
    if (status == STATUS_CONFLICT)
        status_prefix(error, "stop the server, or verify a backup: ");
    if (status == STATUS_OK)
        status = read_root(&all, options_value(&cli->options, "root"), error);
    if (status == STATUS_OK && name)
        status = store_tenant_find(all.store, name, &tenant, error);
    if (status == STATUS_OK)
        status = store_model_list(all.store, tenant.id, keep_model, &all, error);
    if (status == STATUS_OK)
        status = verify_all(&all, cli, error);
    if (status == STATUS_OK)
        status = report(&all, cli, error);
out:
    secret_free(all.root);
    store_close(all.store);
    free(all.models);
    json_decref(all.rows);
    return status;
}

static const struct options_row rows[] = {
    {"tenant", 't', "NAME", "only this tenant's models", false},
    {"root", 0, "FILE", "the root identity, where the configuration's is not there", false},
};

const struct cli_command verify_command = {
    .name = "verify",
    .positional = "",
    .rows = rows,
    .row_count = sizeof rows / sizeof rows[0],
    .summary = "open every sealed model of a backup or a stopped server, to the last byte",
    .help =
        "Each model is decrypted with the root identity as at its first use, and its plaintext\n"
        "dropped: bad is what was altered, cut or lost, and what was swapped for a model that\n"
        "is not the one first opened. The exit status is 6 where one is bad.",
    .example = "verify --data /backup/strongroom --root /safe/root.txt",
    .run = verify,
};
