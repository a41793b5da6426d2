#include "base/instant.h"

#include <stdio.h>
#include <string.h>

#define DAY_LAST 2932896 /* 9999-12-31 */

/* Days since 1970-01-01 of a date of the Gregorian calendar, and back: the year is taken to begin
 * in March, so that the leap day is its last, and 400 years have 146097 days. */
static int32_t days_of(int year, int month, int day) {
    int y = month <= 2 ? year - 1 : year;
    int since_march = (month + 9) % 12;
    int day_of_year = (153 * since_march + 2) / 5 + day - 1;
    return 365 * y + y / 4 - y / 100 + y / 400 + day_of_year - 719468;
}

static void date_of(int32_t days, int *year, int *month, int *day) {
    int n = days + 719468, era = n / 146097, in_era = n % 146097;
    int y = (in_era - in_era / 1460 + in_era / 36524 - in_era / 146096) / 365;
    int in_year = in_era - (365 * y + y / 4 - y / 100);
    int since_march = (5 * in_year + 2) / 153;
    *day = in_year - (153 * since_march + 2) / 5 + 1;
    *month = since_march < 10 ? since_march + 3 : since_march - 9;
    *year = 400 * era + y + (*month <= 2);
}

/* Exactly `count` digits at *at, and step over them. */
static bool digits(const char **at, int count, int *value) {
    int v = 0;
    for (int i = 0; i < count; i++) {
        char c = (*at)[i];
        if (c < '0' || c > '9')
            return false;
        v = v * 10 + (c - '0');
    }
    *at += count;
    *value = v;
    return true;
}

static bool literal(const char **at, char c) {
    if (**at != c)
        return false;
    ++*at;
    return true;
}

static bool parse_date(const char **at, int32_t *day) {
    static const int lengths[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    int y, m, d;
    if (!digits(at, 4, &y) || !literal(at, '-') || !digits(at, 2, &m) || !literal(at, '-') ||
        !digits(at, 2, &d) || y < 1970 || m < 1 || m > 12)
        return false;
    bool leap = y % 4 == 0 && (y % 100 != 0 || y % 400 == 0);
    if (d < 1 || d > lengths[m - 1] + (m == 2 && leap))
        return false;
    *day = days_of(y, m, d);
    return true;
}

/* "T12:00:00.5Z"; a leap second has no number of its own and is refused. */
static bool parse_clock(const char **at, int64_t *microseconds) {
    int h, m, s, fraction = 0;
    if (!literal(at, 'T') || !digits(at, 2, &h) || !literal(at, ':') || !digits(at, 2, &m) ||
        !literal(at, ':') || !digits(at, 2, &s) || h > 23 || m > 59 || s > 59)
        return false;
    if (literal(at, '.')) {
        int places = 0, digit;
        while (places < 6 && digits(at, 1, &digit)) {
            fraction = fraction * 10 + digit;
            places++;
        }
        if (!places)
            return false;
        for (; places < 6; places++)
            fraction *= 10;
    }
    if (!literal(at, 'Z'))
        return false;
    *microseconds = ((int64_t)(h * 60 + m) * 60 + s) * 1000000 + fraction;
    return true;
}

bool instant_parse_day(const char *text, int32_t *day) {
    int32_t found;
    if (!parse_date(&text, &found) || *text)
        return false;
    *day = found;
    return true;
}

bool instant_parse(const char *text, int64_t *microseconds) {
    int64_t clock = 0, number = 0;
    int32_t day;
    size_t size = strlen(text);
    if (size && strspn(text, "0123456789") == size) {
        /* Shorter ones are a year, seconds or milliseconds that somebody took for a time. */
        if (size > 18 || (size < 15 && strcmp(text, "0") != 0))
            return false;
        for (; *text; text++)
            number = number * 10 + (*text - '0');
        if (number / INSTANT_DAY_US > DAY_LAST)
            return false;
        *microseconds = number;
        return true;
    }
    if (!parse_date(&text, &day) || (*text && !parse_clock(&text, &clock)) || *text)
        return false;
    *microseconds = day * INSTANT_DAY_US + clock;
    return true;
}

void instant_format_day(int32_t day, char text[INSTANT_TEXT_SIZE]) {
    int y, m, d;
    day = day < 0 ? 0 : day > DAY_LAST ? DAY_LAST : day;
    date_of(day, &y, &m, &d);
    snprintf(text, INSTANT_TEXT_SIZE, "%04d-%02d-%02d", y, m, d);
}

void instant_format(int64_t microseconds, char text[INSTANT_TEXT_SIZE]) {
    const int64_t last = (DAY_LAST + 1) * INSTANT_DAY_US - 1;
    char fraction[8] = "";
    microseconds = microseconds < 0 ? 0 : microseconds > last ? last : microseconds;
    int32_t day = (int32_t)(microseconds / INSTANT_DAY_US);
    int64_t rest = microseconds % INSTANT_DAY_US;
    int us = (int)(rest % 1000000), s = (int)(rest / 1000000);
    if (us)
        snprintf(fraction, sizeof fraction, ".%06d", us);
    instant_format_day(day, text);
    snprintf(text + 10, INSTANT_TEXT_SIZE - 10, "T%02d:%02d:%02d%sZ", s / 3600, s / 60 % 60, s % 60,
             fraction);
}
