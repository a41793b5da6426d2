/* The datatypes of the Open Inference Protocol v2 and the ONNX element types behind them.
 *
 * `onnx` numbers are TensorProto.DataType. BYTES is ONNX's string: in memory each element is a u32
 * length, little-endian, and its bytes. FP16 and BF16 have no JSON form. */
#ifndef FRONT_OIP_TYPE_H
#define FRONT_OIP_TYPE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum oip_onnx {
    OIP_FP32 = 1,
    OIP_UINT8 = 2,
    OIP_INT8 = 3,
    OIP_UINT16 = 4,
    OIP_INT16 = 5,
    OIP_INT32 = 6,
    OIP_INT64 = 7,
    OIP_BYTES = 8,
    OIP_BOOL = 9,
    OIP_FP16 = 10,
    OIP_FP64 = 11,
    OIP_UINT32 = 12,
    OIP_UINT64 = 13,
    OIP_BF16 = 16,
};

struct oip_type {
    const char *name;
    uint32_t onnx;
    size_t size; /* bytes of an element; 0 for BYTES */
    bool json;   /* has a JSON form */
};

/* NULL where there is none of that name or number. */
const struct oip_type *oip_type_named(const char *name, size_t length);
const struct oip_type *oip_type_of(uint32_t onnx);

#endif
