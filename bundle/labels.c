#include "bundle/labels.h"

#include <stdlib.h>

#include "base/buf.h"
#include "bundle/text.h"

static enum status check(struct str line, const char *name, size_t number, struct error *error) {
    if (line.size == 0)
        return status_fail(error, STATUS_INVALID, "%s: line %zu is empty, expected a label", name,
                           number);
    if (line.size > LABELS_TEXT_MAX)
        return status_fail(error, STATUS_UNSERVABLE, "%s: line %zu has %zu bytes, at most %d", name,
                           number, line.size, LABELS_TEXT_MAX);
    switch (text_check(line, false)) {
    case TEXT_NOT_UTF8:
        return status_fail(error, STATUS_INVALID, "%s: line %zu is not UTF-8", name, number);
    case TEXT_CONTROL:
        return status_fail(error, STATUS_INVALID, "%s: line %zu has control characters", name,
                           number);
    case TEXT_FINE:
        break;
    }
    return STATUS_OK;
}

enum status labels_parse(struct str bytes, const char *name, struct labels *labels,
                         struct error *error) {
    struct labels made = {0};
    enum status status = STATUS_OK;
    size_t lines = bytes.size && bytes.data[bytes.size - 1] != '\n', at = 0;
    if (bytes.size > LABELS_BYTES_MAX)
        return status_fail(error, STATUS_UNSERVABLE, "%s has %zu bytes, at most %d", name,
                           bytes.size, LABELS_BYTES_MAX);
    for (size_t i = 0; i < bytes.size; i++)
        lines += bytes.data[i] == '\n';
    if (lines == 0 || lines > LABELS_COUNT_MAX)
        return status_fail(error, lines ? STATUS_UNSERVABLE : STATUS_INVALID,
                           "%s has %zu labels, expected 1 to %d", name, lines, LABELS_COUNT_MAX);
    if (!(made.texts = calloc(lines, sizeof *made.texts)) || !(made.bytes = malloc(bytes.size))) {
        labels_free(&made);
        return status_fail(error, STATUS_UNAVAILABLE, "out of memory");
    }
    memcpy(made.bytes, bytes.data, bytes.size);
    while (status == STATUS_OK && made.count < lines) {
        const char *start = made.bytes + at, *end = memchr(start, '\n', bytes.size - at);
        struct str line = {start, end ? (size_t)(end - start) : bytes.size - at};
        at += line.size + 1;
        if (line.size && line.data[line.size - 1] == '\r')
            line.size--;
        made.texts[made.count++] = line;
        status = check(line, name, made.count, error);
    }
    if (status == STATUS_OK)
        *labels = made;
    else
        labels_free(&made);
    return status;
}

void labels_free(struct labels *labels) {
    free(labels->texts);
    free(labels->bytes);
    *labels = (struct labels){0};
}
