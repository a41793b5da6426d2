#include "server/front/oip_data.h"

#include "base/checked.h"
#include "server/front/oip_rows.h"
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

/* --- JSON ---------------------------------------------------------------------------------- */

/* The reader stands after the opening bracket. */
static enum status read_flat(struct oip_sink *sink, uint64_t count, struct error *error) {
    bool closed = false;
    enum status status = oip_rows_read(sink, count, &closed, error);
    if (status != STATUS_OK)
        return status;
    if (closed && sink->done == count)
        return STATUS_OK;
    return status_fail(error, STATUS_INVALID,
                       "data has %s%" PRIu64 " element%s, the shape takes %" PRIu64,
                       closed ? "" : "more than ", sink->done, sink->done == 1 ? "" : "s", count);
}

/* An array that is as long as its dimension, until one is not. */
static enum status wrong_length(const struct ring_tensor *tensor, size_t depth,
                                struct error *error) {
    return status_fail(error, STATUS_INVALID,
                       "data is nested otherwise than the shape says: an array at depth %zu does "
                       "not have %" PRId64 " elements",
                       depth + 1, tensor->dims[depth]);
}

/* Nested arrays, each as long as its dimension says; the rank is at least 2. `filled[d]` counts at
 * depth d. */
static enum status read_nested(struct oip_sink *sink, const struct ring_tensor *tensor,
                               struct error *error) {
    int64_t filled[RING_RANK_MAX] = {0};
    size_t depth = 0, last = tensor->rank - 1;
    for (;;) {
        bool more;
        enum status status = json_reader_next_element(sink->reader, &more, error);
        if (status != STATUS_OK)
            return status;
        if (more != (filled[depth] < tensor->dims[depth]))
            return wrong_length(tensor, depth, error);
        if (!more) {
            if (depth == 0)
                return STATUS_OK;
            depth--;
            continue;
        }
        filled[depth]++;
        status = json_reader_array(sink->reader, error);
        if (status != STATUS_OK)
            return status_prefix(error, "data is nested less deeply than the shape says: ");
        if (depth + 1 < last) {
            filled[++depth] = 0;
            continue;
        }
        uint64_t before = sink->done, wanted = (uint64_t)tensor->dims[last];
        bool closed = false;
        status = oip_rows_read(sink, wanted, &closed, error);
        if (status != STATUS_OK)
            return status;
        if (!closed || sink->done - before != wanted)
            return wrong_length(tensor, last, error);
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
    struct oip_sink sink = {reader, type, begin, area->data + area->capacity, 0};
    status = json_reader_array(reader, error);
    if (status != STATUS_OK)
        return status_prefix(error, "data is not an array: ");

    /* Flat or nested shows at the first element; only the look-ahead needs a second reader. What
     * is wrong there is worded when it is read. */
    struct json_reader ahead = *reader;
    enum json_kind kind = JSON_NULL;
    bool more = false, nested = false;
    if (json_reader_next_element(&ahead, &more, NULL) == STATUS_OK && more &&
        json_reader_peek(&ahead, &kind, NULL) == STATUS_OK)
        nested = kind == JSON_ARRAY && tensor->rank > 1;
    if (nested)
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
