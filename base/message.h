/* Messages between processes, over Unix SOCK_SEQPACKET sockets, as base/message_table.h lists
 * them. One packet is one message: u16 type, then the fields, little-endian; TEXT and BYTES are a
 * u32 length and the bytes.
 *
 * A decoded message points into the caller's buffer and is valid as long as that buffer is. A
 * packet that is cut, has bytes left over, a field over its maximum, the wrong sender or the wrong
 * number of descriptors is STATUS_INVALID: the caller drops the socket it came from.
 *
 * Threads: a socket may have one reader and several writers (a packet is atomic). */
#ifndef BASE_MESSAGE_H
#define BASE_MESSAGE_H

#include "base/message_table.h"
#include "base/status.h"

#include <stddef.h>
#include <stdint.h>

#define MESSAGE_MAX (192 * 1024) /* bytes in a packet; under the kernel's default socket buffer */
#define MESSAGE_SMALL_MAX 4096   /* enough for every message without a BYTES field */
#define MESSAGE_DESCRIPTORS_MAX 2

enum role {
    ROLE_ANY, /* in the table only: any role */
    ROLE_LAUNCH,
    ROLE_KEEPER,
    ROLE_LEDGER,
    ROLE_FRONT,
    ROLE_WORKER,
};

enum message_type {
    MESSAGE_NONE,
#define ROW(NAME, name, sender, receiver, descriptors) MESSAGE_##NAME,
    MESSAGE_TABLE(ROW)
#undef ROW
        MESSAGE_TYPE_COUNT
};

enum message_action {
#define ROW(NAME, scope, text) ACTION_##NAME,
    MESSAGE_ACTIONS(ROW)
#undef ROW
        ACTION_COUNT
};

/* A view of bytes owned by somebody else. */
struct bytes {
    const uint8_t *data;
    size_t size;
};

#define MESSAGE_FIELD_TYPE_U8 uint8_t
#define MESSAGE_FIELD_TYPE_U32 uint32_t
#define MESSAGE_FIELD_TYPE_U64 uint64_t
#define MESSAGE_FIELD_TYPE_TEXT struct bytes
#define MESSAGE_FIELD_TYPE_BYTES struct bytes
#define MESSAGE_FIELD_DECLARE(kind, name, max) MESSAGE_FIELD_TYPE_##kind name;
#define ROW(NAME, name, sender, receiver, descriptors)                                             \
    struct message_##name {                                                                        \
        MESSAGE_FIELDS_##name(MESSAGE_FIELD_DECLARE) char end_of_##name;                           \
    };
MESSAGE_TABLE(ROW)
#undef ROW

struct message {
    enum message_type type;
    int descriptors[MESSAGE_DESCRIPTORS_MAX]; /* owned by the receiver; -1 where none */
    union {
#define ROW(NAME, name, sender, receiver, descriptors) struct message_##name name;
        MESSAGE_TABLE(ROW)
#undef ROW
    };
};

/* message_send_NAME(socket, message, descriptors, error): `descriptors` points to as many as the
 * table says (NULL for none) and they stay the caller's. STATUS_UNAVAILABLE where the other side
 * is gone, STATUS_INVALID where a field is over its maximum. Never blocks longer than the socket
 * does, and from ledger to front never at all; a full socket is STATUS_RATE then. */
#define ROW(NAME, name, sender, receiver, fds)                                                     \
    MUST_USE enum status message_send_##name(int socket, const struct message_##name *message,     \
                                             const int *descriptors, struct error *error);
MESSAGE_TABLE(ROW)
#undef ROW

/* message_pack_NAME(out, capacity, message): the packet alone, for base/mailbox.h, of a message
 * without descriptors. Bytes written; 0 where it does not fit or a field is over its maximum. */
#define ROW(NAME, name, sender, receiver, fds)                                                     \
    MUST_USE size_t message_pack_##name(void *out, size_t capacity,                                \
                                        const struct message_##name *message);
MESSAGE_TABLE(ROW)
#undef ROW

/* Receive one message that `sender` may send to `receiver`. `buffer` holds its bytes. Returns
 * STATUS_UNAVAILABLE when the other side closed, STATUS_RATE when a non-blocking socket, or
 * one of ledger's to front, has nothing, STATUS_INVALID on anything malformed (descriptors that
 * came along are closed). */
MUST_USE enum status message_receive(int socket, enum role sender, enum role receiver, void *buffer,
                                     size_t buffer_size, struct message *message,
                                     struct error *error);

/* Decode from bytes alone: what message_receive uses after the socket, and the fuzzer's way in. */
MUST_USE enum status message_decode(struct bytes packet, enum role sender, enum role receiver,
                                    struct message *message, size_t *descriptors_wanted,
                                    struct error *error);

/* Close the descriptors that came with a message and were not taken (set to -1 when taken). */
void message_close_descriptors(struct message *message);

const char *message_type_name(enum message_type type);
const char *message_action_name(enum message_action action); /* as in the audit log */
const char *message_role_name(enum role role);

struct bytes bytes_of(const void *data, size_t size);
struct bytes bytes_text(const char *text);
/* Copy into a terminated string; false, and untouched, where it does not fit or has a NUL. */
MUST_USE int bytes_to_text(struct bytes from, char *to, size_t to_size);

#endif
