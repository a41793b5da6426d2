#include "server/worker/plaintext.h"

#include "crypto/stream.h"
#include "server/worker/region.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

static enum status read_payload(void *context, uint64_t offset, void *data, size_t size,
                                struct error *error) {
    const struct loading *loading = context;
    uint8_t *to = data;
    while (size) {
        ssize_t n = pread(loading->payload, to, size, (off_t)offset);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return status_fail(error, STATUS_UNAVAILABLE, "the stored model cannot be read");
        to += n;
        offset += (uint64_t)n;
        size -= (size_t)n;
    }
    return STATUS_OK;
}

struct opening {
    const struct loading *loading;
    uint8_t commitment[COMMITMENT_SIZE];
};

static enum status check_commitment(void *context, const uint8_t nonce[STREAM_NONCE_SIZE],
                                    struct error *error) {
    struct opening *opening = context;
    commitment_compute(opening->loading->file_key, nonce, opening->commitment);
    if (opening->loading->committed &&
        !commitment_equal(opening->commitment, opening->loading->commitment))
        return status_fail(error, STATUS_CONFLICT,
                           "the stored model is not the one that was uploaded");
    return STATUS_OK;
}

/* For a caller, what is cut or does not verify is a bad upload, not a model that we cannot serve.
 */
static enum status bad_upload(enum status status, struct error *error) {
    if (status == STATUS_UNSERVABLE)
        status = error->status = STATUS_INVALID;
    return status;
}

enum status plaintext_open(struct loading *loading, unsigned threads, struct plaintext *plaintext,
                           struct error *error) {
    struct opening opening = {.loading = loading};
    const struct stream_source source = {.read_at = read_payload,
                                         .context = loading,
                                         .size = loading->payload_bytes,
                                         .check = check_commitment,
                                         .check_context = &opening};
    struct plaintext made = {0};
    uint64_t plain = 0;
    off_t size = lseek(loading->payload, 0, SEEK_END);
    enum status status;
    if (size < 0 || (uint64_t)size != loading->payload_bytes) {
        status = status_fail(error, STATUS_CONFLICT,
                             "the stored model is not the one that was uploaded: its size differs");
        goto out;
    }
    status = bad_upload(stream_plain_size(loading->payload_bytes, &plain, error), error);
    if (status != STATUS_OK)
        goto out;
    if (plain == 0 || plain > SIZE_MAX / 2) {
        status = status_fail(error, STATUS_INVALID, "the sealed model is empty");
        goto out;
    }
    if (secret_arena_new_in_parts((size_t)plain, region_options(loading->memory), &made.arena,
                                  error) != STATUS_OK) {
        status = region_refused(loading->load, loading->memory, plain, error);
        goto out;
    }
    made.size = (size_t)plain;
    made.data = secret_arena_alloc(made.arena, made.size);
    if (!made.data) {
        status = status_fail(error, STATUS_INTERNAL, "the model does not fit its own memory");
        goto out;
    }
    secret_arena_prefault(made.arena, made.size, threads);
    status =
        stream_decrypt_parallel(loading->file_key, &source, made.data, made.size, threads, error);
    status = bad_upload(status, error);
    if (status == STATUS_OK) {
        memcpy(made.commitment, opening.commitment, COMMITMENT_SIZE);
        *plaintext = made;
        made = (struct plaintext){0};
    }
out:
    plaintext_free(&made);
    secret_free(loading->file_key);
    loading->file_key = NULL;
    close(loading->payload);
    loading->payload = -1;
    return status;
}

void plaintext_discard(void *context, const void *data, size_t size) {
    struct plaintext *plaintext = context;
    (void)secret_arena_discard(plaintext->arena, data, size);
}

void plaintext_free(struct plaintext *plaintext) {
    if (!plaintext)
        return;
    secret_arena_free(plaintext->arena);
    *plaintext = (struct plaintext){0};
}
