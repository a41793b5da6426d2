/* Every setting of the server, one row each: its name in the file, its default, its range, and what
 * it does. Whatever names settings is made from this table or held against it by a test: the parser
 * (config.c), the file that `strongroom init` writes, `strongroomd --settings`, and the reference
 * in docs/OPERATIONS.md. */
#ifndef BASE_CONFIG_SETTINGS_H
#define BASE_CONFIG_SETTINGS_H

#include "base/buf.h"
#include "base/config.h"

#include <stddef.h>
#include <stdint.h>

enum config_kind {
    CONFIG_ADDRESSES, /* a list of ADDRESS:PORT */
    CONFIG_ADDRESS,   /* one, loopback only; may be left out */
    CONFIG_PATH,      /* relative to the file's folder; without a default it may be left out */
    CONFIG_TEXT,      /* a name; may be left out */
    CONFIG_VERSION,   /* of TLS: 1.2 or 1.3, kept as 12 or 13 */
    CONFIG_TRUTH,     /* true or false */
    CONFIG_U32,
    CONFIG_U64,
};

struct config_setting {
    const char *name; /* "worker.slots", "data" */
    enum config_kind kind;
    size_t group;         /* where libcyaml's struct holds the group; CONFIG_NO_GROUP: none */
    size_t value;         /* and the value in the group */
    size_t place;         /* where struct config holds it */
    uint64_t number;      /* default of numbers, truths and versions */
    const char *text;     /* default of the others; NULL: none */
    uint64_t least, most; /* of numbers */
    const char *help;     /* one line, no full stop */
};

#define CONFIG_NO_GROUP ((size_t)-1)

extern const struct config_setting config_settings[];
extern const size_t config_settings_count;

/* The default as it would stand in the file; "" where there is none. */
void config_settings_default(const struct config_setting *setting, struct buf *out);
/* The reference, as `strongroomd --settings` prints it. */
void config_settings_print(struct buf *out);
/* The settings and their defaults as commented YAML, for a new configuration. Those named in `but`,
 * a list that ends with NULL, are left out. */
void config_settings_yaml(const char *const *but, struct buf *out);

#endif
