/* The shape of the configuration file: what libcyaml fills, and the schema that it fills it by.
 *
 * Every setting is a pointer, NULL where the file does not have it, so that "absent" and "0" are
 * told apart. What a value means, its default and its range stand in config_settings.c. */
#ifndef BASE_CONFIG_YAML_H
#define BASE_CONFIG_YAML_H

#include <cyaml/cyaml.h>
#include <stdbool.h>
#include <stdint.h>

struct config_yaml_tls {
    char *certificate, *key, *client_ca, *minimum_version;
};
struct config_yaml_root {
    char *identity;
};
struct config_yaml_signing {
    char *key;
};
struct config_yaml_admin {
    char *socket, *group;
};
struct config_yaml_metrics {
    char *listen;
};
struct config_yaml_audit {
    bool *plain_failures;
};
struct config_yaml_worker {
    uint32_t *threads, *slots, *memory_mib;
    bool *allow_unlocked_memory;
};
struct config_yaml_limits {
    uint64_t *body_bytes, *model_bytes, *memory_bytes;
    uint32_t *connections, *connections_per_source, *failures_per_source, *request_timeout_ms,
        *idle_timeout_ms, *deadline_ms;
};
struct config_yaml_drain {
    uint32_t *time_ms, *notice_ms;
};
struct config_yaml {
    char **listen;
    unsigned listen_count;
    char *data;
    uint32_t *user_base;
    struct config_yaml_tls *tls;
    struct config_yaml_root *root;
    struct config_yaml_signing *signing;
    struct config_yaml_admin *admin;
    struct config_yaml_metrics *metrics;
    struct config_yaml_audit *audit;
    struct config_yaml_worker *worker;
    struct config_yaml_limits *limits;
    struct config_yaml_drain *drain;
};

/* Of a struct config_yaml. */
extern const cyaml_schema_value_t config_yaml_schema;

#endif
