/* A small ONNX model, written by hand (onnx.proto), so that tests need nothing else: one node, one
 * input, one output of the same one-dimensional type, and perhaps one float32 initialiser "w" of
 * the same shape as the node's second input. */
#ifndef TESTS_BOUNDARY_ONNX_BYTES_H
#define TESTS_BOUNDARY_ONNX_BYTES_H

#include <stddef.h>
#include <stdint.h>

struct onnx_bytes {
    const char *operation; /* "Add", "Identity" */
    const char *input, *output;
    unsigned type;     /* TensorProto.DataType */
    int64_t dimension; /* -1: one that varies */
    const void *weights;
    size_t weights_size; /* 0: no initialiser */
};

/* Bytes written, 0 where they do not fit. */
size_t onnx_bytes_write(const struct onnx_bytes *model, uint8_t *out, size_t capacity);

#endif
