/* The handlers of the routes, a file for each group: handle_health.c, handle_model.c,
 * handle_infer.c, handle_repository.c, handle_upload.c, handle_tenant.c, handle_key.c,
 * handle_never.c, handle_openapi.c, handle_metrics.c. Each gets an exchange that the gate has
 * admitted (health and the description: that are open to all), ends its ticket and answers it once.
 *
 * Threads: the connection's. */
#ifndef FRONT_HANDLERS_H
#define FRONT_HANDLERS_H

struct exchange;

void handle_health_live(struct exchange *exchange);
void handle_health_ready(struct exchange *exchange);

void handle_model_server(struct exchange *exchange);
void handle_model_metadata(struct exchange *exchange);
void handle_model_ready(struct exchange *exchange);
void handle_model_config(struct exchange *exchange);
void handle_model_statistics(struct exchange *exchange);

void handle_infer(struct exchange *exchange);

void handle_repository_index(struct exchange *exchange);
void handle_repository_load(struct exchange *exchange);
void handle_repository_unload(struct exchange *exchange);
void handle_repository_delete(struct exchange *exchange);

void handle_upload(struct exchange *exchange);

void handle_tenant_recipient(struct exchange *exchange);
void handle_tenant_audit(struct exchange *exchange);
void handle_tenant_usage(struct exchange *exchange);

void handle_key_list(struct exchange *exchange);
void handle_key_show(struct exchange *exchange);
void handle_key_create(struct exchange *exchange);
void handle_key_revoke(struct exchange *exchange);

void handle_never_memory(struct exchange *exchange);
void handle_never_trace(struct exchange *exchange);
void handle_never_logging(struct exchange *exchange);

void handle_openapi(struct exchange *exchange);
void handle_metrics(struct exchange *exchange);

#endif
