/* Conversion of elements from one type to another: Cast, and operators whose inputs differ in type.
 *
 * Floats to integers are cut towards zero; NaN and what lies outside of int64 (uint64 for that
 * type) give the least int64, and integers too large for the type wrap, as on most processors.
 * Strings are not served here.
 *
 * Pure. */
#ifndef ENGINE_OPS_CONVERT_H
#define ENGINE_OPS_CONVERT_H

#include "engine/model/tensor.h"

/* False where one of the types has no conversion (strings, complex numbers). */
bool convert_possible(enum dtype from, enum dtype to);
/* `saturate` is for the 8-bit floats. `from` and `to` must not overlap. */
void convert_elements(enum dtype from, const void *in, enum dtype to, void *out, size_t count,
                      bool saturate);

#endif
