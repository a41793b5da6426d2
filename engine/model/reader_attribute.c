#include "engine/model/reader_attribute.h"

#include "base/checked.h"
#include "engine/model/proto.h"

enum {
    A_NAME = 1,
    A_F = 2,
    A_I = 3,
    A_S = 4,
    A_T = 5,
    A_G = 6,
    A_FLOATS = 7,
    A_INTS = 8,
    A_STRINGS = 9,
    A_TENSORS = 10,
    A_GRAPHS = 11,
    A_TP = 14,
    A_TYPE = 20,
    A_REF = 21,
    A_SPARSE = 22,
};

/* How often each repeated field occurs (elements, for numbers), and the single fields. */
struct counts {
    size_t floats, ints, strings, tensors, graphs, single_tensors, sparse;
    enum attr_type type; /* as declared */
};

static enum status count_fields(struct wire_path *p, struct str bytes, struct counts *out) {
    struct cursor c = wire_cursor(bytes);
    struct wire_field f;
    memset(out, 0, sizeof *out);
    while (wire_next(&c, &f)) {
        size_t n = 0;
        bool right = true, is_bytes = f.type == WIRE_BYTES;
        switch (f.number) {
        case A_NAME:
        case A_S:
        case A_TP:
        case A_REF:
            right = is_bytes;
            break;
        case A_F:
            right = f.type == WIRE_FIXED32;
            break;
        case A_I:
            right = f.type == WIRE_VARINT;
            break;
        case A_T:
            right = is_bytes;
            out->single_tensors++;
            break;
        case A_G:
        case A_GRAPHS:
            right = is_bytes;
            out->graphs++;
            break;
        case A_FLOATS:
            right = wire_count(&f, WIRE_FIXED32, &n);
            out->floats += n;
            break;
        case A_INTS:
            right = wire_count(&f, WIRE_VARINT, &n);
            out->ints += n;
            break;
        case A_STRINGS:
            right = is_bytes;
            out->strings++;
            break;
        case A_TENSORS:
            right = is_bytes;
            out->tensors++;
            break;
        case A_SPARSE:
            right = is_bytes;
            out->sparse++;
            break;
        case A_TYPE:
            right = f.type == WIRE_VARINT;
            out->type = f.value < 64 ? (enum attr_type)f.value : ATTR_NONE;
            break;
        default:
            break;
        }
        if (!right)
            return wire_fail(p, STATUS_INVALID, "field %u has another type than in the ONNX schema",
                             f.number);
    }
    return c.failed ? wire_malformed(p) : STATUS_OK;
}

static enum status add_array(struct wire_path *p, size_t count, size_t size, size_t *need) {
    size_t bytes = 0;
    if (count == 0)
        return STATUS_OK;
    if (!checked_mul(count, size, &bytes) || !checked_align(bytes, MEMORY_ALIGN, &bytes) ||
        !checked_add(*need, bytes, need))
        return wire_fail(p, STATUS_TOO_LARGE, "the attribute is too large");
    return STATUS_OK;
}

enum status reader_attribute_measure(struct wire_path *p, struct str bytes, size_t *need,
                                     enum status (*nested)(struct wire_path *p, struct str bytes,
                                                           size_t depth, size_t *need),
                                     size_t depth) {
    struct counts n;
    enum status s = count_fields(p, bytes, &n);
    if (s == STATUS_OK)
        s = add_array(p, n.floats, sizeof(float), need);
    if (s == STATUS_OK)
        s = add_array(p, n.ints, sizeof(int64_t), need);
    if (s == STATUS_OK)
        s = add_array(p, n.strings, sizeof(struct str), need);
    if (s != STATUS_OK || n.single_tensors + n.tensors + n.graphs + n.sparse == 0)
        return s;
    struct cursor c = wire_cursor(bytes);
    struct wire_field f;
    while (s == STATUS_OK && wire_next(&c, &f)) {
        if (f.number == A_T || f.number == A_TENSORS)
            s = proto_tensor_measure(p, f.bytes, need);
        else if (f.number == A_SPARSE)
            s = proto_sparse_measure(p, f.bytes, need);
        else if (f.number == A_G || f.number == A_GRAPHS)
            s = nested(p, f.bytes, depth + 1, need);
    }
    return s;
}

/* Arrays of the attribute while it is filled. */
struct arrays {
    float *floats;
    int64_t *ints;
    struct str *strings;
    struct graph_tensor *tensors;
    struct graph **graphs;
    size_t float_count, int_count, string_count, tensor_count, graph_count;
};

static enum status make_arrays(const struct reader_attribute_into *into, const struct counts *n,
                               struct arrays *a) {
    size_t tensors = n->single_tensors + n->tensors + n->sparse;
    bool ok =
        (n->floats == 0 || (a->floats = arena_array(into->weights, n->floats, 4))) &&
        (n->ints == 0 || (a->ints = arena_array(into->weights, n->ints, 8))) &&
        (n->strings == 0 ||
         (a->strings = arena_array(into->weights, n->strings, sizeof *a->strings))) &&
        (tensors == 0 || (a->tensors = arena_array(into->graph, tensors, sizeof *a->tensors))) &&
        (n->graphs == 0 ||
         (a->graphs = arena_array(into->graph, n->graphs, sizeof(struct graph *))));
    return ok ? STATUS_OK : arena_exhausted(into->weights, n->floats + n->ints, into->path->error);
}

static void add_floats(struct arrays *a, const struct wire_field *f) {
    if (f->type == WIRE_FIXED32) {
        uint32_t v = (uint32_t)f->value;
        memcpy(&a->floats[a->float_count++], &v, 4);
    } else if (f->bytes.size > 0) {
        memcpy(&a->floats[a->float_count], f->bytes.data, f->bytes.size);
        a->float_count += f->bytes.size / 4;
    }
}

