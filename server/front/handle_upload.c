/* PUT of a sealed model: the body streams in; its age header is collected for ledger, the payload
 * goes to the descriptor that came with the admission. Front sees ciphertext only. */
#include "server/front/exchange.h"
#include "server/front/handlers.h"
#include "server/front/upload_split.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define CHUNK (256 * 1024)

static enum status write_all(int descriptor, const uint8_t *bytes, size_t size,
                             struct error *error) {
    while (size) {
        ssize_t n = write(descriptor, bytes, size);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return status_fail(error, STATUS_UNAVAILABLE,
                               n < 0 && (errno == ENOSPC || errno == EDQUOT)
                                   ? "the server's storage is full"
                                   : "the model could not be stored");
        bytes += n;
        size -= (size_t)n;
    }
    return STATUS_OK;
}

static enum status check(struct exchange *e, struct error *error) {
    uint64_t limit = e->thread->front->config->limits.model_bytes;
    if (!e->screen.has_length)
        return status_fail(error, STATUS_LENGTH_REQUIRED, "Content-Length is required");
    if (e->screen.encoded)
        return status_fail(error, STATUS_ENCODING, "the model is encoded; send it as it is");
    enum status status = exchange_body_type(e, error);
    if (status != STATUS_OK)
        return status;
    if (e->screen.has_signature)
        return status_fail(error, STATUS_INVALID,
                           "X-Model-Signature is not verified by this version, so it is refused");
    if (e->screen.content_length > limit)
        return status_fail(error, STATUS_TOO_LARGE, "the model has %llu bytes, the limit is %llu",
                           (unsigned long long)e->screen.content_length, (unsigned long long)limit);
    if (e->payload < 0)
        return status_fail(error, STATUS_INTERNAL, "internal error");
    return STATUS_OK;
}

static enum status stream(struct exchange *e, struct upload_split *split, uint64_t *payload_bytes,
                          struct error *error) {
    enum status status = scratch_take(&e->thread->body, CHUNK, error);
    while (status == STATUS_OK) {
        const uint8_t *payload;
        size_t got = 0, size = 0;
        status = exchange_read(e, e->thread->body.data, CHUNK, &got, error);
        if (status != STATUS_OK || got == 0)
            break;
        e->body_used = CHUNK;
        status = upload_split_take(split, e->thread->body.data, got, &payload, &size, error);
        if (status == STATUS_OK && size)
            status = write_all(e->payload, payload, size, error);
        *payload_bytes += size;
    }
    if (status == STATUS_OK)
        status = upload_split_end(split, error);
    if (status == STATUS_OK && !*payload_bytes)
        status = status_fail(error, STATUS_INVALID,
                             "the model ends at its age header: no payload follows");
    return status;
}

void handle_upload(struct exchange *e) {
    struct error error = {0};
    uint64_t payload_bytes = 0;
    uint8_t *header = malloc(MESSAGE_HEADER_MAX);
    struct upload_split split = upload_split_of(header);
    enum status status =
        header ? check(e, &error) : status_fail(&error, STATUS_UNAVAILABLE, "out of memory");
    if (status == STATUS_OK)
        status = stream(e, &split, &payload_bytes, &error);
    if (e->payload >= 0)
        close(e->payload);
    e->payload = -1;
    if (status == STATUS_OK) {
        struct message_perform message = {.header = bytes_of(header, split.header_size),
                                          .payload_bytes = payload_bytes};
        exchange_perform(e, &message);
    } else {
        exchange_fail(e, &error);
    }
    free(header);
}
