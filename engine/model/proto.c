#include "engine/model/proto.h"

#include "base/checked.h"
#include "engine/model/external.h"

/* What a TensorProto says, before its elements are looked at. */
struct header {
    struct str name;
    int64_t dims[TENSOR_MAX_RANK];
    size_t rank;
    enum dtype dtype;
    struct str raw;
    bool has_raw, external, is_external; /* has entries; says that its data is there */
    struct external_place place;
    uint32_t field;  /* number of the typed data field in use, 0: none */
    size_t elements; /* in it */
    struct tensor shape;
};

enum {
    F_FLOAT_DATA = 4,
    F_INT32_DATA = 5,
    F_STRING_DATA = 6,
    F_INT64_DATA = 7,
    F_DOUBLE_DATA = 10,
    F_UINT64_DATA = 11,
};

static enum wire_type element_type(uint32_t field) {
    return field == F_FLOAT_DATA    ? WIRE_FIXED32
           : field == F_DOUBLE_DATA ? WIRE_FIXED64
                                    : WIRE_VARINT;
}

/* Bytes of raw_data that hold `count` elements packed closer than bytes. */
static size_t packed_bytes(enum dtype t, size_t count) {
    size_t bits = dtype_packed_bits(t);
    return count / 8 * bits + (count % 8 * bits + 7) / 8;
}

/* int32_data has them as raw_data has, a byte each, but for the 6-bit types: an element each. */
static bool packed_in_field(enum dtype t) {
    return dtype_packed_bits(t) == 2 || dtype_packed_bits(t) == 4;
}

/* The typed field that holds the elements of a type (onnx.proto, comments of TensorProto). */
static uint32_t field_of(enum dtype t) {
    switch (t) {
    case DTYPE_FLOAT:
    case DTYPE_COMPLEX64:
        return F_FLOAT_DATA;
    case DTYPE_DOUBLE:
    case DTYPE_COMPLEX128:
        return F_DOUBLE_DATA;
    case DTYPE_INT64:
        return F_INT64_DATA;
    case DTYPE_UINT32:
    case DTYPE_UINT64:
        return F_UINT64_DATA;
    case DTYPE_STRING:
        return F_STRING_DATA;
    default:
        return F_INT32_DATA;
    }
}

static enum status add_dims(struct wire_path *p, struct header *h, const struct wire_field *f) {
    size_t n = 0;
    if (!wire_count(f, WIRE_VARINT, &n))
        return wire_malformed(p);
    if (n > TENSOR_MAX_RANK - h->rank)
        return wire_fail(p, STATUS_UNSERVABLE, "more than %d dimensions are not served",
                         TENSOR_MAX_RANK);
    if (f->type == WIRE_VARINT) {
        h->dims[h->rank++] = (int64_t)f->value;
        return STATUS_OK;
    }
    struct cursor c = wire_cursor(f->bytes);
    for (size_t i = 0; i < n; i++)
        h->dims[h->rank++] = (int64_t)wire_varint(&c);
    return cursor_done(&c) ? STATUS_OK : wire_malformed(p);
}

/* One field of the message into *h. */
static enum status header_field(struct wire_path *p, struct header *h, const struct wire_field *f) {
    enum status s = STATUS_OK;
    size_t n = 0;
    switch (f->number) {
    case 1:
        return add_dims(p, h, f);
    case 2:
        s = wire_expect(p, f, WIRE_VARINT, "data_type");
        if (s != STATUS_OK)
            return s;
        if (f->value >= DTYPE_COUNT || dtype_size((enum dtype)f->value) == 0)
            return wire_fail(p, STATUS_UNSERVABLE, "data_type %llu is not known",
                             (unsigned long long)f->value);
        h->dtype = (enum dtype)f->value;
        return STATUS_OK;
    case 3:
        return wire_fail(p, STATUS_UNSERVABLE, "a tensor in segments is not served");
    case 8:
        h->name = f->bytes;
        return wire_expect(p, f, WIRE_BYTES, "name");
    case 9:
        h->raw = f->bytes;
        h->has_raw = true;
        return wire_expect(p, f, WIRE_BYTES, "raw_data");
    case 13:
        h->external = true;
        s = wire_expect(p, f, WIRE_BYTES, "external_data");
        return s == STATUS_OK ? external_entry(p, f->bytes, &h->place) : s;
    case 14:
        if (f->type != WIRE_VARINT || f->value > 1)
            return wire_fail(p, STATUS_INVALID, "data_location must be DEFAULT or EXTERNAL");
        h->is_external = f->value == 1;
        return STATUS_OK;
    case F_FLOAT_DATA:
    case F_INT32_DATA:
    case F_STRING_DATA:
    case F_INT64_DATA:
    case F_DOUBLE_DATA:
    case F_UINT64_DATA:
        if (h->field != 0 && h->field != f->number)
            return wire_fail(p, STATUS_INVALID, "elements are in two fields (%u and %u)", h->field,
                             f->number);
        if (f->number == F_STRING_DATA)
            n = 1;
        else if (!wire_count(f, element_type(f->number), &n))
            return wire_malformed(p);
        h->field = f->number;
        if (!checked_add(h->elements, n, &h->elements))
            return wire_malformed(p);
        return STATUS_OK;
    default:
        return STATUS_OK;
    }
}

