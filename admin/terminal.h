/* What standard output and standard error are: how wide, in colour or not, and how much room a text
 * takes there.
 *
 * Width: $COLUMNS, else what the terminal says, else 80; without a terminal there is no limit.
 * Colour: on a terminal that is not "dumb" and without a $NO_COLOR that says anything
 * (https://no-color.org); --color=always and --color=never go before both. Texts are UTF-8 as JSON
 * guarantees it; bytes that are not count as one '?' each. Threads: the main one. */
#ifndef ADMIN_TERMINAL_H
#define ADMIN_TERMINAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "base/status.h"

enum terminal_style {
    TERMINAL_PLAIN,
    TERMINAL_STRONG,
    TERMINAL_FAINT,
    TERMINAL_GOOD,
    TERMINAL_WARN,
    TERMINAL_BAD,
};

#define TERMINAL_WIDTH_MIN 10

/* Once, first: take the locale of the environment, and the colour that `when` asks for, "auto",
 * "always" or "never"; NULL is "auto". */
MUST_USE enum status terminal_start(const char *when, struct error *error);

bool terminal_is(FILE *stream);
/* Columns; 0 where the stream is no terminal. */
size_t terminal_width(FILE *stream);
/* A terminal on which a line can be drawn again. */
bool terminal_redraws(FILE *stream);
/* Bytes to write before and after what shall look so; "" where there is no colour. */
const char *terminal_on(FILE *stream, enum terminal_style style);
const char *terminal_off(FILE *stream);

/* Make a text harmless, in place: control characters, those of C1, of direction and of no width,
 * and bytes that are not UTF-8 become '?'. */
void terminal_clean(char *text);
/* Columns of a clean text. */
size_t terminal_columns(const char *text);
/* Cut a clean text to `columns`, with an ellipsis where something is gone. */
void terminal_cut(char *text, size_t size, size_t columns);
/* Print a text in lines of at most `width` columns (0: no limit), each after the first `indent`
 * columns in. Words are kept whole where they fit; '\n' is a space, an empty line parts paragraphs,
 * a line that begins with a space stays as it is. No newline at the end. */
void terminal_wrap(FILE *to, const char *text, size_t indent, size_t width);

#endif
