/* What every subcommand of `strongroom` shares: the table's row, the words it was called with, and
 * where it acts.
 *
 * A subcommand prints its result on standard output, for people or as one JSON object (--json), and
 * returns a status; main prints the error on standard error and exits with status_exit(status):
 * 0 done, 1 internal, 2 wrong use or input, 3 not allowed, 4 not found, 5 exists or in use,
 * 6 unservable, 7 rate, 8 unavailable. A secret is never an argument. */
#ifndef ADMIN_CLI_H
#define ADMIN_CLI_H

#include <stdbool.h>
#include <stddef.h>

#include "admin/options.h"
#include "base/status.h"

struct cli {
    const char *data;   /* folder of the server: --data, $STRONGROOM_DATA, ./strongroom-data */
    const char *config; /* file: --config, or NULL for strongroom.yaml in `data` */
    bool json;
    struct options options; /* of this subcommand */
};

struct cli_command {
    const char *name;       /* "tenant create" */
    const char *positional; /* "NAME" as help shows it; "" for none */
    size_t least, most;     /* how many of them */
    const struct options_row *rows;
    size_t row_count;
    const char *summary; /* one line */
    const char *help;    /* more, or NULL */
    enum status (*run)(struct cli *cli, struct error *error);
};

#endif
