/* The composed messages of proto.h: sparse tensors, sequences, optionals, maps. */
#include "base/checked.h"
#include "engine/model/proto.h"

struct sparse {
    struct str values, indices;
    int64_t dims[TENSOR_MAX_RANK];
    int rank;
};

static enum status read_sparse(struct wire_path *p, struct str bytes, struct sparse *out) {
    struct cursor c = wire_cursor(bytes);
    struct wire_field f;
    memset(out, 0, sizeof *out);
    while (wire_next(&c, &f)) {
        size_t n = 0;
        if (f.number == 1 && f.type == WIRE_BYTES)
            out->values = f.bytes;
        else if (f.number == 2 && f.type == WIRE_BYTES)
            out->indices = f.bytes;
        else if (f.number == 3 && wire_count(&f, WIRE_VARINT, &n)) {
            if (n > (size_t)(TENSOR_MAX_RANK - out->rank))
                return wire_fail(p, STATUS_UNSERVABLE, "more than %d dimensions are not served",
                                 TENSOR_MAX_RANK);
            struct cursor v = wire_cursor(f.bytes);
            for (size_t i = 0; i < n; i++)
                out->dims[out->rank++] =
                    f.type == WIRE_VARINT ? (int64_t)f.value : (int64_t)wire_varint(&v);
        }
    }
    return c.failed ? wire_malformed(p) : STATUS_OK;
}

static enum status dense_shape(struct wire_path *p, const struct sparse *sp, enum dtype dtype,
                               struct tensor *out) {
    struct error inner = {0};
    enum status s = tensor_shape(out, dtype, sp->rank, sp->dims, &inner);
    return s == STATUS_OK ? s : wire_fail(p, s, "%s", inner.message);
}

/* The element type stands in the values' TensorProto. */
static enum dtype dtype_in(struct str values) {
    struct cursor c = wire_cursor(values);
    struct wire_field f;
    enum dtype t = DTYPE_NONE;
    while (wire_next(&c, &f))
        if (f.number == 2 && f.type == WIRE_VARINT && f.value < DTYPE_COUNT)
            t = (enum dtype)f.value;
    return t;
}

enum status proto_sparse_measure(struct wire_path *p, struct str bytes, size_t *need) {
    struct sparse sp;
    struct tensor t;
    size_t aligned = 0;
    enum status s = read_sparse(p, bytes, &sp);
    if (s == STATUS_OK)
        s = dense_shape(p, &sp, dtype_in(sp.values), &t);
    if (s == STATUS_OK)
        s = proto_tensor_measure(p, sp.values, need);
    if (s == STATUS_OK)
        s = proto_tensor_measure(p, sp.indices, need);
    if (s != STATUS_OK)
        return s;
    if (!checked_align(t.bytes ? t.bytes : 1, MEMORY_ALIGN, &aligned) ||
        !checked_add(*need, aligned, need))
        return wire_fail(p, STATUS_TOO_LARGE, "the tensors are too large together");
    return STATUS_OK;
}

enum status proto_sparse_tensor(struct wire_path *p, struct str bytes, struct arena *arena,
                                struct graph_tensor *out) {
    struct sparse sp;
    struct graph_tensor values, indices;
    struct tensor t;
    enum status s = read_sparse(p, bytes, &sp);
    if (s == STATUS_OK)
        s = proto_tensor(p, sp.values, arena, &values);
    if (s == STATUS_OK)
        s = proto_tensor(p, sp.indices, arena, &indices);
    if (s == STATUS_OK)
        s = dense_shape(p, &sp, values.tensor.dtype, &t);
    if (s != STATUS_OK)
        return s;
    const struct tensor *v = &values.tensor, *x = &indices.tensor;
    bool linear = x->rank == 1;
    if (x->dtype != DTYPE_INT64 || v->dtype == DTYPE_STRING || v->rank != 1 ||
        (x->rank != 1 && !(x->rank == 2 && x->dims[1] == sp.rank)) || x->dims[0] != v->dims[0])
        return wire_fail(p, STATUS_INVALID, "values and indices of a sparse tensor do not fit");
    t.data = arena_zalloc(arena, t.bytes);
    if (!t.data)
        return arena_exhausted(arena, t.bytes, p->error);
    size_t size = dtype_size(t.dtype);
    for (int64_t i = 0; i < v->count; i++) {
        const int64_t *at = (const int64_t *)x->data + (linear ? i : i * sp.rank);
        int64_t offset = linear ? at[0] : 0;
        bool inside = offset >= 0 && offset < t.count;
        for (int d = 0; !linear && d < sp.rank; d++) {
            inside = inside && at[d] >= 0 && at[d] < t.dims[d];
            offset = inside ? offset * t.dims[d] + at[d] : 0;
        }
        if (!inside)
            return wire_fail(p, STATUS_INVALID, "index %lld of a sparse tensor is outside of it",
                             (long long)i);
        memcpy((char *)t.data + (size_t)offset * size, (const char *)v->data + (size_t)i * size,
               size);
    }
    out->name = values.name;
    out->tensor = t;
    return STATUS_OK;
}

