/* Short questions of front to ledger, and their answers, through shared memory.
 *
 * A request needs two exchanges with the ledger. Over a socket each costs two system calls on both
 * sides even when nobody has to be woken; here it costs the waking alone, and that only of who
 * sleeps. What is longer than MAILBOX_BYTES or carries a descriptor goes over the channel's socket
 * as before (server/front/channel.h).
 *
 * Ledger makes one mailbox for each front process and hands it over; a box in it belongs to one
 * channel and holds one packet of base/message.h at a time: the question until it is answered, then
 * the answer. Neither side believes the other: a packet is copied out once and decoded from the
 * copy, and who writes at the wrong time spoils only the exchange of its own box. A box is wiped
 * when its packet was taken: an API key is in there.
 *
 * Threads. Asking side: one thread a box. Answering side: mailbox_next and mailbox_take on one
 * thread, mailbox_answer on any. */
#ifndef BASE_MAILBOX_H
#define BASE_MAILBOX_H

#include "base/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MAILBOX_BOXES 4096u
#define MAILBOX_BYTES 2040u /* the longest packet */
#define MAILBOX_NONE UINT32_MAX

struct mailbox;

/* The answering side: fresh memory, and an eventfd that wakes who waits for questions. Both
 * descriptors are the caller's, to be handed to the asking side (and `bell` to be waited for). */
MUST_USE enum status mailbox_new(struct mailbox **mailbox, int *memory, int *bell,
                                 struct error *error);
/* The asking side. Takes over `bell`; `memory` stays the caller's. STATUS_INVALID where the memory
 * is not what mailbox_new makes. */
MUST_USE enum status mailbox_attach(int memory, int bell, struct mailbox **mailbox,
                                    struct error *error);
/* Mailboxes are counted: mailbox_new and mailbox_attach give the first reference. */
struct mailbox *mailbox_hold(struct mailbox *mailbox);
void mailbox_release(struct mailbox *mailbox); /* NULL is safe */

/* --- asking side --- */

/* A box that was never given out, or MAILBOX_NONE. There is no giving back: an answer or a question
 * that is still on its way would be taken for the next owner's. */
uint32_t mailbox_claim(struct mailbox *mailbox);
/* Where the packet of a question is written, MAILBOX_BYTES long. */
uint8_t *mailbox_space(struct mailbox *mailbox, uint32_t box);
void mailbox_ask(struct mailbox *mailbox, uint32_t box, size_t size);
/* Wait for the answer, at most `seconds`, and copy it to `out`, which has room for MAILBOX_BYTES.
 * STATUS_DEADLINE where none has come, STATUS_UNAVAILABLE where mailbox_close was called,
 * STATUS_INVALID where it is malformed. After any of these the box is given up. */
MUST_USE enum status mailbox_wait(struct mailbox *mailbox, uint32_t box, unsigned seconds,
                                  void *out, size_t *size, struct error *error);
/* The other side is gone: whoever waits, or asks from now on, is told so. Any thread. */
void mailbox_close(struct mailbox *mailbox);
bool mailbox_closed(const struct mailbox *mailbox);

/* --- answering side --- */

/* A box with a question that was not taken yet, or MAILBOX_NONE. */
uint32_t mailbox_next(struct mailbox *mailbox);
/* Copy the question to `out` (room for MAILBOX_BYTES). False where there is none. */
bool mailbox_take(struct mailbox *mailbox, uint32_t box, void *out, size_t *size);
/* Have mailbox_next give out the box once more: its question could not be taken yet. */
void mailbox_again(struct mailbox *mailbox, uint32_t box);
void mailbox_answer(struct mailbox *mailbox, uint32_t box, const void *packet, size_t size);
/* Say that the bell will be waited for. False where a question came in the meantime: then it must
 * not be. Afterwards, say that the wait is over. */
bool mailbox_sleep(struct mailbox *mailbox);
void mailbox_wake(struct mailbox *mailbox);

#endif
