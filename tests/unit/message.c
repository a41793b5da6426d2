/* Messages between processes: every row of the table there and back, and what must be refused. */
#include "base/message.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static uint8_t pattern[MESSAGE_RESULT_MAX + 1];
static uint8_t buffer[MESSAGE_MAX];
static int pair[2];

static void set_up(void) {
    for (size_t i = 0; i < sizeof pattern; i++)
        pattern[i] = (uint8_t)(i * 131 + 7);
    cr_assert_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
    int room = 1 << 20;
    setsockopt(pair[0], SOL_SOCKET, SO_SNDBUF, &room, sizeof room);
}
static void tear_down(void) {
    close(pair[0]);
    close(pair[1]);
}
TestSuite(message, .init = set_up, .fini = tear_down, .timeout = 60);

/* Fill a field; `level` 0: nothing and 0, 1: something, 2: the most there may be. */
#define SIZE_AT(level, max) ((level) == 0 ? 0 : (level) == 1 ? ((max) + 1) / 2 : (size_t)(max))
#define SET_U8(name, max) m.name = (uint8_t)(level == 2 ? UINT8_MAX : level * 3);
#define SET_U32(name, max) m.name = level == 2 ? UINT32_MAX : (uint32_t)level * 70000;
#define SET_U64(name, max) m.name = level == 2 ? UINT64_MAX : (uint64_t)level << 40;
#define SET_TEXT(name, max) m.name = bytes_of(pattern, SIZE_AT(level, max));
#define SET_BYTES(name, max) m.name = bytes_of(pattern + 1, SIZE_AT(level, max));
#define SET(kind, name, max) SET_##kind(name, max)

#define SAME_U8(name, max) cr_assert_eq(found->name, m.name);
#define SAME_U32(name, max) cr_assert_eq(found->name, m.name);
#define SAME_U64(name, max) cr_assert_eq(found->name, m.name);
#define SAME_TEXT(name, max)                                                                       \
    cr_assert_eq(found->name.size, m.name.size);                                                   \
    cr_assert(m.name.size == 0 || memcmp(found->name.data, m.name.data, m.name.size) == 0);
#define SAME_BYTES(name, max) SAME_TEXT(name, max)
#define SAME(kind, name, max) SAME_##kind(name, max)

static void close_all(struct message *got, size_t count) {
    for (size_t i = 0; i < count; i++)
        cr_assert_geq(got->descriptors[i], 0);
    for (size_t i = count; i < MESSAGE_DESCRIPTORS_MAX; i++)
        cr_assert_eq(got->descriptors[i], -1);
    message_close_descriptors(got);
}

