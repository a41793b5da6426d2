#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "admin/commands.h"
#include "admin/connection.h"
#include "admin/output.h"

#define DAYS_DEFAULT 30

static const char *const names[] = {"tenant", "day", "key", "model"};
static const char *const counts[] = {"requests", "errors", "compute_us", "bytes_in", "bytes_out"};
#define NAMES (sizeof names / sizeof names[0])
#define COUNTS (sizeof counts / sizeof counts[0])

/* "2026-11-23" as days since 1970-01-01; `absent` where the option was not given. */
static enum status read_day(const struct options *options, const char *option, int64_t absent,
                            int64_t *day, struct error *error) {
    const char *text = options_value(options, option);
    struct tm parts = {0}, back;
    char again[16] = "";
    if (!text) {
        *day = absent;
        return STATUS_OK;
    }
    const char *end = strlen(text) == 10 ? strptime(text, "%Y-%m-%d", &parts) : NULL;
    time_t seconds = end && !*end ? timegm(&parts) : -1;
    /* Back again shows what strptime lets pass: the 31st of June. */
    if (seconds >= 0 && gmtime_r(&seconds, &back))
        strftime(again, sizeof again, "%Y-%m-%d", &back);
    if (strcmp(again, text) != 0)
        return status_fail(error, STATUS_INVALID,
                           "--%s: found \"%.80s\", expected a day such as 2026-01-31", option,
                           text);
    *day = seconds / 86400;
    return STATUS_OK;
}

/* Which of `names` tell rows apart: all, or the one of --by. */
static enum status read_by(const struct options *options, bool kept[NAMES], struct error *error) {
    const char *by = options_value(options, "by");
    bool known = !by;
    for (size_t i = 0; i < NAMES; i++) {
        kept[i] = !by || strcmp(by, names[i]) == 0;
        known = known || kept[i];
    }
    if (!known)
        return status_fail(error, STATUS_INVALID,
                           "--by: found \"%.80s\", expected tenant, day, key or model", by);
    return STATUS_OK;
}

/* Rows that are the same in what is kept, added up, in the order of their first. */
static json_t *add_up(const json_t *rows, const bool kept[NAMES]) {
    json_t *sums = json_array(), *places = json_object(), *row;
    size_t index;
    json_array_foreach(rows, index, row) {
        char place[512] = "";
        size_t used = 0;
        for (size_t i = 0; i < NAMES; i++)
            if (kept[i] && used < sizeof place)
                used += (size_t)snprintf(place + used, sizeof place - used, "%s\n",
                                         json_string_value(json_object_get(row, names[i])));
        json_t *sum = json_object_get(places, place);
        if (!sum) {
            sum = json_object();
            for (size_t i = 0; i < NAMES; i++)
                if (kept[i])
                    json_object_set(sum, names[i], json_object_get(row, names[i]));
            json_object_set(places, place, sum);
            json_array_append_new(sums, sum);
        }
        for (size_t i = 0; i < COUNTS; i++)
            json_object_set_new(sum, counts[i],
                                json_integer(json_integer_value(json_object_get(sum, counts[i])) +
                                             json_integer_value(json_object_get(row, counts[i]))));
    }
    json_decref(places);
    return sums;
}

/* Names and models hold no comma and no quote, so no field needs quoting. */
static enum status print_csv(const json_t *rows, const bool kept[NAMES], struct error *error) {
    const json_t *row;
    size_t index;
    for (size_t i = 0; i < NAMES; i++)
        if (kept[i])
            printf("%s,", names[i]);
    for (size_t i = 0; i < COUNTS; i++)
        printf("%s%c", counts[i], i + 1 < COUNTS ? ',' : '\n');
    json_array_foreach(rows, index, row) {
        for (size_t i = 0; i < NAMES; i++)
            if (kept[i])
                printf("%s,", json_string_value(json_object_get(row, names[i])));
        for (size_t i = 0; i < COUNTS; i++)
            printf("%" JSON_INTEGER_FORMAT "%c",
                   json_integer_value(json_object_get(row, counts[i])),
                   i + 1 < COUNTS ? ',' : '\n');
    }
    return output_done(error);
}

static enum status print_table(const struct cli *cli, const json_t *result, const bool kept[NAMES],
                               struct error *error) {
    static const struct output_field all[] = {
        {"tenant", "tenant", OUTPUT_TEXT},
        {"day", "day", OUTPUT_WHOLE},
        {"key", "key", OUTPUT_TEXT},
        {"model", "model", OUTPUT_TEXT},
        {"requests", "requests", OUTPUT_NUMBER},
        {"errors", "errors", OUTPUT_NUMBER},
        {"compute", "compute_us", OUTPUT_SPAN},
        {"in", "bytes_in", OUTPUT_BYTES},
        {"out", "bytes_out", OUTPUT_BYTES},
    };
    struct output_field fields[NAMES + COUNTS];
    size_t count = 0;
    for (size_t i = 0; i < NAMES + COUNTS; i++)
        if (i >= NAMES || kept[i])
            fields[count++] = all[i];
    return output_table(cli, result, "usage", fields, count, "no usage", error);
}

static enum status usage(struct cli *cli, struct error *error) {
    const struct options *options = &cli->options;
    int64_t first = 0, last = 0, today = (int64_t)time(NULL) / 86400;
    bool kept[NAMES], csv = options_flag(options, "csv");
    json_t *listed = NULL, *result = NULL;
    enum status status = read_day(options, "to", today, &last, error);
    if (status == STATUS_OK)
        status = read_day(options, "from", last < DAYS_DEFAULT ? 0 : last - DAYS_DEFAULT + 1,
                          &first, error);
    if (status == STATUS_OK && first > last)
        status = status_fail(error, STATUS_INVALID, "--from: is after --to");
    if (status == STATUS_OK && csv && cli->json)
        status = status_fail(error, STATUS_INVALID, "give either --csv or --json, not both");
    if (status == STATUS_OK)
        status = read_by(options, kept, error);
    if (status == STATUS_OK)
        status = connection_once(cli,
                                 json_pack("{s:s,s:s*,s:I,s:I}", "command", "usage.list", "tenant",
                                           options_value(options, "tenant"), "first",
                                           (json_int_t)first, "last", (json_int_t)last),
                                 &listed, error);
    if (status != STATUS_OK)
        return status;
    result = json_pack("{s:o}", "usage", add_up(json_object_get(listed, "usage"), kept));
    if (!result)
        status = status_fail(error, STATUS_UNAVAILABLE, "out of memory");
    else if (csv)
        status = print_csv(json_object_get(result, "usage"), kept, error);
    else
        status = print_table(cli, result, kept, error);
    json_decref(result);
    json_decref(listed);
    return status;
}

static const struct options_row rows[] = {
    {"tenant", 't', "NAME", "only this tenant's", false},
    {"from", 0, "DAY", "first day, UTC: 2026-01-31 (default: 30 days in all)", false},
    {"to", 0, "DAY", "last day (default: today)", false},
    {"by", 0, "tenant|day|key|model", "add up what is the same in this", false},
    {"csv", 0, NULL, "comma-separated values, for a spreadsheet", false},
};

const struct cli_command usage_command = {
    .name = "usage",
    .positional = "",
    .rows = rows,
    .row_count = sizeof rows / sizeof rows[0],
    .summary = "what was used, by tenant, day, key and model",
    .help = "Counts inference requests with their errors, time of computing and bytes. With --csv\n"
            "and --json times are in microseconds and sizes in bytes.",
    .example = "usage --tenant acme --from 2026-01-01 --to 2026-01-31 --by model",
    .run = usage,
};
