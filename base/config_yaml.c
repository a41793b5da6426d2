#include "base/config_yaml.h"

#include "base/config.h"

#define OPTIONAL (CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL)
#define PATH_FIELD(group, name)                                                                    \
    CYAML_FIELD_STRING_PTR(#name, OPTIONAL, struct config_yaml_##group, name, 1,                   \
                           CONFIG_PATH_MAX - 1)
#define NUMBER_FIELD(group, name)                                                                  \
    CYAML_FIELD_UINT_PTR(#name, OPTIONAL, struct config_yaml_##group, name)
#define GROUP(name)                                                                                \
    CYAML_FIELD_MAPPING_PTR(#name, OPTIONAL, struct config_yaml, name, name##_fields)

static const cyaml_schema_field_t tls_fields[] = {
    PATH_FIELD(tls, certificate), PATH_FIELD(tls, key), PATH_FIELD(tls, client_ca),
    PATH_FIELD(tls, minimum_version), CYAML_FIELD_END};
static const cyaml_schema_field_t root_fields[] = {PATH_FIELD(root, identity), CYAML_FIELD_END};
static const cyaml_schema_field_t signing_fields[] = {PATH_FIELD(signing, key), CYAML_FIELD_END};
static const cyaml_schema_field_t admin_fields[] = {PATH_FIELD(admin, socket),
                                                    PATH_FIELD(admin, group), CYAML_FIELD_END};
static const cyaml_schema_field_t metrics_fields[] = {PATH_FIELD(metrics, listen), CYAML_FIELD_END};
/* libcyaml's own boolean takes every word that it does not know for true. */
static const cyaml_strval_t truths[] = {{"true", true}, {"false", false}};
static const cyaml_schema_field_t audit_fields[] = {
    CYAML_FIELD_ENUM_PTR("plain_failures", OPTIONAL | CYAML_FLAG_STRICT, struct config_yaml_audit,
                         plain_failures, truths, sizeof truths / sizeof truths[0]),
    CYAML_FIELD_END};
static const cyaml_schema_field_t worker_fields[] = {
    NUMBER_FIELD(worker, threads), NUMBER_FIELD(worker, slots), NUMBER_FIELD(worker, memory_mib),
    CYAML_FIELD_ENUM_PTR("allow_unlocked_memory", OPTIONAL | CYAML_FLAG_STRICT,
                         struct config_yaml_worker, allow_unlocked_memory, truths,
                         sizeof truths / sizeof truths[0]),
    CYAML_FIELD_END};
static const cyaml_schema_field_t limits_fields[] = {NUMBER_FIELD(limits, body_bytes),
                                                     NUMBER_FIELD(limits, model_bytes),
                                                     NUMBER_FIELD(limits, memory_bytes),
                                                     NUMBER_FIELD(limits, connections),
                                                     NUMBER_FIELD(limits, connections_per_source),
                                                     NUMBER_FIELD(limits, failures_per_source),
                                                     NUMBER_FIELD(limits, request_timeout_ms),
                                                     NUMBER_FIELD(limits, idle_timeout_ms),
                                                     NUMBER_FIELD(limits, deadline_ms),
                                                     CYAML_FIELD_END};
static const cyaml_schema_field_t drain_fields[] = {
    NUMBER_FIELD(drain, time_ms), NUMBER_FIELD(drain, notice_ms), CYAML_FIELD_END};
static const cyaml_schema_value_t listen_entry = {
    CYAML_VALUE_STRING(CYAML_FLAG_POINTER, char *, 1, CONFIG_ADDRESS_MAX - 1)};
static const cyaml_schema_field_t config_fields[] = {
    CYAML_FIELD_SEQUENCE("listen", OPTIONAL, struct config_yaml, listen, &listen_entry, 1,
                         CONFIG_LISTEN_MAX),
    CYAML_FIELD_STRING_PTR("data", OPTIONAL, struct config_yaml, data, 1, CONFIG_PATH_MAX - 1),
    CYAML_FIELD_UINT_PTR("user_base", OPTIONAL, struct config_yaml, user_base),
    GROUP(tls),
    GROUP(root),
    GROUP(signing),
    GROUP(admin),
    GROUP(metrics),
    GROUP(audit),
    GROUP(worker),
    GROUP(limits),
    GROUP(drain),
    CYAML_FIELD_END};

const cyaml_schema_value_t config_yaml_schema = {
    CYAML_VALUE_MAPPING(CYAML_FLAG_POINTER, struct config_yaml, config_fields)};
