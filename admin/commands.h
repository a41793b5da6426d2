/* The table of subcommands: each file gives its rows, main.c puts them together. */
#ifndef ADMIN_COMMANDS_H
#define ADMIN_COMMANDS_H

#include "admin/cli.h"

#define COMMANDS_TENANT 6
#define COMMANDS_KEY 3
#define COMMANDS_MODEL 3

extern const struct cli_command init_command;
extern const struct cli_command tenant_commands[COMMANDS_TENANT];
extern const struct cli_command key_commands[COMMANDS_KEY];
extern const struct cli_command model_commands[COMMANDS_MODEL];
extern const struct cli_command seal_command;
extern const struct cli_command inspect_command;
extern const struct cli_command run_command;
extern const struct cli_command audit_command;
extern const struct cli_command doctor_command;

#endif
