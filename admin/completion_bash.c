/* The script finds the command among the words before the cursor, then offers what its row knows.
 * bash splits at "=" and ":", so --name=VALUE comes as three words, and a value that has colons as
 * several, of which only the last is replaced. */
#include <string.h>

#include "admin/completion.h"

static void print_group(FILE *to, const char *group) {
    const struct commands *all = commands_all();
    size_t length = strlen(group);
    fprintf(to, "    \"%s\") echo", group);
    for (size_t i = 0; i < all->count; i++)
        if (strncmp(all->rows[i]->name, group, length) == 0 && all->rows[i]->name[length] == ' ')
            fprintf(to, " %s", all->rows[i]->name + length + 1);
    fputs(" ;;\n", to);
}

static void print_top(FILE *to) {
    const struct commands *all = commands_all();
    fputs("    \"\") echo help", to);
    for (size_t i = 0; i < all->count; i++)
        if (completion_is_first(i, 1))
            fprintf(to, " %.*s", (int)strcspn(all->rows[i]->name, " "), all->rows[i]->name);
    fputs(" ;;\n", to);
}

static void print_kind(FILE *to, const char *value) {
    char words[COMPLETION_WORDS_SIZE];
    switch (completion_kind_of(value)) {
    case COMPLETION_FLAG:
        break;
    case COMPLETION_TEXT:
        fputs("text", to);
        break;
    case COMPLETION_FILE:
        fputs("file", to);
        break;
    case COMPLETION_FOLDER:
        fputs("folder", to);
        break;
    case COMPLETION_WORDS:
        completion_words(value, words, sizeof words);
        fprintf(to, "words %s", words);
        break;
    case COMPLETION_LIST:
        completion_words(value, words, sizeof words);
        fprintf(to, "list %s", words);
        break;
    }
}

static void print_values(FILE *to, const struct options_row *rows, size_t count, const char *name) {
    for (size_t i = 0; i < count; i++) {
        if (!rows[i].value)
            continue;
        fprintf(to, "    \"%s:--%s\"", name, rows[i].name);
        if (rows[i].letter)
            fprintf(to, " | \"%s:-%c\"", name, rows[i].letter);
        fputs(") echo ", to);
        print_kind(to, rows[i].value);
        fputs(" ;;\n", to);
    }
}