/* Tensors of one element each, one after the other, as one of one dimension: a map's values. */
static enum status join_values(struct wire_path *p, struct str bytes, size_t n, enum dtype dtype,
                               struct arena *arena, struct tensor *out) {
    struct wire_field f;
    struct cursor c = wire_cursor(bytes);
    size_t at = 0, size = dtype_size(dtype);
    int64_t count = (int64_t)n;
    enum status s = tensor_shape(out, dtype, 1, &count, p->error);
    if (s == STATUS_OK && !(out->data = arena_zalloc(arena, out->bytes)))
        return arena_exhausted(arena, out->bytes, p->error);
    while (s == STATUS_OK && wire_next(&c, &f)) {
        struct graph_tensor t;
        if (f.number != 3 || f.type != WIRE_BYTES)
            continue;
        s = proto_tensor(p, f.bytes, arena, &t);
        if (s == STATUS_OK && (at == n || t.tensor.count != 1 || t.tensor.dtype != dtype))
            s = wire_fail(p, STATUS_INVALID,
                          "values of the map are not %zu single elements of type %s", n,
                          dtype_name(dtype));
        if (s == STATUS_OK)
            memcpy((char *)out->data + at++ * size, t.tensor.data, size);
    }
    if (s == STATUS_OK && c.failed)
        s = wire_malformed(p);
    if (s == STATUS_OK && at != n)
        s = wire_fail(p, STATUS_INVALID, "the map has %zu keys and %zu values", n, at);
    return s;
}

/* Keys of a map, which are integers or strings: `n` of them are there. */
static void read_keys(struct str bytes, struct tensor *keys) {
    struct cursor c = wire_cursor(bytes);
    struct wire_field f;
    size_t at = 0;
    while (wire_next(&c, &f)) {
        size_t n = 0;
        if (f.number == 4 && f.type == WIRE_BYTES && keys->dtype == DTYPE_STRING)
            ((struct str *)keys->data)[at++] = f.bytes;
        if (f.number != 3 || keys->dtype == DTYPE_STRING || !wire_count(&f, WIRE_VARINT, &n))
            continue;
        struct cursor v = wire_cursor(f.bytes);
        for (size_t i = 0; i < n; i++)
            ((int64_t *)keys->data)[at++] =
                f.type == WIRE_VARINT ? (int64_t)f.value : (int64_t)wire_varint(&v);
    }
}

