#include "admin/help.h"

#include <jansson.h>
#include <string.h>

#include "admin/commands.h"
#include "admin/output.h"
#include "admin/terminal.h"

#define OPTION_COLUMN 34

static size_t width_of(FILE *to) {
    size_t width = terminal_width(to);
    return width && width < HELP_WIDTH ? width : HELP_WIDTH;
}

static void title(FILE *to, const char *text) {
    fprintf(to, "%s%s%s\n", terminal_on(to, TERMINAL_STRONG), text, terminal_off(to));
}

static void usage_line(FILE *to, const char *name, const char *positional) {
    fprintf(to, "%susage:%s strongroom %s%s%s [OPTIONS]\n", terminal_on(to, TERMINAL_STRONG),
            terminal_off(to), name, positional[0] ? " " : "", positional);
}

/* "left" at the margin, `text` in a column of its own. */
static void two_columns(FILE *to, const char *left, size_t column, const char *text) {
    size_t width = width_of(to), length = strlen(left);
    /* On a narrow terminal the text stands below, a little in. */
    bool below = length + 2 > column || column + 24 > width;
    fputs(left, to);
    if (below)
        fprintf(to, "\n%*s", (int)(column = column + 24 > width ? 8 : column), "");
    else
        fprintf(to, "%*s", (int)(column - length), "");
    terminal_wrap(to, text, column, width);
    fputc('\n', to);
}

static void list_command(FILE *to, const struct cli_command *row, size_t column) {
    char left[96];
    snprintf(left, sizeof left, "  %s%s%s", row->name, row->positional[0] ? " " : "",
             row->positional);
    two_columns(to, left, column, row->summary);
}

static size_t command_column(const char *group) {
    const struct commands *all = commands_all();
    size_t column = 0, length = group ? strlen(group) : 0;
    for (size_t i = 0; i < all->count; i++) {
        const struct cli_command *row = all->rows[i];
        size_t taken = strlen(row->name) + strlen(row->positional) + 5;
        if ((!group || (strncmp(row->name, group, length) == 0 && row->name[length] == ' ')) &&
            taken > column)
            column = taken;
    }
    return column;
}

static void list_options(FILE *to, const struct options_row *rows, size_t count) {
    for (size_t i = 0; i < count; i++) {
        char left[96], letter[8] = "    ";
        if (rows[i].letter)
            snprintf(letter, sizeof letter, "-%c, ", rows[i].letter);
        snprintf(left, sizeof left, "  %s--%s%s%s", letter, rows[i].name, rows[i].value ? " " : "",
                 rows[i].value ? rows[i].value : "");
        two_columns(to, left, OPTION_COLUMN, rows[i].help);
    }
}

void help_overview(FILE *to) {
    const struct commands *all = commands_all();
    size_t column = command_column(NULL), width = width_of(to);
    usage_line(to, "COMMAND", "");
    fputc('\n', to);
    title(to, "commands:");
    for (size_t i = 0; i < all->count; i++)
        list_command(to, all->rows[i], column);
    fputc('\n', to);
    title(to, "options of every command:");
    list_options(to, commands_common, commands_common_count);
    fputc('\n', to);
    terminal_wrap(
        to,
        "`strongroom help COMMAND` says more, `strongroom --version` which one this is. "
        "Where a server runs on the folder, it does the work; where none runs, the "
        "command does. On a terminal tables are made to fit its width; elsewhere, and with "
        "--json, everything is there.",
        0, width);
    fputs("\n\n", to);
    title(to, "exit status:");
    for (size_t i = 0; i < CLI_EXITS; i++) {
        fprintf(to, "  %d  ", (int)cli_exits[i].status);
        terminal_wrap(to, cli_exits[i].meaning, 5, width);
        fputc('\n', to);
    }
}

void help_group(FILE *to, const char *word) {
    const struct commands *all = commands_all();
    size_t column = command_column(word), length = strlen(word);
    char name[64];
    snprintf(name, sizeof name, "%.48s COMMAND", word);
    usage_line(to, name, "");
    fputc('\n', to);
    title(to, "commands:");
    for (size_t i = 0; i < all->count; i++)
        if (strncmp(all->rows[i]->name, word, length) == 0 && all->rows[i]->name[length] == ' ')
            list_command(to, all->rows[i], column);
}

void help_command(FILE *to, const struct cli_command *command) {
    size_t width = width_of(to);
    usage_line(to, command->name, command->positional);
    fputc('\n', to);
    terminal_wrap(to, command->summary, 0, width);
    fputc('\n', to);
    if (command->help) {
        fputc('\n', to);
        terminal_wrap(to, command->help, 0, width);
        fputc('\n', to);
    }
    if (command->destroys) {
        char text[512];
        snprintf(text, sizeof text,
                 "This destroys %s. It asks first on a terminal; elsewhere it wants --yes.",
                 command->destroys);
        fputc('\n', to);
        terminal_wrap(to, text, 0, width);
        fputc('\n', to);
    }
    size_t own = command->row_count + (command->destroys ? 1 : 0), count = 0;
    const struct options_row *rows = commands_options(command, &count);
    if (own) {
        fputc('\n', to);
        title(to, "options:");
        list_options(to, rows, own);
    }
    fputc('\n', to);
    title(to, "options of every command:");
    list_options(to, commands_common, commands_common_count);
    if (command->example) {
        fputc('\n', to);
        title(to, "example:");
        for (const char *line = command->example; line; line = strchr(line, '\n')) {
            line += *line == '\n';
            int length = (int)strcspn(line, "\n");
            fprintf(to, "  strongroom %.*s\n", length, line);
            if (!line[length])
                break;
        }
    }
}

static json_t *describe_options(const struct options_row *rows, size_t count) {
    json_t *options = json_array();
    for (size_t i = 0; i < count; i++) {
        char letter[2] = {rows[i].letter, '\0'};
        json_array_append_new(options,
                              json_pack("{s:s,s:s*,s:s*,s:s,s:b}", "name", rows[i].name, "letter",
                                        letter[0] ? letter : NULL, "value", rows[i].value, "help",
                                        rows[i].help, "repeats", rows[i].repeats));
    }
    return options;
}

enum status help_json(struct error *error) {
    const struct commands *all = commands_all();
    json_t *commands = json_array(), *exits = json_array();
    for (size_t i = 0; i < all->count; i++) {
        const struct cli_command *row = all->rows[i];
        size_t count = 0;
        const struct options_row *rows = commands_options(row, &count);
        json_array_append_new(commands,
                              json_pack("{s:s,s:s,s:s,s:s*,s:s*,s:s*,s:o}", "name", row->name,
                                        "positional", row->positional, "summary", row->summary,
                                        "help", row->help, "example", row->example, "destroys",
                                        row->destroys, "options", describe_options(rows, count)));
    }
    for (size_t i = 0; i < CLI_EXITS; i++)
        json_array_append_new(exits, json_pack("{s:i,s:s}", "status", (int)cli_exits[i].status,
                                               "meaning", cli_exits[i].meaning));
    json_t *table =
        json_pack("{s:o,s:o,s:o}", "commands", commands, "options",
                  describe_options(commands_common, commands_common_count), "exits", exits);
    if (!table || json_dumpf(table, stdout, JSON_COMPACT) != 0) {
        json_decref(table);
        return status_fail(error, STATUS_UNAVAILABLE, "cannot write the result");
    }
    putchar('\n');
    json_decref(table);
    return output_done(error);
}
