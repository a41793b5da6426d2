/* Man pages, from the table of subcommands: one of the whole, one a subcommand, one of strongroomd.
 */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "admin/commands.h"
#include "admin/files.h"
#include "admin/output.h"
#include "admin/roff.h"
#include "base/server_options.h"

#define TITLE_MAX 96

/* "tenant create" as the name of its page: "strongroom-tenant-create". */
static void page_name(const struct cli_command *command, char name[TITLE_MAX]) {
    snprintf(name, TITLE_MAX, "strongroom-%s", command->name);
    for (char *c = name; *c; c++)
        if (*c == ' ')
            *c = '-';
}

static void print_head(FILE *to, const char *name, int section, const char *summary) {
    fprintf(to, ".\\\" made by `strongroom man`\n.TH \"");
    for (const char *c = name; *c; c++)
        fputc(toupper((unsigned char)*c), to);
    fprintf(to, "\" %d %s \"Strongroom %s\" \"Strongroom\"\n.SH NAME\n", section, STRONGROOM_DATE,
            STRONGROOM_VERSION);
    roff_word(to, name);
    fputs(" \\-\n", to);
    roff_text(to, summary);
}

static void print_option(FILE *to, const struct options_row *row) {
    fputs(".TP\n", to);
    if (row->letter)
        fprintf(to, "\\fB\\-%c\\fR, ", row->letter);
    fputs("\\fB\\-\\-", to);
    roff_word(to, row->name);
    fputs("\\fR", to);
    if (row->value) {
        fputs(" \\fI", to);
        roff_word(to, row->value);
        fputs("\\fR", to);
    }
    fputc('\n', to);
    roff_text(to, row->help);
    if (row->repeats)
        roff_text(to, "It may be given several times.");
}

static void print_exits(FILE *to) {
    fputs(".SH EXIT STATUS\n", to);
    for (size_t i = 0; i < CLI_EXITS; i++) {
        fprintf(to, ".TP\n.B %d\n", (int)cli_exits[i].status);
        roff_text(to, cli_exits[i].meaning);
    }
}

static void print_command(FILE *to, const struct cli_command *command) {
    char name[TITLE_MAX];
    size_t count = 0;
    const struct options_row *rows = commands_options(command, &count);
    page_name(command, name);
    print_head(to, name, 1, command->summary);
    fprintf(to, ".SH SYNOPSIS\n.B strongroom %s\n", command->name);
    if (command->positional[0]) {
        fputs(".I ", to);
        roff_word(to, command->positional);
        fputc('\n', to);
    }
    fputs(".RI [ OPTIONS ]\n", to);
    if (command->help || command->destroys)
        fputs(".SH DESCRIPTION\n", to);
    if (command->help)
        roff_text(to, command->help);
    if (command->destroys) {
        char text[512];
        snprintf(text, sizeof text,
                 "This destroys %s. It asks first on a terminal; elsewhere it wants `--yes`.",
                 command->destroys);
        fputs(command->help ? ".PP\n" : "", to);
        roff_text(to, text);
    }
    fputs(".SH OPTIONS\n", to);
    for (size_t i = 0; i < count; i++)
        print_option(to, &rows[i]);
    if (command->example) {
        fputs(".SH EXAMPLES\n.nf\n", to);
        for (const char *line = command->example; *line;) {
            size_t length = strcspn(line, "\n");
            char one[512];
            snprintf(one, sizeof one, "strongroom %.*s", (int)length, line);
            roff_word(to, one);
            fputc('\n', to);
            line += length + (line[length] == '\n');
        }
        fputs(".fi\n", to);
    }
    print_exits(to);
    fputs(".SH SEE ALSO\n.BR strongroom (1),\n.BR strongroomd (8)\n", to);
}

static void print_overview(FILE *to) {
    const struct commands *all = commands_all();
    print_head(to, "strongroom", 1, "what operators and tenants do with a Strongroom server");
    fputs(".SH SYNOPSIS\n.B strongroom\n.I COMMAND\n.RI [ OPTIONS ]\n.SH DESCRIPTION\n", to);
    roff_text(to,
              "Strongroom serves models that stay sealed on disk. `strongroom` is what its "
              "operators and tenants work with: it makes the folder of a server, its tenants and "
              "their keys, seals and uploads models, and shows what was done.\n\n"
              "Where a server runs on the folder, it does the work; where none runs, the command "
              "does. A result goes to standard output, everything else to standard error. With "
              "`--json` each is one JSON object; an error is "
              "{\"error\": message, \"status\": word, \"exit\": number}. On a terminal tables are "
              "cut to its width; elsewhere everything is there, a row a line. A secret is never an "
              "argument.");
    fputs(".SH COMMANDS\n", to);
    for (size_t i = 0; i < all->count; i++) {
        char name[TITLE_MAX];
        page_name(all->rows[i], name);
        fprintf(to, ".TP\n\\fB%s\\fR", all->rows[i]->name);
        if (all->rows[i]->positional[0]) {
            fputs(" \\fI", to);
            roff_word(to, all->rows[i]->positional);
            fputs("\\fR", to);
        }
        fputc('\n', to);
        roff_text(to, all->rows[i]->summary);
    }
    fputs(".SH OPTIONS OF EVERY COMMAND\n", to);
    for (size_t i = 0; i < commands_common_count; i++)
        print_option(to, &commands_common[i]);
    fputs(".TP\n.B \\-\\-version\nprint the version\n", to);
    print_exits(to);
    fputs(".SH ENVIRONMENT\n.TP\n.B STRONGROOM_DATA\nthe server's folder, where \\fB\\-\\-data\\fR "
          "is not given\n"
          ".TP\n.B STRONGROOM_KEY\nthe API key, where \\fB\\-\\-key\\-file\\fR is not given\n"
          ".TP\n.B NO_COLOR\nno colour, where it says anything\n"
          ".TP\n.B COLUMNS\nthe terminal's width, where it is not to be asked\n"
          ".SH SEE ALSO\n",
          to);
    for (size_t i = 0; i < all->count; i++) {
        char name[TITLE_MAX];
        page_name(all->rows[i], name);
        fputs(".BR ", to);
        roff_word(to, name);
        fputs(" (1),\n", to);
    }
    fputs(".BR strongroomd (8)\n", to);
}

