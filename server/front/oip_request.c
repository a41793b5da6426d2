#include "server/front/oip_request.h"

#include "base/checked.h"
#include "server/front/classification.h"
#include "server/front/json_reader.h"
#include "server/front/oip_parameters.h"
#include "server/front/oip_type.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* Everything that the parts of one parse share. */
struct parse {
    const struct oip_signature *signature;
    const uint8_t *body;
    size_t json_size;
    const uint8_t *binary; /* next tensor of the binary part */
    size_t binary_left;
    bool has_binary; /* the request said how long its JSON is */
    bool all_binary; /* binary_data_output */
    struct oip_area *area;
    struct oip_request *request;
    struct error *error;
    uint64_t seen_inputs, seen_outputs; /* bits by index in the signature */
    uint64_t explicit_binary;           /* outputs whose own binary_data was given */
};

static enum status refuse_member(struct parse *p, const struct json_text *member, bool repeated) {
    char name[OIP_QUOTED_MAX];
    oip_parameters_quote(member, name);
    return status_fail(p->error, STATUS_INVALID, "member %s is %s", name,
                       repeated ? "repeated" : "unknown");
}

static const struct oip_port *find_port(const struct oip_port *ports, size_t count,
                                        const struct json_text *name, size_t *index) {
    for (size_t i = 0; i < count; i++)
        if (json_text_is(name, ports[i].name)) {
            *index = i;
            return &ports[i];
        }
    return NULL;
}

/* --- one input ----------------------------------------------------------------------------- */

struct input {
    struct json_text name;
    const struct oip_port *port;
    size_t index;
    struct ring_tensor tensor;
    uint64_t binary_size;
    bool has_name, has_type, has_shape, has_parameters, has_data, has_binary_size;
    bool checked;   /* name, type and shape agree with the signature */
    bool decoded;   /* data are in the area */
    size_t data_at; /* offset of data that had to wait */
};

static enum status read_input_parameters(struct parse *p, struct json_reader *r,
                                         struct input *input) {
    return oip_parameters_input(r, &input->has_binary_size, &input->binary_size, p->error);
}

static enum status read_shape(struct parse *p, struct json_reader *r, struct input *input) {
    enum status status = json_reader_array(r, p->error);
    input->tensor.rank = 0;
    while (status == STATUS_OK) {
        struct json_number number;
        bool more;
        int64_t value;
        status = json_reader_next_element(r, &more, p->error);
        if (status != STATUS_OK || !more)
            break;
        status = json_reader_number(r, &number, p->error);
        if (status != STATUS_OK)
            break;
        if (!json_number_i64(&number, &value) || value < 0)
            return status_fail(p->error, STATUS_INVALID,
                               "shape: found %.*s%s, expected a whole number, 0 or more, written "
                               "without fraction or exponent",
                               (int)(number.size > 24 ? 21 : number.size),
                               (const char *)number.text, number.size > 24 ? "..." : "");
        if (input->tensor.rank == RING_RANK_MAX)
            return status_fail(p->error, STATUS_INVALID, "shape has more than %d dimensions",
                               RING_RANK_MAX);
        input->tensor.dims[input->tensor.rank++] = value;
    }
    return status == STATUS_OK ? STATUS_OK : status_prefix(p->error, "shape: ");
}

/* Does the input agree with the model? Everything is known but the data. */
static enum status check_input(struct parse *p, struct input *input) {
    const struct oip_port *port = input->port;
    struct ring_tensor *tensor = &input->tensor;
    if (p->seen_inputs >> input->index & 1)
        return status_fail(p->error, STATUS_INVALID, "given twice");
    if (tensor->type != port->type)
        return status_fail(p->error, STATUS_INVALID, "datatype is %s, the model takes %s",
                           oip_type_of(tensor->type)->name, oip_type_of(port->type)->name);
    char found[OIP_SHAPE_TEXT_MAX], wanted[OIP_SHAPE_TEXT_MAX];
    oip_signature_shape_text(tensor->dims, tensor->rank, found);
    oip_signature_shape_text(port->dims, port->rank, wanted);
    if (tensor->rank != port->rank)
        return status_fail(p->error, STATUS_INVALID,
                           "shape %s has %" PRIu32 " dimension%s, the model takes %s", found,
                           tensor->rank, tensor->rank == 1 ? "" : "s", wanted);
    for (uint32_t d = 0; d < port->rank; d++)
        if (port->dims[d] != -1 && port->dims[d] != tensor->dims[d])
            return status_fail(p->error, STATUS_INVALID, "shape is %s, the model takes %s", found,
                               wanted);
    input->checked = true;
    return STATUS_OK;
}

