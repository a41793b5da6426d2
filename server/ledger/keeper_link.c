#include "server/ledger/keeper_link.h"

#include <pthread.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#define PATIENCE_S 10

struct keeper_link {
    pthread_mutex_t mutex;
    int socket;
    uint8_t buffer[MESSAGE_NOTE_MAX + MESSAGE_SMALL_MAX];
};

enum status keeper_link_new(struct keeper_link **link, struct error *error) {
    struct keeper_link *k = calloc(1, sizeof *k);
    if (!k)
        return status_fail(error, STATUS_UNAVAILABLE, "no memory for the link to the keeper");
    pthread_mutex_init(&k->mutex, NULL);
    k->socket = -1;
    *link = k;
    return STATUS_OK;
}

void keeper_link_free(struct keeper_link *k) {
    if (!k)
        return;
    if (k->socket >= 0)
        close(k->socket);
    pthread_mutex_destroy(&k->mutex);
    free(k);
}

void keeper_link_replace(struct keeper_link *k, int socket) {
    const struct timeval patience = {.tv_sec = PATIENCE_S};
    setsockopt(socket, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    pthread_mutex_lock(&k->mutex);
    if (k->socket >= 0)
        close(k->socket);
    k->socket = socket;
    pthread_mutex_unlock(&k->mutex);
}

enum status keeper_link_sign(struct keeper_link *k, const struct message_sign_recipient *question,
                             char *note, size_t note_size, struct error *error) {
    struct message answer;
    pthread_mutex_lock(&k->mutex);
    enum status status = message_send_sign_recipient(k->socket, question, NULL, error);
    if (status == STATUS_OK)
        status = message_receive(k->socket, ROLE_KEEPER, ROLE_LEDGER, k->buffer, sizeof k->buffer,
                                 &answer, error);
    if (status != STATUS_OK) {
        /* A late answer must not be taken for the next question's: the socket is given up, and the
         * keeper, seeing that, is introduced again when launch restarts it. */
        if (k->socket >= 0)
            shutdown(k->socket, SHUT_RDWR);
        status = status_fail(error, STATUS_UNAVAILABLE, "the keeper does not answer");
    } else if (answer.type != MESSAGE_RECIPIENT_SIGNED) {
        status = status_fail(error, STATUS_INTERNAL, "the keeper gave an answer out of turn");
    } else if (answer.recipient_signed.status != STATUS_OK) {
        status = status_fail(error, (enum status)answer.recipient_signed.status, "%.*s",
                             (int)answer.recipient_signed.message.size,
                             (const char *)answer.recipient_signed.message.data);
    } else if (!bytes_to_text(answer.recipient_signed.note, note, note_size)) {
        status = status_fail(error, STATUS_INTERNAL, "the keeper gave a malformed note");
    }
    pthread_mutex_unlock(&k->mutex);
    return status;
}
