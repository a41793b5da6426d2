/* How words are completed: what completion.c and its shells share. */
#ifndef ADMIN_COMPLETION_H
#define ADMIN_COMPLETION_H

#include <stddef.h>
#include <stdio.h>

#include "admin/commands.h"

enum completion_kind {
    COMPLETION_FLAG,   /* no value */
    COMPLETION_TEXT,   /* anything */
    COMPLETION_FILE,   /* FILE, MODEL.onnx */
    COMPLETION_FOLDER, /* DIR */
    COMPLETION_WORDS,  /* auto|always|never */
};

/* The kind of a value by what the table calls it; NULL is a flag. */
enum completion_kind completion_kind_of(const char *value);
/* The words of "auto|always|never", separated by spaces. */
void completion_words(const char *value, char *words, size_t size);
/* Prefixes of the rows' names that are no names: "tenant". Calls `each` once for each. */
void completion_groups(void (*each)(FILE *to, const char *group), FILE *to);

void completion_bash(FILE *to);
void completion_zsh(FILE *to);
void completion_fish(FILE *to);

#endif
