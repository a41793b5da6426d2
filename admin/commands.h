/* The table of subcommands: each file gives its rows, commands.c puts them together. */
#ifndef ADMIN_COMMANDS_H
#define ADMIN_COMMANDS_H

#include "admin/cli.h"

#define COMMANDS_MAX 48
#define COMMANDS_TENANT 6
#define COMMANDS_KEY 3
#define COMMANDS_MODEL 3
#define COMMANDS_OPERATOR 3
#define COMMANDS_POLICY 6

extern const struct cli_command init_command;
extern const struct cli_command tenant_commands[COMMANDS_TENANT];
extern const struct cli_command key_commands[COMMANDS_KEY];
extern const struct cli_command model_commands[COMMANDS_MODEL];
extern const struct cli_command operator_commands[COMMANDS_OPERATOR];
extern const struct cli_command policy_commands[COMMANDS_POLICY];
extern const struct cli_command seal_command;
extern const struct cli_command upload_command;
extern const struct cli_command inspect_command;
extern const struct cli_command run_command;
extern const struct cli_command audit_command, audit_key_command;
extern const struct cli_command usage_command;
extern const struct cli_command doctor_command;
extern const struct cli_command verify_command;
extern const struct cli_command completion_command;
extern const struct cli_command man_command;

struct commands {
    const struct cli_command *rows[COMMANDS_MAX];
    size_t count;
};

/* All of them, in the order of help. */
const struct commands *commands_all(void);
/* The row whose name's words are the first of `words`, the longest such; *used becomes how many
 * words it has. NULL where there is none. */
const struct cli_command *commands_find(char *const *words, size_t count, size_t *used);
/* True where `word` is the first of the words of a row of several. */
bool commands_is_group(const char *word);
/* What the caller most likely meant by words that no row has: a whole name, or NULL. */
const char *commands_suggest(char *const *words, size_t count);

/* Options that every subcommand has, and the one of those that destroy. */
extern const struct options_row commands_common[];
extern const size_t commands_common_count;
extern const struct options_row commands_yes;
/* All options of a row, its own first; *count becomes how many. Valid until the next call. */
const struct options_row *commands_options(const struct cli_command *command, size_t *count);

#endif
