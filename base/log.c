#include "base/log.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static const char *const level_names[] = {
    [LOG_ERROR] = "error", [LOG_WARN] = "warn", [LOG_INFO] = "info", [LOG_DEBUG] = "debug"};
static char process_name[32] = "strongroomd";
static enum log_level least = LOG_INFO;

void log_start(const char *name, enum log_level level) {
    snprintf(process_name, sizeof process_name, "%s", name);
    least = level;
}

/* gmtime_r may take a lock and read a file for the time zone; the civil date is a few divisions.
 * Days are counted from 1 March of year 0 of the proleptic Gregorian calendar, so that the leap
 * day is the last of its year and the lengths of the months before it never change. */
static void civil_date(long long days, int *year, int *month, int *day) {
    days += 719468;
    long long era = days / 146097, of_era = days % 146097;
    long long year_of_era = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
    long long of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    long long shifted = (5 * of_year + 2) / 153;
    *day = (int)(of_year - (153 * shifted + 2) / 5 + 1);
    *month = (int)(shifted < 10 ? shifted + 3 : shifted - 9);
    *year = (int)(year_of_era + era * 400 + (*month <= 2));
}

static void PRINTF_LIKE(2, 0) write_line(enum log_level level, const char *format, va_list args) {
    if (level > least)
        return;
    int saved = errno;
    char line[LOG_LINE_MAX];
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    long long second = now.tv_sec % 86400;
    int year, month, day;
    civil_date(now.tv_sec / 86400, &year, &month, &day);
    int head =
        snprintf(line, sizeof line, "%04d-%02d-%02dT%02d:%02d:%02d.%03dZ %s %s: ", year, month, day,
                 (int)(second / 3600), (int)(second / 60 % 60), (int)(second % 60),
                 (int)(now.tv_nsec / 1000000), level_names[level], process_name);
    size_t room = sizeof line - (size_t)head;
    int body = vsnprintf(line + head, room, format, args);
    size_t length = (size_t)head;
    if (body > 0)
        length += (size_t)body < room ? (size_t)body : room - 1;
    for (size_t i = (size_t)head; i < length; i++)
        if (line[i] < 0x20 || line[i] > 0x7e)
            line[i] = '?';
    line[length < sizeof line ? length++ : length - 1] = '\n';
    ssize_t written = write(STDERR_FILENO, line, length);
    (void)written; /* there is nowhere left to say that the log cannot be written */
    errno = saved;
}

#define DEFINE(name, level)                                                                        \
    void log_##name(const char *format, ...) {                                                     \
        va_list args;                                                                              \
        va_start(args, format);                                                                    \
        write_line(level, format, args);                                                           \
        va_end(args);                                                                              \
    }
DEFINE(error, LOG_ERROR)
DEFINE(warn, LOG_WARN)
DEFINE(info, LOG_INFO)
DEFINE(debug, LOG_DEBUG)
