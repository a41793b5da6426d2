/* strongroom: what operators and tenants do with a Strongroom server, as a table of subcommands. */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "admin/commands.h"
#include "admin/confirm.h"
#include "admin/help.h"
#include "admin/progress.h"
#include "admin/terminal.h"
#include "crypto/crypto.h"

/* One JSON object on standard error, like the result on standard output. */
static void print_json_error(const char *message, const char *status, int exit_status) {
    json_t *object =
        json_pack("{s:s,s:s,s:i}", "error", message, "status", status, "exit", exit_status);
    if (object) {
        json_dumpf(object, stderr, JSON_COMPACT);
        fputc('\n', stderr);
        json_decref(object);
    } else { /* the message quotes bytes that are not UTF-8 */
        fprintf(stderr, "{\"error\":\"%s\",\"status\":\"%s\",\"exit\":%d}\n", status, status,
                exit_status);
    }
}

static int fail(bool json, const struct error *error, enum status status) {
    char message[ERROR_MESSAGE_MAX];
    int exit_status = status_exit(status);
    if (json) {
        print_json_error(error->message, status_name(status), exit_status);
        return exit_status;
    }
    snprintf(message, sizeof message, "%s", error->message);
    terminal_clean(message);
    fprintf(stderr, "%sstrongroom:%s %s\n", terminal_on(stderr, TERMINAL_BAD), terminal_off(stderr),
            message);
    return exit_status;
}

/* The same for what was typed: with a hint at what would be right. */
static int misuse(bool json, const struct error *error, const struct cli_command *command) {
    int exit_status = fail(json, error, STATUS_INVALID);
    if (!json && command)
        fprintf(stderr, "usage: strongroom %s%s%s [OPTIONS]; `strongroom help %s` says more\n",
                command->name, command->positional[0] ? " " : "", command->positional,
                command->name);
    return exit_status;
}

static enum status check_words(const struct cli_command *command, const struct options *options,
                               struct error *error) {
    if (options->positional_count < command->least)
        return status_fail(error, STATUS_INVALID, "%s: %s is missing", command->name,
                           command->positional);
    if (options->positional_count > command->most)
        return status_fail(error, STATUS_INVALID, "%s: \"%s\" is one word too many", command->name,
                           options->positional[command->most]);
    const char *value;
    for (size_t i = 0; i < sizeof command->needs / sizeof *command->needs; i++)
        if (command->needs[i] &&
            options_required(options, command->needs[i], &value, error) != STATUS_OK)
            return STATUS_INVALID;
    return STATUS_OK;
}

static int run(const struct cli_command *command, char *const *words, size_t count, bool json) {
    struct error error = {0};
    static struct cli cli;
    const char *variable = getenv("STRONGROOM_DATA");
    size_t row_count = 0;
    const struct options_row *rows = commands_options(command, &row_count);
    enum status status =
        options_parse(words, count, rows, row_count, NULL, 0, &cli.options, &error);
    if (status != STATUS_OK)
        return misuse(json, &error, command);
    if (options_flag(&cli.options, "help")) {
        help_command(stdout, command);
        return CLI_EXIT_DONE;
    }
    cli.command = command;
    cli.json = options_flag(&cli.options, "json");
    cli.config = options_value(&cli.options, "config");
    cli.data = options_value(&cli.options, "data");
    if (!cli.data)
        cli.data = variable && *variable ? variable : "strongroom-data";
    if (check_words(command, &cli.options, &error) != STATUS_OK)
        return misuse(cli.json, &error, command);
    if (command->destroys) {
        switch (confirm_ask(&cli, &error)) {
        case CONFIRM_YES:
            break;
        case CONFIRM_NO:
            fputs("strongroom: nothing was done\n", stderr);
            return CLI_EXIT_DECLINED;
        case CONFIRM_CANNOT_ASK:
            return fail(cli.json, &error, STATUS_INVALID);
        }
    }
    status = crypto_init(&error);
    if (status == STATUS_OK)
        status = command->run(&cli, &error);
    progress_end();
    return status == STATUS_OK ? CLI_EXIT_DONE : fail(cli.json, &error, status);
}

/* Words before the command: options that all commands have, such as --data DIR. */
static size_t leading_options(char *const *words, size_t count) {
    size_t i = 0;
    while (i < count && words[i][0] == '-' && words[i][1]) {
        const struct options_row *row = NULL;
        for (size_t c = 0; c < commands_common_count; c++)
            if (strcmp(words[i], "--") != 0 && strncmp(words[i], "--", 2) == 0 &&
                strcmp(words[i] + 2, commands_common[c].name) == 0)
                row = &commands_common[c];
        i += row && row->value ? 2 : 1;
    }
    return i < count ? i : count;
}

