#include "server/front/routes.h"

#include "server/front/handlers.h"

/* A route that is not in this table does not exist. The scope that an action takes stands with it
 * in base/message_table.h and is ledger's to check. */
static const struct route table[] = {
    {"GET", "/v2/health/live", true, ACTION_UNROUTED, handle_health_live, false},
    {"GET", "/v2/health/ready", true, ACTION_UNROUTED, handle_health_ready, false},
    {"GET", "/openapi.json", true, ACTION_UNROUTED, handle_openapi, false},
    {"GET", "/v2", false, ACTION_SERVER_METADATA, handle_model_server, false},
    {"GET", "/v2/", false, ACTION_SERVER_METADATA, handle_model_server, false},
    {"GET", "/v2/models/stats", false, ACTION_STATISTICS, handle_model_statistics, false},
    {"GET", "/v2/models/{m}", false, ACTION_METADATA, handle_model_metadata, false},
    {"GET", "/v2/models/{m}/versions/{v}", false, ACTION_METADATA, handle_model_metadata, false},
    {"GET", "/v2/models/{m}/ready", false, ACTION_MODEL_READY, handle_model_ready, false},
    {"GET", "/v2/models/{m}/versions/{v}/ready", false, ACTION_MODEL_READY, handle_model_ready,
     false},
    {"GET", "/v2/models/{m}/config", false, ACTION_CONFIG, handle_model_config, false},
    {"GET", "/v2/models/{m}/versions/{v}/config", false, ACTION_CONFIG, handle_model_config, false},
    {"GET", "/v2/models/{m}/stats", false, ACTION_STATISTICS, handle_model_statistics, false},
    {"GET", "/v2/models/{m}/versions/{v}/stats", false, ACTION_STATISTICS, handle_model_statistics,
     false},
    {"POST", "/v2/models/{m}/infer", false, ACTION_INFER, handle_infer, false},
    {"POST", "/v2/models/{m}/versions/{v}/infer", false, ACTION_INFER, handle_infer, false},
    {"POST", "/v2/repository/index", false, ACTION_INDEX, handle_repository_index, false},
    {"POST", "/v2/repository/models/{m}/load", false, ACTION_LOAD, handle_repository_load, false},
    {"POST", "/v2/repository/models/{m}/unload", false, ACTION_UNLOAD, handle_repository_unload,
     false},
    {"PUT", "/v2/repository/models/{m}/versions/{v}", false, ACTION_UPLOAD, handle_upload, false},
    {"DELETE", "/v2/repository/models/{m}/versions/{v}", false, ACTION_DELETE,
     handle_repository_delete, false},
    {"GET", "/v1/recipient", false, ACTION_RECIPIENT, handle_tenant_recipient, false},
    {"GET", "/v1/audit", false, ACTION_AUDIT, handle_tenant_audit, true},
    {"GET", "/v1/usage", false, ACTION_USAGE, handle_tenant_usage, true},
    {"GET", "/v1/keys", false, ACTION_KEY_READ, handle_key_list, true},
    {"POST", "/v1/keys", false, ACTION_KEY_CREATE, handle_key_create, false},
    {"GET", "/v1/keys/{k}", false, ACTION_KEY_READ, handle_key_show, false},
    {"DELETE", "/v1/keys/{k}", false, ACTION_KEY_REVOKE, handle_key_revoke, false},
    {"GET", "/metrics", false, ACTION_METRICS, handle_metrics, false},

    /* Triton's: never offered, by design. */
    {"GET", "/v2/systemsharedmemory/status", false, ACTION_NOT_OFFERED, handle_never_memory, true},
    {"POST", "/v2/systemsharedmemory/unregister", false, ACTION_NOT_OFFERED, handle_never_memory,
     true},
    {"GET", "/v2/systemsharedmemory/region/{r}/status", false, ACTION_NOT_OFFERED,
     handle_never_memory, true},
    {"POST", "/v2/systemsharedmemory/region/{r}/register", false, ACTION_NOT_OFFERED,
     handle_never_memory, true},
    {"POST", "/v2/systemsharedmemory/region/{r}/unregister", false, ACTION_NOT_OFFERED,
     handle_never_memory, true},
    {"GET", "/v2/cudasharedmemory/status", false, ACTION_NOT_OFFERED, handle_never_memory, true},
    {"POST", "/v2/cudasharedmemory/unregister", false, ACTION_NOT_OFFERED, handle_never_memory,
     true},
    {"GET", "/v2/cudasharedmemory/region/{r}/status", false, ACTION_NOT_OFFERED,
     handle_never_memory, true},
    {"POST", "/v2/cudasharedmemory/region/{r}/register", false, ACTION_NOT_OFFERED,
     handle_never_memory, true},
    {"POST", "/v2/cudasharedmemory/region/{r}/unregister", false, ACTION_NOT_OFFERED,
     handle_never_memory, true},
    {"GET", "/v2/trace/setting", false, ACTION_NOT_OFFERED, handle_never_trace, true},
    {"POST", "/v2/trace/setting", false, ACTION_NOT_OFFERED, handle_never_trace, true},
    {"GET", "/v2/models/{m}/trace/setting", false, ACTION_NOT_OFFERED, handle_never_trace, true},
    {"POST", "/v2/models/{m}/trace/setting", false, ACTION_NOT_OFFERED, handle_never_trace, true},
    {"GET", "/v2/logging", false, ACTION_NOT_OFFERED, handle_never_logging, true},
    {"POST", "/v2/logging", false, ACTION_NOT_OFFERED, handle_never_logging, true},
};

const struct route *routes_table(size_t *count) {
    *count = sizeof table / sizeof *table;
    return table;
}

enum status routes_match(const char *method, const char *path, struct route_match *match,
                         struct error *error) {
    return router_match(table, sizeof table / sizeof *table, method, path, match, error);
}
