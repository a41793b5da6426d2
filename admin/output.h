/* Results for people: facts line by line, rows as a table. With --json the result is printed as it
 * is. Control characters in what came from outside are shown as '?', so that nothing in a log can
 * drive a terminal. */
#ifndef ADMIN_OUTPUT_H
#define ADMIN_OUTPUT_H

#include <jansson.h>
#include <stdint.h>

#include "admin/cli.h"

enum output_kind {
    OUTPUT_TEXT,
    OUTPUT_NUMBER,
    OUTPUT_TIME, /* microseconds since the epoch; 0 is "-" */
    OUTPUT_BYTES,
};

struct output_field {
    const char *title;
    const char *member; /* of the row; "a.b" is member b of member a */
    enum output_kind kind;
};

/* One line "title  value" for each field that is there. */
MUST_USE enum status output_facts(const struct cli *cli, const json_t *object,
                                  const struct output_field *fields, size_t count,
                                  struct error *error);
/* A table of the array `member` of `result`; `empty` is what is said where it has no rows. */
MUST_USE enum status output_table(const struct cli *cli, const json_t *result, const char *member,
                                  const struct output_field *fields, size_t count,
                                  const char *empty, struct error *error);
/* A time as RFC 3339 in UTC, to the second. */
#define OUTPUT_TIME_SIZE 32
void output_time(int64_t microseconds, char text[OUTPUT_TIME_SIZE]);
/* After the last line: whether all of it was written. */
MUST_USE enum status output_done(struct error *error);

#endif
