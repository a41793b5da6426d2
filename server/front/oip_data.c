#include "server/front/oip_data.h"

#include "base/checked.h"
#include "server/front/oip_type.h"

#include <endian.h>
#include <inttypes.h>
#include <string.h>

static enum status full(struct error *error) {
    return status_fail(error, STATUS_TOO_LARGE,
                       "the request's tensors together are larger than the server allows");
}

void oip_data_touch(struct oip_area *area, size_t end) {
    if (end > area->touched)
        area->touched = end < area->capacity ? end : area->capacity;
}

/* Where the tensor goes and how many elements it has; `needed` is 0 for BYTES. */
static enum status place(const struct ring_tensor *tensor, struct oip_area *area,
                         const struct oip_type *type, size_t *offset, uint64_t *count,
                         size_t *needed, struct error *error) {
    int64_t elements;
    if (!checked_product(tensor->dims, tensor->rank, &elements) ||
        (uint64_t)elements > SIZE_MAX / 16)
        return status_fail(error, STATUS_INVALID, "the shape has more elements than fit in memory");
    if (!checked_align(area->used, RING_ALIGN, offset) || *offset > area->capacity)
        return full(error);
    size_t bytes = (size_t)elements * (type->size ? type->size : 4);
    if (bytes > area->capacity - *offset)
        return full(error);
    *count = (uint64_t)elements;
    *needed = type->size ? bytes : 0;
    return STATUS_OK;
}

/* --- one JSON element ---------------------------------------------------------------------- */

struct sink {
    struct json_reader *reader;
    const struct oip_type *type;
    uint8_t *at, *end;
    uint64_t done; /* elements written */
};

static enum status out_of_range(const struct sink *sink, struct error *error) {
    return status_fail(error, STATUS_INVALID,
                       "element %" PRIu64 " of data is not in the range of %s", sink->done,
                       sink->type->name);
}

static enum status put_string(struct sink *sink, struct error *error) {
    struct json_text text;
    enum status status = json_reader_string(sink->reader, &text, error);
    if (status != STATUS_OK)
        return status;
    size_t room = (size_t)(sink->end - sink->at), size;
    if (room < 4 || !json_text_decode(&text, sink->at + 4, room - 4, &size) || size > UINT32_MAX)
        return full(error);
    uint32_t length = htole32((uint32_t)size);
    memcpy(sink->at, &length, 4);
    sink->at += 4 + size;
    return STATUS_OK;
}

static enum status put_bool(struct sink *sink, struct error *error) {
    enum json_kind kind;
    bool value = false;
    enum status status = json_reader_peek(sink->reader, &kind, error);
    if (status != STATUS_OK)
        return status;
    if (kind == JSON_NUMBER) {
        struct json_number number;
        uint64_t n;
        status = json_reader_number(sink->reader, &number, error);
        if (status != STATUS_OK)
            return status;
        if (!json_number_u64(&number, &n) || n > 1)
            return out_of_range(sink, error);
        value = n == 1;
    } else {
        status = json_reader_boolean(sink->reader, &value, error);
        if (status != STATUS_OK)
            return status;
    }
    *sink->at++ = value;
    return STATUS_OK;
}

static bool store_unsigned(struct sink *sink, const struct json_number *number) {
    uint64_t value;
    unsigned bits = (unsigned)sink->type->size * 8;
    if (!json_number_u64(number, &value) || (bits < 64 && value >> bits))
        return false;
    value = htole64(value);
    memcpy(sink->at, &value, sink->type->size);
    return true;
}

static bool store_signed(struct sink *sink, const struct json_number *number) {
    int64_t value;
    unsigned bits = (unsigned)sink->type->size * 8;
    if (!json_number_i64(number, &value))
        return false;
    if (bits < 64 && (value < -(INT64_C(1) << (bits - 1)) || value >= INT64_C(1) << (bits - 1)))
        return false;
    uint64_t raw = htole64((uint64_t)value);
    memcpy(sink->at, &raw, sink->type->size);
    return true;
}