static enum status add_ints(struct wire_path *p, struct arrays *a, const struct wire_field *f) {
    if (f->type == WIRE_VARINT) {
        a->ints[a->int_count++] = (int64_t)f->value;
        return STATUS_OK;
    }
    struct cursor c = wire_cursor(f->bytes);
    while (cursor_left(&c) > 0 && !c.failed)
        a->ints[a->int_count++] = (int64_t)wire_varint(&c);
    return c.failed ? wire_malformed(p) : STATUS_OK;
}

static enum status fill(const struct reader_attribute_into *into, const struct wire_field *f,
                        struct attribute *out, struct str *ref, struct arrays *a) {
    uint32_t bits = (uint32_t)f->value;
    switch (f->number) {
    case A_NAME:
        out->name = f->bytes;
        return STATUS_OK;
    case A_F:
        memcpy(&out->f, &bits, sizeof out->f);
        return STATUS_OK;
    case A_I:
        out->i = (int64_t)f->value;
        return STATUS_OK;
    case A_S:
        out->s = f->bytes;
        return STATUS_OK;
    case A_REF:
        *ref = f->bytes;
        return STATUS_OK;
    case A_T:
    case A_TENSORS:
        return proto_tensor(into->path, f->bytes, into->weights, &a->tensors[a->tensor_count++]);
    case A_SPARSE:
        return proto_sparse_tensor(into->path, f->bytes, into->weights,
                                   &a->tensors[a->tensor_count++]);
    case A_G:
    case A_GRAPHS:
        return into->read_graph(into->reader, into->scope, f->bytes, &a->graphs[a->graph_count++]);
    case A_FLOATS:
        add_floats(a, f);
        return STATUS_OK;
    case A_INTS:
        return add_ints(into->path, a, f);
    case A_STRINGS:
        a->strings[a->string_count++] = f->bytes;
        return STATUS_OK;
    case A_TP:
        out->type_info = arena_zalloc(into->graph, sizeof *out->type_info);
        if (!out->type_info)
            return arena_exhausted(into->graph, sizeof *out->type_info, into->path->error);
        return proto_type(into->path, f->bytes, out->type_info);
    default:
        return STATUS_OK;
    }
}

/* Old exporters leave the type out; then it is the one field that is there. */
static enum attr_type implied_type(const struct counts *n, const struct attribute *a) {
    if (n->floats)
        return ATTR_FLOATS;
    if (n->ints)
        return ATTR_INTS;
    if (n->strings)
        return ATTR_STRINGS;
    if (n->single_tensors)
        return ATTR_TENSOR;
    if (n->tensors)
        return ATTR_TENSORS;
    if (n->sparse)
        return ATTR_SPARSE_TENSOR;
    if (n->graphs)
        return ATTR_GRAPH;
    if (a->type_info)
        return ATTR_TYPE;
    if (a->s.data)
        return ATTR_STRING;
    return a->f != 0.0f ? ATTR_FLOAT : ATTR_INT;
}

enum status reader_attribute_read(const struct reader_attribute_into *into, struct str bytes,
                                  struct attribute *out, struct str *ref) {
    struct counts n;
    struct arrays a = {0};
    struct attribute r = {0};
    *ref = (struct str){NULL, 0};
    enum status s = count_fields(into->path, bytes, &n);
    if (s == STATUS_OK)
        s = make_arrays(into, &n, &a);
    struct cursor c = wire_cursor(bytes);
    struct wire_field f;
    while (s == STATUS_OK && wire_next(&c, &f))
        s = fill(into, &f, &r, ref, &a);
    if (s != STATUS_OK)
        return s;
    r.type = n.type != ATTR_NONE ? n.type : implied_type(&n, &r);
    bool single = r.type == ATTR_TENSOR || r.type == ATTR_GRAPH || r.type == ATTR_SPARSE_TENSOR;
    /* Only the array that the type says: count is its length and no other's. */
    r.ints = r.type == ATTR_INTS ? a.ints : NULL;
    r.floats = r.type == ATTR_FLOATS ? a.floats : NULL;
    r.strings = r.type == ATTR_STRINGS ? a.strings : NULL;
    r.graphs = r.type == ATTR_GRAPH || r.type == ATTR_GRAPHS ? a.graphs : NULL;
    r.tensors = r.type == ATTR_TENSORS || (single && r.type != ATTR_GRAPH) ? a.tensors : NULL;
    size_t counts[] = {[ATTR_FLOATS] = a.float_count,   [ATTR_INTS] = a.int_count,
                       [ATTR_STRINGS] = a.string_count, [ATTR_TENSORS] = a.tensor_count,
                       [ATTR_TENSOR] = a.tensor_count,  [ATTR_SPARSE_TENSOR] = a.tensor_count,
                       [ATTR_GRAPHS] = a.graph_count,   [ATTR_GRAPH] = a.graph_count};
    if ((size_t)r.type < sizeof counts / sizeof *counts)
        r.count = counts[r.type];
    if (ref->data == NULL && ((single && r.count != 1) || (r.type == ATTR_TYPE && !r.type_info))) {
        char text[80];
        return wire_fail(into->path, STATUS_INVALID,
                         "attribute \"%s\" does not hold what its type says",
                         graph_name_text(r.name, text, sizeof text));
    }
    if (r.type == ATTR_GRAPH && r.count == 1)
        r.g = a.graphs[0];
    *out = r;
    return STATUS_OK;
}
