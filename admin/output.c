#include "admin/output.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "admin/progress.h"
#include "admin/terminal.h"

#define CELL_MAX 1024
#define COLUMNS_MAX 16
#define GAP 2
#define LEFT_OUT_MAX 2 /* columns that a narrow table may lack; without more it says nothing */

void output_time(int64_t microseconds, char text[OUTPUT_TIME_SIZE]) {
    time_t seconds = (time_t)(microseconds / 1000000);
    struct tm parts;
    if (microseconds <= 0 || !gmtime_r(&seconds, &parts))
        snprintf(text, OUTPUT_TIME_SIZE, "-");
    else
        strftime(text, OUTPUT_TIME_SIZE, "%Y-%m-%dT%H:%M:%SZ", &parts);
}

static const json_t *member_of(const json_t *row, const char *path) {
    const char *dot = strchr(path, '.');
    if (!dot)
        return json_object_get(row, path);
    char first[64];
    snprintf(first, sizeof first, "%.*s", (int)(dot - path), path);
    return json_object_get(json_object_get(row, first), dot + 1);
}

void output_bytes(int64_t bytes, char *cell, size_t size) {
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB"};
    double value = (double)bytes;
    size_t unit = 0;
    while (value >= 1024 && unit + 1 < sizeof units / sizeof units[0]) {
        value /= 1024;
        unit++;
    }
    snprintf(cell, size, unit ? "%.1f %s" : "%.0f %s", value, units[unit]);
}

static void format_span(int64_t microseconds, char *cell, size_t size) {
    double seconds = (double)microseconds / 1e6;
    if (seconds < 1)
        snprintf(cell, size, "%.1f ms", 1000 * seconds);
    else if (seconds < 7200)
        snprintf(cell, size, "%.1f s", seconds);
    else
        snprintf(cell, size, "%.1f h", seconds / 3600);
}

