/* What the server is, and what its models take and give. */
#include "server/front/exchange.h"
#include "server/front/handlers.h"
#include "server/front/json_writer.h"
#include "server/front/oip_signature.h"

#include <string.h>

#define METADATA_MAX (256 * 1024)

void handle_model_server(struct exchange *e) {
    struct error error = {0};
    struct buf body;
    if (exchange_answer_room(e, 512, &body, &error) != STATUS_OK) {
        exchange_fail(e, &error);
        return;
    }
    buf_string(
        &body,
        "{\"name\":\"strongroom\",\"version\":\"" STRONGROOM_VERSION
        "\",\"extensions\":[\"binary_tensor_data\",\"classification\",\"model_repository\"]}\n");
    exchange_succeed(e, &body);
}

void handle_model_metadata(struct exchange *e) {
    struct error error = {0};
    struct borrowed model = {0};
    struct buf body;
    enum status status =
        workers_borrow(&e->thread->front->workers, e->worker, e->model, &model, &error);
    if (status == STATUS_OK)
        status = exchange_answer_room(e, METADATA_MAX, &body, &error);
    if (status == STATUS_OK)
        oip_signature_write(model.signature, e->match.model, e->version, &body);
    workers_return(&e->thread->front->workers, &model);
    if (status == STATUS_OK)
        exchange_succeed(e, &body);
    else
        exchange_fail(e, &error);
}

/* Admission has loaded the model where it was not, so being here means ready. */
void handle_model_ready(struct exchange *e) {
    struct error error = {0};
    struct buf body;
    if (exchange_answer_room(e, 512, &body, &error) != STATUS_OK) {
        exchange_fail(e, &error);
        return;
    }
    buf_string(&body, "{\"name\":");
    json_writer_string(&body, e->match.model, strlen(e->match.model));
    buf_string(&body, ",\"ready\":true}\n");
    exchange_succeed(e, &body);
}
