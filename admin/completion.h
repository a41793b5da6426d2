/* How words are completed: what completion.c and its shells share. */
#ifndef ADMIN_COMPLETION_H
#define ADMIN_COMPLETION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "admin/commands.h"

enum completion_kind {
    COMPLETION_FLAG,   /* no value */
    COMPLETION_TEXT,   /* anything */
    COMPLETION_FILE,   /* FILE, MODEL.onnx */
    COMPLETION_FOLDER, /* DIR */
    COMPLETION_WORDS,  /* auto|always|never */
    COMPLETION_LIST,   /* SCOPES: words, separated by commas */
};
#define COMPLETION_WORDS_SIZE 256

/* The kind of a value by what the table calls it; NULL is a flag. */
enum completion_kind completion_kind_of(const char *value);
/* The words of "auto|always|never", or those that a list may have, separated by spaces. */
void completion_words(const char *value, char *words, size_t size);
/* True where no row before that one has the same first `words` words. */
bool completion_is_first(size_t row, size_t words);
/* Prefixes of the rows' names that are no names: "tenant". Calls `each` once for each, whether its
 * rows stand together or not. */
void completion_groups(void (*each)(FILE *to, const char *group), FILE *to);

void completion_bash(FILE *to);
void completion_zsh(FILE *to);
void completion_fish(FILE *to);

#endif
