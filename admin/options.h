/* The words of a command line, read by a table of options.
 *
 * --name VALUE, --name=VALUE, -o VALUE, flags without a value; a word that begins with no dash is
 * positional, and so is everything after "--". An option that may be repeated keeps all its values
 * in order. All texts are borrowed from argv. */
#ifndef ADMIN_OPTIONS_H
#define ADMIN_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/status.h"

#define OPTIONS_VALUES_MAX 256
#define OPTIONS_POSITIONAL_MAX 4

struct options_row {
    const char *name;  /* without its dashes */
    char letter;       /* 0 for none */
    const char *value; /* what help calls it; NULL for a flag */
    const char *help;
    bool repeats;
};

struct options {
    struct {
        const struct options_row *row;
        const char *value; /* "" for a flag */
    } values[OPTIONS_VALUES_MAX];
    size_t value_count;
    const char *positional[OPTIONS_POSITIONAL_MAX];
    size_t positional_count;
};

/* Read words[0..count) by the rows of two tables (the subcommand's and the ones that all have).
 * STATUS_INVALID names the word that is wrong. */
MUST_USE enum status options_parse(char *const *words, size_t count, const struct options_row *rows,
                                   size_t row_count, const struct options_row *common,
                                   size_t common_count, struct options *options,
                                   struct error *error);
/* The (last) value of an option; NULL where it was not given. */
const char *options_value(const struct options *options, const char *name);
bool options_flag(const struct options *options, const char *name);
/* STATUS_INVALID "--name VALUE is required" where it was not given or is empty. */
MUST_USE enum status options_required(const struct options *options, const char *name,
                                      const char **value, struct error *error);
/* A whole number from low to high; `absent` where it was not given. */
MUST_USE enum status options_number(const struct options *options, const char *name, long long low,
                                    long long high, long long absent, long long *value,
                                    struct error *error);

#endif
