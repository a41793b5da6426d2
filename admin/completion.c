#include "admin/completion.h"

#include <ctype.h>
#include <stdbool.h>
#include <string.h>

#include "admin/output.h"

enum completion_kind completion_kind_of(const char *value) {
    bool words = true;
    if (!value)
        return COMPLETION_FLAG;
    for (const char *c = value; *c; c++)
        words = words && (islower((unsigned char)*c) || *c == '|');
    if (words && strchr(value, '|'))
        return COMPLETION_WORDS;
    if (strstr(value, "...") || strchr(value, '='))
        return COMPLETION_TEXT;
    if (strstr(value, "FILE") || strchr(value, '.'))
        return COMPLETION_FILE;
    return strstr(value, "DIR") ? COMPLETION_FOLDER : COMPLETION_TEXT;
}

void completion_words(const char *value, char *words, size_t size) {
    snprintf(words, size, "%s", value);
    for (char *c = words; *c; c++)
        if (*c == '|')
            *c = ' ';
}

void completion_groups(void (*each)(FILE *to, const char *group), FILE *to) {
    const struct commands *all = commands_all();
    char last[64] = "";
    for (size_t i = 0; i < all->count; i++) {
        char group[64];
        snprintf(group, sizeof group, "%s", all->rows[i]->name);
        char *space = strrchr(group, ' ');
        if (!space)
            continue;
        *space = '\0';
        if (strcmp(group, last) != 0)
            each(to, group);
        snprintf(last, sizeof last, "%s", group);
    }
}

static enum status completion(struct cli *cli, struct error *error) {
    static const struct {
        const char *shell;
        void (*print)(FILE *to);
    } shells[] = {{"bash", completion_bash}, {"zsh", completion_zsh}, {"fish", completion_fish}};
    const char *shell = cli->options.positional[0];
    for (size_t i = 0; i < sizeof shells / sizeof shells[0]; i++)
        if (strcmp(shell, shells[i].shell) == 0) {
            shells[i].print(stdout);
            return output_done(error);
        }
    return status_fail(error, STATUS_INVALID,
                       "completion: found \"%.40s\", expected bash, zsh or fish", shell);
}

const struct cli_command completion_command = {
    .name = "completion",
    .positional = "bash|zsh|fish",
    .least = 1,
    .most = 1,
    .summary = "print the script that completes words in your shell",
    .help = "An installed Strongroom has them in place. By hand:\n"
            "  bash   source <(strongroom completion bash)          in ~/.bashrc\n"
            "  zsh    strongroom completion zsh >DIR/_strongroom    DIR in $fpath\n"
            "  fish   strongroom completion fish >~/.config/fish/completions/strongroom.fish",
    .example = "completion bash",
    .run = completion,
};