/* The command with the words around it put together: leading options, then what follows. */
static int run_words(const struct cli_command *command, char *const *words, size_t leading,
                     size_t used, size_t count, bool json) {
    size_t rest = count - leading - used;
    char **joined = calloc(leading + rest + 1, sizeof *joined);
    if (!joined)
        return CLI_EXIT_UNAVAILABLE;
    memcpy(joined, words, leading * sizeof *joined);
    memcpy(joined + leading, words + leading + used, rest * sizeof *joined);
    int result = run(command, joined, leading + rest, json);
    free(joined);
    return result;
}

/* What holds before a command is known, and for its errors: --json and --color, wherever. */
static const char *look_ahead(char *const *words, size_t count, bool *json) {
    const char *color = NULL;
    for (size_t i = 0; i < count && strcmp(words[i], "--") != 0; i++) {
        if (strcmp(words[i], "--json") == 0)
            *json = true;
        else if (strncmp(words[i], "--color=", 8) == 0)
            color = words[i] + 8;
        else if (strcmp(words[i], "--color") == 0 && i + 1 < count)
            color = words[i + 1];
    }
    return color;
}

static int no_such(bool json, char *const *words, size_t count) {
    struct error error = {0};
    const char *meant = commands_suggest(words, count);
    bool group = commands_is_group(words[0]);
    char typed[160];
    snprintf(typed, sizeof typed, "%.64s%s%.64s", words[0], group && count > 1 ? " " : "",
             group && count > 1 ? words[1] : "");
    if (meant)
        (void)!status_fail(&error, STATUS_INVALID, "\"%s\" is no command: did you mean \"%s\"?",
                           typed, meant);
    else
        (void)!status_fail(&error, STATUS_INVALID,
                           "\"%s\" is no command; `strongroom %s` lists them", typed,
                           group ? words[0] : "--help");
    return fail(json, &error, STATUS_INVALID);
}

/* `strongroom help`, `strongroom help tenant`, `strongroom help tenant create`. */
static int help(bool json, char *const *words, size_t count) {
    size_t used = 0;
    const struct cli_command *command = commands_find(words, count, &used);
    if (count == 0 && json) {
        struct error error = {0};
        enum status status = help_json(&error);
        return status == STATUS_OK ? CLI_EXIT_DONE : fail(json, &error, status);
    }
    if (count == 0)
        help_overview(stdout);
    else if (command && used == count)
        help_command(stdout, command);
    else if (count == 1 && commands_is_group(words[0]))
        help_group(stdout, words[0]);
    else
        return no_such(json, words, count);
    return CLI_EXIT_DONE;
}

static bool is_help(const char *word) {
    return strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0;
}

int main(int argc, char **argv) {
    size_t count = argc > 1 ? (size_t)argc - 1 : 0, used = 0;
    char *const *words = argv + 1;
    bool json = false;
    struct error error = {0};
    const char *color = look_ahead(words, count, &json);
    if (terminal_start(color, &error) != STATUS_OK)
        return fail(json, &error, STATUS_INVALID);
    if (count == 0) {
        help_overview(stderr);
        return CLI_EXIT_USAGE;
    }
    size_t leading = leading_options(words, count), left = count - leading;
    char *const *rest = words + leading;
    for (size_t i = 0; i < leading; i++)
        if (strcmp(words[i], "--version") == 0) {
            printf(json ? "{\"version\":\"%s\"}\n" : "strongroom %s\n", STRONGROOM_VERSION);
            return CLI_EXIT_DONE;
        }
    if (left == 0) {
        for (size_t i = 0; i < leading; i++)
            if (is_help(words[i]))
                return help(json, rest, 0);
        struct options options;
        if (options_parse(words, count, commands_common, commands_common_count, NULL, 0, &options,
                          &error) == STATUS_OK)
            (void)!status_fail(&error, STATUS_INVALID,
                               "no command; `strongroom --help` lists them");
        return fail(json, &error, STATUS_INVALID);
    }
    if (strcmp(rest[0], "help") == 0) {
        size_t words_of_help = left - 1; /* options such as --color may follow */
        for (size_t i = 1; i < left; i++)
            if (rest[i][0] == '-') {
                words_of_help = i - 1;
                break;
            }
        return help(json, rest + 1, words_of_help);
    }
    const struct cli_command *command = commands_find(rest, left, &used);
    if (command)
        return run_words(command, words, leading, used, count, json);
    bool group = commands_is_group(rest[0]);
    if (group && (left == 1 || rest[1][0] == '-')) {
        bool asked = left > 1 && is_help(rest[1]);
        if (json && !asked) {
            (void)!status_fail(&error, STATUS_INVALID,
                               "%s: which command? `strongroom help %s` lists them", rest[0],
                               rest[0]);
            return fail(json, &error, STATUS_INVALID);
        }
        help_group(asked ? stdout : stderr, rest[0]);
        return asked ? CLI_EXIT_DONE : CLI_EXIT_USAGE;
    }
    return no_such(json, rest, left);
}