static bool store_float(struct sink *sink, const struct json_number *number) {
    if (sink->type->onnx == OIP_FP32) {
        float value;
        if (!json_number_f32(number, &value))
            return false;
        memcpy(sink->at, &value, sizeof value);
        return true;
    }
    double value;
    if (!json_number_f64(number, &value))
        return false;
    memcpy(sink->at, &value, sizeof value);
    return true;
}

static inline enum status put_number(struct sink *sink, struct error *error) {
    struct json_number number;
    enum status status = json_reader_number(sink->reader, &number, error);
    if (status != STATUS_OK)
        return status_prefix(error, "element %" PRIu64 " of data is not a number: ", sink->done);
    bool stored;
    switch (sink->type->onnx) {
    case OIP_FP32:
    case OIP_FP64:
        stored = store_float(sink, &number);
        break;
    case OIP_INT8:
    case OIP_INT16:
    case OIP_INT32:
    case OIP_INT64:
        stored = store_signed(sink, &number);
        break;
    default:
        stored = store_unsigned(sink, &number);
        break;
    }
    if (!stored)
        return out_of_range(sink, error);
    sink->at += sink->type->size;
    return STATUS_OK;
}

static inline enum status put_element(struct sink *sink, struct error *error) {
    enum status status;
    if (sink->type->onnx == OIP_BYTES)
        status = put_string(sink, error);
    else if (sink->type->onnx == OIP_BOOL)
        status = put_bool(sink, error);
    else
        status = put_number(sink, error);
    sink->done++;
    return status;
}

/* --- arrays -------------------------------------------------------------------------------- */

static enum status wrong_count(uint64_t found, bool more, uint64_t count, struct error *error) {
    return status_fail(error, STATUS_INVALID,
                       "data has %s%" PRIu64 " elements, the shape takes %" PRIu64,
                       more ? "more than " : "", found, count);
}

/* The reader stands after the opening bracket. */
static enum status read_flat(struct sink *sink, uint64_t count, struct error *error) {
    for (;;) {
        bool more;
        enum status status = json_reader_next_element(sink->reader, &more, error);
        if (status != STATUS_OK)
            return status;
        if (!more)
            return sink->done == count ? STATUS_OK : wrong_count(sink->done, false, count, error);
        if (sink->done == count)
            return wrong_count(count, true, count, error);
        status = put_element(sink, error);
        if (status != STATUS_OK)
            return status;
    }
}

/* Nested arrays, each as long as its dimension says. `filled[d]` counts at depth d. */
static enum status read_nested(struct sink *sink, const struct ring_tensor *tensor,
                               struct error *error) {
    int64_t filled[RING_RANK_MAX] = {0};
    size_t depth = 0;
    for (;;) {
        bool more;
        enum status status = json_reader_next_element(sink->reader, &more, error);
        if (status != STATUS_OK)
            return status;
        if (more != (filled[depth] < tensor->dims[depth]))
            return status_fail(error, STATUS_INVALID,
                               "data is nested otherwise than the shape says: an array at depth "
                               "%zu does not have %" PRId64 " elements",
                               depth + 1, tensor->dims[depth]);
        if (!more) {
            if (depth == 0)
                return STATUS_OK;
            depth--;
            continue;
        }
        filled[depth]++;
        if (depth + 1 == tensor->rank) {
            status = put_element(sink, error);
        } else {
            status = json_reader_array(sink->reader, error);
            if (status != STATUS_OK)
                return status_prefix(error, "data is nested less deeply than the shape says: ");
            filled[++depth] = 0;
        }
        if (status != STATUS_OK)
            return status;
    }
}

