#include "admin/confirm.h"

#include <stdio.h>
#include <string.h>

#include "admin/terminal.h"

/* What is acted on, as it was typed: "tenant delete acme --force" without its options. */
static void name_target(const struct cli *cli, char *text, size_t size) {
    const char *version = options_value(&cli->options, "version");
    const char *tenant = options_value(&cli->options, "tenant");
    snprintf(text, size, "%.64s%s%.64s%s%.64s",
             cli->options.positional_count ? cli->options.positional[0] : "",
             version ? " version " : "", version ? version : "", tenant ? " of tenant " : "",
             tenant ? tenant : "");
    terminal_clean(text);
}

enum confirm confirm_ask(const struct cli *cli, struct error *error) {
    char target[240], answer[16] = "";
    if (options_flag(&cli->options, "yes"))
        return CONFIRM_YES;
    name_target(cli, target, sizeof target);
    if (cli->json || !terminal_is(stdin) || !terminal_is(stderr)) {
        (void)!status_fail(error, STATUS_INVALID,
                           "%s %s: add --yes, since there is no terminal to ask on. It destroys %s",
                           cli->command->name, target, cli->command->destroys);
        return CONFIRM_CANNOT_ASK;
    }
    char text[768];
    snprintf(text, sizeof text, "%s %s destroys %s.", cli->command->name, target,
             cli->command->destroys);
    terminal_wrap(stderr, text, 0, terminal_width(stderr));
    fprintf(stderr, "\n%sGo on? Type yes:%s ", terminal_on(stderr, TERMINAL_STRONG),
            terminal_off(stderr));
    fflush(stderr);
    if (!fgets(answer, sizeof answer, stdin))
        fputc('\n', stderr);
    answer[strcspn(answer, "\n")] = '\0';
    return strcmp(answer, "yes") == 0 || strcmp(answer, "y") == 0 ? CONFIRM_YES : CONFIRM_NO;
}