static enum status read_map(struct wire_path *p, struct str bytes, const struct type_info *type,
                            struct arena *arena, struct value *out) {
    /* MapProto: name = 1, key_type = 2, keys = 3, string_keys = 4, values = 5 (SequenceProto). */
    struct cursor c = wire_cursor(bytes);
    struct wire_field f;
    struct str values = {NULL, 0};
    size_t n = 0, many = 0;
    int64_t count = 0;
    const bool strings = type->key == DTYPE_STRING;
    while (wire_next(&c, &f)) {
        if (f.number == 5 && f.type == WIRE_BYTES)
            values = f.bytes;
        else if (strings ? f.number == 4 && f.type == WIRE_BYTES
                         : f.number == 3 && wire_count(&f, WIRE_VARINT, &many))
            n += strings ? 1 : many;
    }
    if (c.failed)
        return wire_malformed(p);
    if (!strings && type->key != DTYPE_INT64)
        return wire_fail(p, STATUS_UNSERVABLE, "maps with keys of type %s are not served",
                         dtype_name(type->key));
    struct value *items = arena_array(arena, 2, sizeof *items);
    if (!items)
        return arena_exhausted(arena, 2 * sizeof *items, p->error);
    items[0] = items[1] = (struct value){.kind = VALUE_TENSOR};
    count = (int64_t)n;
    struct tensor *keys = &items[0].tensor;
    enum status s = tensor_shape(keys, type->key, 1, &count, p->error);
    if (s == STATUS_OK && !(keys->data = arena_zalloc(arena, keys->bytes)))
        return arena_exhausted(arena, keys->bytes, p->error);
    if (s == STATUS_OK) {
        read_keys(bytes, keys);
        s = join_values(p, values, n, type->dtype, arena, &items[1].tensor);
    }
    if (s == STATUS_OK)
        *out = (struct value){.kind = VALUE_MAP, .items = items, .count = 2};
    return s;
}

static enum status read_sequence(struct wire_path *p, struct str bytes,
                                 const struct type_info *type, struct arena *arena,
                                 struct value *out) {
    /* SequenceProto: name = 1, elem_type = 2, tensor_values = 3, sparse = 4, sequences = 5,
     * map_values = 6. */
    struct value v = {.kind = VALUE_SEQUENCE, .item_dtype = type->dtype};
    enum status s = STATUS_OK;
    struct wire_field f;
    struct cursor c = wire_cursor(bytes);
    while (wire_next(&c, &f))
        v.count += (f.number == 3 || f.number == 6) && f.type == WIRE_BYTES;
    v.items = arena_array(arena, v.count, sizeof *v.items);
    if (!v.items)
        return arena_exhausted(arena, v.count * sizeof *v.items, p->error);
    size_t at = 0;
    c = wire_cursor(bytes);
    while (s == STATUS_OK && wire_next(&c, &f)) {
        if ((f.number != 3 && f.number != 6) || f.type != WIRE_BYTES)
            continue;
        if (f.number == 6) {
            s = read_map(p, f.bytes, type, arena, &v.items[at++]);
            continue;
        }
        struct graph_tensor t;
        s = proto_tensor(p, f.bytes, arena, &t);
        if (s == STATUS_OK)
            v.items[at++] = (struct value){.kind = VALUE_TENSOR, .tensor = t.tensor};
    }
    if (s == STATUS_OK && c.failed)
        s = wire_malformed(p);
    if (s == STATUS_OK)
        *out = v;
    return s;
}

enum status proto_value(struct wire_path *p, struct str bytes, const struct type_info *type,
                        struct arena *arena, struct value *out) {
    if (type->optional) {
        /* OptionalProto: name = 1, elem_type = 2 (0: nothing inside), tensor_value = 3,
         * sequence_value = 5. */
        struct cursor c = wire_cursor(bytes);
        struct wire_field f;
        struct type_info inside = *type;
        struct str content = {NULL, 0};
        bool found = false;
        inside.optional = false;
        while (wire_next(&c, &f))
            if ((f.number == 3 || f.number == 5) && f.type == WIRE_BYTES) {
                content = f.bytes;
                found = true;
            }
        if (c.failed)
            return wire_malformed(p);
        if (!found) {
            *out = (struct value){.kind = VALUE_NONE};
            return STATUS_OK;
        }
        return proto_value(p, content, &inside, arena, out);
    }
    if (type->kind == VALUE_SEQUENCE)
        return read_sequence(p, bytes, type, arena, out);
    if (type->kind == VALUE_MAP)
        return read_map(p, bytes, type, arena, out);
    struct graph_tensor t;
    enum status s = proto_tensor(p, bytes, arena, &t);
    if (s == STATUS_OK)
        *out = (struct value){.kind = VALUE_TENSOR, .tensor = t.tensor};
    return s;
}