enum status oip_data_json(struct json_reader *reader, struct ring_tensor *tensor,
                          struct oip_area *area, struct error *error) {
    const struct oip_type *type = oip_type_of(tensor->type);
    if (!type->json)
        return status_fail(error, STATUS_INVALID,
                           "%s has no JSON form; send the tensor in binary (binary_data_size)",
                           type->name);
    size_t offset, needed;
    uint64_t count;
    enum status status = place(tensor, area, type, &offset, &count, &needed, error);
    if (status != STATUS_OK)
        return status;
    uint8_t *begin = area->data + offset;
    struct sink sink = {reader, type, begin, area->data + area->capacity, 0};
    status = json_reader_array(reader, error);
    if (status != STATUS_OK)
        return status_prefix(error, "data is not an array: ");

    /* Flat or nested shows at the first element; only the look-ahead needs a second reader. */
    struct json_reader ahead = *reader;
    enum json_kind kind = JSON_NULL;
    bool more;
    status = json_reader_next_element(&ahead, &more, error);
    if (status == STATUS_OK && more)
        status = json_reader_peek(&ahead, &kind, error);
    if (status != STATUS_OK)
        return status;
    if (kind == JSON_ARRAY && tensor->rank > 1)
        status = read_nested(&sink, tensor, error);
    else
        status = read_flat(&sink, count, error);
    /* A string that does not fit was perhaps begun. */
    oip_data_touch(area, status != STATUS_OK && !type->size ? area->capacity
                                                            : (size_t)(sink.at - area->data));
    if (status != STATUS_OK)
        return status;
    tensor->offset = offset;
    tensor->bytes = (uint64_t)(sink.at - begin);
    area->used = offset + (size_t)tensor->bytes;
    return STATUS_OK;
}

/* --- binary -------------------------------------------------------------------------------- */

static enum status check_strings(const uint8_t *bytes, size_t size, uint64_t count,
                                 struct error *error) {
    size_t at = 0;
    for (uint64_t i = 0; i < count; i++) {
        uint32_t length;
        if (size - at < 4)
            return status_fail(error, STATUS_INVALID,
                               "the binary data end inside element %" PRIu64 " of %" PRIu64, i,
                               count);
        memcpy(&length, bytes + at, 4);
        length = le32toh(length);
        at += 4;
        if (length > size - at)
            return status_fail(error, STATUS_INVALID,
                               "element %" PRIu64 " is said to have %" PRIu32
                               " bytes, %zu are left",
                               i, length, size - at);
        at += length;
    }
    if (at != size)
        return status_fail(error, STATUS_INVALID,
                           "%zu bytes are left over after the shape's %" PRIu64 " elements",
                           size - at, count);
    return STATUS_OK;
}

enum status oip_data_binary(const uint8_t *bytes, size_t size, struct ring_tensor *tensor,
                            struct oip_area *area, struct error *error) {
    const struct oip_type *type = oip_type_of(tensor->type);
    size_t offset, needed;
    uint64_t count;
    enum status status = place(tensor, area, type, &offset, &count, &needed, error);
    if (status != STATUS_OK)
        return status;
    if (size > area->capacity - offset)
        return full(error);
    if (type->onnx == OIP_BYTES) {
        status = check_strings(bytes, size, count, error);
        if (status != STATUS_OK)
            return status;
    } else if (size != needed) {
        return status_fail(error, STATUS_INVALID,
                           "binary data of %zu bytes, the shape takes %zu (%" PRIu64
                           " elements of %s)",
                           size, needed, count, type->name);
    }
    if (type->onnx == OIP_BOOL)
        for (size_t i = 0; i < size; i++)
            if (bytes[i] > 1)
                return status_fail(error, STATUS_INVALID,
                                   "element %zu of a BOOL tensor is neither 0 nor 1", i);
    if (size)
        memcpy(area->data + offset, bytes, size);
    oip_data_touch(area, offset + size);
    tensor->offset = offset;
    tensor->bytes = size;
    area->used = offset + size;
    return STATUS_OK;
}
