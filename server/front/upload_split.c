#include "server/front/upload_split.h"

#include <string.h>

static const char first_line[] = "age-encryption.org/v1\n";
static const char armour[] = "-----BEGIN AGE ENCRYPTED FILE-----";

struct upload_split upload_split_of(uint8_t header[MESSAGE_HEADER_MAX]) {
    return (struct upload_split){.header = header};
}

static size_t smaller(size_t a, size_t b) {
    return a < b ? a : b;
}

/* The bytes so far must agree with the first line as far as they go. */
static enum status check_beginning(const struct upload_split *split, bool ended,
                                   struct error *error) {
    size_t wanted = sizeof first_line - 1, size = smaller(split->header_size, wanted);
    if (memcmp(split->header, first_line, size) == 0 && (!ended || size == wanted))
        return STATUS_OK;
    size = smaller(split->header_size, sizeof armour - 1);
    if (size && memcmp(split->header, armour, size) == 0) {
        if (size < sizeof armour - 1 && !ended)
            return STATUS_OK; /* too short to tell which message is right */
        return status_fail(error, STATUS_INVALID,
                           "the model is an armoured age file; send the binary form (age without "
                           "--armor)");
    }
    return status_fail(error, STATUS_INVALID,
                       "the model is not an age v1 file: it does not begin with "
                       "\"age-encryption.org/v1\"; seal it first (strongroom seal)");
}

enum status upload_split_take(struct upload_split *split, const uint8_t *bytes, size_t size,
                              const uint8_t **payload, size_t *payload_size, struct error *error) {
    size_t at = 0;
    while (!split->complete && at < size) {
        if (split->header_size == MESSAGE_HEADER_MAX)
            return status_fail(error, STATUS_INVALID, "the age header is longer than %d bytes",
                               MESSAGE_HEADER_MAX);
        size_t room = smaller(size - at, MESSAGE_HEADER_MAX - split->header_size);
        const uint8_t *newline = memchr(bytes + at, '\n', room);
        size_t step = newline ? (size_t)(newline - (bytes + at)) + 1 : room;
        memcpy(split->header + split->header_size, bytes + at, step);
        split->header_size += step;
        at += step;
        if (split->line == 0) {
            enum status status = check_beginning(split, false, error);
            if (status != STATUS_OK)
                return status;
        }
        if (!newline)
            continue;
        split->complete = split->header_size - split->line > 4 &&
                          memcmp(split->header + split->line, "--- ", 4) == 0;
        split->line = split->header_size;
    }
    *payload = bytes + at;
    *payload_size = size - at;
    return STATUS_OK;
}

enum status upload_split_end(const struct upload_split *split, struct error *error) {
    if (split->complete)
        return STATUS_OK;
    enum status status = check_beginning(split, true, error);
    if (status != STATUS_OK)
        return status;
    return status_fail(error, STATUS_INVALID, "the model ends inside its age header");
}
