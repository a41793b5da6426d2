#include "server/front/oip_response.h"

#include "base/checked.h"
#include "server/front/json_writer.h"
#include "server/front/oip_type.h"

#include <endian.h>
#include <inttypes.h>
#include <string.h>

/* Bytes of JSON for one element, its comma included; a BYTES element adds six for each byte, the
 * longest escape. */
#define ELEMENT_TEXT_MAX (JSON_WRITER_NUMBER_MAX + 1)
/* Member names, punctuation, type, shape. */
#define OUTPUT_TEXT_MAX 640

static const struct ring_tensor *tensor_of(const struct oip_response *response, uint32_t index) {
    const struct ring_tensor *found = NULL;
    for (uint32_t i = 0; i < response->answer->output_count; i++)
        if (response->answer->outputs[i].index == index) {
            if (found)
                return NULL;
            found = &response->answer->outputs[i];
        }
    return found;
}

static enum status malformed(const struct oip_port *port, struct error *error) {
    return status_fail(error, STATUS_INTERNAL, "output \"%.128s\": the model's answer is malformed",
                       port->name);
}

/* One class in an answer: in binary a length and the text, in JSON quotes, comma and escapes. */
static size_t class_text_max(const struct oip_port *port) {
    return CLASSIFICATION_NUMBER_MAX + 8 + 6 * port->labels.longest;
}

enum status oip_response_check(const struct oip_response *response, size_t *bound,
                               struct error *error) {
    const struct oip_request *request = response->request;
    size_t total = 4096 + 6 * (size_t)OIP_ID_MAX;
    if (response->answer->output_count > RING_TENSORS_MAX)
        return status_fail(error, STATUS_INTERNAL, "the model's answer is malformed");
    for (uint32_t i = 0; i < request->output_count; i++) {
        const struct oip_port *port = &response->signature->outputs[request->outputs[i].index];
        const struct oip_type *type = oip_type_of(port->type);
        const struct ring_tensor *tensor = tensor_of(response, request->outputs[i].index);
        struct classification_shape classes;
        int64_t count;
        size_t bytes, text;
        if (!tensor || tensor->type != port->type || tensor->rank > RING_RANK_MAX ||
            !checked_product(tensor->dims, tensor->rank, &count) ||
            !checked_mul((size_t)count, type->size ? type->size : 4, &bytes) ||
            (type->size ? tensor->bytes != bytes : tensor->bytes < bytes))
            return malformed(port, error);
        if (request->outputs[i].classes) {
            /* Not more than elements, so no product of these is larger than that of the shape. */
            if (!classification_shape_of(port, tensor, request->outputs[i].classes, &classes) ||
                !checked_mul(classes.rows * classes.kept, class_text_max(port), &text))
                return malformed(port, error);
        } else if (request->outputs[i].binary)
            text = (size_t)tensor->bytes;
        else if (!checked_mul((size_t)count, ELEMENT_TEXT_MAX, &text) ||
                 !checked_add(text, type->size ? 0 : (size_t)tensor->bytes * 6, &text))
            return malformed(port, error);
        if (!checked_add(text, OUTPUT_TEXT_MAX + 6 * strlen(port->name), &text) ||
            !checked_add(total, text, &total))
            return malformed(port, error);
    }
    *bound = total;
    return STATUS_OK;
}

size_t oip_response_ranks(const struct oip_response *response) {
    const struct oip_request *request = response->request;
    size_t total = 0;
    for (uint32_t i = 0; i < request->output_count; i++) {
        const struct oip_output *output = &request->outputs[i];
        struct classification_shape classes;
        if (output->classes &&
            classification_shape_of(&response->signature->outputs[output->index],
                                    tensor_of(response, output->index), output->classes, &classes))
            total += classes.rows * classes.kept;
    }
    return total;
}

static enum status write_strings(const struct oip_port *port, const uint8_t *at, size_t size,
                                 uint64_t count, struct buf *out, struct error *error) {
    for (uint64_t i = 0; i < count; i++) {
        uint32_t length;
        if (size < 4)
            return malformed(port, error);
        memcpy(&length, at, 4);
        length = le32toh(length);
        if (length > size - 4)
            return malformed(port, error);
        if (!json_writer_is_utf8(at + 4, length))
            return status_fail(error, STATUS_INVALID,
                               "output \"%.128s\": element %" PRIu64
                               " is not UTF-8, so it has no JSON form; ask for binary_data",
                               port->name, i);
        if (i)
            buf_u8(out, ',');
        json_writer_string(out, at + 4, length);
        at += 4 + (size_t)length;
        size -= 4 + (size_t)length;
    }
    return size ? malformed(port, error) : STATUS_OK;
}

