#include "base/message.h"

#include "base/buf.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define FIXED_MAX 8192 /* stack room for an encoded message whose fields are all short */

static const struct {
    const char *name;
    enum role sender, receiver;
    size_t descriptors;
} table[MESSAGE_TYPE_COUNT] = {
#define ROW(NAME, name, sender, receiver, descriptors)                                             \
    [MESSAGE_##NAME] = {#name, ROLE_##sender, ROLE_##receiver, descriptors},
    MESSAGE_TABLE(ROW)
#undef ROW
};

/* A message is sent as pieces: the fixed parts from a small buffer, long fields from where they
 * lie, so that nothing is copied twice and no large buffer stands on a thread's stack. */
#define PIECES_MAX 32

struct packet {
    uint8_t small[FIXED_MAX];
    struct buf fixed;
    struct iovec pieces[PIECES_MAX];
    size_t count, total;
    size_t flushed; /* bytes of `fixed` already in pieces */
    bool too_long;
};

static void packet_flush(struct packet *p) {
    size_t size = p->fixed.size - p->flushed;
    if (!size || p->too_long)
        return;
    p->pieces[p->count++] = (struct iovec){p->small + p->flushed, size};
    p->flushed = p->fixed.size;
    p->total += size;
}

static void put_bytes(struct packet *p, struct bytes value, size_t max) {
    if (value.size > max) {
        p->too_long = true;
        return;
    }
    buf_u32(&p->fixed, (uint32_t)value.size);
    if (value.size <= 256) {
        buf_bytes(&p->fixed, value.data, value.size);
        return;
    }
    if (p->count + 3 > PIECES_MAX) {
        p->too_long = true;
        return;
    }
    packet_flush(p);
    p->pieces[p->count++] = (struct iovec){(void *)(uintptr_t)value.data, value.size};
    p->total += value.size;
}

/* Ledger serves every tenant and waits for front never: front makes both ends of its channels, so
 * whether they are non-blocking is only its word. */
static int flags_between(enum role self, enum role other) {
    return self == ROLE_LEDGER && other == ROLE_FRONT ? MSG_DONTWAIT : 0;
}

static enum status packet_send(int socket, struct packet *p, enum message_type type,
                               const int *descriptors, struct error *error) {
    const size_t count = table[type].descriptors;
    const int flags = MSG_NOSIGNAL | flags_between(table[type].sender, table[type].receiver);
    packet_flush(p);
    if (p->fixed.failed || p->too_long || p->total > MESSAGE_MAX)
        return status_fail(error, STATUS_INVALID, "a message field is too long");
    union {
        struct cmsghdr align;
        char space[CMSG_SPACE(sizeof(int) * MESSAGE_DESCRIPTORS_MAX)];
    } control = {0};
    struct msghdr header = {.msg_iov = p->pieces, .msg_iovlen = p->count};
    if (count) {
        header.msg_control = control.space;
        header.msg_controllen = CMSG_SPACE(sizeof(int) * count);
        struct cmsghdr *c = CMSG_FIRSTHDR(&header);
        c->cmsg_level = SOL_SOCKET;
        c->cmsg_type = SCM_RIGHTS;
        c->cmsg_len = CMSG_LEN(sizeof(int) * count);
        memcpy(CMSG_DATA(c), descriptors, sizeof(int) * count);
    }
    ssize_t n;
    do
        n = sendmsg(socket, &header, flags);
    while (n < 0 && errno == EINTR);
    if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
        return status_fail(error, STATUS_RATE, "the receiving process is busy");
    if (n < 0)
        return status_fail(error, STATUS_UNAVAILABLE, "a process of the server is not reachable");
    return STATUS_OK;
}

/* Short fields (an API key is one) were copied, and the thread's stack outlives the request. */
static void packet_wipe(struct packet *p) {
    explicit_bzero(p->small, p->fixed.size);
}

#define PUT_U8(name, max) buf_u8(&packet.fixed, message->name);
#define PUT_U32(name, max) buf_u32(&packet.fixed, message->name);
#define PUT_U64(name, max) buf_u64(&packet.fixed, message->name);
#define PUT_TEXT(name, max) put_bytes(&packet, message->name, max);
#define PUT_BYTES(name, max) put_bytes(&packet, message->name, max);
#define PUT(kind, name, max) PUT_##kind(name, max)

static void pack_bytes(struct buf *packet, struct bytes value, size_t max) {
    if (value.size > max)
        packet->failed = true;
    buf_u32(packet, (uint32_t)value.size);
    buf_bytes(packet, value.data, value.size);
}

#define PACK_U8(name, max) buf_u8(&packet, message->name);
#define PACK_U32(name, max) buf_u32(&packet, message->name);
#define PACK_U64(name, max) buf_u64(&packet, message->name);
#define PACK_TEXT(name, max) pack_bytes(&packet, message->name, max);
#define PACK_BYTES(name, max) pack_bytes(&packet, message->name, max);
#define PACK(kind, name, max) PACK_##kind(name, max)

#define GET_U8(name, max) out->name = cursor_u8(c);
#define GET_U32(name, max) out->name = cursor_u32(c);
#define GET_U64(name, max) out->name = cursor_u64(c);
#define GET_TEXT(name, max) out->name = get_bytes(c, max);
#define GET_BYTES(name, max) out->name = get_bytes(c, max);
#define GET(kind, name, max) GET_##kind(name, max)

static struct bytes get_bytes(struct cursor *c, size_t max) {
    size_t size = cursor_u32(c);
    if (size > max)
        c->failed = true;
    const uint8_t *data = cursor_take(c, size);
    return (struct bytes){data, data ? size : 0};
}

#define ROW(NAME, name, sender, receiver, fds)                                                     \
    enum status message_send_##name(int socket, const struct message_##name *message,              \
                                    const int *descriptors, struct error *error) {                 \
        struct packet packet;                                                                      \
        packet.fixed = buf_of(packet.small, sizeof packet.small);                                  \
        packet.count = packet.total = packet.flushed = 0;                                          \
        packet.too_long = false;                                                                   \
        (void)message;                                                                             \
        buf_u16(&packet.fixed, MESSAGE_##NAME);                                                    \
        MESSAGE_FIELDS_##name(PUT) enum status status =                                            \
            packet_send(socket, &packet, MESSAGE_##NAME, descriptors, error);                      \
        packet_wipe(&packet);                                                                      \
        return status;                                                                             \
    }                                                                                              \
    size_t message_pack_##name(void *out, size_t capacity, const struct message_##name *message) { \
        struct buf packet = buf_of(out, capacity);                                                 \
        (void)message;                                                                             \
        buf_u16(&packet, MESSAGE_##NAME);                                                          \
        MESSAGE_FIELDS_##name(PACK) return packet.failed ? 0 : packet.size;                        \
    }                                                                                              \
    static void decode_##name(struct cursor *c, struct message_##name *out) {                      \
        (void)c;                                                                                   \
        (void)out;                                                                                 \
        MESSAGE_FIELDS_##name(GET)                                                                 \
    }
MESSAGE_TABLE(ROW)
#undef ROW

enum status message_decode(struct bytes packet, enum role sender, enum role receiver,
                           struct message *message, size_t *descriptors_wanted,
                           struct error *error) {
    struct cursor c = cursor_of(packet.data, packet.size);
    unsigned type = cursor_u16(&c);
    if (c.failed || type == MESSAGE_NONE || type >= MESSAGE_TYPE_COUNT)
        return status_fail(error, STATUS_INVALID, "message type %u is not known", type);
    if ((table[type].sender != ROLE_ANY && table[type].sender != sender) ||
        (table[type].receiver != ROLE_ANY && table[type].receiver != receiver))
        return status_fail(error, STATUS_INVALID, "message %s from %s to %s is not in the table",
                           table[type].name, message_role_name(sender),
                           message_role_name(receiver));
    struct message decoded = {.type = (enum message_type)type, .descriptors = {-1, -1}};
    switch (decoded.type) {
#define ROW(NAME, name, from, to, fds)                                                             \
    case MESSAGE_##NAME:                                                                           \
        decode_##name(&c, &decoded.name);                                                          \
        break;
        MESSAGE_TABLE(ROW)
#undef ROW
    case MESSAGE_NONE:
    case MESSAGE_TYPE_COUNT:
        break;
    }
    if (!cursor_done(&c))
        return status_fail(error, STATUS_INVALID, "message %s is malformed", table[type].name);
    *descriptors_wanted = table[type].descriptors;
    *message = decoded;
    return STATUS_OK;
}

enum status message_receive(int socket, enum role sender, enum role receiver, void *buffer,
                            size_t buffer_size, struct message *message, struct error *error) {
    union {
        struct cmsghdr align;
        char space[CMSG_SPACE(sizeof(int) * MESSAGE_DESCRIPTORS_MAX)];
    } control;
    struct iovec piece = {buffer, buffer_size};
    struct msghdr header = {.msg_iov = &piece,
                            .msg_iovlen = 1,
                            .msg_control = control.space,
                            .msg_controllen = sizeof control.space};
    ssize_t n;
    do
        n = recvmsg(socket, &header, MSG_CMSG_CLOEXEC | flags_between(receiver, sender));
    while (n < 0 && errno == EINTR);
    if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
        return status_fail(error, STATUS_RATE, "no message is waiting");
    if (n <= 0)
        return status_fail(error, STATUS_UNAVAILABLE, "a process of the server is not reachable");

    int descriptors[MESSAGE_DESCRIPTORS_MAX] = {-1, -1};
    size_t count = 0;
    for (struct cmsghdr *c = CMSG_FIRSTHDR(&header); c; c = CMSG_NXTHDR(&header, c)) {
        if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
            continue;
        size_t here = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (size_t i = 0; i < here && count < MESSAGE_DESCRIPTORS_MAX; i++)
            memcpy(&descriptors[count++], CMSG_DATA(c) + i * sizeof(int), sizeof(int));
    }
    enum status status = STATUS_OK;
    size_t wanted = 0;
    struct message decoded;
    if (header.msg_flags & (MSG_TRUNC | MSG_CTRUNC))
        status = status_fail(error, STATUS_INVALID, "a message is longer than its receiver allows");
    else
        status =
            message_decode(bytes_of(buffer, (size_t)n), sender, receiver, &decoded, &wanted, error);
    if (status == STATUS_OK && wanted != count)
        status = status_fail(error, STATUS_INVALID, "message %s came with %zu descriptors, not %zu",
                             table[decoded.type].name, count, wanted);
    if (status != STATUS_OK) {
        for (size_t i = 0; i < count; i++)
            close(descriptors[i]);
        return status;
    }
    memcpy(decoded.descriptors, descriptors, sizeof descriptors);
    *message = decoded;
    return STATUS_OK;
}

void message_close_descriptors(struct message *message) {
    for (size_t i = 0; i < MESSAGE_DESCRIPTORS_MAX; i++)
        if (message->descriptors[i] >= 0) {
            close(message->descriptors[i]);
            message->descriptors[i] = -1;
        }
}

const char *message_type_name(enum message_type type) {
    return (unsigned)type < MESSAGE_TYPE_COUNT && table[type].name ? table[type].name : "unknown";
}

const char *message_action_name(enum message_action action) {
    static const char *const names[ACTION_COUNT] = {
#define ROW(NAME, scope, text) [ACTION_##NAME] = text,
        MESSAGE_ACTIONS(ROW)
#undef ROW
    };
    return (unsigned)action < ACTION_COUNT ? names[action] : "unknown";
}

const char *message_role_name(enum role role) {
    static const char *const names[] = {
        [ROLE_ANY] = "any",       [ROLE_LAUNCH] = "launch", [ROLE_KEEPER] = "keeper",
        [ROLE_LEDGER] = "ledger", [ROLE_FRONT] = "front",   [ROLE_WORKER] = "worker"};
    return (unsigned)role < sizeof names / sizeof *names ? names[role] : "unknown";
}

struct bytes bytes_of(const void *data, size_t size) {
    return (struct bytes){data, size};
}

struct bytes bytes_text(const char *text) {
    return (struct bytes){(const uint8_t *)text, strlen(text)};
}

int bytes_to_text(struct bytes from, char *to, size_t to_size) {
    if (from.size >= to_size || (from.size && memchr(from.data, 0, from.size)))
        return 0;
    if (from.size)
        memcpy(to, from.data, from.size);
    to[from.size] = '\0';
    return 1;
}
