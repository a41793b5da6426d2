/* How far something long has come: one line on standard error, drawn again as it goes, with the
 * rate and the time left. Nothing at all where standard error is no terminal, where the terminal
 * cannot draw a line again, or where --json was asked for.
 *
 * A command does one thing at a time, so there is one line and no handle. Main thread. What is
 * shown is a verb, sizes and times: never a key. */
#ifndef ADMIN_PROGRESS_H
#define ADMIN_PROGRESS_H

#include <stddef.h>
#include <stdint.h>

#include "admin/cli.h"

/* Begin: `what` ("sealing"; borrowed) is to handle `total` bytes, 0 where that is not known. What
 * is over within a moment is not shown. */
void progress_start(const struct cli *cli, const char *what, uint64_t total);
/* So many bytes are done; cheap enough for every chunk. Nothing happens where none was begun. */
void progress_at(uint64_t done);
/* All bytes are done, and somebody else works on: say what instead of a bar. */
void progress_wait(const char *what);
/* Take the line away. Done by main after every command, too. */
void progress_end(void);

/* The line for `done` of `total` bytes at `rate` bytes a second (0: not known yet), in at most
 * `width` columns; what does not fit is left out, the bar first. */
void progress_line(char *line, size_t size, size_t width, const char *what, uint64_t done,
                   uint64_t total, double rate);

#endif
