#include "server/front/oip_rows.h"

#include "server/front/json_scan.h"

#include <endian.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* --- refusals ------------------------------------------------------------------------------ */

/* What elements of a type may be, for messages. */
static void describe(const struct oip_type *type, char out[96]) {
    unsigned bits = (unsigned)type->size * 8;
    switch (type->onnx) {
    case OIP_FP32:
        snprintf(out, 96, "numbers from -3.4028235e38 to 3.4028235e38");
        break;
    case OIP_FP64:
        snprintf(out, 96, "numbers from -1.7976931348623157e308 to 1.7976931348623157e308");
        break;
    case OIP_BOOL:
        snprintf(out, 96, "true, false, 1 and 0");
        break;
    case OIP_BYTES:
        snprintf(out, 96, "strings");
        break;
    case OIP_INT8:
    case OIP_INT16:
    case OIP_INT32:
    case OIP_INT64: {
        int64_t most = (int64_t)(UINT64_MAX >> (65 - bits));
        snprintf(out, 96, "whole numbers from %" PRId64 " to %" PRId64, -most - 1, most);
        break;
    }
    default:
        snprintf(out, 96, "whole numbers from 0 to %" PRIu64, UINT64_MAX >> (64 - bits));
        break;
    }
}

static bool is_whole(const struct oip_type *type) {
    return type->onnx != OIP_FP32 && type->onnx != OIP_FP64 && type->onnx != OIP_BOOL;
}

static enum status refuse_number(const struct oip_sink *sink, const struct json_number *number,
                                 struct error *error) {
    char takes[96];
    bool cut = number->size > OIP_ROWS_QUOTE_MAX;
    describe(sink->type, takes);
    /* 1.0 and 1e2 are whole numbers to people, so the range alone would not say what is wrong. */
    const char *form =
        is_whole(sink->type) && !number->integer ? ", written without fraction or exponent" : "";
    return status_fail(error, STATUS_INVALID,
                       "element %" PRIu64 " of data is %.*s%s, %s takes %s%s", sink->done,
                       (int)(cut ? OIP_ROWS_QUOTE_MAX - 3 : number->size),
                       (const char *)number->text, cut ? "..." : "", sink->type->name, takes, form);
}

/* The next value is not what the type takes; the reader stands before it. */
static enum status refuse_element(struct oip_sink *sink, struct error *error) {
    enum json_kind kind;
    struct json_number number;
    enum status status = json_reader_peek(sink->reader, &kind, error);
    if (status == STATUS_OK && kind == JSON_NUMBER && sink->type->onnx != OIP_BYTES) {
        status = json_reader_number(sink->reader, &number, error);
        if (status == STATUS_OK)
            return refuse_number(sink, &number, error);
    }
    if (status != STATUS_OK)
        return status_prefix(error, "element %" PRIu64 " of data: ", sink->done);
    char takes[96];
    describe(sink->type, takes);
    return status_fail(error, STATUS_INVALID, "element %" PRIu64 " of data is %s, %s takes %s",
                       sink->done, json_reader_kind_name(kind), sink->type->name, takes);
}

/* --- numbers: json_scan_store of each kind -------------------------------------------------- */

JSON_SCAN_INLINE bool store_float(const struct json_number *number, size_t size, uint8_t *out) {
    uint64_t bits;
    if (!json_number_bits(number, size == 4 ? DECIMAL_FORMAT_F32 : DECIMAL_FORMAT_F64, &bits))
        return false;
    bits = htole64(bits | (uint64_t)number->negative << (8 * size - 1));
    memcpy(out, &bits, size);
    return true;
}

JSON_SCAN_INLINE bool store_signed(const struct json_number *number, size_t size, uint8_t *out) {
    uint64_t most = (UINT64_C(1) << (8 * size - 1)) - !number->negative;
    if (!number->integer || !number->exact || number->digits > most)
        return false;
    uint64_t raw = htole64(number->negative ? 0 - number->digits : number->digits);
    memcpy(out, &raw, size);
    return true;
}

JSON_SCAN_INLINE bool store_unsigned(const struct json_number *number, size_t size, uint8_t *out) {
    uint64_t most = number->negative ? 0 : UINT64_MAX >> (64 - 8 * size);
    if (!number->integer || !number->exact || number->digits > most)
        return false;
    uint64_t raw = htole64(number->digits);
    memcpy(out, &raw, size);
    return true;
}

