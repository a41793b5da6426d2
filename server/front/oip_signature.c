#include "server/front/oip_signature.h"

#include "server/front/json_reader.h"
#include "server/front/json_writer.h"
#include "server/front/oip_type.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static enum status parse_shape(struct json_reader *r, struct oip_port *port, struct error *error) {
    enum status status = json_reader_array(r, error);
    if (status != STATUS_OK)
        return status;
    port->rank = 0;
    for (;;) {
        struct json_number number;
        bool more;
        status = json_reader_next_element(r, &more, error);
        if (status != STATUS_OK || !more)
            return status;
        status = json_reader_number(r, &number, error);
        if (status != STATUS_OK)
            return status;
        int64_t value;
        if (!json_number_i64(&number, &value) || value < -1)
            return status_fail(error, STATUS_INVALID, "a dimension is an integer, -1 or more");
        if (port->rank == RING_RANK_MAX)
            return status_fail(error, STATUS_UNSERVABLE, "a tensor has more than %d dimensions",
                               RING_RANK_MAX);
        port->dims[port->rank++] = value;
    }
}

/* Two passes: how much there is, then the texts. */
static enum status parse_labels(struct json_reader *r, struct oip_labels *labels,
                                struct error *error) {
    if (labels->text)
        return status_fail(error, STATUS_INVALID, "a member is repeated");
    struct json_reader ahead = *r;
    struct json_text text;
    size_t count = 0, room = 1;
    bool more = true;
    enum status status = json_reader_array(&ahead, error);
    while (status == STATUS_OK) {
        status = json_reader_next_element(&ahead, &more, error);
        if (status != STATUS_OK || !more)
            break;
        status = json_reader_string(&ahead, &text, error);
        room += text.size;
        if (status == STATUS_OK && ++count > OIP_LABELS_MAX)
            status = status_fail(error, STATUS_UNSERVABLE, "an output has more than %d labels",
                                 OIP_LABELS_MAX);
    }
    if (status != STATUS_OK)
        return status;
    labels->ends = calloc(count + 1, sizeof *labels->ends);
    labels->text = malloc(room);
    if (!labels->ends || !labels->text)
        return status_fail(error, STATUS_UNAVAILABLE, "out of memory");
    size_t used = 0, size = 0;
    status = json_reader_array(r, error);
    while (status == STATUS_OK) {
        status = json_reader_next_element(r, &more, error);
        if (status != STATUS_OK || !more)
            return status;
        status = json_reader_string(r, &text, error);
        if (status != STATUS_OK)
            return status;
        if (!json_text_decode(&text, (uint8_t *)labels->text + used, room - used, &size) ||
            size > OIP_LABEL_MAX)
            return status_fail(error, STATUS_UNSERVABLE, "a label is longer than %d bytes",
                               OIP_LABEL_MAX);
        used += size;
        labels->ends[labels->count++] = (uint32_t)used;
        if (size > labels->longest)
            labels->longest = size;
    }
    return status;
}

static enum status parse_port(struct json_reader *r, struct oip_port *port, struct error *error) {
    bool has_name = false, has_shape = false;
    enum status status = json_reader_object(r, error);
    if (status != STATUS_OK)
        return status;
    for (;;) {
        struct json_text member, text;
        bool more;
        status = json_reader_next_member(r, &member, &more, error);
        if (status != STATUS_OK)
            return status;
        if (!more)
            break;
        if (json_text_is(&member, "shape")) {
            status = parse_shape(r, port, error);
            has_shape = true;
        } else if (json_text_is(&member, "labels")) {
            status = parse_labels(r, &port->labels, error);
        } else {
            status = json_reader_string(r, &text, error);
        }
        if (status != STATUS_OK)
            return status;
        if (json_text_is(&member, "name")) {
            size_t size;
            if (!json_text_decode(&text, (uint8_t *)port->name, OIP_NAME_MAX, &size) || !size ||
                memchr(port->name, '\0', size))
                return status_fail(error, STATUS_UNSERVABLE,
                                   "the name of a tensor is empty or longer than %d bytes",
                                   OIP_NAME_MAX);
            port->name[size] = '\0';
            has_name = true;
        } else if (json_text_is(&member, "datatype")) {
            const struct oip_type *type = oip_type_named((const char *)text.data, text.size);
            if (!type)
                return status_fail(error, STATUS_UNSERVABLE,
                                   "a tensor has a type that the protocol does not have");
            port->type = type->onnx;
        }
    }
    if (!has_name || !has_shape || !port->type)
        return status_fail(error, STATUS_INVALID, "a tensor lacks name, datatype or shape");
    return STATUS_OK;
}