/* Elements that the data must have, in units of the field: bytes for raw data. */
static enum status check_size(struct wire_path *p, const struct header *h) {
    size_t count = (size_t)h->shape.count;
    if (packed_in_field(h->dtype))
        count = packed_bytes(h->dtype, count);
    if (h->dtype == DTYPE_COMPLEX64 || h->dtype == DTYPE_COMPLEX128)
        count *= 2;
    if (h->has_raw) {
        size_t bytes = dtype_packed_bits(h->dtype) ? packed_bytes(h->dtype, (size_t)h->shape.count)
                                                   : h->shape.bytes;
        if (h->dtype == DTYPE_STRING)
            return wire_fail(p, STATUS_INVALID, "strings cannot be in %s",
                             h->external ? "external_data" : "raw_data");
        if (h->raw.size != bytes)
            return wire_fail(p, STATUS_INVALID, "%s has %zu bytes, its shape needs %zu",
                             h->external ? "external_data" : "raw_data", h->raw.size, bytes);
        return STATUS_OK;
    }
    if (count == 0 && h->elements == 0)
        return STATUS_OK;
    if (h->field != field_of(h->dtype))
        return wire_fail(p, STATUS_INVALID, "elements of type %s are in field %u, not in %u",
                         dtype_name(h->dtype), h->field, field_of(h->dtype));
    if (h->elements != count)
        return wire_fail(p, STATUS_INVALID, "%zu elements are given, the shape needs %zu",
                         h->elements, count);
    return STATUS_OK;
}

/* External data takes the place of raw_data. */
static enum status resolve_external(struct wire_path *p, struct header *h) {
    if (h->external != h->is_external)
        return wire_fail(p, STATUS_INVALID,
                         h->external ? "external_data is given, but data_location is not EXTERNAL"
                                     : "data_location is EXTERNAL, but external_data is missing");
    if (!h->external)
        return STATUS_OK;
    if (h->has_raw || h->field)
        return wire_fail(p, STATUS_INVALID, "elements are in external_data and in the model too");
    h->has_raw = true;
    return external_find(p, &h->place, &h->raw);
}

static enum status read_header(struct wire_path *p, struct str bytes, struct header *h) {
    struct cursor c = wire_cursor(bytes);
    struct wire_field f;
    enum status s = STATUS_OK;
    memset(h, 0, sizeof *h);
    while (s == STATUS_OK && wire_next(&c, &f))
        s = header_field(p, h, &f);
    if (s == STATUS_OK && c.failed)
        s = wire_malformed(p);
    if (s == STATUS_OK)
        s = resolve_external(p, h);
    if (s != STATUS_OK)
        return s;
    struct error inner = {0};
    s = tensor_shape(&h->shape, h->dtype, (int)h->rank, h->dims, &inner);
    if (s != STATUS_OK)
        return wire_fail(p, s, "%s", inner.message);
    return check_size(p, h);
}

static size_t alignment(enum dtype t) {
    size_t size = dtype_size(t);
    return size > 8 ? 8 : size;
}

static bool usable_in_place(const struct header *h) {
    return h->has_raw && !dtype_packed_bits(h->dtype) && h->shape.count > 0 &&
           (uintptr_t)h->raw.data % alignment(h->dtype) == 0;
}

enum status proto_tensor_measure(struct wire_path *p, struct str bytes, size_t *need) {
    struct header h;
    size_t aligned = 0;
    enum status s = read_header(p, bytes, &h);
    if (s != STATUS_OK || usable_in_place(&h))
        return s;
    size_t size = h.shape.bytes ? h.shape.bytes : 1;
    if (!checked_align(size, MEMORY_ALIGN, &aligned) || !checked_add(*need, aligned, need))
        return wire_fail(p, STATUS_TOO_LARGE, "the tensors are too large together");
    return STATUS_OK;
}

/* The low bits of `v` as an element in a byte of its own: the signed types keep their sign. */
static uint8_t unpacked(enum dtype t, unsigned v) {
    unsigned bits = dtype_packed_bits(t), mask = (1u << bits) - 1, sign = 1u << (bits - 1);
    bool is_signed = t == DTYPE_INT4 || t == DTYPE_INT2;
    v &= mask;
    return (uint8_t)(is_signed && (v & sign) ? v | ~mask : v);
}

