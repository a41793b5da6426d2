#include "base/config_report.h"

#include <stdio.h>
#include <string.h>

/* "  in mapping field 'slots' (line: 1, column: 17)", "  in sequence entry '1' (line: ...)", "  in
 * mapping (line: ...)". */
static void collect_place(struct config_report *report, const char *text) {
    char name[48];
    unsigned line = 0;
    const char *at = strstr(text, "(line: ");
    if (at && report->line == 0 && sscanf(at, "(line: %u", &line) == 1)
        report->line = line;
    if (report->depth < CONFIG_REPORT_DEPTH &&
        sscanf(text, "  in mapping field '%47[^']'", name) == 1)
        memcpy(report->fields[report->depth++], name, sizeof name);
    else if (report->depth < CONFIG_REPORT_DEPTH &&
             sscanf(text, "  in sequence entry '%40[0-9]'", name) == 1)
        snprintf(report->fields[report->depth++], sizeof report->fields[0], "entry %.40s", name);
}

void config_report_collect(cyaml_log_t level, void *context, const char *format, va_list args) {
    static const char load[] = "Load: ", save[] = "Backtrace";
    struct config_report *report = context;
    char line[512];
    const char *text = line;
    (void)level;
    if (vsnprintf(line, sizeof line, format, args) < 0)
        return;
    line[strcspn(line, "\n")] = '\0';
    if (strncmp(text, load, sizeof load - 1) == 0)
        text += sizeof load - 1;
    if (strncmp(text, "  in ", 5) == 0)
        collect_place(report, text);
    else if (report->reason[0] == '\0' && strncmp(text, save, sizeof save - 1) != 0)
        snprintf(report->reason, sizeof report->reason, "%.255s", text);
}

static const char *kind(const char *event) {
    static const struct {
        const char *event, *words;
    } kinds[] = {{"MAPPING", "settings (name: value)"},
                 {"SEQUENCE", "a list"},
                 {"SCALAR", "a single value"},
                 {"STRING", "a single value"},
                 {"ALIAS", "an alias"}};
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
        if (strncmp(event, kinds[i].event, strlen(kinds[i].event)) == 0)
            return kinds[i].words;
    return "a single value";
}

/* libcyaml's reason in words that say what was found and what was expected. */
static void explain(const char *reason, char *out, size_t size) {
    char a[64], b[64];
    unsigned least, most;
    if (sscanf(reason, "Unexpected key: %63[^\n]", a) == 1)
        snprintf(out, size, "there is no setting \"%s\"", a);
    else if (sscanf(reason, "Mapping field already seen: %63[^\n]", a) == 1)
        snprintf(out, size, "the setting \"%s\" stands there twice", a);
    else if (sscanf(reason, "Expecting %63[A-Z_], got event: %63[A-Z_]", a, b) == 2)
        snprintf(out, size, "found %s, expected %s", kind(b), kind(a));
    else if (sscanf(reason, "Invalid %*[UINTuint64_] value: '%63[^']'", a) == 1)
        snprintf(out, size, "found \"%s\", expected a whole number%s", a,
                 strncmp(reason, "Invalid uint64_t", 16) == 0 ? "" : " from 0 to 4294967295");
    else if (sscanf(reason, "Invalid ENUM value: %63[^\n]", a) == 1) /* the one kind there is */
        snprintf(out, size, "found \"%s\", expected true or false", a);
    else if (sscanf(reason, "Insufficient entries (%u of %u min)", &least, &most) == 2)
        snprintf(out, size, "found %u entries, expected at least %u", least, most);
    else if (strncmp(reason, "STRING length < ", 16) == 0)
        snprintf(out, size, "found an empty value");
    else if (strncmp(reason, "STRING length > ", 16) == 0)
        snprintf(out, size, "the value is too long");
    else
        snprintf(out, size, "%s", reason);
}

enum status config_report_fail(const struct config_report *report, cyaml_err_t code,
                               struct error *error) {
    return config_report_say(report, code, "the configuration is wrong", error);
}

enum status config_report_say(const struct config_report *report, cyaml_err_t code,
                              const char *what, struct error *error) {
    char path[CONFIG_REPORT_DEPTH * 50] = "", where[32] = "", reason[320];
    size_t length = 0;
    for (unsigned i = report->depth; i-- > 0;) {
        int n = snprintf(path + length, sizeof path - length, "%s%s", report->fields[i],
                         i == 0                                        ? ": "
                         : strncmp(report->fields[i - 1], "entry ", 6) ? "."
                                                                       : ", ");
        if (n > 0 && (size_t)n < sizeof path - length)
            length += (size_t)n;
    }
    explain(report->reason[0] ? report->reason : cyaml_strerror(code), reason, sizeof reason);
    /* A key is known to be wrong before libcyaml has moved on to it: the place is the one before.
     */
    if (report->line)
        snprintf(where, sizeof where,
                 code == CYAML_ERR_INVALID_KEY && report->depth ? "after line %u: " : "line %u: ",
                 report->line);
    return status_fail(error, STATUS_INVALID, "%s: %s%s%s", what, where, path, reason);
}
