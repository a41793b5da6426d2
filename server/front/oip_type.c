#include "server/front/oip_type.h"

#include <string.h>

static const struct oip_type types[] = {
    {"FP32", OIP_FP32, 4, true},     {"INT64", OIP_INT64, 8, true},
    {"BYTES", OIP_BYTES, 0, true},   {"BOOL", OIP_BOOL, 1, true},
    {"UINT8", OIP_UINT8, 1, true},   {"UINT16", OIP_UINT16, 2, true},
    {"UINT32", OIP_UINT32, 4, true}, {"UINT64", OIP_UINT64, 8, true},
    {"INT8", OIP_INT8, 1, true},     {"INT16", OIP_INT16, 2, true},
    {"INT32", OIP_INT32, 4, true},   {"FP16", OIP_FP16, 2, false},
    {"BF16", OIP_BF16, 2, false},    {"FP64", OIP_FP64, 8, true},
};

const struct oip_type *oip_type_named(const char *name, size_t length) {
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (strlen(types[i].name) == length && memcmp(types[i].name, name, length) == 0)
            return &types[i];
    return NULL;
}

const struct oip_type *oip_type_of(uint32_t onnx) {
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (types[i].onnx == onnx)
            return &types[i];
    return NULL;
}
