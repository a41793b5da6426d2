#include "admin/commands.h"

#include <stdio.h>
#include <string.h>

#include "base/suggest.h"

#define OPTIONS_MAX 40

const struct cli_exit_row cli_exits[CLI_EXITS] = {
    {CLI_EXIT_DONE, "done"},
    {CLI_EXIT_INTERNAL, "internal error"},
    {CLI_EXIT_USAGE, "wrong use or input"},
    {CLI_EXIT_FORBIDDEN, "not allowed"},
    {CLI_EXIT_NOT_FOUND, "not found"},
    {CLI_EXIT_CONFLICT, "exists already, or is in use"},
    {CLI_EXIT_UNSERVABLE, "the model cannot be served"},
    {CLI_EXIT_RATE, "too many requests"},
    {CLI_EXIT_UNAVAILABLE, "unavailable: disk, memory, network or the server"},
    {CLI_EXIT_DECLINED, "asked whether to go on, the answer was no; nothing was done"},
};

const struct options_row commands_common[] = {
    {"data", 0, "DIR", "the server's folder (default $STRONGROOM_DATA, else ./strongroom-data)",
     false},
    {"config", 0, "FILE", "its configuration, where it is not strongroom.yaml in that folder",
     false},
    {"json", 0, NULL, "print the result, or the error, as one JSON object", false},
    {"color", 0, "auto|always|never", "colour on a terminal without $NO_COLOR (auto), or as told",
     false},
    {"help", 'h', NULL, "print this", false},
};
const size_t commands_common_count = sizeof commands_common / sizeof commands_common[0];

const struct options_row commands_yes = {"yes", 'y', NULL, "do it without asking", false};

static void add(struct commands *all, const struct cli_command *rows, size_t count) {
    for (size_t i = 0; i < count && all->count < COMMANDS_MAX; i++)
        all->rows[all->count++] = &rows[i];
}

const struct commands *commands_all(void) {
    static struct commands all;
    if (all.count)
        return &all;
    add(&all, &init_command, 1);
    add(&all, tenant_commands, COMMANDS_TENANT);
    add(&all, policy_commands, 1); /* tenant set-policy stands with its group */
    add(&all, key_commands, COMMANDS_KEY);
    add(&all, model_commands, COMMANDS_MODEL);
    add(&all, policy_commands + 1, COMMANDS_POLICY - 1);
    add(&all, operator_commands, COMMANDS_OPERATOR);
    add(&all, &seal_command, 1);
    add(&all, &upload_command, 1);
    add(&all, &inspect_command, 1);
    add(&all, &run_command, 1);
    add(&all, &audit_command, 1);
    add(&all, &audit_key_command, 1);
    add(&all, &usage_command, 1);
    add(&all, &doctor_command, 1);
    add(&all, &verify_command, 1);
    add(&all, &completion_command, 1);
    add(&all, &man_command, 1);
    return &all;
}

/* How many of the words are the name's; 0 where they are not all of it. */
static size_t match(const char *name, char *const *words, size_t count) {
    size_t used = 0;
    while (*name) {
        size_t length = strcspn(name, " ");
        if (used == count || strlen(words[used]) != length ||
            memcmp(words[used], name, length) != 0)
            return 0;
        used++;
        name += length;
        name += *name == ' ';
    }
    return used;
}

const struct cli_command *commands_find(char *const *words, size_t count, size_t *used) {
    const struct commands *all = commands_all();
    const struct cli_command *found = NULL;
    size_t most = 0;
    for (size_t i = 0; i < all->count; i++) {
        size_t matched = match(all->rows[i]->name, words, count);
        if (matched > most) {
            most = matched;
            found = all->rows[i];
        }
    }
    if (found)
        *used = most;
    return found;
}

bool commands_is_group(const char *word) {
    const struct commands *all = commands_all();
    size_t length = strlen(word);
    for (size_t i = 0; i < all->count && length; i++)
        if (strncmp(all->rows[i]->name, word, length) == 0 && all->rows[i]->name[length] == ' ')
            return true;
    return false;
}

const char *commands_suggest(char *const *words, size_t count) {
    /* First words of groups, each once: what is offered has to stay until it is printed. */
    static char groups[COMMANDS_MAX][SUGGEST_LENGTH_MAX + 1];
    const struct commands *all = commands_all();
    if (count == 0)
        return NULL;
    bool group = commands_is_group(words[0]);
    if (group && count == 1)
        return NULL;
    struct suggest suggest = suggest_begin(words[group ? 1 : 0]);
    const char *name_of_best = NULL;
    for (size_t i = 0; i < all->count; i++) {
        const char *name = all->rows[i]->name, *space = strchr(name, ' '), *before = suggest.best;
        if (!group && space) {
            snprintf(groups[i], sizeof groups[i], "%.*s", (int)(space - name), name);
            name = groups[i];
            suggest_offer(&suggest, name);
        } else if (!group) {
            suggest_offer(&suggest, name);
        } else if (space && strlen(words[0]) == (size_t)(space - name) &&
                   memcmp(name, words[0], (size_t)(space - name)) == 0) {
            suggest_offer(&suggest, space + 1);
        }
        if (suggest.best != before)
            name_of_best = name;
    }
    return name_of_best;
}

const struct options_row *commands_options(const struct cli_command *command, size_t *count) {
    static struct options_row rows[OPTIONS_MAX];
    size_t n = 0;
    for (size_t i = 0; i < command->row_count && n < OPTIONS_MAX; i++)
        rows[n++] = command->rows[i];
    if (command->destroys && n < OPTIONS_MAX)
        rows[n++] = commands_yes;
    for (size_t i = 0; i < commands_common_count && n < OPTIONS_MAX; i++)
        rows[n++] = commands_common[i];
    *count = n;
    return rows;
}
