/* One function a command, for _arguments; one a group, that goes on to its commands. */
#include <string.h>

#include "admin/completion.h"

/* Text inside single quotes, where [ ] : and \ mean something to _arguments. */
static void print_text(FILE *to, const char *text) {
    for (; *text; text++) {
        if (*text == '\'')
            fputs("'\\''", to);
        else if (strchr("[]:\\", *text))
            fprintf(to, "\\%c", *text);
        else
            fputc(*text == '\n' ? ' ' : *text, to);
    }
}

static void print_function(FILE *to, const char *name) {
    fputs("_strongroom", to);
    for (fputc('_', to); *name; name++)
        fputc(*name == ' ' ? '_' : *name, to);
}

static void print_action(FILE *to, const char *value) {
    char words[COMPLETION_WORDS_SIZE];
    switch (completion_kind_of(value)) {
    case COMPLETION_FLAG:
        break;
    case COMPLETION_TEXT:
        fputs(" ", to);
        break;
    case COMPLETION_FILE:
        fputs("_files", to);
        break;
    case COMPLETION_FOLDER:
        fputs("_files -/", to);
        break;
    case COMPLETION_WORDS:
        completion_words(value, words, sizeof words);
        fprintf(to, "(%s)", words);
        break;
    case COMPLETION_LIST:
        completion_words(value, words, sizeof words);
        /* After a space it is called as it stands, without options of compadd in front. */
        fputs(" __strongroom_list ", to);
        print_text(to, words);
        break;
    }
}

static void print_spec(FILE *to, const char *lead, const char *name, const char *equals,
                       const struct options_row *row) {
    fprintf(to, " \\\n        '%s%s%s%s[", row->repeats ? "*" : "", lead, name, equals);
    print_text(to, row->help);
    fputc(']', to);
    if (row->value) {
        fputc(':', to);
        print_text(to, row->value);
        fputc(':', to);
        print_action(to, row->value);
    }
    fputc('\'', to);
}

static void print_option(FILE *to, const struct options_row *row) {
    char letter[2] = {row->letter, '\0'};
    print_spec(to, "--", row->name, row->value ? "=" : "", row);
    if (row->letter)
        print_spec(to, "-", letter, row->value ? "+" : "", row);
}

static void print_command(FILE *to, const struct cli_command *command) {
    size_t count = 0;
    const struct options_row *rows = commands_options(command, &count);
    print_function(to, command->name);
    fputs("() {\n    _arguments -s", to);
    for (size_t i = 0; i < count; i++)
        print_option(to, &rows[i]);
    for (size_t i = 0; i < command->most; i++) {
        fprintf(to, " \\\n        '%zu:", i + 1);
        print_text(to, command->positional);
        fputc(':', to);
        print_action(to, command->positional);
        fputc('\'', to);
    }
    fputs("\n}\n\n", to);
}

/* "name:what it does" of a command, or of a group its commands' names. */
static void print_described(FILE *to, const char *name, const char *what) {
    fprintf(to, "        '");
    print_text(to, name);
    fputc(':', to);
    print_text(to, what);
    fputs("'\n", to);
}

static void print_dispatch(FILE *to, const char *function_of) {
    fputs("    )\n    _arguments -C", to);
    for (size_t i = 0; i < commands_common_count; i++)
        print_option(to, &commands_common[i]);
    fputs(" \\\n        '(-): :->next' '*:: :->rest'\n"
          "    case $state in\n"
          "    next) _describe command next ;;\n"
          "    rest)\n"
          "        local function=",
          to);
    fputs(function_of, to);
    fputs("_$words[1]\n"
          "        (( $+functions[$function] )) && $function\n"
          "        ;;\n"
          "    esac\n"
          "}\n\n",
          to);
}

static void print_group(FILE *to, const char *group) {
    const struct commands *all = commands_all();
    size_t length = strlen(group);
    char function_of[96] = "_strongroom_";
    snprintf(function_of + 12, sizeof function_of - 12, "%s", group);
    for (char *c = function_of; *c; c++)
        if (*c == ' ')
            *c = '_';
    fprintf(to,
            "%s() {\n    local curcontext=$curcontext state line\n    typeset -A opt_args\n"
            "    local -a next=(\n",
            function_of);
    for (size_t i = 0; i < all->count; i++)
        if (strncmp(all->rows[i]->name, group, length) == 0 && all->rows[i]->name[length] == ' ')
            print_described(to, all->rows[i]->name + length + 1, all->rows[i]->summary);
    print_dispatch(to, function_of);
}

static void print_top(FILE *to) {
    const struct commands *all = commands_all();
    fputs("_strongroom() {\n    local curcontext=$curcontext state line\n    typeset -A opt_args\n"
          "    local -a next=(\n",
          to);
    for (size_t i = 0; i < all->count; i++) {
        const char *name = all->rows[i]->name, *space = strchr(name, ' ');
        char first[64], what[96];
        snprintf(first, sizeof first, "%.*s", (int)strcspn(name, " "), name);
        if (!completion_is_first(i, 1))
            continue;
        snprintf(what, sizeof what, "%s ...", first);
        print_described(to, first, space ? what : all->rows[i]->summary);
    }
    print_described(to, "help", "what a command does");
    print_dispatch(to, "_strongroom");
}

void completion_zsh(FILE *to) {
    const struct commands *all = commands_all();
    fputs("#compdef strongroom\n"
          "# zsh completion for strongroom, made by `strongroom completion zsh`\n\n",
          to);
    fputs("__strongroom_list() {\n    _sequence compadd - \"$@\"\n}\n\n", to);
    for (size_t i = 0; i < all->count; i++)
        print_command(to, all->rows[i]);
    completion_groups(print_group, to);
    print_top(to);
    fputs("if [[ $funcstack[1] == _strongroom ]]; then\n"
          "    _strongroom \"$@\"\n"
          "else\n"
          "    compdef _strongroom strongroom\n"
          "fi\n",
          to);
}