static enum status read_name(struct parse *p, struct json_reader *r, struct input *input) {
    enum status status = json_reader_string(r, &input->name, p->error);
    if (status != STATUS_OK)
        return status_prefix(p->error, "name: ");
    input->port =
        find_port(p->signature->inputs, p->signature->input_count, &input->name, &input->index);
    if (input->port)
        return STATUS_OK;
    char name[OIP_QUOTED_MAX];
    oip_parameters_quote(&input->name, name);
    return status_fail(p->error, STATUS_INVALID,
                       "the model has no input %s; its first is \"%.64s\"", name,
                       p->signature->inputs[0].name);
}

static enum status read_datatype(struct parse *p, struct json_reader *r, struct input *input) {
    struct json_text text;
    enum status status = json_reader_string(r, &text, p->error);
    if (status != STATUS_OK)
        return status_prefix(p->error, "datatype: ");
    /* Decoded first: JSON may write any of its letters as an escape. */
    uint8_t name[8];
    size_t size;
    const struct oip_type *type = json_text_decode(&text, name, sizeof name, &size)
                                      ? oip_type_named((const char *)name, size)
                                      : NULL;
    if (!type)
        return status_fail(p->error, STATUS_INVALID,
                           "datatype is none of the protocol's (BOOL, UINT8 to UINT64, INT8 to "
                           "INT64, FP16, BF16, FP32, FP64, BYTES)");
    input->tensor.type = type->onnx;
    return STATUS_OK;
}

static enum status read_data(struct parse *p, struct json_reader *r, struct input *input) {
    if (input->has_name && input->has_type && input->has_shape) {
        enum status status = check_input(p, input);
        if (status != STATUS_OK)
            return status;
        input->decoded = true;
        return oip_data_json(r, &input->tensor, p->area, p->error);
    }
    input->data_at = r->offset;
    return json_reader_skip(r, p->error);
}

static enum status read_binary(struct parse *p, struct input *input) {
    if (!p->has_binary)
        return status_fail(p->error, STATUS_INVALID,
                           "binary_data_size needs the header Inference-Header-Content-Length");
    if (input->binary_size > p->binary_left)
        return status_fail(p->error, STATUS_INVALID,
                           "binary_data_size is %" PRIu64 ", the body has %zu bytes left",
                           input->binary_size, p->binary_left);
    size_t size = (size_t)input->binary_size;
    const uint8_t *bytes = p->binary;
    p->binary += size;
    p->binary_left -= size;
    return oip_data_binary(bytes, size, &input->tensor, p->area, p->error);
}

static enum status finish_input(struct parse *p, struct input *input) {
    if (!input->has_name || !input->has_type || !input->has_shape)
        return status_fail(p->error, STATUS_INVALID, "%s is missing",
                           !input->has_name   ? "name"
                           : !input->has_type ? "datatype"
                                              : "shape");
    if (input->has_data == input->has_binary_size)
        return status_fail(p->error, STATUS_INVALID,
                           input->has_data ? "both data and binary_data_size are given"
                                           : "neither data nor binary_data_size is given");
    enum status status = input->checked ? STATUS_OK : check_input(p, input);
    if (status == STATUS_OK && input->has_binary_size)
        status = read_binary(p, input);
    if (status == STATUS_OK && input->has_data && !input->decoded) {
        struct json_reader again = json_reader_of(p->body, p->json_size);
        again.offset = input->data_at;
        status = oip_data_json(&again, &input->tensor, p->area, p->error);
    }
    if (status != STATUS_OK)
        return status;
    input->tensor.index = (uint32_t)input->index;
    p->request->inputs[input->index] = input->tensor;
    p->request->input_count++;
    p->seen_inputs |= UINT64_C(1) << input->index;
    return STATUS_OK;
}

static enum status read_input_member(struct parse *p, struct json_reader *r, struct input *input,
                                     const struct json_text *member) {
    static const struct {
        const char *name;
        size_t flag;
        enum status (*read)(struct parse *, struct json_reader *, struct input *);
    } members[] = {
        {"name", offsetof(struct input, has_name), read_name},
        {"shape", offsetof(struct input, has_shape), read_shape},
        {"datatype", offsetof(struct input, has_type), read_datatype},
        {"parameters", offsetof(struct input, has_parameters), read_input_parameters},
        {"data", offsetof(struct input, has_data), read_data},
    };
    for (size_t i = 0; i < sizeof members / sizeof *members; i++) {
        if (!json_text_is(member, members[i].name))
            continue;
        bool *flag = (bool *)((char *)input + members[i].flag);
        if (*flag)
            return refuse_member(p, member, true);
        enum status status = members[i].read(p, r, input);
        *flag = true;
        return status;
    }
    return refuse_member(p, member, false);
}

