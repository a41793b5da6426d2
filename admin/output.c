#include "admin/output.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define CELL_MAX 512

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

static void format_bytes(int64_t bytes, char *cell, size_t size) {
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB"};
    double value = (double)bytes;
    size_t unit = 0;
    while (value >= 1024 && unit + 1 < sizeof units / sizeof units[0]) {
        value /= 1024;
        unit++;
    }
    snprintf(cell, size, unit ? "%.1f %s" : "%.0f %s", value, units[unit]);
}

static void format_cell(const json_t *value, enum output_kind kind, char cell[CELL_MAX]) {
    char time[OUTPUT_TIME_SIZE];
    switch (kind) {
    case OUTPUT_TIME:
        output_time(json_integer_value(value), time);
        snprintf(cell, CELL_MAX, "%s", time);
        break;
    case OUTPUT_BYTES:
        format_bytes(json_integer_value(value), cell, CELL_MAX);
        break;
    case OUTPUT_NUMBER:
        snprintf(cell, CELL_MAX, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
        break;
    case OUTPUT_TEXT:
        snprintf(cell, CELL_MAX, "%s", json_is_string(value) ? json_string_value(value) : "");
        if (cell[0] == '\0')
            snprintf(cell, CELL_MAX, "-");
        break;
    }
    for (char *c = cell; *c; c++)
        if ((unsigned char)*c < 0x20 || *c == 0x7f)
            *c = '?';
}

enum status output_done(struct error *error) {
    if (fflush(stdout) != 0 || ferror(stdout))
        return status_fail(error, STATUS_UNAVAILABLE, "cannot write the result: %s",
                           strerror(errno));
    return STATUS_OK;
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
    for (size_t i = 0; i < count; i++)
        if (member_of(object, fields[i].member) && (int)strlen(fields[i].title) > width)
            width = (int)strlen(fields[i].title);
    for (size_t i = 0; i < count; i++) {
        const json_t *value = member_of(object, fields[i].member);
        if (!value)
            continue;
        format_cell(value, fields[i].kind, cell);
        printf("%-*s  %s\n", width, fields[i].title, cell);
    }
    return output_done(error);
}

static bool to_the_right(enum output_kind kind) {
    return kind == OUTPUT_NUMBER || kind == OUTPUT_BYTES;
}

static void print_cell(const char *cell, int width, enum output_kind kind, bool last) {
    if (to_the_right(kind))
        printf("%*s", width, cell);
    else
        printf("%-*s", last ? 0 : width, cell);
    fputs(last ? "\n" : "  ", stdout);
}

enum status output_table(const struct cli *cli, const json_t *result, const char *member,
                         const struct output_field *fields, size_t count, const char *empty,
                         struct error *error) {
    int widths[16] = {0};
    char cell[CELL_MAX];
    const json_t *rows = json_object_get(result, member), *row;
    size_t index;
    if (cli->json)
        return print_json(result, error);
    if (json_array_size(rows) == 0) {
        printf("%s\n", empty);
        return output_done(error);
    }
    for (size_t i = 0; i < count; i++)
        widths[i] = (int)strlen(fields[i].title);
    json_array_foreach(rows, index, row) {
        for (size_t i = 0; i < count; i++) {
            format_cell(member_of(row, fields[i].member), fields[i].kind, cell);
            if ((int)strlen(cell) > widths[i])
                widths[i] = (int)strlen(cell);
        }
    }
    for (size_t i = 0; i < count; i++)
        print_cell(fields[i].title, widths[i], fields[i].kind, i + 1 == count);
    json_array_foreach(rows, index, row) {
        for (size_t i = 0; i < count; i++) {
            format_cell(member_of(row, fields[i].member), fields[i].kind, cell);
            print_cell(cell, widths[i], fields[i].kind, i + 1 == count);
        }
    }
    return output_done(error);
}
