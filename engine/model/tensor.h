/* Element types, tensors and values: what flows along the edges of a graph.
 *
 * A tensor is a view: it never owns its bytes, which lie in an arena (model/memory.h) whose owner
 * decides when they go. Elements are row-major and contiguous, little-endian as in memory, aligned
 * to their size. Strings are an array of struct str whose bytes lie in the same arena. The 4-bit
 * and 2-bit types are held one element a byte (int8_t/uint8_t), so that every element has an
 * address; 8-bit floats and bool are one byte.
 *
 * Dimensions of a tensor that is at hand are never negative. In declared types (struct type_info)
 * -1 stands for a dimension that varies, and rank -1 for a shape that was not declared.
 *
 * Threads: plain data, no locks. Input: sizes and dimensions come from a hostile model, so they
 * are only ever computed with tensor_shape, which checks them. */
#ifndef ENGINE_MODEL_TENSOR_H
#define ENGINE_MODEL_TENSOR_H

#include "base/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define TENSOR_MAX_RANK 12

/* Bytes with a length, not terminated. A name of the model points into the model's bytes. */
struct str {
    const char *data;
    size_t size;
};

/* Numbers of TensorProto.DataType (onnx.proto), bytes for an element here, name (numpy's). */
#define DTYPE_TABLE(ROW)                                                                           \
    ROW(FLOAT, 1, 4, "float32")                                                                    \
    ROW(UINT8, 2, 1, "uint8")                                                                      \
    ROW(INT8, 3, 1, "int8")                                                                        \
    ROW(UINT16, 4, 2, "uint16")                                                                    \
    ROW(INT16, 5, 2, "int16")                                                                      \
    ROW(INT32, 6, 4, "int32")                                                                      \
    ROW(INT64, 7, 8, "int64")                                                                      \
    ROW(STRING, 8, 16, "string")                                                                   \
    ROW(BOOL, 9, 1, "bool")                                                                        \
    ROW(FLOAT16, 10, 2, "float16")                                                                 \
    ROW(DOUBLE, 11, 8, "float64")                                                                  \
    ROW(UINT32, 12, 4, "uint32")                                                                   \
    ROW(UINT64, 13, 8, "uint64")                                                                   \
    ROW(COMPLEX64, 14, 8, "complex64")                                                             \
    ROW(COMPLEX128, 15, 16, "complex128")                                                          \
    ROW(BFLOAT16, 16, 2, "bfloat16")                                                               \
    ROW(FLOAT8E4M3FN, 17, 1, "float8e4m3fn")                                                       \
    ROW(FLOAT8E4M3FNUZ, 18, 1, "float8e4m3fnuz")                                                   \
    ROW(FLOAT8E5M2, 19, 1, "float8e5m2")                                                           \
    ROW(FLOAT8E5M2FNUZ, 20, 1, "float8e5m2fnuz")                                                   \
    ROW(UINT4, 21, 1, "uint4")                                                                     \
    ROW(INT4, 22, 1, "int4")                                                                       \
    ROW(FLOAT4E2M1, 23, 1, "float4e2m1")                                                           \
    ROW(FLOAT8E8M0, 24, 1, "float8e8m0")                                                           \
    ROW(UINT2, 25, 1, "uint2")                                                                     \
    ROW(INT2, 26, 1, "int2")                                                                       \
    ROW(FLOAT6E2M3, 27, 1, "float6e2m3")                                                           \
    ROW(FLOAT6E3M2, 28, 1, "float6e3m2")

enum dtype {
    DTYPE_NONE = 0,
#define ROW(name, number, size, text) DTYPE_##name = number,
    DTYPE_TABLE(ROW)
#undef ROW
        DTYPE_COUNT
};

struct tensor {
    enum dtype dtype;
    int rank;
    int64_t dims[TENSOR_MAX_RANK];
    int64_t count; /* product of dims */
    size_t bytes;  /* count * size of an element */
    void *data;    /* NULL: the value is not known (yet); never NULL where it is, even if empty */
};

enum value_kind {
    VALUE_NONE = 0, /* absent: an optional input left out, or an empty optional */
    VALUE_TENSOR,
    VALUE_SEQUENCE, /* items[0..count): tensors, or maps */
    VALUE_MAP,      /* items[0]: keys (int64 or string), items[1]: values, both 1-D tensors */
};

/* An optional that holds something is that something; an empty one is VALUE_NONE. */
struct value {
    enum value_kind kind;
    struct tensor tensor; /* VALUE_TENSOR */
    struct value *items;  /* VALUE_SEQUENCE, VALUE_MAP */
    size_t count;
    enum dtype item_dtype; /* VALUE_SEQUENCE: element type where known, for an empty one */
};

/* A type as the model declares it (TypeProto). */
struct type_info {
    enum value_kind kind; /* VALUE_NONE: not declared */
    bool optional;
    enum dtype dtype; /* of the tensor, of a sequence's tensors, or of a map's values */
    enum dtype key;   /* of a map */
    int rank;         /* -1: not declared */
    int64_t dims[TENSOR_MAX_RANK];
    struct str symbols[TENSOR_MAX_RANK]; /* name of a varying dimension, where it has one */
};

/* Bytes of one element, 0 for a number that is not in the table. */
size_t dtype_size(enum dtype dtype);
/* Bits of one element where TensorProto packs elements closer than bytes: 2, 4 or 6; else 0. */
unsigned dtype_packed_bits(enum dtype dtype);
/* "float32"...; "unknown" for a number that is not in the table. */
const char *dtype_name(enum dtype dtype);
bool dtype_is_float(enum dtype dtype);      /* float16, bfloat16, float32, float64 */
bool dtype_is_integer(enum dtype dtype);    /* (u)int8 to (u)int64; not bool, not 4-bit or 2-bit */
bool dtype_is_tiny_float(enum dtype dtype); /* the 8-bit, 6-bit and 4-bit floats */

/* Set dtype, rank, dims, count and bytes of *t and data to NULL. STATUS_INVALID on an unknown
 * type, a rank past TENSOR_MAX_RANK, a negative dimension, or a size past SIZE_MAX / 4. */
MUST_USE enum status tensor_shape(struct tensor *t, enum dtype dtype, int rank, const int64_t *dims,
                                  struct error *error);
bool tensor_same_shape(const struct tensor *a, const struct tensor *b);
/* "[1,3,224,224]" into text[0..size), always terminated; returns text. -1 is shown as it is. */
const char *tensor_dims_text(const int64_t *dims, int rank, char *text, size_t size);
/* Product of dims[from..to); the tensor's shape was checked, so it cannot overflow unless a zero
 * dimension lies outside the range: such a product is cut at INT64_MAX. */
int64_t tensor_span(const struct tensor *t, int from, int to);

static inline bool str_is(struct str s, const char *text) {
    size_t n = strlen(text);
    return s.size == n && (n == 0 || memcmp(s.data, text, n) == 0);
}
static inline bool str_equal(struct str a, struct str b) {
    return a.size == b.size && (a.size == 0 || memcmp(a.data, b.data, a.size) == 0);
}

#endif
