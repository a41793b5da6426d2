/* The keeper's process: keys in, sandbox on, then one loop over the sockets that launch hands it.
 *
 * Each socket belongs to whom launch said, and nothing in a message changes that. A sibling that
 * sends nonsense loses its socket. Answers never wait (launch makes the keeper's ends
 * non-blocking): a sibling that does not read them loses its socket too. */
#include "base/config.h"
#include "base/log.h"
#include "base/role.h"
#include "base/sandbox.h"
#include "crypto/crypto.h"
#include "crypto/secret.h"
#include "server/keeper/keyring.h"
#include "server/keeper/unseal.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SOCKETS_MAX (2 + 1024) /* launch, ledger, workers */

struct asker {
    enum role role;
    uint32_t worker;
    char tenant[MESSAGE_UID_MAX + 1];
};

struct keeper {
    struct keyring keys;
    struct pollfd polls[SOCKETS_MAX]; /* 0 is launch */
    struct asker askers[SOCKETS_MAX];
    nfds_t count;
    uint8_t *buffer; /* MESSAGE_MAX bytes, for one message at a time */
};

static void drop(struct keeper *keeper, nfds_t i) {
    close(keeper->polls[i].fd);
    keeper->polls[i].fd = -1; /* poll skips it; the loop closes the gap */
}

static void take(struct keeper *keeper, struct message *message, struct asker asker) {
    for (nfds_t i = 1; i < keeper->count; i++)
        if (keeper->polls[i].fd >= 0 && asker.role == ROLE_LEDGER &&
            keeper->askers[i].role == ROLE_LEDGER)
            drop(keeper, i); /* a new ledger: the old one is gone */
    if (keeper->count == SOCKETS_MAX) {
        log_error("no room for another socket worker=%u", asker.worker);
        message_close_descriptors(message);
        return;
    }
    keeper->askers[keeper->count] = asker;
    keeper->polls[keeper->count++] =
        (struct pollfd){.fd = message->descriptors[0], .events = POLLIN};
    message->descriptors[0] = -1;
}

/* What a message's encoder left of the key below our frames. */
static void __attribute__((noinline)) wipe_stack(void) {
    uint8_t below[8192];
    secret_wipe(below, sizeof below);
}

static bool answer_unwrap(struct keeper *keeper, int socket, const struct asker *asker,
                          const struct message_unwrap *asked) {
    struct message_file_key answer = {.load = asked->load};
    struct error error;
    uint8_t *key = secret_alloc(AGE_FILE_KEY_SIZE, &error);
    enum status status = key ? unseal_file_key(&keeper->keys, asker->tenant, asked->header,
                                               asked->wrapped, key, &error)
                             : error.status;
    answer.status = (uint8_t)status;
    if (status == STATUS_OK)
        answer.key = bytes_of(key, AGE_FILE_KEY_SIZE);
    else {
        answer.message = bytes_text(error.message);
        log_warn("refused to open a model: %s tenant=%s worker=%u", error.message, asker->tenant,
                 asker->worker);
    }
    status = message_send_file_key(socket, &answer, NULL, &error);
    secret_free(key);
    wipe_stack();
    return status == STATUS_OK;
}

static bool answer_sign(struct keeper *keeper, int socket,
                        const struct message_sign_recipient *asked) {
    struct message_recipient_signed answer = {.status = STATUS_OK};
    struct error error;
    uint8_t space[MESSAGE_NOTE_MAX];
    struct buf note = buf_of(space, sizeof space);
    enum status status = unseal_sign_recipient(&keeper->keys, asked, &note, &error);
    answer.status = (uint8_t)status;
    if (status == STATUS_OK)
        answer.note = bytes_of(note.data, note.size);
    else {
        answer.message = bytes_text(error.message);
        log_warn("refused to sign a recipient: %s", error.message);
    }
    return message_send_recipient_signed(socket, &answer, NULL, &error) == STATUS_OK;
}

