/* Size arithmetic that cannot wrap. Every size that depends on outside input is computed with
 * these; each returns false, and leaves *out alone, where the result does not fit. */
#ifndef BASE_CHECKED_H
#define BASE_CHECKED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

__attribute__((warn_unused_result)) static inline bool checked_add(size_t a, size_t b,
                                                                   size_t *out) {
    size_t r;
    if (__builtin_add_overflow(a, b, &r))
        return false;
    *out = r;
    return true;
}

__attribute__((warn_unused_result)) static inline bool checked_mul(size_t a, size_t b,
                                                                   size_t *out) {
    size_t r;
    if (__builtin_mul_overflow(a, b, &r))
        return false;
    *out = r;
    return true;
}

/* Round `value` up to a multiple of `align`, a power of two. */
__attribute__((warn_unused_result)) static inline bool checked_align(size_t value, size_t align,
                                                                     size_t *out) {
    size_t r;
    if (__builtin_add_overflow(value, align - 1, &r))
        return false;
    *out = r & ~(align - 1);
    return true;
}

/* Product of `count` dimensions, each at least 0; false on a negative one or on overflow of
 * int64_t. The product of no dimensions is 1 (a scalar). */
__attribute__((warn_unused_result)) static inline bool checked_product(const int64_t *dims,
                                                                       size_t count, int64_t *out) {
    int64_t r = 1;
    for (size_t i = 0; i < count; i++)
        if (dims[i] < 0 || __builtin_mul_overflow(r, dims[i], &r))
            return false;
    *out = r;
    return true;
}

#endif
