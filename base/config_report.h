/* libcyaml's report on a configuration that it refused, as one line for the operator: the line of
 * the file, the setting, what was found and what was expected.
 *
 * libcyaml tells the reason first and then, from the innermost outwards, where it was; a reason
 * that is not known here is given in its own words. One struct for one parse, by one thread. */
#ifndef BASE_CONFIG_REPORT_H
#define BASE_CONFIG_REPORT_H

#include <cyaml/cyaml.h>
#include <stdarg.h>

#include "base/status.h"

#define CONFIG_REPORT_DEPTH 4 /* settings within settings, a list's entries counted */

struct config_report {
    char reason[256];
    char fields[CONFIG_REPORT_DEPTH][48]; /* innermost first */
    unsigned depth;
    unsigned line; /* 0: not told */
};

/* A cyaml_log_fn_t; `context` is the report. */
void config_report_collect(cyaml_log_t level, void *context, const char *format, va_list args)
    PRINTF_LIKE(3, 0);
/* STATUS_INVALID, with the message, which begins with `what` and a colon; `code` is what libcyaml
 * returned. */
enum status config_report_say(const struct config_report *report, cyaml_err_t code,
                              const char *what, struct error *error);
/* The same, of the configuration; `code` is what libcyaml returned. */
enum status config_report_fail(const struct config_report *report, cyaml_err_t code,
                               struct error *error);

#endif
