/* The names of an output's classes: a text file, one name a line.
 *
 * UTF-8, lines ended by LF or CR LF (the last one's may be left out), no line empty, no control
 * characters, at most LABELS_COUNT_MAX lines of LABELS_TEXT_MAX bytes and LABELS_BYTES_MAX bytes in
 * all. The list has a copy of them. Failure: STATUS_INVALID with the line, or
 * STATUS_UNSERVABLE past a bound. Threads: any. Input: hostile. */
#ifndef BUNDLE_LABELS_H
#define BUNDLE_LABELS_H

#include "engine/model/tensor.h"

#define LABELS_COUNT_MAX 32768
#define LABELS_TEXT_MAX 255
#define LABELS_BYTES_MAX 98304 /* what fits a signature, beside the rest */

struct labels {
    struct str *texts;
    size_t count;
    char *bytes; /* where they lie */
};

/* `name` is the file's, for messages: printable. `labels` is freed with labels_free. */
MUST_USE enum status labels_parse(struct str bytes, const char *name, struct labels *labels,
                                  struct error *error);
void labels_free(struct labels *labels);

#endif