static enum status read_input(struct parse *p, struct json_reader *r) {
    struct input input = {0};
    enum status status = json_reader_object(r, p->error);
    while (status == STATUS_OK) {
        struct json_text member;
        bool more;
        status = json_reader_next_member(r, &member, &more, p->error);
        if (status != STATUS_OK || !more)
            break;
        status = read_input_member(p, r, &input, &member);
    }
    if (status == STATUS_OK)
        status = finish_input(p, &input);
    if (status != STATUS_OK && input.port)
        return status_prefix(p->error, "input \"%.128s\": ", input.port->name);
    if (status != STATUS_OK)
        return status_prefix(p->error, "input %" PRIu32 ": ", p->request->input_count);
    return STATUS_OK;
}

/* --- one output ---------------------------------------------------------------------------- */

struct output {
    struct json_text name;
    bool has_name, has_parameters;
    struct oip_output_parameters parameters;
};

static enum status keep_output(struct parse *p, const struct output *output) {
    char quoted[OIP_QUOTED_MAX];
    size_t index;
    oip_parameters_quote(&output->name, quoted);
    const struct oip_port *port =
        find_port(p->signature->outputs, p->signature->output_count, &output->name, &index);
    if (!port)
        return status_fail(p->error, STATUS_INVALID,
                           "the model has no output %s; its first is \"%.64s\"", quoted,
                           p->signature->outputs[0].name);
    if (p->seen_outputs >> index & 1)
        return status_fail(p->error, STATUS_INVALID, "output %s is asked for twice", quoted);
    if (output->parameters.classes && !classification_takes(port->type))
        return status_fail(p->error, STATUS_INVALID,
                           "output %s is %s, whose values cannot be ranked: classification takes "
                           "whole numbers, FP32 and FP64",
                           quoted, oip_type_of(port->type)->name);
    p->seen_outputs |= UINT64_C(1) << index;
    if (output->parameters.has_binary)
        p->explicit_binary |= UINT64_C(1) << index;
    p->request->outputs[p->request->output_count++] =
        (struct oip_output){(uint32_t)index, output->parameters.binary, output->parameters.classes};
    return STATUS_OK;
}

static enum status read_output(struct parse *p, struct json_reader *r) {
    struct output output = {0};
    struct json_text member;
    bool more;
    enum status status = json_reader_object(r, p->error);
    while (status == STATUS_OK) {
        status = json_reader_next_member(r, &member, &more, p->error);
        if (status != STATUS_OK || !more)
            break;
        if (json_text_is(&member, "name") && !output.has_name) {
            status = json_reader_string(r, &output.name, p->error);
            if (status != STATUS_OK)
                status = status_prefix(p->error, "name: ");
            output.has_name = true;
        } else if (json_text_is(&member, "parameters") && !output.has_parameters) {
            status = oip_parameters_output(r, &output.parameters, p->error);
            output.has_parameters = true;
        } else {
            status = refuse_member(
                p, &member, json_text_is(&member, "name") || json_text_is(&member, "parameters"));
        }
    }
    if (status != STATUS_OK)
        return status_prefix(p->error, "output %" PRIu32 ": ", p->request->output_count);
    if (!output.has_name)
        return status_fail(p->error, STATUS_INVALID, "output %" PRIu32 ": name is missing",
                           p->request->output_count);
    return keep_output(p, &output);
}

/* --- the request --------------------------------------------------------------------------- */

static enum status read_list(struct parse *p, struct json_reader *r, const char *what,
                             enum status (*read)(struct parse *, struct json_reader *)) {
    enum status status = json_reader_array(r, p->error);
    if (status != STATUS_OK)
        return status_prefix(p->error, "%s is not an array: ", what);
    for (;;) {
        bool more;
        status = json_reader_next_element(r, &more, p->error);
        if (status != STATUS_OK || !more)
            return status;
        status = read(p, r);
        if (status != STATUS_OK)
            return status;
    }
}

static enum status read_id(struct parse *p, struct json_reader *r) {
    struct json_text text;
    enum status status = json_reader_string(r, &text, p->error);
    if (status != STATUS_OK)
        return status_prefix(p->error, "id is not a string: ");
    if (!json_text_decode(&text, (uint8_t *)p->request->id, OIP_ID_MAX, &p->request->id_size))
        return status_fail(p->error, STATUS_INVALID, "id is longer than %d bytes", OIP_ID_MAX);
    p->request->has_id = true;
    return STATUS_OK;
}

