/* A condition finds out which command the words before the cursor are; each row is a line. */
#include <string.h>

#include "admin/completion.h"

static void print_quoted(FILE *to, const char *text) {
    fputc('\'', to);
    for (; *text; text++) {
        if (*text == '\'' || *text == '\\')
            fputc('\\', to);
        fputc(*text == '\n' ? ' ' : *text, to);
    }
    fputc('\'', to);
}

static void print_at(FILE *to, const char *command) {
    fprintf(to, "complete -c strongroom -n \"__strongroom_at '%s'\"", command);
}

static void print_action(FILE *to, const char *value) {
    char words[COMPLETION_WORDS_SIZE];
    switch (completion_kind_of(value)) {
    case COMPLETION_FLAG:
        break;
    case COMPLETION_TEXT:
        fputs(" -x", to);
        break;
    case COMPLETION_FILE:
        fputs(" -r -F", to);
        break;
    case COMPLETION_FOLDER:
        fputs(" -x -a '(__fish_complete_directories (commandline -ct))'", to);
        break;
    case COMPLETION_WORDS:
        completion_words(value, words, sizeof words);
        fprintf(to, " -x -a '%s'", words);
        break;
    case COMPLETION_LIST:
        completion_words(value, words, sizeof words);
        fprintf(to, " -x -a '(__strongroom_list %s)'", words);
        break;
    }
}

static void print_command(FILE *to, const struct cli_command *command) {
    const char *space = strrchr(command->name, ' ');
    char group[64] = "";
    size_t count = 0;
    const struct options_row *rows = commands_options(command, &count);
    if (space)
        snprintf(group, sizeof group, "%.*s", (int)(space - command->name), command->name);
    print_at(to, group);
    fprintf(to, " -a %s -d ", space ? space + 1 : command->name);
    print_quoted(to, command->summary);
    fputc('\n', to);
    for (size_t i = 0; i < count; i++) {
        print_at(to, command->name);
        fprintf(to, " -l %s", rows[i].name);
        if (rows[i].letter)
            fprintf(to, " -s %c", rows[i].letter);
        print_action(to, rows[i].value);
        fputs(" -d ", to);
        print_quoted(to, rows[i].help);
        fputc('\n', to);
    }
    enum completion_kind kind =
        command->positional[0] ? completion_kind_of(command->positional) : COMPLETION_FLAG;
    if (kind == COMPLETION_FILE || kind == COMPLETION_FOLDER || kind == COMPLETION_WORDS) {
        print_at(to, command->name);
        /* As an option's value they would be alone; as a word they stand beside the options. */
        char words[COMPLETION_WORDS_SIZE];
        completion_words(command->positional, words, sizeof words);
        if (kind == COMPLETION_FILE)
            fputs(" -F\n", to);
        else if (kind == COMPLETION_FOLDER)
            fputs(" -a '(__fish_complete_directories (commandline -ct))'\n", to);
        else
            fprintf(to, " -a '%s'\n", words);
    }
}

static void print_group(FILE *to, const char *group) {
    if (strchr(group, ' '))
        return;
    print_at(to, "");
    fprintf(to, " -a %s\n", group);
}

static void print_known(FILE *to, const char *group) {
    fprintf(to, " '%s'", group);
}

void completion_fish(FILE *to) {
    const struct commands *all = commands_all();
    fputs("# fish completion for strongroom, made by `strongroom completion fish`\n\n"
          "# true where the words before the cursor are the command $argv[1]\n"
          "function __strongroom_at\n"
          "    set -l known",
          to);
    for (size_t i = 0; i < all->count; i++)
        fprintf(to, " '%s'", all->rows[i]->name);
    completion_groups(print_known, to);
    fputs("\n    set -l command\n"
          "    set -l words (commandline -opc)\n"
          "    for word in $words[2..-1]\n"
          "        set -l longer (string join -- ' ' $command $word)\n"
          "        if contains -- $longer $known\n"
          "            set command $longer\n"
          "        end\n"
          "    end\n"
          "    test \"$command\" = \"$argv[1]\"\n"
          "end\n\n"
          "# what may follow in a list that is separated by commas: those of $argv that are not in "
          "it\n"
          "function __strongroom_list\n"
          "    set -l typed (commandline -ct | string replace -r '^--[^=]*=' '')\n"
          "    set -l given (string match -r '^.*,' -- $typed)\n"
          "    for word in $argv\n"
          "        contains -- $word (string split , -- $given); or echo \"$given\"$word\n"
          "    end\n"
          "end\n\n"
          "complete -c strongroom -f\n",
          to);
    print_at(to, "");
    fputs(" -a help -d 'what a command does'\n", to);
    completion_groups(print_group, to);
    print_at(to, "");
    fputs(" -l version -d 'print the version'\n", to);
    for (size_t i = 0; i < commands_common_count; i++) {
        print_at(to, "");
        fprintf(to, " -l %s", commands_common[i].name);
        print_action(to, commands_common[i].value);
        fputs(" -d ", to);
        print_quoted(to, commands_common[i].help);
        fputc('\n', to);
    }
    for (size_t i = 0; i < all->count; i++)
        print_command(to, all->rows[i]);
}