/* Byte `at` of elements packed two or four to a byte, the first in the lowest bits. */
static void unpack_byte(const struct header *h, uint8_t *to, size_t at, unsigned v) {
    size_t bits = dtype_packed_bits(h->dtype), each = 8 / bits;
    for (size_t k = 0; k < each && at * each + k < (size_t)h->shape.count; k++)
        to[at * each + k] = unpacked(h->dtype, v >> k * bits);
}

/* raw_data, as one stream of bits from the lowest on: an element may lie across two bytes. */
static void unpack_stream(const struct header *h, uint8_t *to) {
    const uint8_t *raw = (const uint8_t *)h->raw.data;
    size_t bits = dtype_packed_bits(h->dtype);
    for (size_t i = 0; i < (size_t)h->shape.count; i++) {
        size_t byte = i / 8 * bits + i % 8 * bits / 8, shift = i % 8 * bits % 8;
        unsigned v = raw[byte];
        if (shift + bits > 8)
            v |= (unsigned)raw[byte + 1] << 8;
        to[i] = unpacked(h->dtype, v >> shift);
    }
}

/* One varint of int32_data, int64_data or uint64_data, as element `at`. */
static void store_integer(const struct header *h, void *to, size_t at, uint64_t v) {
    if (packed_in_field(h->dtype)) {
        unpack_byte(h, to, at, (uint8_t)v);
        return;
    }
    if (dtype_packed_bits(h->dtype))
        v = unpacked(h->dtype, (unsigned)v);
    switch (dtype_size(h->dtype)) {
    case 1:
        ((uint8_t *)to)[at] = (uint8_t)v;
        break;
    case 2:
        ((uint16_t *)to)[at] = (uint16_t)v;
        break;
    case 4:
        ((uint32_t *)to)[at] = (uint32_t)v;
        break;
    default:
        ((uint64_t *)to)[at] = v;
    }
}

/* The typed data fields, once more, now converting. The sizes were checked by read_header. */
static enum status convert(struct wire_path *p, struct str bytes, const struct header *h,
                           void *to) {
    struct cursor c = wire_cursor(bytes);
    struct wire_field f;
    size_t at = 0;
    while (wire_next(&c, &f)) {
        if (f.number != h->field)
            continue;
        if (f.number == F_STRING_DATA) {
            ((struct str *)to)[at++] = f.bytes;
        } else if (f.type == WIRE_BYTES && element_type(f.number) != WIRE_VARINT) {
            size_t size = element_type(f.number) == WIRE_FIXED32 ? 4 : 8;
            if (f.bytes.size > 0)
                memcpy((char *)to + at * size, f.bytes.data, f.bytes.size);
            at += f.bytes.size / size;
        } else if (f.type == WIRE_BYTES) {
            struct cursor v = wire_cursor(f.bytes);
            while (cursor_left(&v) > 0 && !v.failed)
                store_integer(h, to, at++, wire_varint(&v));
            if (v.failed)
                return wire_malformed(p);
        } else if (f.type == WIRE_FIXED32) {
            uint32_t v = (uint32_t)f.value;
            memcpy((char *)to + at++ * 4, &v, 4);
        } else if (f.type == WIRE_FIXED64) {
            memcpy((char *)to + at++ * 8, &f.value, 8);
        } else {
            store_integer(h, to, at++, f.value);
        }
    }
    return c.failed ? wire_malformed(p) : STATUS_OK;
}

enum status proto_tensor(struct wire_path *p, struct str bytes, struct arena *arena,
                         struct graph_tensor *out) {
    struct header h;
    enum status s = read_header(p, bytes, &h);
    if (s == STATUS_OK && h.external)
        s = external_use(p, h.raw);
    if (s != STATUS_OK)
        return s;
    struct tensor t = h.shape;
    if (usable_in_place(&h)) {
        /* Operators take input data as const; the cast only fits it into struct tensor. */
        t.data = (void *)(uintptr_t)h.raw.data;
    } else {
        t.data = arena_alloc(arena, t.bytes);
        if (!t.data)
            return arena_exhausted(arena, t.bytes, p->error);
        if (!h.has_raw)
            s = convert(p, bytes, &h, t.data);
        else if (dtype_packed_bits(h.dtype))
            unpack_stream(&h, t.data);
        else if (t.bytes > 0)
            memcpy(t.data, h.raw.data, t.bytes);
        if (s != STATUS_OK)
            return s;
    }
    if (t.dtype == DTYPE_BOOL)
        for (int64_t i = 0; i < t.count; i++)
            if (((const uint8_t *)t.data)[i] > 1)
                return wire_fail(p, STATUS_INVALID,
                                 "element %lld of a bool tensor is %d, not 0 or 1", (long long)i,
                                 ((const uint8_t *)t.data)[i]);
    out->name = h.name;
    out->tensor = t;
    return STATUS_OK;
}

