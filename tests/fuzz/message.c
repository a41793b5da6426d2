/* libFuzzer target: messages between processes. A packet is decoded as every role from every role;
 * who may send it is in the table, and nobody else. What was decoded is sent again through the
 * real encoder and must arrive as the same bytes. */
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/message.h"
#include "tests/fuzz/fuzz.h"

static const struct {
    enum role sender, receiver;
    size_t descriptors;
} table[MESSAGE_TYPE_COUNT] = {
#define ROW(NAME, name, from, to, fds) [MESSAGE_##NAME] = {ROLE_##from, ROLE_##to, fds},
    MESSAGE_TABLE(ROW)
#undef ROW
};

static int sockets[2];
static int descriptors[MESSAGE_DESCRIPTORS_MAX];

int LLVMFuzzerInitialize(int *argc, char ***argv) {
    (void)argc;
    (void)argv;
    FUZZ_REQUIRE(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, sockets) ==
                 0);
    for (size_t i = 0; i < MESSAGE_DESCRIPTORS_MAX; i++) {
        descriptors[i] = open("/dev/null", O_RDONLY | O_CLOEXEC);
        FUZZ_REQUIRE(descriptors[i] >= 0);
    }
    return 0;
}

static bool may_send(unsigned type, enum role sender, enum role receiver) {
    return (table[type].sender == ROLE_ANY || table[type].sender == sender) &&
           (table[type].receiver == ROLE_ANY || table[type].receiver == receiver);
}

static enum status send_again(const struct message *m, struct error *error) {
    switch (m->type) {
#define ROW(NAME, name, from, to, fds)                                                             \
    case MESSAGE_##NAME:                                                                           \
        return message_send_##name(sockets[0], &m->name, descriptors, error);
        MESSAGE_TABLE(ROW)
#undef ROW
    case MESSAGE_NONE:
    case MESSAGE_TYPE_COUNT:
        break;
    }
    return STATUS_INTERNAL;
}

static void round_trip(const struct message *m, const uint8_t *packet, size_t size,
                       enum role sender, enum role receiver) {
    static uint8_t buffer[MESSAGE_MAX];
    struct message again;
    struct error error;
    FUZZ_REQUIRE(send_again(m, &error) == STATUS_OK);
    /* Stands behind the packet, so that what arrives must be as long as it, too. */
    memset(buffer, 0x5a, size + 1);
    FUZZ_REQUIRE(message_receive(sockets[1], sender, receiver, buffer, sizeof buffer, &again,
                                 &error) == STATUS_OK);
    FUZZ_REQUIRE(again.type == m->type && memcmp(buffer, packet, size) == 0 &&
                 buffer[size] == 0x5a);
    size_t came = 0;
    for (size_t i = 0; i < MESSAGE_DESCRIPTORS_MAX; i++)
        came += again.descriptors[i] >= 0;
    FUZZ_REQUIRE(came == table[m->type].descriptors);
    message_close_descriptors(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    uint8_t *packet = fuzz_copy(data, size);
    unsigned type = size < 2 ? 0 : packet[0] | (unsigned)packet[1] << 8;
    bool sent = false;
    size_t accepted = 0, allowed = 0;
    for (enum role sender = ROLE_LAUNCH; sender <= ROLE_WORKER; sender++)
        for (enum role receiver = ROLE_LAUNCH; receiver <= ROLE_WORKER; receiver++) {
            struct message m, untouched;
            struct error error;
            size_t wanted = 77;
            memset(&m, 0xa5, sizeof m);
            memset(&error, 0xa5, sizeof error);
            memcpy(&untouched, &m, sizeof m);
            bool may = type && type < MESSAGE_TYPE_COUNT && may_send(type, sender, receiver);
            allowed += may;
            if (message_decode(bytes_of(packet, size), sender, receiver, &m, &wanted, &error) !=
                STATUS_OK) {
                FUZZ_REQUIRE(memcmp(&m, &untouched, sizeof m) == 0 && wanted == 77);
                FUZZ_REQUIRE(fuzz_explained(error.message, sizeof error.message));
                continue;
            }
            accepted++;
            FUZZ_REQUIRE(may && m.type == type && wanted == table[type].descriptors);
            if (!sent)
                round_trip(&m, packet, size, sender, receiver);
            sent = true;
        }
    FUZZ_REQUIRE(accepted == 0 || accepted == allowed);
    free(packet);
    return 0;
}