/* False where the process ends. */
static bool on_launch(struct keeper *keeper) {
    struct message message;
    struct error error;
    struct asker asker = {.role = ROLE_WORKER};
    if (message_receive(keeper->polls[0].fd, ROLE_LAUNCH, ROLE_KEEPER, keeper->buffer, MESSAGE_MAX,
                        &message, &error) != STATUS_OK)
        return false;
    switch (message.type) {
    case MESSAGE_KEEPER_LEDGER:
        take(keeper, &message, (struct asker){.role = ROLE_LEDGER});
        break;
    case MESSAGE_KEEPER_WORKER:
        asker.worker = message.keeper_worker.worker;
        if (bytes_to_text(message.keeper_worker.tenant, asker.tenant, sizeof asker.tenant))
            take(keeper, &message, asker);
        break;
    case MESSAGE_DRAIN:
        return false;
    default:
        break;
    }
    message_close_descriptors(&message);
    return true;
}

static void on_asker(struct keeper *keeper, nfds_t i) {
    const struct asker *asker = &keeper->askers[i];
    struct message message;
    struct error error;
    int socket = keeper->polls[i].fd;
    enum status status = message_receive(socket, asker->role, ROLE_KEEPER, keeper->buffer,
                                         MESSAGE_MAX, &message, &error);
    if (status == STATUS_UNAVAILABLE) {
        drop(keeper, i);
        return;
    }
    if (status == STATUS_OK && message.type == MESSAGE_UNWRAP && asker->role == ROLE_WORKER) {
        if (!answer_unwrap(keeper, socket, asker, &message.unwrap))
            drop(keeper, i);
        return;
    }
    if (status == STATUS_OK && message.type == MESSAGE_SIGN_RECIPIENT &&
        asker->role == ROLE_LEDGER) {
        if (!answer_sign(keeper, socket, &message.sign_recipient))
            drop(keeper, i);
        return;
    }
    log_error("a malformed message: its socket is closed from=%s worker=%u",
              message_role_name(asker->role), asker->worker);
    drop(keeper, i);
}

static void close_gaps(struct keeper *keeper) {
    nfds_t kept = 1;
    for (nfds_t i = 1; i < keeper->count; i++)
        if (keeper->polls[i].fd >= 0) {
            keeper->polls[kept] = keeper->polls[i];
            keeper->askers[kept++] = keeper->askers[i];
        }
    keeper->count = kept;
}

static int serve(struct keeper *keeper) {
    for (;;) {
        if (ppoll(keeper->polls, keeper->count, NULL, NULL) < 0) {
            if (errno == EINTR)
                continue;
            log_error("waiting failed: %s", strerror(errno));
            return 1;
        }
        nfds_t count = keeper->count; /* those that on_launch adds have no events yet */
        if (keeper->polls[0].revents && !on_launch(keeper))
            return 0;
        for (nfds_t i = 1; i < count; i++)
            if (keeper->polls[i].fd >= 0 && keeper->polls[i].revents)
                on_asker(keeper, i);
        close_gaps(keeper);
    }
}

int keeper_main(const struct role_start *start) {
    static struct keeper keeper;
    const struct secret_options options = {.allow_unlocked =
                                               start->config->worker.allow_unlocked_memory};
    const struct message_ready ready = {.pid = (uint32_t)getpid()};
    struct error error;
    int exit_status = 1;
    secret_configure(&options);
    keeper.buffer = malloc(MESSAGE_MAX);
    keeper.polls[0] = (struct pollfd){.fd = start->launch, .events = POLLIN};
    keeper.askers[0] = (struct asker){.role = ROLE_LAUNCH};
    keeper.count = 1;
    if (!keeper.buffer) {
        log_error("out of memory");
        goto out;
    }
    if (crypto_init(&error) != STATUS_OK ||
        keyring_load(start->root_identity, start->signing_key, &keeper.keys, &error) != STATUS_OK)
        goto failed;
    close(start->root_identity);
    close(start->signing_key);
    if (sandbox_enter(ROLE_KEEPER, NULL, 0, &error) != STATUS_OK ||
        message_send_ready(start->launch, &ready, NULL, &error) != STATUS_OK)
        goto failed;
    exit_status = serve(&keeper);
    goto out;
failed:
    log_error("cannot start: %s", error.message);
out:
    keyring_free(&keeper.keys);
    free(keeper.buffer);
    return exit_status;
}
