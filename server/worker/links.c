#include "server/worker/links.h"

#include "base/log.h"

#include <unistd.h>

void links_init(struct links *links) {
    pthread_mutex_init(&links->mutex, NULL);
    links->keeper = links->ledger = links->front = -1;
}

void links_set(struct links *links, int *which, int socket) {
    pthread_mutex_lock(&links->mutex);
    if (*which >= 0)
        close(*which);
    *which = socket;
    pthread_mutex_unlock(&links->mutex);
}

#define SEND(name, which, message)                                                                 \
    do {                                                                                           \
        struct error send_error;                                                                   \
        pthread_mutex_lock(&links->mutex);                                                         \
        if (links->which >= 0 &&                                                                   \
            message_send_##name(links->which, &message, NULL, &send_error) != STATUS_OK)           \
            log_warn("a message was not sent: %s message=" #name, send_error.message);             \
        pthread_mutex_unlock(&links->mutex);                                                       \
    } while (0)

void links_unwrap(struct links *links, const struct loading *loading) {
    const struct message_unwrap message = {
        .load = loading->load,
        .header = bytes_of(loading->header, loading->header_size),
        .wrapped = bytes_of(loading->wrapped, loading->wrapped_size)};
    SEND(unwrap, keeper, message);
}

void links_signature(struct links *links, const struct resident *resident) {
    const struct message_signature message = {
        .model = resident->handle,
        .signature = bytes_of(resident->signature, resident->signature_size)};
    SEND(signature, front, message);
}

void links_loaded(struct links *links, uint64_t load, const struct resident *resident) {
    const struct message_loaded message = {
        .load = load,
        .status = STATUS_OK,
        .commitment = bytes_of(resident->plaintext.commitment, COMMITMENT_SIZE),
        .resident_bytes = resident->secret_bytes};
    SEND(loaded, ledger, message);
}

void links_load_failed(struct links *links, uint64_t load, const struct error *error) {
    const struct message_loaded message = {
        .load = load, .status = (uint8_t)error->status, .message = bytes_text(error->message)};
    SEND(loaded, ledger, message);
}