/* `brief` times leave out year, seconds and zone, for a table that has no room for them. */
static void format_cell(const json_t *value, enum output_kind kind, bool brief,
                        char cell[CELL_MAX]) {
    char time[OUTPUT_TIME_SIZE];
    switch (kind) {
    case OUTPUT_TIME:
        output_time(json_integer_value(value), time);
        if (brief && strlen(time) == 20)
            snprintf(cell, CELL_MAX, "%.5s %.5s", time + 5, time + 11);
        else
            snprintf(cell, CELL_MAX, "%s", time);
        break;
    case OUTPUT_BYTES:
        output_bytes(json_integer_value(value), cell, CELL_MAX);
        break;
    case OUTPUT_NUMBER:
        snprintf(cell, CELL_MAX, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
        break;
    case OUTPUT_SPAN:
        format_span(json_integer_value(value), cell, CELL_MAX);
        break;
    case OUTPUT_TEXT:
    case OUTPUT_WHOLE:
    case OUTPUT_STATE:
    case OUTPUT_PROSE:
        snprintf(cell, CELL_MAX, "%s", json_is_string(value) ? json_string_value(value) : "");
        if (cell[0] == '\0')
            snprintf(cell, CELL_MAX, "-");
        break;
    }
    terminal_clean(cell);
}

enum status output_done(struct error *error) {
    if (fflush(stdout) != 0 || ferror(stdout))
        return status_fail(error, STATUS_UNAVAILABLE, "cannot write the result: %s",
                           strerror(errno));
    return STATUS_OK;
}

static enum terminal_style style_of(enum output_kind kind, const char *cell) {
    static const struct {
        const char *word;
        enum terminal_style style;
    } words[] = {
        {"ok", TERMINAL_GOOD},       {"ready", TERMINAL_GOOD},   {"enabled", TERMINAL_GOOD},
        {"weak", TERMINAL_WARN},     {"pending", TERMINAL_WARN}, {"uploading", TERMINAL_WARN},
        {"disabled", TERMINAL_WARN}, {"bad", TERMINAL_BAD},
    };
    for (size_t i = 0; kind == OUTPUT_STATE && i < sizeof words / sizeof words[0]; i++)
        if (strcmp(cell, words[i].word) == 0)
            return words[i].style;
    /* An outcome that is none of these is the name of an error. */
    return kind == OUTPUT_STATE && strcmp(cell, "-") != 0 ? TERMINAL_WARN : TERMINAL_PLAIN;
}

static void print_styled(const char *text, enum terminal_style style) {
    if (style == TERMINAL_PLAIN)
        fputs(text, stdout);
    else
        printf("%s%s%s", terminal_on(stdout, style), text, terminal_off(stdout));
}

/* One JSON object on a line. */
static enum status print_json(const json_t *object, struct error *error) {
    if (json_dumpf(object, stdout, JSON_COMPACT) != 0)
        return status_fail(error, STATUS_UNAVAILABLE, "cannot write the result");
    putchar('\n');
    return output_done(error);
}

enum status output_facts(const struct cli *cli, const json_t *object,
                         const struct output_field *fields, size_t count, struct error *error) {
    int width = 0;
    char cell[CELL_MAX];
    if (cli->json)
        return print_json(object, error);
    progress_end();
    for (size_t i = 0; i < count; i++)
        if (member_of(object, fields[i].member) && (int)strlen(fields[i].title) > width)
            width = (int)strlen(fields[i].title);
    for (size_t i = 0; i < count; i++) {
        const json_t *value = member_of(object, fields[i].member);
        if (!value)
            continue;
        format_cell(value, fields[i].kind, false, cell);
        printf("%s%-*s%s  ", terminal_on(stdout, TERMINAL_FAINT), width, fields[i].title,
               terminal_off(stdout));
        print_styled(cell, style_of(fields[i].kind, cell));
        putchar('\n');
    }
    return output_done(error);
}

static bool to_the_right(enum output_kind kind) {
    return kind == OUTPUT_NUMBER || kind == OUTPUT_BYTES || kind == OUTPUT_SPAN;
}

/* The widest column that may still give something; `count` where there is none. */
static size_t widest(const size_t *widths, const enum output_kind *kinds, size_t count,
                     bool (*may)(enum output_kind kind), size_t least) {
    size_t found = count;
    for (size_t i = 0; i < count; i++)
        if (may(kinds[i]) && widths[i] > least && (found == count || widths[i] >= widths[found]))
            found = i;
    return found;
}

static bool is_text(enum output_kind kind) {
    return kind == OUTPUT_TEXT || kind == OUTPUT_PROSE;
}

static bool is_word(enum output_kind kind) {
    return is_text(kind) || kind == OUTPUT_STATE;
}

static bool is_no_number(enum output_kind kind) {
    return !to_the_right(kind);
}

#define TEXT_LEAST 8 /* columns of a text that is still worth reading */

bool output_fits(const size_t *widths, const enum output_kind *kinds, size_t count, size_t room) {
    size_t least = count ? GAP * (count - 1) : 0;
    for (size_t i = 0; i < count; i++)
        least += is_text(kinds[i]) && widths[i] > TEXT_LEAST ? TEXT_LEAST : widths[i];
    return !room || least <= room;
}

void output_fit(size_t *widths, const enum output_kind *kinds, size_t count, size_t room) {
    static const struct {
        bool (*may)(enum output_kind kind);
        size_t least;
    } phases[] = {{is_text, TEXT_LEAST}, {is_word, 4}, {is_no_number, 1}};
    size_t total = count ? GAP * (count - 1) : 0, phase = 0;
    for (size_t i = 0; i < count; i++)
        total += widths[i];
    while (room && total > room && phase < sizeof phases / sizeof phases[0]) {
        size_t i = widest(widths, kinds, count, phases[phase].may, phases[phase].least);
        if (i == count) {
            phase++;
            continue;
        }
        widths[i]--;
        total--;
    }
}

struct table {
    const struct output_field *fields;
    size_t count, room;
    bool brief; /* times are */
    size_t widths[COLUMNS_MAX];
};

/* Widths of the columns as their cells want them; the whole width is the answer. */
static size_t measure(struct table *table, const json_t *rows) {
    const json_t *row;
    size_t index, total = GAP * (table->count - 1);
    char cell[CELL_MAX];
    for (size_t i = 0; i < table->count; i++) {
        const struct output_field *field = &table->fields[i];
        table->widths[i] = terminal_columns(field->title);
        json_array_foreach(rows, index, row) {
            format_cell(member_of(row, field->member), field->kind, table->brief, cell);
            size_t columns = terminal_columns(cell);
            if (columns > table->widths[i])
                table->widths[i] = columns;
        }
        total += table->widths[i];
    }
    return total;
}

static void spaces(size_t count) {
    printf("%*s", (int)count, "");
}

static void print_cell(const struct table *table, size_t i, char cell[CELL_MAX],
                       enum terminal_style style) {
    bool last = i + 1 == table->count;
    enum output_kind kind = table->fields[i].kind;
    if (last && kind == OUTPUT_PROSE && table->room) {
        size_t at = 0;
        for (size_t c = 0; c < i; c++)
            at += table->widths[c] + GAP;
        terminal_wrap(stdout, cell, at, table->room);
        putchar('\n');
        return;
    }
    if (table->room)
        terminal_cut(cell, CELL_MAX, table->widths[i]);
    size_t taken = terminal_columns(cell), width = table->widths[i];
    size_t pad = taken < width ? width - taken : 0;
    if (to_the_right(kind))
        spaces(pad);
    print_styled(cell, style);
    if (last)
        putchar('\n');
    else
        spaces((to_the_right(kind) ? 0 : pad) + GAP);
}

/* Each row on lines of its own, as facts are, with an empty line between rows. What is longer than
 * the terminal is wide is cut as in a table. */
static void print_blocks(const struct table *table, const json_t *rows) {
    const json_t *row;
    size_t index, width = 0;
    char cell[CELL_MAX];
    for (size_t i = 0; i < table->count; i++) {
        size_t columns = terminal_columns(table->fields[i].title);
        width = columns > width ? columns : width;
    }
    json_array_foreach(rows, index, row) {
        if (index)
            putchar('\n');
        for (size_t i = 0; i < table->count; i++) {
            const struct output_field *field = &table->fields[i];
            print_styled(field->title, TERMINAL_FAINT);
            spaces(width - terminal_columns(field->title) + GAP);
            format_cell(member_of(row, field->member), field->kind, false, cell);
            if (table->room > width + GAP)
                terminal_cut(cell, sizeof cell, table->room - width - GAP);
            print_styled(cell, style_of(field->kind, cell));
            putchar('\n');
        }
    }
}

static void print_rows(const struct table *table, const json_t *rows) {
    const json_t *row;
    size_t index;
    char cell[CELL_MAX];
    for (size_t i = 0; i < table->count; i++) {
        snprintf(cell, sizeof cell, "%s", table->fields[i].title);
        print_cell(table, i, cell, TERMINAL_STRONG);
    }
    json_array_foreach(rows, index, row) {
        for (size_t i = 0; i < table->count; i++) {
            const struct output_field *field = &table->fields[i];
            format_cell(member_of(row, field->member), field->kind, table->brief, cell);
            print_cell(table, i, cell, style_of(field->kind, cell));
        }
    }
}

static void print_left_out(const struct table *table, size_t all) {
    printf("%s(no room for", terminal_on(stdout, TERMINAL_FAINT));
    for (size_t i = table->count; i < all; i++)
        printf("%s %s", i > table->count ? " and" : "", table->fields[i].title);
    printf(")%s\n", terminal_off(stdout));
}

enum status output_table(const struct cli *cli, const json_t *result, const char *member,
                         const struct output_field *fields, size_t count, const char *empty,
                         struct error *error) {
    struct table table = {.fields = fields, .count = count, .room = terminal_width(stdout)};
    enum output_kind kinds[COLUMNS_MAX];
    const json_t *rows = json_object_get(result, member);
    if (cli->json)
        return print_json(result, error);
    progress_end();
    if (count > COLUMNS_MAX)
        return status_fail(error, STATUS_INTERNAL, "a table of %zu columns", count);
    if (json_array_size(rows) == 0) {
        printf("%s\n", empty);
        return output_done(error);
    }
    for (size_t i = 0; i < count; i++)
        kinds[i] = fields[i].kind;
    if (measure(&table, rows) > table.room && table.room) {
        table.brief = true;
        (void)measure(&table, rows);
    }
    /* Sentences have their own way to be narrow. */
    if (kinds[count - 1] != OUTPUT_PROSE)
        while (!output_fits(table.widths, kinds, table.count, table.room)) {
            if (table.count == 1 || count - table.count == LEFT_OUT_MAX) {
                table.count = count;
                print_blocks(&table, rows);
                return output_done(error);
            }
            table.count--;
        }
    output_fit(table.widths, kinds, table.count, table.room);
    print_rows(&table, rows);
    if (table.count < count)
        print_left_out(&table, count);
    return output_done(error);
}
