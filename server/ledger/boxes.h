/* The ledger's side of front's mailbox (base/mailbox.h): which channel asks from which box.
 *
 * Threads: the loop. Input: front's, decoded from a copy. */
#ifndef SERVER_LEDGER_BOXES_H
#define SERVER_LEDGER_BOXES_H

#include "base/mailbox.h"
#include "server/ledger/link.h"

struct boxes;

MUST_USE enum status boxes_new(struct boxes **boxes, struct error *error);
void boxes_free(struct boxes *boxes);

/* A mailbox for the front at the other end of `front`, which is told of it. `bell` receives the
 * eventfd that the loop has to wait for. */
MUST_USE enum status boxes_open(struct boxes *boxes, struct link *front, int *bell,
                                struct error *error);
/* That front is gone. Answers to it that are still to come go nowhere. */
void boxes_close(struct boxes *boxes);
/* The channel asks from `box` from now on. False where there is no such box, or it is another's. */
bool boxes_join(struct boxes *boxes, struct link *channel, uint32_t box);
void boxes_leave(struct boxes *boxes, const struct link *channel);

/* The next channel with a question, which is copied to `out` (room for MAILBOX_BYTES); NULL where
 * there is none, or after so many boxes marked for nothing that others should have their turn
 * (boxes_sleep is false then). */
struct link *boxes_next(struct boxes *boxes, void *out, size_t *size);
/* Around the loop's wait: false where it must not wait. */
bool boxes_sleep(struct boxes *boxes);
void boxes_wake(struct boxes *boxes);

#endif