static enum status read_parameters(struct parse *p, struct json_reader *r) {
    struct oip_request_parameters parameters = {0};
    enum status status = oip_parameters_request(r, &parameters, p->error);
    p->request->timeout_us = parameters.timeout_us;
    p->all_binary = parameters.all_binary;
    return status;
}

static enum status read_label(struct parse *p, struct json_reader *r, const char *member,
                              struct json_text *text) {
    enum status status = json_reader_string(r, text, p->error);
    return status == STATUS_OK ? STATUS_OK : status_prefix(p->error, "%s", member);
}

static enum status read_top(struct parse *p, struct json_reader *r) {
    enum { ID = 1, PARAMETERS = 2, INPUTS = 4, OUTPUTS = 8, MODEL = 16, VERSION = 32 };
    unsigned seen = 0;
    enum status status = json_reader_object(r, p->error);
    while (status == STATUS_OK) {
        struct json_text member;
        bool more;
        status = json_reader_next_member(r, &member, &more, p->error);
        if (status != STATUS_OK || !more)
            break;
        unsigned which = json_text_is(&member, "id")              ? ID
                         : json_text_is(&member, "parameters")    ? PARAMETERS
                         : json_text_is(&member, "inputs")        ? INPUTS
                         : json_text_is(&member, "outputs")       ? OUTPUTS
                         : json_text_is(&member, "model_name")    ? MODEL
                         : json_text_is(&member, "model_version") ? VERSION
                                                                  : 0;
        if (!which || seen & which) {
            (void)!refuse_member(p, &member, which != 0);
            return status_prefix(p->error, "the request: ");
        }
        seen |= which;
        if (which == ID)
            status = read_id(p, r);
        else if (which == PARAMETERS)
            status = read_parameters(p, r);
        else if (which == INPUTS)
            status = read_list(p, r, "inputs", read_input);
        else if (which == MODEL)
            status = read_label(p, r, "model_name: ", &p->request->model_name);
        else if (which == VERSION)
            status = read_label(p, r, "model_version: ", &p->request->model_version);
        else
            status = read_list(p, r, "outputs", read_output);
    }
    if (status == STATUS_OK)
        status = json_reader_end(r, p->error);
    if (status == STATUS_OK && !(seen & INPUTS))
        status = status_fail(p->error, STATUS_INVALID, "inputs is missing");
    return status;
}

static enum status check_complete(struct parse *p) {
    for (size_t i = 0; i < p->signature->input_count; i++)
        if (!(p->seen_inputs >> i & 1))
            return status_fail(p->error, STATUS_INVALID, "input \"%.128s\" is missing",
                               p->signature->inputs[i].name);
    if (p->binary_left)
        return status_fail(p->error, STATUS_INVALID,
                           "%zu bytes are left over after the binary tensors", p->binary_left);
    return STATUS_OK;
}

/* What was not asked for one by one; and no run for an answer that could not be written. */
static enum status settle_outputs(struct parse *p) {
    struct oip_request *request = p->request;
    if (request->output_count == 0) {
        for (uint32_t i = 0; i < p->signature->output_count; i++)
            request->outputs[i] = (struct oip_output){.index = i};
        request->output_count = (uint32_t)p->signature->output_count;
    }
    for (uint32_t i = 0; i < request->output_count; i++) {
        struct oip_output *output = &request->outputs[i];
        const struct oip_port *port = &p->signature->outputs[output->index];
        if (!(p->explicit_binary >> output->index & 1))
            output->binary = p->all_binary;
        if (!output->binary && !oip_type_of(port->type)->json)
            return status_fail(p->error, STATUS_INVALID,
                               "output \"%.128s\" is %s, which has no JSON form; ask for "
                               "binary_data",
                               port->name, oip_type_of(port->type)->name);
    }
    return STATUS_OK;
}

/* The raw form: no JSON. The first variable dimension is the batch, 1; one more may follow from
 * the size. A BYTES input is one element, its length that of the body. */