static void print_server(FILE *to) {
    print_head(to, "strongroomd", 8, "the Strongroom server");
    fputs(".SH SYNOPSIS\n.B strongroomd\n", to);
    for (size_t i = 0; i < SERVER_OPTIONS; i++) {
        fputs(".RB [ \\-\\-", to);
        fputs(server_options[i].name, to);
        if (server_options[i].value)
            fprintf(to, "\n.IR %s ", server_options[i].value);
        fputs(" ]\n", to);
    }
    fputs(".SH DESCRIPTION\n", to);
    roff_text(to, "Serves the folder that `strongroom init` made, in the foreground, with its log "
                  "on standard error. It starts itself once more for each of its roles, each in a "
                  "sandbox of its own. The configuration is a YAML file; `strongroom init` writes "
                  "one with every setting in it.");
    fputs(".SH OPTIONS\n", to);
    for (size_t i = 0; i < SERVER_OPTIONS; i++) {
        const struct server_options_row *row = &server_options[i];
        const struct options_row option = {row->name, 0, row->value, row->help, false};
        print_option(to, &option);
    }
    fputs(".SH SIGNALS\n", to);
    roff_text(to, server_options_signals);
    fputs(".SH EXIT STATUS\n", to);
    roff_text(to, server_options_exits);
    fputs(".SH FILES\n.TP\n.I ", to);
    roff_word(to, SERVER_OPTIONS_CONFIG);
    fputs("\nthe configuration, where \\fB\\-\\-config\\fR is not given\n"
          ".SH SEE ALSO\n.BR strongroom (1)\n",
          to);
}

/* One page as a file of `dir`; `command` NULL is the overview. */
static enum status write_page(const char *dir, const char *name, const struct cli_command *command,
                              void (*print)(FILE *to), struct error *error) {
    char *path = files_join(dir, name, error);
    FILE *to = path ? fopen(path, "we") : NULL;
    enum status status = STATUS_OK;
    if (!path)
        return STATUS_UNAVAILABLE;
    if (to && command)
        print_command(to, command);
    else if (to)
        print(to);
    if (!to || ferror(to) | fclose(to))
        status = status_fail(error, STATUS_UNAVAILABLE, "%s: %s", path, strerror(errno));
    free(path);
    return status;
}

static enum status write_pages(const char *dir, struct error *error) {
    const struct commands *all = commands_all();
    enum status status = write_page(dir, "strongroom.1", NULL, print_overview, error);
    if (status == STATUS_OK)
        status = write_page(dir, "strongroomd.8", NULL, print_server, error);
    for (size_t i = 0; i < all->count && status == STATUS_OK; i++) {
        char name[TITLE_MAX], file[TITLE_MAX + 4];
        page_name(all->rows[i], name);
        snprintf(file, sizeof file, "%s.1", name);
        status = write_page(dir, file, all->rows[i], NULL, error);
    }
    return status;
}

static enum status man(struct cli *cli, struct error *error) {
    const struct options *options = &cli->options;
    const char *dir = options_value(options, "all");
    char *words[OPTIONS_POSITIONAL_MAX];
    size_t used = 0, count = options->positional_count;
    if (dir && count)
        return status_fail(error, STATUS_INVALID, "give either --all or a command, not both");
    if (dir)
        return write_pages(dir, error);
    for (size_t i = 0; i < count; i++)
        words[i] = (char *)options->positional[i];
    const struct cli_command *command = commands_find(words, count, &used);
    if (count == 0)
        print_overview(stdout);
    else if (count == 1 && strcmp(words[0], "strongroomd") == 0)
        print_server(stdout);
    else if (command && used == count)
        print_command(stdout, command);
    else
        return status_fail(error, STATUS_INVALID, "man: no command \"%.40s%s%.40s\"", words[0],
                           count > 1 ? " " : "", count > 1 ? words[1] : "");
    return output_done(error);
}

static const struct options_row rows[] = {
    {"all", 0, "DIR", "write every page into this folder", false},
};

const struct cli_command man_command = {
    .name = "man",
    .positional = "[COMMAND]",
    .most = 3,
    .rows = rows,
    .row_count = 1,
    .summary = "print the man page of a command, of all, or of strongroomd",
    .help = "An installed Strongroom has them in place; this is for where it is not. To read one:\n"
            "`strongroom man tenant create | man -l -`",
    .example = "man seal\nman strongroomd",
    .run = man,
};