static enum status parse_ports(struct json_reader *r, struct oip_port **ports, size_t *count,
                               struct error *error) {
    if (*ports)
        return status_fail(error, STATUS_INVALID, "a member is repeated");
    *ports = calloc(RING_TENSORS_MAX, sizeof **ports);
    if (!*ports)
        return status_fail(error, STATUS_UNAVAILABLE, "out of memory");
    enum status status = json_reader_array(r, error);
    while (status == STATUS_OK) {
        bool more;
        status = json_reader_next_element(r, &more, error);
        if (status != STATUS_OK || !more)
            break;
        if (*count == RING_TENSORS_MAX)
            return status_fail(error, STATUS_UNSERVABLE,
                               "the model has more than %d inputs or outputs", RING_TENSORS_MAX);
        status = parse_port(r, &(*ports)[*count], error);
        *count += 1;
    }
    return status;
}

static enum status parse_documentation(struct json_reader *r, char **documentation,
                                       struct error *error) {
    struct json_text text;
    size_t size;
    enum status status = json_reader_string(r, &text, error);
    if (status != STATUS_OK)
        return status;
    char *made = malloc(text.size + 1);
    if (!made)
        return status_fail(error, STATUS_UNAVAILABLE, "out of memory");
    if (!json_text_decode(&text, (uint8_t *)made, text.size, &size) ||
        size > OIP_DOCUMENTATION_MAX || memchr(made, '\0', size)) {
        free(made);
        return status_fail(error, STATUS_UNSERVABLE,
                           "the documentation is longer than %d bytes, or not text",
                           OIP_DOCUMENTATION_MAX);
    }
    made[size] = '\0';
    *documentation = made;
    return STATUS_OK;
}

enum status oip_signature_parse(const void *json, size_t size, struct oip_signature **signature,
                                struct error *error) {
    struct json_reader r = json_reader_of(json, size);
    struct oip_signature *s = calloc(1, sizeof *s);
    if (!s)
        return status_fail(error, STATUS_UNAVAILABLE, "out of memory");
    enum status status = json_reader_object(&r, error);
    while (status == STATUS_OK) {
        struct json_text member;
        bool more;
        status = json_reader_next_member(&r, &member, &more, error);
        if (status != STATUS_OK || !more)
            break;
        if (json_text_is(&member, "inputs"))
            status = parse_ports(&r, &s->inputs, &s->input_count, error);
        else if (json_text_is(&member, "outputs"))
            status = parse_ports(&r, &s->outputs, &s->output_count, error);
        else if (json_text_is(&member, "documentation") && !s->documentation)
            status = parse_documentation(&r, &s->documentation, error);
        else
            status = json_reader_skip(&r, error);
    }
    if (status == STATUS_OK)
        status = json_reader_end(&r, error);
    if (status == STATUS_OK && (!s->input_count || !s->output_count))
        status = status_fail(error, STATUS_UNSERVABLE, "the model has no inputs or no outputs");
    if (status == STATUS_OK)
        *signature = s;
    else
        oip_signature_free(s);
    return status;
}

static void free_ports(struct oip_port *ports) {
    for (size_t i = 0; ports && i < RING_TENSORS_MAX; i++) {
        free(ports[i].labels.ends);
        free(ports[i].labels.text);
    }
    free(ports);
}

void oip_signature_free(struct oip_signature *signature) {
    if (!signature)
        return;
    free_ports(signature->inputs);
    free_ports(signature->outputs);
    free(signature->documentation);
    free(signature);
}

static void write_ports(const struct oip_port *ports, size_t count, struct buf *out) {
    for (size_t i = 0; i < count; i++) {
        buf_string(out, i ? ",{\"name\":" : "{\"name\":");
        json_writer_string(out, ports[i].name, strlen(ports[i].name));
        buf_string(out, ",\"datatype\":\"");
        buf_string(out, oip_type_of(ports[i].type)->name);
        buf_string(out, "\",\"shape\":[");
        for (uint32_t d = 0; d < ports[i].rank; d++) {
            if (d)
                buf_u8(out, ',');
            json_writer_i64(out, ports[i].dims[d]);
        }
        buf_string(out, "]}");
    }
}

void oip_signature_write(const struct oip_signature *signature, const char *name,
                         struct bytes versions, struct buf *out) {
    buf_string(out, "{\"name\":");
    json_writer_string(out, name, strlen(name));
    buf_string(out, ",\"versions\":");
    buf_bytes(out, versions.data, versions.size);
    buf_string(out, ",\"platform\":\"onnx_onnxv1\",\"inputs\":[");
    write_ports(signature->inputs, signature->input_count, out);
    buf_string(out, "],\"outputs\":[");
    write_ports(signature->outputs, signature->output_count, out);
    buf_string(out, "]}");
}

void oip_signature_shape_text(const int64_t *dims, size_t rank, char out[OIP_SHAPE_TEXT_MAX]) {
    struct buf text = buf_of(out, OIP_SHAPE_TEXT_MAX - 1);
    buf_u8(&text, '[');
    for (size_t i = 0; i < rank; i++) {
        if (i)
            buf_u8(&text, ',');
        json_writer_i64(&text, dims[i]);
    }
    buf_u8(&text, ']');
    out[text.failed ? 0 : text.size] = '\0';
}