/* ---- types ---- */

static enum status read_dim(struct wire_path *p, struct str bytes, struct type_info *out) {
    struct cursor c = wire_cursor(bytes);
    struct wire_field f;
    int at = out->rank;
    if (at == TENSOR_MAX_RANK)
        return wire_fail(p, STATUS_UNSERVABLE, "more than %d dimensions are not served",
                         TENSOR_MAX_RANK);
    out->dims[at] = -1;
    out->symbols[at] = (struct str){NULL, 0};
    while (wire_next(&c, &f)) {
        if (f.number == 1 && f.type == WIRE_VARINT && (int64_t)f.value >= 0)
            out->dims[at] = (int64_t)f.value;
        else if (f.number == 2 && f.type == WIRE_BYTES)
            out->symbols[at] = f.bytes;
    }
    out->rank++;
    return c.failed ? wire_malformed(p) : STATUS_OK;
}

static enum status read_tensor_type(struct wire_path *p, struct str bytes, struct type_info *out) {
    struct cursor c = wire_cursor(bytes);
    struct wire_field f;
    enum status s = STATUS_OK;
    out->rank = -1;
    while (s == STATUS_OK && wire_next(&c, &f)) {
        if (f.number == 1 && f.type == WIRE_VARINT) {
            if (f.value >= DTYPE_COUNT)
                return wire_fail(p, STATUS_UNSERVABLE, "elem_type %llu is not known",
                                 (unsigned long long)f.value);
            out->dtype = (enum dtype)f.value;
        } else if (f.number == 2 && f.type == WIRE_BYTES) {
            struct cursor shape = wire_cursor(f.bytes);
            struct wire_field d;
            out->rank = 0;
            while (s == STATUS_OK && wire_next(&shape, &d))
                if (d.number == 1 && d.type == WIRE_BYTES)
                    s = read_dim(p, d.bytes, out);
            if (s == STATUS_OK && shape.failed)
                s = wire_malformed(p);
        }
    }
    return s == STATUS_OK && c.failed ? wire_malformed(p) : s;
}

/* The message inside a sequence_type, optional_type or map_type that holds the inner TypeProto. */
static enum status inner_type(struct wire_path *p, struct str bytes, uint32_t number,
                              struct str *inner, enum dtype *key) {
    struct cursor c = wire_cursor(bytes);
    struct wire_field f;
    while (wire_next(&c, &f)) {
        if (f.number == number && f.type == WIRE_BYTES)
            *inner = f.bytes;
        else if (f.number == 1 && f.type == WIRE_VARINT && f.value < DTYPE_COUNT)
            *key = (enum dtype)f.value;
    }
    return c.failed ? wire_malformed(p) : STATUS_OK;
}

enum status proto_type(struct wire_path *p, struct str bytes, struct type_info *out) {
    struct type_info t = {.kind = VALUE_NONE, .rank = -1};
    enum status s = STATUS_OK;
    /* optional(sequence(map(key, tensor))) is the deepest form there is: each turn goes one level
     * in, so this ends after at most that many. */
    for (int level = 0; level < 5 && s == STATUS_OK; level++) {
        struct cursor c = wire_cursor(bytes);
        struct wire_field f;
        struct str inner = {NULL, 0};
        bool found = false;
        while (s == STATUS_OK && wire_next(&c, &f)) {
            if (f.type != WIRE_BYTES)
                continue;
            if (f.number == 1 || f.number == 8) {
                if (t.kind == VALUE_NONE)
                    t.kind = VALUE_TENSOR;
                s = read_tensor_type(p, f.bytes, &t);
            } else if (f.number == 4) {
                t.kind = VALUE_SEQUENCE;
                found = true;
                s = inner_type(p, f.bytes, 1, &inner, &t.key);
            } else if (f.number == 9) {
                t.optional = true;
                found = true;
                s = inner_type(p, f.bytes, 1, &inner, &t.key);
            } else if (f.number == 5) {
                if (t.kind == VALUE_NONE)
                    t.kind = VALUE_MAP;
                found = true;
                s = inner_type(p, f.bytes, 2, &inner, &t.key);
            }
        }
        if (s == STATUS_OK && c.failed)
            s = wire_malformed(p);
        if (!found)
            break;
        bytes = inner;
    }
    if (s == STATUS_OK)
        *out = t;
    return s;
}
