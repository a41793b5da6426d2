#include "server/worker/signature.h"

#include "base/ring.h"
#include "bundle/text.h"

#define NAME_BYTES_MAX 255

const char *signature_datatype(enum dtype dtype) {
    switch (dtype) {
    case DTYPE_BOOL:
        return "BOOL";
    case DTYPE_UINT8:
        return "UINT8";
    case DTYPE_UINT16:
        return "UINT16";
    case DTYPE_UINT32:
        return "UINT32";
    case DTYPE_UINT64:
        return "UINT64";
    case DTYPE_INT8:
        return "INT8";
    case DTYPE_INT16:
        return "INT16";
    case DTYPE_INT32:
        return "INT32";
    case DTYPE_INT64:
        return "INT64";
    case DTYPE_FLOAT16:
        return "FP16";
    case DTYPE_BFLOAT16:
        return "BF16";
    case DTYPE_FLOAT:
        return "FP32";
    case DTYPE_DOUBLE:
        return "FP64";
    case DTYPE_STRING:
        return "BYTES";
    default:
        return NULL;
    }
}

static enum status put_name(struct str name, const char *what, size_t index, struct buf *out,
                            struct error *error) {
    const uint8_t *s = (const uint8_t *)name.data;
    if (name.size == 0 || name.size > NAME_BYTES_MAX)
        return status_fail(error, STATUS_UNSERVABLE,
                           "%s %zu: its name has %zu bytes, expected 1 to %d", what, index,
                           name.size, NAME_BYTES_MAX);
    buf_u8(out, '"');
    for (size_t i = 0; i < name.size;) {
        size_t n = text_sequence(s + i, name.size - i);
        if (n == 0)
            return status_fail(error, STATUS_UNSERVABLE, "%s %zu: its name is not UTF-8", what,
                               index);
        if (s[i] < 0x20 || s[i] == 0x7f)
            return status_fail(error, STATUS_UNSERVABLE,
                               "%s %zu: its name has the control character %u at byte %zu", what,
                               index, s[i], i);
        if (s[i] == '"' || s[i] == '\\')
            buf_u8(out, '\\');
        buf_bytes(out, s + i, n);
        i += n;
    }
    buf_u8(out, '"');
    return STATUS_OK;
}

static enum status put_port(const struct session_port *port, const char *what, size_t index,
                            struct buf *out, struct error *error) {
    const char *datatype = signature_datatype(port->type.dtype);
    if (port->type.kind != VALUE_TENSOR || !datatype)
        return status_fail(error, STATUS_UNSERVABLE,
                           "%s %zu is of a type that requests cannot carry: only tensors of "
                           "booleans, integers, floating-point numbers and strings can be served",
                           what, index);
    buf_string(out, index ? ",{\"name\":" : "{\"name\":");
    enum status status = put_name(port->name, what, index, out, error);
    if (status != STATUS_OK)
        return status;
    buf_printf(out, ",\"datatype\":\"%s\",\"shape\":[", datatype);
    if (port->type.rank > RING_RANK_MAX)
        return status_fail(error, STATUS_UNSERVABLE, "%s %zu has %d dimensions, at most %d", what,
                           index, port->type.rank, RING_RANK_MAX);
    if (port->type.rank < 0)
        buf_string(out, "-1");
    for (int i = 0; i < port->type.rank; i++)
        buf_printf(out, i ? ",%lld" : "%lld", (long long)port->type.dims[i]);
    buf_u8(out, ']');
    return STATUS_OK;
}

/* UTF-8 that was checked already. */
static void put_text(struct str text, struct buf *out) {
    buf_u8(out, '"');
    for (size_t i = 0; i < text.size; i++) {
        uint8_t c = (uint8_t)text.data[i];
        if (c < 0x20) {
            buf_printf(out, "\\u%04x", c);
            continue;
        }
        if (c == '"' || c == '\\')
            buf_u8(out, '\\');
        buf_u8(out, c);
    }
    buf_u8(out, '"');
}

static void put_labels(const struct bundle *bundle, size_t output, struct buf *out) {
    size_t count;
    const struct str *labels = bundle_labels(bundle, output, &count);
    if (!labels)
        return;
    buf_string(out, ",\"labels\":[");
    for (size_t i = 0; i < count; i++) {
        if (i)
            buf_u8(out, ',');
        put_text(labels[i], out);
    }
    buf_u8(out, ']');
}

enum status signature_write(const struct bundle *bundle, const uint32_t *outputs,
                            size_t output_count, struct buf *out, struct error *error) {
    const struct session *session = bundle_session(bundle);
    const char *documentation = bundle_documentation(bundle);
    size_t input_count = session_input_count(session);
    enum status status = STATUS_OK;
    if (input_count == 0 || output_count == 0)
        return status_fail(error, STATUS_UNSERVABLE,
                           "the model has no %s, at least one is needed to serve it",
                           input_count == 0 ? "inputs" : "outputs that an answer can carry");
    if (input_count > RING_TENSORS_MAX)
        return status_fail(error, STATUS_UNSERVABLE, "the model has %zu inputs, at most %d",
                           input_count, RING_TENSORS_MAX);
    buf_string(out, "{\"platform\":\"onnx_onnxv1\",");
    if (documentation) {
        buf_string(out, "\"documentation\":");
        put_text((struct str){documentation, strlen(documentation)}, out);
        buf_u8(out, ',');
    }
    buf_string(out, "\"inputs\":[");
    for (size_t i = 0; status == STATUS_OK && i < input_count; i++) {
        status = put_port(session_input(session, i), "input", i, out, error);
        buf_u8(out, '}');
    }
    buf_string(out, "],\"outputs\":[");
    for (size_t i = 0; status == STATUS_OK && i < output_count; i++) {
        status = put_port(session_output(session, outputs[i]), "output", i, out, error);
        put_labels(bundle, outputs[i], out);
        buf_u8(out, '}');
    }
    buf_string(out, "]}");
    if (status == STATUS_OK && out->failed)
        status = status_fail(error, STATUS_UNSERVABLE,
                             "names, shapes, labels and documentation take more than %zu bytes",
                             out->capacity);
    return status;
}