/* One row, three times over the socket. */
#define ROW(NAME, name, from, to, count)                                                           \
    static void there_and_back_##name(void) {                                                      \
        for (int level = 0; level <= 2; level++) {                                                 \
            struct message_##name m = {0};                                                         \
            struct message got;                                                                    \
            struct error error = {0};                                                              \
            const int descriptors[] = {0, 1};                                                      \
            MESSAGE_FIELDS_##name(SET);                                                            \
            cr_assert_eq(message_send_##name(pair[0], &m, descriptors, &error), STATUS_OK,         \
                         #name " level %d: %s", level, error.message);                             \
            cr_assert_eq(message_receive(pair[1],                                                  \
                                         ROLE_##from == ROLE_ANY ? ROLE_WORKER : ROLE_##from,      \
                                         ROLE_##to == ROLE_ANY ? ROLE_FRONT : ROLE_##to, buffer,   \
                                         sizeof buffer, &got, &error),                             \
                         STATUS_OK, #name " level %d: %s", level, error.message);                  \
            cr_assert_eq(got.type, MESSAGE_##NAME);                                                \
            const struct message_##name *found = &got.name;                                        \
            (void)found;                                                                           \
            MESSAGE_FIELDS_##name(SAME);                                                           \
            close_all(&got, count);                                                                \
        }                                                                                          \
    }
MESSAGE_TABLE(ROW)
#undef ROW

Test(message, every_row_there_and_back) {
#define ROW(NAME, name, from, to, count) there_and_back_##name();
    MESSAGE_TABLE(ROW)
#undef ROW
}

/* The packet of a row as it goes over the socket. */
#define ROW(NAME, name, from, to, count)                                                           \
    static size_t packet_##name(uint8_t *out, size_t size, int level) {                            \
        struct message_##name m = {0};                                                             \
        const int descriptors[] = {0, 1};                                                          \
        (void)level;                                                                               \
        MESSAGE_FIELDS_##name(SET);                                                                \
        cr_assert_eq(message_send_##name(pair[0], &m, descriptors, NULL), STATUS_OK);              \
        ssize_t n = recv(pair[1], out, size, 0);                                                   \
        cr_assert_gt(n, 0);                                                                        \
        return (size_t)n;                                                                          \
    }
MESSAGE_TABLE(ROW)
#undef ROW

struct row {
    const char *name;
    enum role sender, receiver;
    size_t descriptors;
    size_t (*packet)(uint8_t *out, size_t size, int level);
};
static const struct row rows[] = {
#define ROW(NAME, name, from, to, count) {#name, ROLE_##from, ROLE_##to, count, packet_##name},
    MESSAGE_TABLE(ROW)
#undef ROW
};
#define ROWS (sizeof rows / sizeof *rows)

static enum status decode(const struct row *row, const uint8_t *data, size_t size) {
    struct message m;
    size_t wanted;
    /* At its exact size on the heap: a read past the end is found by the sanitizer. */
    uint8_t *copy = malloc(size ? size : 1);
    memcpy(copy, data, size);
    enum role sender = row->sender == ROLE_ANY ? ROLE_KEEPER : row->sender;
    enum role receiver = row->receiver == ROLE_ANY ? ROLE_KEEPER : row->receiver;
    enum status status = message_decode(bytes_of(copy, size), sender, receiver, &m, &wanted, NULL);
    free(copy);
    return status;
}

Test(message, every_truncation_is_refused) {
    static uint8_t packet[MESSAGE_MAX];
    for (size_t r = 0; r < ROWS; r++) {
        size_t size = rows[r].packet(packet, sizeof packet, 1);
        cr_assert_eq(decode(&rows[r], packet, size), STATUS_OK, "%s", rows[r].name);
        /* Every byte of small ones; of large ones the ends and a sample between. */
        for (size_t cut = 0; cut<size; cut += cut> 600 && size - cut > 600 ? 509 : 1)
            cr_assert_eq(decode(&rows[r], packet, cut), STATUS_INVALID, "%s cut at %zu of %zu",
                         rows[r].name, cut, size);
        packet[size] = 0;
        cr_assert_eq(decode(&rows[r], packet, size + 1), STATUS_INVALID, "%s: a byte left over",
                     rows[r].name);
    }
}

Test(message, the_wrong_sender_or_receiver_is_refused) {
    static uint8_t packet[MESSAGE_MAX];
    struct message m;
    size_t wanted;
    for (size_t r = 0; r < ROWS; r++) {
        size_t size = rows[r].packet(packet, sizeof packet, 1);
        for (enum role from = ROLE_LAUNCH; from <= ROLE_WORKER; from++)
            for (enum role to = ROLE_LAUNCH; to <= ROLE_WORKER; to++) {
                bool good = (rows[r].sender == from || rows[r].sender == ROLE_ANY) &&
                            (rows[r].receiver == to || rows[r].receiver == ROLE_ANY);
                enum status status =
                    message_decode(bytes_of(packet, size), from, to, &m, &wanted, NULL);
                cr_assert_eq(status, good ? STATUS_OK : STATUS_INVALID, "%s from %s to %s",
                             rows[r].name, message_role_name(from), message_role_name(to));
                if (good)
                    cr_assert_eq(wanted, rows[r].descriptors);
            }
    }
}

Test(message, fields_over_their_maximum_are_refused_on_both_sides) {
    struct message_start_worker m = {.tenant = bytes_of(pattern, MESSAGE_UID_MAX + 1)};
    cr_assert_eq(message_send_start_worker(pair[0], &m, NULL, NULL), STATUS_INVALID);
    uint8_t packet[2 + 4 + MESSAGE_UID_MAX + 1] = {MESSAGE_START_WORKER, 0, MESSAGE_UID_MAX + 1};
    const struct row row = {"start_worker", ROLE_LEDGER, ROLE_LAUNCH, 0, NULL};
    cr_assert_eq(decode(&row, packet, sizeof packet), STATUS_INVALID);
    packet[2] = MESSAGE_UID_MAX;
    cr_assert_eq(decode(&row, packet, sizeof packet - 1), STATUS_OK);
}

Test(message, descriptors_must_be_as_many_as_the_table_says) {
    struct message got;
    struct error error;
    struct msghdr header = {0};
    union {
        struct cmsghdr align;
        char space[CMSG_SPACE(3 * sizeof(int))];
    } control;
    uint8_t packet[] = {MESSAGE_KEEPER_LEDGER, 0}; /* wants one */
    for (size_t count = 0; count <= 3; count++) {
        struct iovec piece = {packet, sizeof packet};
        memset(&control, 0, sizeof control);
        header = (struct msghdr){.msg_iov = &piece, .msg_iovlen = 1};
        int before = dup(0);
        close(before);
        if (count) {
            header.msg_control = control.space;
            header.msg_controllen = CMSG_SPACE(count * sizeof(int));
            struct cmsghdr *c = CMSG_FIRSTHDR(&header);
            c->cmsg_level = SOL_SOCKET;
            c->cmsg_type = SCM_RIGHTS;
            c->cmsg_len = CMSG_LEN(count * sizeof(int));
            memset(CMSG_DATA(c), 0, count * sizeof(int));
        }
        cr_assert_eq(sendmsg(pair[0], &header, 0), (ssize_t)sizeof packet);
        enum status status =
            message_receive(pair[1], ROLE_LAUNCH, ROLE_KEEPER, buffer, sizeof buffer, &got, &error);
        cr_assert_eq(status, count == 1 ? STATUS_OK : STATUS_INVALID, "%zu descriptors", count);
        if (status == STATUS_OK) {
            cr_assert(fcntl(got.descriptors[0], F_GETFD) & FD_CLOEXEC);
            message_close_descriptors(&got);
        }
        int after = dup(0);
        close(after);
        cr_assert_eq(after, before, "a descriptor was left open: %zu came", count);
    }
}

Test(message, ends_and_full_sockets) {
    struct message got;
    const struct message_ready ready = {.pid = 1};
    cr_assert_eq(fcntl(pair[0], F_SETFL, O_NONBLOCK), 0);
    cr_assert_eq(fcntl(pair[1], F_SETFL, O_NONBLOCK), 0);
    cr_assert_eq(
        message_receive(pair[1], ROLE_WORKER, ROLE_LAUNCH, buffer, sizeof buffer, &got, NULL),
        STATUS_RATE);
    enum status status;
    while ((status = message_send_ready(pair[0], &ready, NULL, NULL)) == STATUS_OK)
        ;
    cr_assert_eq(status, STATUS_RATE);
    close(pair[1]);
    cr_assert_eq(message_send_ready(pair[0], &ready, NULL, NULL), STATUS_UNAVAILABLE);
    pair[1] = pair[0];
    pair[0] = -1;
}

/* Bytes changed at random in good packets, and packets that are random throughout: never more than
 * an error, and what is accepted stays inside the packet. */
Test(message, noise) {
    static uint8_t packet[MESSAGE_MAX];
    uint32_t seed = 12345;
    for (int round = 0; round < 40000; round++) {
        const struct row *row = &rows[(seed >> 8) % ROWS];
        size_t size;
        if (round % 400 == 0 || round % 2) {
            seed = seed * 1664525 + 1013904223;
            size = 2 + (seed >> 16) % 64;
            for (size_t i = 0; i < size; i++) {
                seed = seed * 1664525 + 1013904223;
                packet[i] = (uint8_t)(seed >> 24);
            }
            packet[0] = (uint8_t)(seed % (MESSAGE_TYPE_COUNT + 2));
            packet[1] = 0;
        } else {
            size = row->packet(packet, sizeof packet, 0);
            for (int flips = 0; flips < 3; flips++) {
                seed = seed * 1664525 + 1013904223;
                packet[(seed >> 8) % size] ^= (uint8_t)(1u << (seed >> 29));
            }
        }
        (void)decode(row, packet, size);
    }
}

Test(message, names_and_text) {
    char text[8] = "before";
    cr_assert_str_eq(message_type_name(MESSAGE_UNWRAP), "unwrap");
    cr_assert_str_eq(message_role_name(ROLE_KEEPER), "keeper");
    cr_assert_str_eq(message_action_name(ACTION_INFER), "model.infer");
    cr_assert_not(bytes_to_text(bytes_of("12345678", 8), text, sizeof text));
    cr_assert_not(bytes_to_text(bytes_of("a\0b", 3), text, sizeof text));
    cr_assert_str_eq(text, "before");
    cr_assert(bytes_to_text(bytes_of("1234567", 7), text, sizeof text));
    cr_assert_str_eq(text, "1234567");
}

/* Front makes both ends of a channel: ledger does not wait there whatever the flags are. */
Test(message, ledger_never_waits_for_front, .timeout = 30) {
    int pair[2];
    uint8_t buffer[MESSAGE_SMALL_MAX];
    struct message got;
    struct error error;
    const struct message_settled settled = {.ticket = 1};
    enum status status = STATUS_OK;
    cr_assert_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
    cr_expect_eq(
        message_receive(pair[0], ROLE_FRONT, ROLE_LEDGER, buffer, sizeof buffer, &got, &error),
        STATUS_RATE, "nothing was sent");
    for (unsigned i = 0; status == STATUS_OK && i < 1000000; i++)
        status = message_send_settled(pair[0], &settled, NULL, &error);
    cr_expect_eq(status, STATUS_RATE, "nobody reads");
    close(pair[0]);
    close(pair[1]);
}
