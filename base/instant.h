/* Times as people and clients write them: RFC 3339 in UTC, days, or microseconds.
 *
 * Inside the project a time is microseconds since 1970-01-01T00:00:00Z, a day is a count of days
 * since then. Threads: pure. Input: untrusted. */
#ifndef BASE_INSTANT_H
#define BASE_INSTANT_H

#include "base/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define INSTANT_TEXT_SIZE 32 /* "2026-11-23T12:00:00.000001Z" and the end */
#define INSTANT_DAY_US INT64_C(86400000000)

/* "2026-11-23", "2026-11-23T12:00:00Z" (with up to six digits of a fraction), or microseconds in
 * 15 decimal digits or more; false for anything else, and for years before 1970 and after 9999. */
MUST_USE bool instant_parse(const char *text, int64_t *microseconds);
/* "2026-11-23" alone. */
MUST_USE bool instant_parse_day(const char *text, int32_t *day);

/* The fraction is left out where it is zero. Times outside the years above come out as the nearest
 * one that is inside. */
void instant_format(int64_t microseconds, char text[INSTANT_TEXT_SIZE]);
void instant_format_day(int32_t day, char text[INSTANT_TEXT_SIZE]);

#endif
