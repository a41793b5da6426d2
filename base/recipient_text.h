/* The text of the signed note by which a tenant learns its recipient: keeper signs it, `strongroom
 * seal` checks it. Four lines, each ended by a newline:
 *
 *   strongroom.dev/tenant-recipient
 *   <tenant uid>
 *   <tenant name>
 *   <recipient: age1...>
 *
 * Parsing is strict: exactly these lines, a uid of 32 lower-case hexadecimal digits, a valid name,
 * a recipient of lower-case letters and digits. Views point into the caller's text. Input:
 * untrusted (STATUS_INVALID); what the note says is believed only after note_verify. */
#ifndef BASE_RECIPIENT_TEXT_H
#define BASE_RECIPIENT_TEXT_H

#include "base/buf.h"
#include "base/message.h"

#define RECIPIENT_TEXT_FIRST_LINE "strongroom.dev/tenant-recipient"
#define RECIPIENT_TEXT_MAX 256 /* bytes of the text, at most */

struct recipient_text {
    struct bytes tenant, name, recipient;
};

/* Append the text; STATUS_INVALID where a part is not what it must be. */
MUST_USE enum status recipient_text_write(const struct recipient_text *parts, struct buf *out,
                                          struct error *error);
MUST_USE enum status recipient_text_parse(struct bytes text, struct recipient_text *parts,
                                          struct error *error);

#endif
