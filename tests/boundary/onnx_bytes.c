#include "tests/boundary/onnx_bytes.h"

#include "base/buf.h"

#include <string.h>

static void put_varint(struct buf *b, uint64_t v) {
    for (; v >= 0x80; v >>= 7)
        buf_u8(b, (uint8_t)(v | 0x80));
    buf_u8(b, (uint8_t)v);
}

static void put_number(struct buf *b, unsigned field, uint64_t v) {
    put_varint(b, field << 3);
    put_varint(b, v);
}

static void put_bytes(struct buf *b, unsigned field, const void *data, size_t size) {
    put_varint(b, field << 3 | 2);
    put_varint(b, size);
    buf_bytes(b, data, size);
}

static void put_text(struct buf *b, unsigned field, const char *text) {
    put_bytes(b, field, text, strlen(text));
}

static void put_port(struct buf *graph, unsigned field, const struct onnx_bytes *m,
                     const char *name) {
    uint8_t space[5][512];
    struct buf dim = buf_of(space[0], 512), shape = buf_of(space[1], 512),
               tensor = buf_of(space[2], 512), type = buf_of(space[3], 512),
               port = buf_of(space[4], 512);
    if (m->dimension >= 0)
        put_number(&dim, 1, (uint64_t)m->dimension);
    else
        put_text(&dim, 2, "n");
    put_bytes(&shape, 1, dim.data, dim.size);
    put_number(&tensor, 1, m->type);
    put_bytes(&tensor, 2, shape.data, shape.size);
    put_bytes(&type, 1, tensor.data, tensor.size);
    put_text(&port, 1, name);
    put_bytes(&port, 2, type.data, type.size);
    put_bytes(graph, field, port.data, port.size);
}

size_t onnx_bytes_write(const struct onnx_bytes *m, uint8_t *out, size_t capacity) {
    uint8_t node_space[1024], opset_space[16], tensor_space[8192], graph_space[12288];
    struct buf node = buf_of(node_space, sizeof node_space);
    struct buf opset = buf_of(opset_space, sizeof opset_space);
    struct buf tensor = buf_of(tensor_space, sizeof tensor_space);
    struct buf graph = buf_of(graph_space, sizeof graph_space);
    struct buf model = buf_of(out, capacity);
    put_text(&node, 1, m->input);
    if (m->weights_size)
        put_text(&node, 1, "w");
    put_text(&node, 2, m->output);
    put_text(&node, 4, m->operation);
    put_bytes(&graph, 1, node.data, node.size);
    put_text(&graph, 2, "g");
    if (m->weights_size) {
        put_number(&tensor, 1, (uint64_t)m->dimension);
        put_number(&tensor, 2, 1);
        put_text(&tensor, 8, "w");
        put_bytes(&tensor, 9, m->weights, m->weights_size);
        put_bytes(&graph, 5, tensor.data, tensor.size);
    }
    put_port(&graph, 11, m, m->input);
    put_port(&graph, 12, m, m->output);
    put_number(&opset, 2, 17);
    put_number(&model, 1, 8);
    put_bytes(&model, 7, graph.data, graph.size);
    put_bytes(&model, 8, opset.data, opset.size);
    return node.failed || tensor.failed || graph.failed || model.failed ? 0 : model.size;
}
