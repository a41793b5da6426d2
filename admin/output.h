/* Results for people: facts line by line, rows as a table. With --json the result is printed as it
 * is. Control characters in what came from outside are shown as '?', so that nothing in a log can
 * drive a terminal.
 *
 * On a terminal a table fits its width: times become brief, then the widest column is made smaller,
 * with an ellipsis where something is gone; prose in the last column goes on below itself. Where
 * ids and words would be cut too, the last one or two columns are left out, which is said; where
 * that does not do, each row is a block of lines, one for each column. Elsewhere all is there, a
 * row a line. Facts are never cut: they are there to be copied. */
#ifndef ADMIN_OUTPUT_H
#define ADMIN_OUTPUT_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "admin/cli.h"

enum output_kind {
    OUTPUT_TEXT,
    OUTPUT_NUMBER,
    OUTPUT_TIME, /* microseconds since the epoch; 0 is "-" */
    OUTPUT_BYTES,
    OUTPUT_SPAN,  /* microseconds: "1.5 s" */
    OUTPUT_WHOLE, /* a text that is only of use whole: an id to be typed, a day */
    OUTPUT_STATE, /* a word, coloured where it is one that is known: "ready", "weak" */
    OUTPUT_PROSE, /* of the last column of a table: whole sentences */
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
/* The widths that a table of `count` columns has in `room` columns (0: no limit), two spaces
 * between each: the widest that may shrink gives one until all fit. Texts go first, down to 8; then
 * texts and states, down to 4; then times too, down to 1; numbers never. */
void output_fit(size_t *widths, const enum output_kind *kinds, size_t count, size_t room);
/* True where that can be done with texts of 8 columns and all else whole. */
bool output_fits(const size_t *widths, const enum output_kind *kinds, size_t count, size_t room);
/* A time as RFC 3339 in UTC, to the second. */
#define OUTPUT_TIME_SIZE 32
void output_time(int64_t microseconds, char text[OUTPUT_TIME_SIZE]);
/* A size as people say it: "4.6 KiB". */
void output_bytes(int64_t bytes, char *text, size_t size);
/* After the last line: whether all of it was written. */
MUST_USE enum status output_done(struct error *error);

#endif
