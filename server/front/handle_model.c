/* What the server is, what its models take and give, and how they have been doing. */
#include "server/front/exchange.h"
#include "server/front/handlers.h"
#include "server/front/json_writer.h"
#include "server/front/oip_signature.h"
#include "server/front/oip_type.h"

#include <string.h>

#define METADATA_MAX (384 * 1024)

void handle_model_server(struct exchange *e) {
    struct error error = {0};
    struct buf body;
    if (exchange_answer_room(e, 512, &body, &error) != STATUS_OK) {
        exchange_fail(e, &error);
        return;
    }
    buf_string(&body, "{\"name\":\"strongroom\",\"version\":\"" STRONGROOM_VERSION
                      "\",\"extensions\":[\"binary_tensor_data\",\"model_repository\","
                      "\"classification\",\"statistics\",\"model_configuration\"]}\n");
    exchange_succeed(e, &body);
}

/* What a model takes and gives its worker has told; which versions there are ledger knows. */
void handle_model_metadata(struct exchange *e) {
    struct error error = {0};
    struct borrowed model = {0};
    struct message_perform message = {0};
    struct bytes versions;
    struct buf body;
    if (workers_borrow(&e->thread->front->workers, e->worker, e->model, &model, &error) !=
            STATUS_OK ||
        exchange_answer_room(e, METADATA_MAX, &body, &error) != STATUS_OK) {
        exchange_fail(e, &error);
    } else if (exchange_ask(e, &message, &versions)) {
        /* A refusal would have used the answer's memory; this has not. */
        oip_signature_write(model.signature, e->match.model, versions, &body);
        if (body.failed)
            exchange_error(e, STATUS_INTERNAL, "the answer does not fit", 0);
        else
            exchange_answer(e, 200, &body, false, 0);
    }
    workers_return(&e->thread->front->workers, &model);
}

/* Admission has found it ready (it may be loaded by its first request) and not unloaded. */
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

/* Triton's names of types are ours behind TYPE_, but for one. */
static void write_config_ports(struct buf *out, const struct oip_port *ports, size_t count) {
    for (size_t i = 0; i < count; i++) {
        const struct oip_type *type = oip_type_of(ports[i].type);
        buf_string(out, i ? ",{\"name\":" : "{\"name\":");
        json_writer_string(out, ports[i].name, strlen(ports[i].name));
        buf_string(out, ",\"data_type\":\"TYPE_");
        buf_string(out, type->onnx == OIP_BYTES ? "STRING" : type->name);
        buf_string(out, "\",\"dims\":[");
        for (uint32_t d = 0; d < ports[i].rank; d++) {
            if (d)
                buf_u8(out, ',');
            json_writer_i64(out, ports[i].dims[d]);
        }
        buf_string(out, "]}");
    }
}

/* Triton's model configuration, as far as it applies. A max_batch_size of 0 says that `dims` are
 * whole shapes: in Triton's words this server does not add a batch dimension of its own. */
static void write_config(struct buf *out, const char *name, const struct oip_signature *signature) {
    buf_string(out, "{\"name\":");
    json_writer_string(out, name, strlen(name));
    buf_string(out, ",\"platform\":\"onnx_onnxv1\",\"backend\":\"strongroom\","
                    "\"version_policy\":{\"all\":{}},\"max_batch_size\":0,\"input\":[");
    write_config_ports(out, signature->inputs, signature->input_count);
    buf_string(out, "],\"output\":[");
    write_config_ports(out, signature->outputs, signature->output_count);
    buf_string(out, "],");
    if (signature->documentation) {
        buf_string(out, "\"parameters\":{\"documentation\":{\"string_value\":");
        json_writer_string(out, signature->documentation, strlen(signature->documentation));
        buf_string(out, "}},");
    }
    buf_string(out, "\"model_transaction_policy\":{\"decoupled\":false}}\n");
}

void handle_model_config(struct exchange *e) {
    struct error error = {0};
    struct borrowed model = {0};
    struct buf body;
    enum status status =
        workers_borrow(&e->thread->front->workers, e->worker, e->model, &model, &error);
    if (status == STATUS_OK)
        status = exchange_answer_room(e, METADATA_MAX, &body, &error);
    if (status == STATUS_OK)
        write_config(&body, e->match.model, model.signature);
    workers_return(&e->thread->front->workers, &model);
    if (status == STATUS_OK)
        exchange_succeed(e, &body);
    else
        exchange_fail(e, &error);
}

void handle_model_statistics(struct exchange *e) {
    struct message_perform message = {0};
    exchange_perform(e, &message);
}