JSON_SCAN_INLINE uint64_t read_numbers(struct oip_sink *sink, uint64_t most, size_t size,
                                       json_scan_store *store) {
    uint64_t read = json_scan_numbers(sink->reader, most, store, size, sink->at);
    sink->at += read * size;
    sink->done += read;
    return read;
}

/* One loop for each type, made from the one above. */
static uint64_t read_ordinary(struct oip_sink *sink, uint64_t most) {
    switch (sink->type->onnx) {
    case OIP_FP32:
        return read_numbers(sink, most, 4, store_float);
    case OIP_FP64:
        return read_numbers(sink, most, 8, store_float);
    case OIP_INT8:
        return read_numbers(sink, most, 1, store_signed);
    case OIP_INT16:
        return read_numbers(sink, most, 2, store_signed);
    case OIP_INT32:
        return read_numbers(sink, most, 4, store_signed);
    case OIP_INT64:
        return read_numbers(sink, most, 8, store_signed);
    case OIP_UINT8:
        return read_numbers(sink, most, 1, store_unsigned);
    case OIP_UINT16:
        return read_numbers(sink, most, 2, store_unsigned);
    case OIP_UINT32:
        return read_numbers(sink, most, 4, store_unsigned);
    case OIP_UINT64:
        return read_numbers(sink, most, 8, store_unsigned);
    default:
        return 0;
    }
}

/* --- strings and truth values ---------------------------------------------------------------- */

static enum status put_string(struct oip_sink *sink, struct error *error) {
    struct json_text text;
    enum status status = json_reader_string(sink->reader, &text, error);
    if (status != STATUS_OK)
        return status_prefix(error, "element %" PRIu64 " of data: ", sink->done);
    size_t room = (size_t)(sink->end - sink->at), size;
    if (room < 4 || !json_text_decode(&text, sink->at + 4, room - 4, &size) || size > UINT32_MAX)
        return status_fail(error, STATUS_TOO_LARGE,
                           "the request's tensors together are larger than the server allows");
    uint32_t length = htole32((uint32_t)size);
    memcpy(sink->at, &length, 4);
    sink->at += 4 + size;
    return STATUS_OK;
}

static enum status put_bool(struct oip_sink *sink, enum json_kind kind, struct error *error) {
    bool value = false;
    if (kind == JSON_NUMBER) {
        struct json_number number;
        uint64_t one;
        enum status status = json_reader_number(sink->reader, &number, error);
        if (status != STATUS_OK)
            return status_prefix(error, "element %" PRIu64 " of data: ", sink->done);
        if (!json_number_u64(&number, &one) || one > 1)
            return refuse_number(sink, &number, error);
        value = one == 1;
    } else {
        enum status status = json_reader_boolean(sink->reader, &value, error);
        if (status != STATUS_OK)
            return status_prefix(error, "element %" PRIu64 " of data: ", sink->done);
    }
    *sink->at++ = value;
    return STATUS_OK;
}

/* An element that the loops above did not take. */
static enum status put_element(struct oip_sink *sink, struct error *error) {
    enum json_kind kind;
    enum status status = json_reader_peek(sink->reader, &kind, error);
    if (status != STATUS_OK)
        return status_prefix(error, "element %" PRIu64 " of data: ", sink->done);
    if (sink->type->onnx == OIP_BYTES && kind == JSON_STRING)
        status = put_string(sink, error);
    else if (sink->type->onnx == OIP_BOOL && (kind == JSON_BOOLEAN || kind == JSON_NUMBER))
        status = put_bool(sink, kind, error);
    else
        return refuse_element(sink, error);
    sink->done += status == STATUS_OK;
    return status;
}

enum status oip_rows_read(struct oip_sink *sink, uint64_t most, bool *closed, struct error *error) {
    uint64_t read = read_ordinary(sink, most);
    for (;;) {
        bool more;
        enum status status = json_reader_next_element(sink->reader, &more, error);
        if (status != STATUS_OK)
            return status;
        if (!more || read == most) {
            *closed = !more;
            return STATUS_OK;
        }
        status = put_element(sink, error);
        if (status != STATUS_OK)
            return status;
        read++;
    }
}
