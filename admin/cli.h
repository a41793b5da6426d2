/* What every subcommand of `strongroom` shares: the table's row, the words it was called with, and
 * where it acts.
 *
 * A subcommand prints its result on standard output, for people or as one JSON object (--json), and
 * returns a status; main prints the error on standard error and exits with status_exit(status),
 * which is one of enum cli_exit. A secret is never an argument. */
#ifndef ADMIN_CLI_H
#define ADMIN_CLI_H

#include <stdbool.h>
#include <stddef.h>

#include "admin/options.h"
#include "base/status.h"

/* Exit statuses of `strongroom`: the one list, behind --help and the man pages. All but the last
 * are what STATUS_TABLE of base/status.h says. */
enum cli_exit {
    CLI_EXIT_DONE = 0,
    CLI_EXIT_INTERNAL = 1,
    CLI_EXIT_USAGE = 2,
    CLI_EXIT_FORBIDDEN = 3,
    CLI_EXIT_NOT_FOUND = 4,
    CLI_EXIT_CONFLICT = 5,
    CLI_EXIT_UNSERVABLE = 6,
    CLI_EXIT_RATE = 7,
    CLI_EXIT_UNAVAILABLE = 8,
    CLI_EXIT_DECLINED = 9,
};

struct cli_exit_row {
    enum cli_exit status;
    const char *meaning;
};

#define CLI_EXITS 10
extern const struct cli_exit_row cli_exits[CLI_EXITS];

struct cli_command;

struct cli {
    const char *data;   /* folder of the server: --data, $STRONGROOM_DATA, ./strongroom-data */
    const char *config; /* file: --config, or NULL for strongroom.yaml in `data` */
    bool json;
    const struct cli_command *command;
    struct options options; /* of this subcommand */
};

/* A row of the table. --help, the man pages, completion and the check of what was typed are all
 * made from it. How the value of an option or a positional is called says how it is completed: FILE
 * or a name with a suffix (MODEL.onnx) by files, DIR by folders, on|off by these words. */
struct cli_command {
    const char *name;       /* "tenant create" */
    const char *positional; /* "NAME" as help shows it; "" for none */
    size_t least, most;     /* how many of them */
    const struct options_row *rows;
    size_t row_count;
    const char *summary;  /* one line */
    const char *help;     /* more, or NULL; an empty line parts paragraphs, a space keeps a line */
    const char *example;  /* command lines without their "strongroom", or NULL */
    const char *destroys; /* NULL, or what is gone for good then: main asks first, or wants --yes */
    const char *needs[3]; /* of what destroys: options without which it is refused and not asked */
    enum status (*run)(struct cli *cli, struct error *error);
};

#endif