static enum status read_raw(struct parse *p) {
    const struct oip_signature *signature = p->signature;
    if (signature->input_count != 1)
        return status_fail(p->error, STATUS_INVALID,
                           "a body without JSON needs a model with one input, this has %zu",
                           signature->input_count);
    const struct oip_port *port = signature->inputs;
    const struct oip_type *type = oip_type_of(port->type);
    struct ring_tensor tensor = {.type = port->type, .rank = port->rank};
    int64_t known = 1;
    uint32_t open = port->rank;
    memcpy(tensor.dims, port->dims, sizeof tensor.dims);
    for (uint32_t d = 0; d < port->rank; d++) {
        if (tensor.dims[d] == -1 && d == 0)
            tensor.dims[d] = 1;
        if (tensor.dims[d] == -1) {
            if (open != port->rank || !type->size)
                return status_fail(p->error, STATUS_INVALID,
                                   "the shape of input \"%.128s\" does not follow from the size "
                                   "of the body; send JSON with it",
                                   port->name);
            open = d;
            tensor.dims[d] = 1;
        }
    }
    if (!checked_product(tensor.dims, tensor.rank, &known))
        return status_fail(p->error, STATUS_INVALID, "the model's shape is too large");
    enum status status;
    if (!type->size) {
        if (known != 1)
            return status_fail(p->error, STATUS_INVALID,
                               "a body without JSON holds one element, the model takes %" PRId64,
                               known);
        size_t total;
        size_t offset;
        if (!checked_add(p->binary_left, 4, &total) || total > UINT32_MAX ||
            !checked_align(p->area->used, RING_ALIGN, &offset) || offset > p->area->capacity ||
            total > p->area->capacity - offset)
            return status_fail(p->error, STATUS_TOO_LARGE,
                               "the request's tensors together are larger than the server allows");
        uint32_t length = (uint32_t)p->binary_left;
        uint8_t prefix[4] = {(uint8_t)length, (uint8_t)(length >> 8), (uint8_t)(length >> 16),
                             (uint8_t)(length >> 24)};
        memcpy(p->area->data + offset, prefix, 4);
        if (length)
            memcpy(p->area->data + offset + 4, p->binary, length);
        tensor.offset = offset;
        tensor.bytes = total;
        p->area->used = offset + total;
        oip_data_touch(p->area, offset + total);
        status = STATUS_OK;
    } else {
        size_t unit = (size_t)known * type->size;
        if (open != port->rank && unit)
            tensor.dims[open] = (int64_t)(p->binary_left / unit);
        status = oip_data_binary(p->binary, p->binary_left, &tensor, p->area, p->error);
    }
    if (status != STATUS_OK)
        return status_prefix(p->error, "input \"%.128s\": ", port->name);
    p->binary_left = 0;
    p->request->inputs[0] = tensor;
    p->request->input_count = 1;
    p->seen_inputs = 1;
    p->all_binary = true;
    return STATUS_OK;
}

enum status oip_request_parse(const struct oip_signature *signature, const uint8_t *body,
                              size_t size, size_t json_size, struct oip_area *area,
                              struct oip_request *request, struct error *error) {
    if (json_size != OIP_JSON_ONLY && json_size > size)
        return status_fail(error, STATUS_INVALID,
                           "Inference-Header-Content-Length is %zu, the body has %zu bytes",
                           json_size, size);
    struct parse p = {
        .signature = signature,
        .body = body,
        .json_size = json_size == OIP_JSON_ONLY ? size : json_size,
        .has_binary = json_size != OIP_JSON_ONLY,
        .area = area,
        .request = request,
        .error = error,
    };
    p.binary = body + p.json_size;
    p.binary_left = size - p.json_size;
    request->has_id = false;
    request->model_name = request->model_version = (struct json_text){0};
    request->id_size = 0;
    request->timeout_us = 0;
    request->input_count = request->output_count = 0;
    enum status status;
    if (json_size == 0) {
        status = read_raw(&p);
    } else {
        struct json_reader r = json_reader_of(body, p.json_size);
        status = read_top(&p, &r);
    }
    if (status == STATUS_OK)
        status = check_complete(&p);
    if (status == STATUS_OK)
        status = settle_outputs(&p);
    return status;
}

enum status oip_request_check_model(const struct oip_request *request, const char *model,
                                    const char *version, struct error *error) {
    if (request->model_name.data && !json_text_is(&request->model_name, model))
        return status_fail(error, STATUS_INVALID, "model_name is not \"%s\", the model of the path",
                           model);
    if (request->model_version.data && !json_text_is(&request->model_version, version))
        return status_fail(error, STATUS_INVALID,
                           "model_version is not \"%s\", the version of the path", version);
    return STATUS_OK;
}

uint64_t oip_request_wanted(const struct oip_request *request) {
    uint64_t wanted = 0;
    for (uint32_t i = 0; i < request->output_count; i++)
        wanted |= UINT64_C(1) << request->outputs[i].index;
    return wanted;
}
