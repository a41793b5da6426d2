#include "admin/options.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/suggest.h"

struct reader {
    const struct options_row *rows[2];
    size_t counts[2];
};

static const struct options_row *find(const struct reader *reader, const char *name, size_t length,
                                      char letter) {
    for (size_t t = 0; t < 2; t++)
        for (size_t i = 0; i < reader->counts[t]; i++) {
            const struct options_row *row = &reader->rows[t][i];
            if (letter ? row->letter == letter
                       : strlen(row->name) == length && memcmp(row->name, name, length) == 0)
                return row;
        }
    return NULL;
}

static enum status keep(struct options *options, const struct options_row *row, const char *value,
                        struct error *error) {
    if (!row->repeats)
        for (size_t i = 0; i < options->value_count; i++)
            if (options->values[i].row == row)
                return status_fail(error, STATUS_INVALID, "--%s stands there twice", row->name);
    if (options->value_count == OPTIONS_VALUES_MAX)
        return status_fail(error, STATUS_INVALID, "more than %d options", OPTIONS_VALUES_MAX);
    options->values[options->value_count].row = row;
    options->values[options->value_count].value = value;
    options->value_count++;
    return STATUS_OK;
}

/* "--jsno is not an option here: did you mean --json?" */
static enum status unknown(const struct reader *reader, const char *word, size_t length,
                           struct error *error) {
    char name[SUGGEST_LENGTH_MAX + 1];
    size_t dashes = strspn(word, "-");
    bool fits = dashes < length && length - dashes < sizeof name;
    if (fits) {
        memcpy(name, word + dashes, length - dashes);
        name[length - dashes] = '\0';
    } else {
        name[0] = '\0';
    }
    struct suggest suggest = suggest_begin(name);
    for (size_t t = 0; t < 2; t++)
        for (size_t i = 0; i < reader->counts[t]; i++)
            suggest_offer(&suggest, reader->rows[t][i].name);
    /* What stands behind the "=" may be anything, so it is not repeated. */
    if (suggest.best)
        return status_fail(error, STATUS_INVALID, "%.*s is not an option here: did you mean --%s?",
                           (int)length, word, suggest.best);
    char known[ERROR_MESSAGE_MAX / 2] = "";
    size_t used = 0;
    for (size_t t = 0; t < 2; t++)
        for (size_t i = 0; i < reader->counts[t] && used < sizeof known; i++)
            used += (size_t)snprintf(known + used, sizeof known - used, "%s--%s", used ? ", " : "",
                                     reader->rows[t][i].name);
    return status_fail(error, STATUS_INVALID, "%.*s is not an option here; there are %s",
                       (int)length, word, known);
}

/* One option, at words[*i]; steps over its value where that is a word of its own. */
static enum status read_option(const struct reader *reader, char *const *words, size_t count,
                               size_t *i, struct options *options, struct error *error) {
    const char *word = words[*i];
    const char *equals = NULL;
    const struct options_row *row = NULL;
    if (word[1] == '-') {
        equals = strchr(word, '=');
        size_t length = equals ? (size_t)(equals - word - 2) : strlen(word + 2);
        row = find(reader, word + 2, length, 0);
    } else if (word[2] == '\0') {
        row = find(reader, NULL, 0, word[1]);
    }
    if (!row)
        return unknown(reader, word, equals ? (size_t)(equals - word) : strlen(word), error);
    if (!row->value) {
        if (equals)
            return status_fail(error, STATUS_INVALID, "--%s takes no value", row->name);
        return keep(options, row, "", error);
    }
    if (equals)
        return keep(options, row, equals + 1, error);
    if (*i + 1 == count)
        return status_fail(error, STATUS_INVALID, "--%s needs a value: %s", row->name, row->value);
    ++*i;
    return keep(options, row, words[*i], error);
}

enum status options_parse(char *const *words, size_t count, const struct options_row *rows,
                          size_t row_count, const struct options_row *common, size_t common_count,
                          struct options *options, struct error *error) {
    const struct reader reader = {{rows, common}, {row_count, common_count}};
    struct options made = {0};
    bool only_positional = false;
    for (size_t i = 0; i < count; i++) {
        const char *word = words[i];
        if (!only_positional && strcmp(word, "--") == 0) {
            only_positional = true;
        } else if (!only_positional && word[0] == '-' && word[1] != '\0') {
            enum status status = read_option(&reader, words, count, &i, &made, error);
            if (status != STATUS_OK)
                return status;
        } else if (made.positional_count == OPTIONS_POSITIONAL_MAX) {
            return status_fail(error, STATUS_INVALID, "\"%s\" is one word too many", word);
        } else {
            made.positional[made.positional_count++] = word;
        }
    }
    *options = made;
    return STATUS_OK;
}

const char *options_value(const struct options *options, const char *name) {
    for (size_t i = options->value_count; i-- > 0;)
        if (strcmp(options->values[i].row->name, name) == 0)
            return options->values[i].value;
    return NULL;
}

bool options_flag(const struct options *options, const char *name) {
    return options_value(options, name) != NULL;
}

enum status options_required(const struct options *options, const char *name, const char **value,
                             struct error *error) {
    const char *found = options_value(options, name);
    if (!found || !*found)
        return status_fail(error, STATUS_INVALID, "--%s is required", name);
    *value = found;
    return STATUS_OK;
}

enum status options_number(const struct options *options, const char *name, long long low,
                           long long high, long long absent, long long *value,
                           struct error *error) {
    const char *text = options_value(options, name);
    if (!text) {
        *value = absent;
        return STATUS_OK;
    }
    char *end = NULL;
    errno = 0;
    long long number = strtoll(text, &end, 10);
    if (end == text || *end || errno || number < low || number > high)
        return status_fail(error, STATUS_INVALID,
                           "--%s: found \"%s\", expected a whole number from %lld to %lld", name,
                           text, low, high);
    *value = number;
    return STATUS_OK;
}
