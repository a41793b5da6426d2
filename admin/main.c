/* strongroom: what operators and tenants do with a Strongroom server, as a table of subcommands. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "admin/commands.h"
#include "crypto/crypto.h"

#define COMMANDS_MAX 32

static const struct options_row common[] = {
    {"data", 0, "DIR", "the server's folder (default $STRONGROOM_DATA, else ./strongroom-data)",
     false},
    {"config", 0, "FILE", "its configuration, where it is not strongroom.yaml in that folder",
     false},
    {"json", 0, NULL, "print the result as one JSON object", false},
    {"help", 'h', NULL, "print this", false},
};
#define COMMON_COUNT (sizeof common / sizeof common[0])

struct table {
    const struct cli_command *rows[COMMANDS_MAX];
    size_t count;
};

static void add(struct table *table, const struct cli_command *rows, size_t count) {
    for (size_t i = 0; i < count && table->count < COMMANDS_MAX; i++)
        table->rows[table->count++] = &rows[i];
}

static struct table make_table(void) {
    struct table table = {.count = 0};
    add(&table, &init_command, 1);
    add(&table, tenant_commands, COMMANDS_TENANT);
    add(&table, key_commands, COMMANDS_KEY);
    add(&table, model_commands, COMMANDS_MODEL);
    add(&table, &seal_command, 1);
    add(&table, &inspect_command, 1);
    add(&table, &run_command, 1);
    add(&table, &audit_command, 1);
    add(&table, &doctor_command, 1);
    return table;
}

static void print_usage(FILE *to, const struct table *table) {
    fputs("usage: strongroom COMMAND [OPTIONS]\n\n", to);
    for (size_t i = 0; i < table->count; i++)
        fprintf(to, "  %-15s %s\n", table->rows[i]->name, table->rows[i]->summary);
    fputs(
        "\n`strongroom COMMAND --help` says more. Where a server runs on the folder, it does the\n"
        "work; where none runs, the command does.\n\n"
        "Exit status: 0 done, 1 internal error, 2 wrong use or input, 3 not allowed,\n"
        "4 not found, 5 exists or in use, 6 the model cannot be served, 7 too many requests,\n"
        "8 unavailable.\n",
        to);
}

static void print_rows(const struct options_row *rows, size_t count) {
    for (size_t i = 0; i < count; i++) {
        char left[64];
        snprintf(left, sizeof left, "--%s%s%s", rows[i].name, rows[i].value ? " " : "",
                 rows[i].value ? rows[i].value : "");
        if (rows[i].letter)
            printf("  -%c, %-22s %s\n", rows[i].letter, left, rows[i].help);
        else
            printf("      %-22s %s\n", left, rows[i].help);
    }
}

static void print_help(const struct cli_command *command) {
    printf("usage: strongroom %s%s%s [OPTIONS]\n\n%s\n", command->name,
           command->positional[0] ? " " : "", command->positional, command->summary);
    if (command->help)
        printf("\n%s\n", command->help);
    printf("\n");
    print_rows(command->rows, command->row_count);
    print_rows(common, COMMON_COUNT);
}

/* The row whose name's words are the first of `words`; *used becomes how many they are. */
static const struct cli_command *find(const struct table *table, char *const *words, size_t count,
                                      size_t *used) {
    for (size_t i = 0; i < table->count; i++) {
        const char *name = table->rows[i]->name, *space = strchr(name, ' ');
        size_t first = space ? (size_t)(space - name) : strlen(name);
        if (count < 1 || strlen(words[0]) != first || memcmp(words[0], name, first) != 0)
            continue;
        if (space && (count < 2 || strcmp(words[1], space + 1) != 0))
            continue;
        *used = space ? 2 : 1;
        return table->rows[i];
    }
    return NULL;
}

/* `strongroom tenant` and `strongroom tenant --help` list the group. */
static bool print_group(FILE *to, const struct table *table, const char *word) {
    size_t length = strlen(word), found = 0;
    for (size_t i = 0; i < table->count; i++) {
        const struct cli_command *row = table->rows[i];
        if (strncmp(row->name, word, length) == 0 && row->name[length] == ' ') {
            fprintf(to, "%s  strongroom %-15s %s\n", found ? "" : "usage:\n", row->name,
                    row->summary);
            found++;
        }
    }
    return found > 0;
}

