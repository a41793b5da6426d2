/* Conversions between float and the narrow storage formats: IEEE 754 binary16, bfloat16 (the upper
 * half of binary32) and the 8-bit, 6-bit and 4-bit floats of the ONNX specification ("Float stored
 * in 8 bits", "Float stored in 4 bits", Cast-28 for 6 bits). Narrowing rounds to nearest even; NaN
 * stays NaN.
 *
 * Pure functions; any bit pattern is valid input. */
#ifndef ENGINE_MODEL_HALF_H
#define ENGINE_MODEL_HALF_H

#include "engine/model/tensor.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

float half_to_float(uint16_t h);
uint16_t half_from_float(float f);
uint16_t half_from_double(double d); /* one rounding, not two */
float half_bf16_to_float(uint16_t b);
uint16_t half_bf16_from_float(float f);

/* The types of dtype_is_tiny_float by their dtype. `saturate`: too large becomes the largest finite
 * value, else the format's infinity or NaN. */
float half_f8_to_float(enum dtype dtype, uint8_t v);
/* A power of two (FLOAT8E8M0), from the magnitude of f: to the next above, to the next below, or
 * to the nearest, halves up. */
enum half_round { HALF_UP, HALF_DOWN, HALF_NEAREST };
uint8_t half_e8m0_from_float(float f, bool saturate, enum half_round round);
uint8_t half_f8_from_float(enum dtype dtype, float f, bool saturate);

/* Whole arrays; dtype is FLOAT, FLOAT16, BFLOAT16 or DOUBLE. */
void half_widen(enum dtype dtype, const void *from, float *to, size_t count);
void half_narrow(enum dtype dtype, const float *from, void *to, size_t count);

#endif
