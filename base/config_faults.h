/* Every fault of a configuration at once, each with its place, for `strongroomd --check`.
 *
 * config_parse ends at the first fault and is what a start goes by; this looks at the same text by
 * the same table of settings (config_settings.h), and goes on. What is said of a fault does not
 * depend on the others. A text that is no YAML has one fault: what comes after cannot be told.
 *
 * Threads: pure. Input: the operator's, any bytes. */
#ifndef BASE_CONFIG_FAULTS_H
#define BASE_CONFIG_FAULTS_H

#include <stddef.h>

/* `line` and `column` from 1; `message` is "setting: found ..., expected ...". */
typedef void config_fault(void *context, unsigned line, unsigned column, const char *message);

/* How many there are, each told to `say` in the order of the text. */
size_t config_faults(const void *bytes, size_t size, config_fault *say, void *context);

#endif
