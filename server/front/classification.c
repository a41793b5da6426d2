#include "server/front/classification.h"

#include "base/checked.h"
#include "server/front/json_writer.h"
#include "server/front/oip_type.h"

#include <endian.h>
#include <string.h>

#define SIGN UINT64_C(0x8000000000000000)
#define NOT_A_NUMBER 0 /* the key below all others */

bool classification_takes(uint32_t onnx) {
    switch (onnx) {
    case OIP_FP32:
    case OIP_FP64:
    case OIP_INT8:
    case OIP_INT16:
    case OIP_INT32:
    case OIP_INT64:
    case OIP_UINT8:
    case OIP_UINT16:
    case OIP_UINT32:
    case OIP_UINT64:
        return true;
    default:
        return false;
    }
}

bool classification_shape_of(const struct oip_port *port, const struct ring_tensor *tensor,
                             uint32_t wanted, struct classification_shape *shape) {
    bool batch = port->rank >= 1 && port->dims[0] == -1 && tensor->rank >= 1;
    int64_t row;
    if (!checked_product(tensor->dims + batch, tensor->rank - batch, &row))
        return false;
    shape->batch = batch;
    shape->rows = batch ? (size_t)tensor->dims[0] : 1;
    shape->row_size = (size_t)row;
    shape->kept = shape->row_size < wanted ? shape->row_size : wanted;
    return true;
}

/* --- order --------------------------------------------------------------------------------- */

/* Floats order as their bits do, once the sign is out of the way: those of negative ones turned
 * round, that of others set. No number gets the key of NaN: it would have to be one itself. */
static uint64_t key_of_double(double value) {
    uint64_t bits;
    if (value != value)
        return NOT_A_NUMBER;
    if (value == 0)
        value = 0; /* one zero */
    memcpy(&bits, &value, sizeof bits);
    return bits & SIGN ? ~bits : bits | SIGN;
}

static double double_of_key(uint64_t key) {
    double value;
    uint64_t bits = key & SIGN ? key & ~SIGN : ~key;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static bool is_signed(uint32_t onnx) {
    return onnx == OIP_INT8 || onnx == OIP_INT16 || onnx == OIP_INT32 || onnx == OIP_INT64;
}

static uint64_t key_at(uint32_t onnx, size_t size, const uint8_t *at) {
    float narrow;
    double wide;
    uint64_t raw = 0;
    if (onnx == OIP_FP32) {
        memcpy(&narrow, at, sizeof narrow);
        return key_of_double(narrow); /* exact, and order stays */
    }
    if (onnx == OIP_FP64) {
        memcpy(&wide, at, sizeof wide);
        return key_of_double(wide);
    }
    memcpy(&raw, at, size);
    raw = le64toh(raw);
    if (!is_signed(onnx))
        return raw;
    unsigned shift = 64 - (unsigned)size * 8;
    return (uint64_t)((int64_t)(raw << shift) >> shift) ^ SIGN;
}

/* Does a come after b in the answer? */
static bool after(const struct classification_rank *a, const struct classification_rank *b) {
    return a->key != b->key ? a->key < b->key : a->index > b->index;
}

/* Restore the heap below `at`: the root is what comes last in the answer. */
static void sink(struct classification_rank *heap, size_t count, size_t at) {
    for (;;) {
        size_t child = 2 * at + 1;
        if (child >= count)
            return;
        if (child + 1 < count && after(&heap[child + 1], &heap[child]))
            child++;
        if (!after(&heap[child], &heap[at]))
            return;
        struct classification_rank moved = heap[at];
        heap[at] = heap[child];
        heap[child] = moved;
        at = child;
    }
}

static void rank_row(size_t row_size, size_t kept, uint32_t onnx, size_t size, const uint8_t *data,
                     struct classification_rank *heap) {
    for (size_t i = 0; i < row_size; i++) {
        const struct classification_rank next = {key_at(onnx, size, data + i * size), i};
        if (i < kept) {
            heap[i] = next;
            if (i + 1 == kept)
                for (size_t at = kept / 2; at-- > 0;)
                    sink(heap, kept, at);
        } else if (after(&heap[0], &next)) {
            heap[0] = next;
            sink(heap, kept, 0);
        }
    }
    for (size_t left = kept; left-- > 1;) {
        struct classification_rank last = heap[0];
        heap[0] = heap[left];
        heap[left] = last;
        sink(heap, left, 0);
    }
}

void classification_rank(const struct classification_shape *shape, uint32_t onnx,
                         const uint8_t *data, struct classification_rank *ranks) {
    const size_t size = oip_type_of(onnx)->size;
    if (!shape->kept) /* rows without elements may be as many as a number can say */
        return;
    for (size_t row = 0; row < shape->rows; row++)
        rank_row(shape->row_size, shape->kept, onnx, size, data + row * shape->row_size * size,
                 ranks + row * shape->kept);
}

/* --- text ---------------------------------------------------------------------------------- */

static void write_double(uint32_t onnx, uint64_t key, struct buf *out) {
    if (key == NOT_A_NUMBER) {
        buf_string(out, "nan");
        return;
    }
    double value = double_of_key(key);
    bool finite =
        onnx == OIP_FP32 ? json_writer_f32(out, (float)value) : json_writer_f64(out, value);
    if (!finite)
        buf_string(out, value > 0 ? "inf" : "-inf");
}

void classification_text(const struct oip_port *port, const struct classification_rank *rank,
                         struct buf *out) {
    const struct oip_labels *labels = &port->labels;
    if (port->type == OIP_FP32 || port->type == OIP_FP64)
        write_double(port->type, rank->key, out);
    else if (is_signed(port->type))
        json_writer_i64(out, (int64_t)(rank->key ^ SIGN));
    else
        json_writer_u64(out, rank->key);
    buf_u8(out, ':');
    json_writer_u64(out, rank->index);
    if (rank->index >= labels->count)
        return;
    size_t begin = rank->index ? labels->ends[rank->index - 1] : 0;
    buf_u8(out, ':');
    buf_bytes(out, labels->text + begin, labels->ends[rank->index] - begin);
}