static int64_t signed_at(const uint8_t *at, size_t size) {
    uint64_t raw = 0;
    memcpy(&raw, at, size);
    unsigned shift = 64 - (unsigned)size * 8;
    return (int64_t)(le64toh(raw) << shift) >> shift;
}

static uint64_t unsigned_at(const uint8_t *at, size_t size) {
    uint64_t raw = 0;
    memcpy(&raw, at, size);
    return le64toh(raw);
}

/* False where the element has no JSON form. */
static bool write_number(uint32_t onnx, size_t size, const uint8_t *at, struct buf *out) {
    float narrow;
    double wide;
    switch (onnx) {
    case OIP_FP32:
        memcpy(&narrow, at, sizeof narrow);
        return json_writer_f32(out, narrow);
    case OIP_FP64:
        memcpy(&wide, at, sizeof wide);
        return json_writer_f64(out, wide);
    case OIP_BOOL:
        buf_string(out, *at ? "true" : "false");
        return true;
    case OIP_INT8:
    case OIP_INT16:
    case OIP_INT32:
    case OIP_INT64:
        json_writer_i64(out, signed_at(at, size));
        return true;
    default:
        json_writer_u64(out, unsigned_at(at, size));
        return true;
    }
}

static enum status write_data(const struct oip_response *response, const struct oip_port *port,
                              const struct ring_tensor *tensor, struct buf *out,
                              struct error *error) {
    const struct oip_type *type = oip_type_of(port->type);
    const uint8_t *at = response->data + tensor->offset;
    int64_t product = 0;
    if (!checked_product(tensor->dims, tensor->rank, &product))
        return malformed(port, error);
    uint64_t count = (uint64_t)product;
    if (!type->size)
        return write_strings(port, at, (size_t)tensor->bytes, count, out, error);
    for (uint64_t i = 0; i < count; i++, at += type->size) {
        if (i)
            buf_u8(out, ',');
        if (!write_number(type->onnx, type->size, at, out))
            return status_fail(error, STATUS_INVALID,
                               "output \"%.128s\": element %" PRIu64
                               " is not a finite number, so it has no JSON form; ask for "
                               "binary_data",
                               port->name, i);
    }
    return STATUS_OK;
}

/* --- outputs ------------------------------------------------------------------------------- */

/* What one pass over the outputs takes from the other: the classes of each lie behind those of the
 * one before it. */
struct pass {
    const struct oip_response *response;
    struct classification_rank *ranks;
};

static void write_shape(const int64_t *dims, uint32_t rank, struct buf *out) {
    buf_string(out, "\",\"shape\":[");
    for (uint32_t d = 0; d < rank; d++) {
        if (d)
            buf_u8(out, ',');
        json_writer_i64(out, dims[d]);
    }
}

/* The text of one class, bounded by what a number and a label can be. */
static struct buf class_text(const struct oip_port *port, const struct classification_rank *rank,
                             char text[CLASSIFICATION_NUMBER_MAX + OIP_LABEL_MAX]) {
    struct buf out = buf_of(text, CLASSIFICATION_NUMBER_MAX + OIP_LABEL_MAX);
    classification_text(port, rank, &out);
    return out;
}

