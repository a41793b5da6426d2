/* The process's own log: one line on standard error per event,
 *
 *   2031-04-05T06:07:08.123Z warn front: connection closed early client=192.0.2.7 bytes=12
 *
 * which journald and every other collector take as it is. A line is one write(2) of at most
 * LOG_LINE_MAX bytes (longer ones are cut), so lines of several processes do not mix. Control
 * characters and bytes that are not ASCII are written as '?', so that nothing from outside can
 * forge a line.
 *
 * Never log a secret, an API key, or anything of a payload. Tenants are named by uid.
 *
 * Threads: any. Allocates nothing, and is safe in a sandbox (write, clock_gettime). */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include "base/status.h"

#define LOG_LINE_MAX 1024

enum log_level { LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG };

/* Whose lines these are ("front", "worker 3"; copied, at most 31 bytes) and the least important
 * level that is written. Called once, before the first thread. The default is "strongroomd" and
 * LOG_INFO. */
void log_start(const char *name, enum log_level level);

void log_error(const char *format, ...) PRINTF_LIKE(1, 2);
void log_warn(const char *format, ...) PRINTF_LIKE(1, 2);
void log_info(const char *format, ...) PRINTF_LIKE(1, 2);
void log_debug(const char *format, ...) PRINTF_LIKE(1, 2);

#endif
