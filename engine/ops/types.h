/* Lists of element types for code that is the same for each: X(NAME, C type). A function template
 * is a macro that takes the C type, and a switch over the list calls it:
 *
 *     #define CASE(name, type) case DTYPE_##name: neg_##name(from, to, n); break;
 *     switch (t->dtype) { TYPES_SIGNED(CASE) default: return op_fail(...); }
 *     #undef CASE
 */
#ifndef ENGINE_OPS_TYPES_H
#define ENGINE_OPS_TYPES_H

#include <stdint.h>

#define TYPES_SIGNED_INT(X) X(INT8, int8_t) X(INT16, int16_t) X(INT32, int32_t) X(INT64, int64_t)
#define TYPES_UNSIGNED_INT(X)                                                                      \
    X(UINT8, uint8_t) X(UINT16, uint16_t) X(UINT32, uint32_t) X(UINT64, uint64_t)
#define TYPES_INT(X) TYPES_SIGNED_INT(X) TYPES_UNSIGNED_INT(X)
#define TYPES_WIDE_FLOAT(X) X(FLOAT, float) X(DOUBLE, double)
#define TYPES_NUMBER(X) TYPES_INT(X) TYPES_WIDE_FLOAT(X)

#endif
