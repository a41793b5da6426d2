#include "admin/completion.h"

#include <ctype.h>
#include <stdbool.h>
#include <string.h>

#include "admin/output.h"
#include "store/scope.h"

/* Lists, by what the table calls the value. */
static const struct {
    const char *value;
    uint32_t scopes;
} lists[] = {{"SCOPES", SCOPE_ALL}, {"OPERATOR-SCOPES", SCOPE_OPERATOR_ALL}};
#define LISTS (sizeof lists / sizeof lists[0])

static size_t list_of(const char *value) {
    size_t i = 0;
    while (i < LISTS && strcmp(lists[i].value, value) != 0)
        i++;
    return i;
}

enum completion_kind completion_kind_of(const char *value) {
    bool words = true;
    if (!value)
        return COMPLETION_FLAG;
    if (list_of(value) < LISTS)
        return COMPLETION_LIST;
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
    const size_t list = list_of(value);
    char scopes[SCOPE_TEXT_MAX];
    if (list < LISTS) {
        scope_format(lists[list].scopes, scopes);
        value = scopes;
    }
    snprintf(words, size, "%s", value);
    for (char *c = words; *c; c++)
        if (*c == '|' || *c == ',')
            *c = ' ';
}

/* Bytes of the first `words` words; 0 where there are not as many. */
static size_t length_of(const char *name, size_t words) {
    size_t length = 0;
    for (size_t i = 0; i < words; i++) {
        if (i && name[length++] != ' ')
            return 0;
        length += strcspn(name + length, " ");
    }
    return length;
}

bool completion_is_first(size_t row, size_t words) {
    const struct commands *all = commands_all();
    const char *name = all->rows[row]->name;
    const size_t length = length_of(name, words);
    for (size_t i = 0; i < row; i++)
        if (length_of(all->rows[i]->name, words) == length &&
            memcmp(all->rows[i]->name, name, length) == 0)
            return false;
    return true;
}

void completion_groups(void (*each)(FILE *to, const char *group), FILE *to) {
    const struct commands *all = commands_all();
    for (size_t i = 0; i < all->count; i++) {
        char group[64];
        snprintf(group, sizeof group, "%s", all->rows[i]->name);
        char *space = strrchr(group, ' ');
        if (!space)
            continue;
        *space = '\0';
        size_t words = 1;
        for (const char *c = group; *c; c++)
            words += *c == ' ';
        if (completion_is_first(i, words))
            each(to, group);
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
