#include "base/recipient_text.h"

#include "base/name.h"

#include <string.h>

static enum status check(const struct recipient_text *parts, struct error *error) {
    if (parts->tenant.size != MESSAGE_UID_MAX)
        return status_fail(error, STATUS_INVALID,
                           "recipient note: the tenant's uid has %zu characters, expected %d",
                           parts->tenant.size, MESSAGE_UID_MAX);
    for (size_t i = 0; i < parts->tenant.size; i++)
        if (!memchr("0123456789abcdef", parts->tenant.data[i], 16))
            return status_fail(error, STATUS_INVALID,
                               "recipient note: the tenant's uid is not lower-case hexadecimal");
    if (!name_valid((const char *)parts->name.data, parts->name.size))
        return status_fail(error, STATUS_INVALID,
                           "recipient note: the tenant's name is not a valid name");
    if (parts->recipient.size < 5 || parts->recipient.size > 128 ||
        memcmp(parts->recipient.data, "age1", 4) != 0)
        return status_fail(error, STATUS_INVALID,
                           "recipient note: expected a recipient that begins with age1");
    for (size_t i = 0; i < parts->recipient.size; i++) {
        uint8_t c = parts->recipient.data[i];
        if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9')))
            return status_fail(error, STATUS_INVALID,
                               "recipient note: the recipient has a character that no recipient "
                               "has");
    }
    return STATUS_OK;
}

enum status recipient_text_write(const struct recipient_text *parts, struct buf *out,
                                 struct error *error) {
    enum status status = check(parts, error);
    if (status != STATUS_OK)
        return status;
    const struct bytes lines[] = {bytes_text(RECIPIENT_TEXT_FIRST_LINE), parts->tenant, parts->name,
                                  parts->recipient};
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        buf_bytes(out, lines[i].data, lines[i].size);
        buf_u8(out, '\n');
    }
    if (out->failed)
        return status_fail(error, STATUS_TOO_LARGE, "recipient note: the text does not fit");
    return STATUS_OK;
}

enum status recipient_text_parse(struct bytes text, struct recipient_text *parts,
                                 struct error *error) {
    struct cursor in = cursor_of(text.data, text.size);
    struct bytes lines[4] = {{NULL, 0}};
    for (size_t i = 0; i < 4; i++)
        if (!cursor_line(&in, 128, &lines[i].data, &lines[i].size))
            return status_fail(error, STATUS_INVALID,
                               "recipient note: expected four lines, found %zu", i);
    if (!cursor_done(&in))
        return status_fail(error, STATUS_INVALID, "recipient note: bytes after the fourth line");
    if (lines[0].size != strlen(RECIPIENT_TEXT_FIRST_LINE) ||
        memcmp(lines[0].data, RECIPIENT_TEXT_FIRST_LINE, lines[0].size) != 0)
        return status_fail(error, STATUS_INVALID,
                           "recipient note: the first line must be " RECIPIENT_TEXT_FIRST_LINE);
    struct recipient_text found = {lines[1], lines[2], lines[3]};
    enum status status = check(&found, error);
    if (status == STATUS_OK)
        *parts = found;
    return status;
}