static int fail(const struct error *error, enum status status) {
    fprintf(stderr, "strongroom: %s\n", error->message);
    return status_exit(status);
}

static enum status check_words(const struct cli_command *command, const struct options *options,
                               struct error *error) {
    if (options->positional_count < command->least)
        return status_fail(error, STATUS_INVALID, "%s: %s is missing", command->name,
                           command->positional);
    if (options->positional_count > command->most)
        return status_fail(error, STATUS_INVALID, "%s: \"%s\" is one word too many", command->name,
                           options->positional[command->most]);
    return STATUS_OK;
}

static int run(const struct cli_command *command, char *const *words, size_t count) {
    struct error error = {0};
    static struct cli cli;
    const char *variable = getenv("STRONGROOM_DATA");
    enum status status = options_parse(words, count, command->rows, command->row_count, common,
                                       COMMON_COUNT, &cli.options, &error);
    if (status != STATUS_OK)
        return fail(&error, status);
    if (options_flag(&cli.options, "help")) {
        print_help(command);
        return 0;
    }
    cli.json = options_flag(&cli.options, "json");
    cli.config = options_value(&cli.options, "config");
    cli.data = options_value(&cli.options, "data");
    if (!cli.data)
        cli.data = variable && *variable ? variable : "strongroom-data";
    status = check_words(command, &cli.options, &error);
    if (status == STATUS_OK)
        status = crypto_init(&error);
    if (status == STATUS_OK)
        status = command->run(&cli, &error);
    return status == STATUS_OK ? 0 : fail(&error, status);
}

/* Words before the command: options that all commands have, such as --data DIR. */
static size_t leading_options(char *const *words, size_t count) {
    size_t i = 0;
    while (i < count && strncmp(words[i], "--", 2) == 0) {
        const struct options_row *row = NULL;
        for (size_t c = 0; c < COMMON_COUNT; c++)
            if (strcmp(words[i] + 2, common[c].name) == 0)
                row = &common[c];
        i += row && row->value ? 2 : 1;
    }
    return i < count ? i : count;
}

/* The command with the words around it put together: leading options, then what follows. */
static int run_words(const struct cli_command *command, char *const *words, size_t leading,
                     size_t used, size_t count) {
    size_t rest = count - leading - used;
    char **joined = calloc(leading + rest + 1, sizeof *joined);
    if (!joined)
        return status_exit(STATUS_UNAVAILABLE);
    memcpy(joined, words, leading * sizeof *joined);
    memcpy(joined + leading, words + leading + used, rest * sizeof *joined);
    int result = run(command, joined, leading + rest);
    free(joined);
    return result;
}

int main(int argc, char **argv) {
    const struct table table = make_table();
    size_t count = argc > 1 ? (size_t)argc - 1 : 0, used = 0;
    char *const *words = argv + 1;
    if (count == 0) {
        print_usage(stderr, &table);
        return status_exit(STATUS_INVALID);
    }
    if (strcmp(words[0], "--help") == 0 || strcmp(words[0], "-h") == 0 ||
        strcmp(words[0], "help") == 0) {
        print_usage(stdout, &table);
        return 0;
    }
    if (strcmp(words[0], "--version") == 0) {
        printf("strongroom %s\n", STRONGROOM_VERSION);
        return 0;
    }
    size_t leading = leading_options(words, count), left = count - leading;
    char *const *rest = words + leading;
    const struct cli_command *command = find(&table, rest, left, &used);
    if (command)
        return run_words(command, words, leading, used, count);
    if (left == 0) {
        fprintf(stderr, "strongroom: no command; `strongroom --help` lists them\n");
        return status_exit(STATUS_INVALID);
    }
    bool help = left > 1 && (strcmp(rest[1], "--help") == 0 || strcmp(rest[1], "-h") == 0);
    if (print_group(help ? stdout : stderr, &table, rest[0]))
        return help ? 0 : status_exit(STATUS_INVALID);
    fprintf(stderr, "strongroom: \"%s\" is no command; `strongroom --help` lists them\n", rest[0]);
    return status_exit(STATUS_INVALID);
}
