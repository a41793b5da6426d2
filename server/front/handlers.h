/* The handlers of the routes, a file for each group: handle_health.c, handle_model.c,
 * handle_infer.c, handle_repository.c, handle_upload.c, handle_tenant.c. Each gets an exchange that
 * the gate has admitted (health: that is open to all), ends its ticket and answers it once.
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

void handle_infer(struct exchange *exchange);

void handle_repository_index(struct exchange *exchange);
void handle_repository_load(struct exchange *exchange);
void handle_repository_unload(struct exchange *exchange);
void handle_repository_delete(struct exchange *exchange);

void handle_upload(struct exchange *exchange);

void handle_tenant_recipient(struct exchange *exchange);
void handle_tenant_audit(struct exchange *exchange);

#endif