void completion_bash(FILE *to) {
    const struct commands *all = commands_all();
    fputs("# bash completion for strongroom, made by `strongroom completion bash`\n\n"
          "# the words that may follow the command $1\n"
          "_strongroom_next() {\n"
          "    case \"$1\" in\n",
          to);
    print_top(to);
    completion_groups(print_group, to);
    fputs("    esac\n}\n\n# the options of the command $1\n_strongroom_options() {\n"
          "    case \"$1\" in\n",
          to);
    for (size_t i = 0; i < all->count; i++) {
        size_t count = 0;
        const struct options_row *rows = commands_options(all->rows[i], &count);
        fprintf(to, "    \"%s\") echo", all->rows[i]->name);
        for (size_t r = 0; r < count; r++)
            fprintf(to, " --%s", rows[r].name);
        fputs(" ;;\n", to);
    }
    fputs("    *) echo --version", to);
    for (size_t i = 0; i < commands_common_count; i++)
        fprintf(to, " --%s", commands_common[i].name);
    fputs(" ;;\n    esac\n}\n\n"
          "# what the value of the option $2 of the command $1 is; nothing for a flag\n"
          "_strongroom_value() {\n"
          "    case \"$1:$2\" in\n",
          to);
    for (size_t i = 0; i < all->count; i++)
        print_values(to, all->rows[i]->rows, all->rows[i]->row_count, all->rows[i]->name);
    for (size_t i = 0; i < commands_common_count; i++)
        if (commands_common[i].value) {
            fprintf(to, "    *:--%s) echo ", commands_common[i].name);
            print_kind(to, commands_common[i].value);
            fputs(" ;;\n", to);
        }
    fputs("    esac\n}\n\n# what the words after the command $1 are\n"
          "_strongroom_positional() {\n"
          "    case \"$1\" in\n",
          to);
    for (size_t i = 0; i < all->count; i++)
        if (all->rows[i]->positional[0]) {
            fprintf(to, "    \"%s\") echo ", all->rows[i]->name);
            print_kind(to, all->rows[i]->positional);
            fputs(" ;;\n", to);
        }
    fputs("    esac\n}\n\n"
          "_strongroom_offer() { # the kind of words, then the words\n"
          "    local kind=$1 cur=$2\n"
          "    shift 2\n"
          "    case $kind in\n"
          "    file) compopt -o filenames 2>/dev/null; mapfile -t COMPREPLY < <(compgen -f -- "
          "\"$cur\") ;;\n"
          "    folder) compopt -o filenames 2>/dev/null; mapfile -t COMPREPLY < <(compgen -d -- "
          "\"$cur\") ;;\n"
          "    words) mapfile -t COMPREPLY < <(compgen -W \"$*\" -- \"$cur\") ;;\n"
          "    list)\n"
          "        local given= word\n"
          "        local -a rest=()\n"
          "        [[ $cur != *,* ]] || given=${cur%,*},\n"
          "        for word; do\n"
          "            [[ ,$given == *,\"$word\",* ]] || rest+=(\"$given$word\")\n"
          "        done\n"
          "        compopt -o nospace 2>/dev/null\n"
          "        mapfile -t COMPREPLY < <(compgen -W \"${rest[*]}\" -- \"$cur\")\n"
          "        [[ $cur != *:* || $COMP_WORDBREAKS != *:* ]] ||\n"
          "            COMPREPLY=(\"${COMPREPLY[@]#\"${cur%:*}:\"}\")\n"
          "        ;;\n"
          "    esac\n"
          "}\n\n"
          "_strongroom() {\n"
          "    local cur=${COMP_WORDS[COMP_CWORD]} command= option= before= value= word kind i\n"
          "    COMPREPLY=()\n"
          "    for ((i = 1; i < COMP_CWORD; i++)); do\n"
          "        word=${COMP_WORDS[i]}\n"
          "        if [[ $word == = ]]; then\n"
          "            continue\n"
          "        elif [[ $word == : && -n $before ]]; then\n"
          "            option=$before value+=:\n"
          "        elif [[ -n $option ]]; then\n"
          "            before=$option value+=$word option=\n"
          "        elif [[ $word == -* ]]; then\n"
          "            before= value=\n"
          "            kind=$(_strongroom_value \"$command\" \"$word\")\n"
          "            [[ -z $kind ]] || option=$word\n"
          "        elif [[ \" $(_strongroom_next \"$command\") \" == *\" $word \"* ]]; then\n"
          "            [[ $word == help ]] || command=${command:+$command }$word\n"
          "        fi\n"
          "    done\n"
          "    [[ $cur != = ]] || cur=\n"
          "    if [[ $cur == : && -n $before ]]; then\n"
          "        option=$before value+=: cur=\n"
          "    fi\n"
          "    if [[ -n $option ]]; then\n"
          "        # shellcheck disable=SC2046 # a kind and its words\n"
          "        set -- $(_strongroom_value \"$command\" \"$option\")\n"
          "        [[ $1 != list ]] || cur=$value$cur\n"
          "        _strongroom_offer \"$1\" \"$cur\" \"${@:2}\"\n"
          "    elif [[ $cur == -* ]]; then\n"
          "        _strongroom_offer words \"$cur\" \"$(_strongroom_options \"$command\")\"\n"
          "    elif [[ -n $(_strongroom_next \"$command\") ]]; then\n"
          "        _strongroom_offer words \"$cur\" \"$(_strongroom_next \"$command\")\"\n"
          "    else\n"
          "        # shellcheck disable=SC2046 # a kind and its words\n"
          "        set -- $(_strongroom_positional \"$command\")\n"
          "        _strongroom_offer \"$1\" \"$cur\" \"${@:2}\"\n"
          "    fi\n"
          "}\n"
          "complete -F _strongroom strongroom\n",
          to);
}