static void write_classes(struct pass *pass, const struct oip_output *wanted,
                          const struct oip_port *port, const struct ring_tensor *tensor,
                          struct buf *out) {
    char text[CLASSIFICATION_NUMBER_MAX + OIP_LABEL_MAX];
    struct classification_shape classes;
    if (!classification_shape_of(port, tensor, wanted->classes, &classes))
        return; /* it was checked */
    const size_t count = classes.rows * classes.kept;
    struct classification_rank *ranks = pass->ranks;
    classification_rank(&classes, port->type, pass->response->data + tensor->offset, ranks);
    if (count) /* without, there may be no memory for any */
        pass->ranks += count;
    const int64_t dims[] = {(int64_t)classes.rows, (int64_t)classes.kept};
    buf_string(out, "BYTES");
    write_shape(classes.batch ? dims : dims + 1, classes.batch ? 2 : 1, out);
    if (wanted->binary) {
        uint64_t bytes = 0;
        for (size_t i = 0; i < count; i++)
            bytes += 4 + class_text(port, &ranks[i], text).size;
        buf_string(out, "],\"parameters\":{\"binary_data_size\":");
        json_writer_u64(out, bytes);
        buf_string(out, "}}");
        return;
    }
    buf_string(out, "],\"data\":[");
    for (size_t i = 0; i < count; i++) {
        struct buf class = class_text(port, &ranks[i], text);
        if (i)
            buf_u8(out, ',');
        json_writer_string(out, class.data, class.size);
    }
    buf_string(out, "]}");
}

static enum status write_output(struct pass *pass, uint32_t which, struct buf *out,
                                struct error *error) {
    const struct oip_response *response = pass->response;
    const struct oip_output *wanted = &response->request->outputs[which];
    const struct oip_port *port = &response->signature->outputs[wanted->index];
    const struct ring_tensor *tensor = tensor_of(response, wanted->index);
    buf_string(out, which ? ",{\"name\":" : "{\"name\":");
    json_writer_string(out, port->name, strlen(port->name));
    buf_string(out, ",\"datatype\":\"");
    if (wanted->classes) {
        write_classes(pass, wanted, port, tensor, out);
        return STATUS_OK;
    }
    buf_string(out, oip_type_of(port->type)->name);
    write_shape(tensor->dims, tensor->rank, out);
    if (wanted->binary) {
        buf_string(out, "],\"parameters\":{\"binary_data_size\":");
        json_writer_u64(out, tensor->bytes);
        buf_string(out, "}}");
        return STATUS_OK;
    }
    buf_string(out, "],\"data\":[");
    enum status status = write_data(response, port, tensor, out, error);
    buf_string(out, "]}");
    return status;
}

static void write_binary(struct pass *pass, uint32_t which, struct buf *out) {
    const struct oip_response *response = pass->response;
    const struct oip_output *wanted = &response->request->outputs[which];
    const struct oip_port *port = &response->signature->outputs[wanted->index];
    const struct ring_tensor *tensor = tensor_of(response, wanted->index);
    char text[CLASSIFICATION_NUMBER_MAX + OIP_LABEL_MAX];
    struct classification_shape classes;
    if (!wanted->classes) {
        if (wanted->binary)
            buf_bytes(out, response->data + tensor->offset, (size_t)tensor->bytes);
        return;
    }
    if (!classification_shape_of(port, tensor, wanted->classes, &classes))
        return; /* it was checked */
    for (size_t i = 0; i < classes.rows * classes.kept; i++, pass->ranks++) {
        if (!wanted->binary)
            continue;
        struct buf class = class_text(port, pass->ranks, text);
        buf_u32(out, (uint32_t) class.size);
        buf_bytes(out, class.data, class.size);
    }
}

enum status oip_response_write(const struct oip_response *response, struct buf *out,
                               size_t *json_size, bool *binary, struct error *error) {
    const struct oip_request *request = response->request;
    struct pass pass = {response, response->ranks};
    size_t begin = out->size;
    bool any_binary = false;
    buf_string(out, "{\"model_name\":");
    json_writer_string(out, response->model, strlen(response->model));
    buf_string(out, ",\"model_version\":");
    json_writer_string(out, response->version, strlen(response->version));
    if (request->has_id) {
        buf_string(out, ",\"id\":");
        json_writer_string(out, request->id, request->id_size);
    }
    buf_string(out, ",\"outputs\":[");
    for (uint32_t i = 0; i < request->output_count; i++) {
        enum status status = write_output(&pass, i, out, error);
        if (status != STATUS_OK)
            return status;
        any_binary |= request->outputs[i].binary;
    }
    buf_string(out, "]}");
    size_t json_end = out->size;
    pass.ranks = response->ranks;
    for (uint32_t i = 0; i < request->output_count; i++)
        write_binary(&pass, i, out);
    if (out->failed)
        return status_fail(error, STATUS_INTERNAL, "the answer does not fit its buffer");
    *json_size = json_end - begin;
    *binary = any_binary;
    return STATUS_OK;
}
