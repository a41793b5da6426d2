/* --help, from the table of subcommands. The width is the terminal's, at most HELP_WIDTH. */
#ifndef ADMIN_HELP_H
#define ADMIN_HELP_H

#include <stdio.h>

#include "admin/cli.h"

#define HELP_WIDTH 96

/* All subcommands, what they share and the exit statuses. */
void help_overview(FILE *to);
/* The subcommands of a group: "tenant". */
void help_group(FILE *to, const char *word);
void help_command(FILE *to, const struct cli_command *command);
/* The whole table as one JSON object on standard output: commands with their options, and the exit
 * statuses. */
MUST_USE enum status help_json(struct error *error);

#endif
