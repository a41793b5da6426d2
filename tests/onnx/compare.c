#include "tests/onnx/compare.h"

#include "engine/model/half.h"

#include <math.h>
#include <stdio.h>

static double element(const struct tensor *t, int64_t i) {
    switch (t->dtype) {
    case DTYPE_FLOAT:
        return (double)((const float *)t->data)[i];
    case DTYPE_DOUBLE:
        return ((const double *)t->data)[i];
    case DTYPE_FLOAT16:
        return (double)half_to_float(((const uint16_t *)t->data)[i]);
    case DTYPE_BFLOAT16:
        return (double)half_bf16_to_float(((const uint16_t *)t->data)[i]);
    default:
        return (double)half_f8_to_float(t->dtype, ((const uint8_t *)t->data)[i]);
    }
}

/* Size of one unit in the last place of `v` in its own format. */
static double ulp_of(enum dtype dtype, double v) {
    int bits = dtype == DTYPE_DOUBLE     ? 52
               : dtype == DTYPE_FLOAT    ? 23
               : dtype == DTYPE_FLOAT16  ? 10
               : dtype == DTYPE_BFLOAT16 ? 7
                                         : 2;
    int exponent = 0;
    (void)frexp(v, &exponent);
    return ldexp(1.0, exponent - 1 - bits);
}

static bool close_enough(enum dtype dtype, double got, double want,
                         const struct case_tolerance *t) {
    if (isnan(got) || isnan(want))
        return isnan(got) && isnan(want);
    if (isinf(got) || isinf(want))
        return got == want;
    double difference = fabs(got - want);
    if (difference <= t->atol + t->rtol * fabs(want))
        return true;
    return t->ulp > 0 && difference <= t->ulp * ulp_of(dtype, want);
}

/* What a step of a quantised type is for. */
static bool within_steps(const struct tensor *got, const struct tensor *want, int64_t i,
                         double steps) {
    double a = 0, b = 0;
    switch (got->dtype) {
    case DTYPE_INT8:
        a = ((const int8_t *)got->data)[i];
        b = ((const int8_t *)want->data)[i];
        break;
    case DTYPE_UINT8:
        a = ((const uint8_t *)got->data)[i];
        b = ((const uint8_t *)want->data)[i];
        break;
    case DTYPE_INT16:
        a = ((const int16_t *)got->data)[i];
        b = ((const int16_t *)want->data)[i];
        break;
    case DTYPE_UINT16:
        a = ((const uint16_t *)got->data)[i];
        b = ((const uint16_t *)want->data)[i];
        break;
    default:
        return false;
    }
    return fabs(a - b) <= steps;
}

static bool is_float(enum dtype d) {
    return dtype_is_float(d) || dtype_is_tiny_float(d);
}

static bool compare_floats(const struct tensor *got, const struct tensor *want,
                           const struct case_tolerance *t, char *reason, size_t size) {
    int64_t wrong = 0, first = -1;
    double worst = 0;
    for (int64_t i = 0; i < got->count; i++) {
        double a = element(got, i), b = element(want, i);
        if (close_enough(got->dtype, a, b, t))
            continue;
        if (wrong++ == 0)
            first = i;
        if (fabs(a - b) > worst)
            worst = fabs(a - b);
    }
    if (wrong == 0)
        return true;
    snprintf(reason, size,
             "%lld of %lld elements differ, at most by %g; element %lld is %.9g, not %.9g",
             (long long)wrong, (long long)got->count, worst, (long long)first, element(got, first),
             element(want, first));
    return false;
}

static bool compare_shapes(const struct tensor *got, const struct tensor *want, char *reason,
                           size_t size) {
    char a[160], b[160];
    if (got->dtype != want->dtype) {
        snprintf(reason, size, "type is %s, not %s", dtype_name(got->dtype),
                 dtype_name(want->dtype));
        return false;
    }
    if (!tensor_same_shape(got, want)) {
        snprintf(reason, size, "shape is %s, not %s",
                 tensor_dims_text(got->dims, got->rank, a, sizeof a),
                 tensor_dims_text(want->dims, want->rank, b, sizeof b));
        return false;
    }
    return true;
}

static bool compare_tensors(const struct tensor *got, const struct tensor *want,
                            const struct case_tolerance *t, char *reason, size_t size) {
    if (!compare_shapes(got, want, reason, size))
        return false;
    if (is_float(got->dtype))
        return compare_floats(got, want, t, reason, size);
    if (got->dtype == DTYPE_COMPLEX64 || got->dtype == DTYPE_COMPLEX128) {
        struct tensor x = *got, y = *want;
        x.dtype = y.dtype = got->dtype == DTYPE_COMPLEX64 ? DTYPE_FLOAT : DTYPE_DOUBLE;
        x.count = y.count = got->count * 2;
        return compare_floats(&x, &y, t, reason, size);
    }
    for (int64_t i = 0; i < got->count; i++) {
        size_t width = dtype_size(got->dtype), at = (size_t)i * width;
        bool same =
            got->dtype == DTYPE_STRING
                ? str_equal(((const struct str *)got->data)[i], ((const struct str *)want->data)[i])
                : memcmp((const char *)got->data + at, (const char *)want->data + at, width) == 0;
        if (same || within_steps(got, want, i, t->steps))
            continue;
        int64_t x = 0, y = 0;
        if (width <= 8) {
            memcpy(&x, (const char *)got->data + at, width);
            memcpy(&y, (const char *)want->data + at, width);
        }
        snprintf(reason, size, "element %lld of %s differs: %#llx, not %#llx", (long long)i,
                 dtype_name(got->dtype), (unsigned long long)x, (unsigned long long)y);
        return false;
    }
    return true;
}

bool compare_values(const struct value *got, const struct value *want,
                    const struct case_tolerance *t, char *reason, size_t size) {
    if (got->kind != want->kind) {
        snprintf(reason, size, "kind of value is %d, not %d", got->kind, want->kind);
        return false;
    }
    if (got->kind == VALUE_TENSOR)
        return compare_tensors(&got->tensor, &want->tensor, t, reason, size);
    if (got->count != want->count) {
        snprintf(reason, size, "%zu items, not %zu", got->count, want->count);
        return false;
    }
    for (size_t i = 0; i < got->count; i++) {
        const struct value *a = &got->items[i], *b = &want->items[i];
        /* A map's two tensors are next, and nothing is inside those. */
        bool map = a->kind == VALUE_MAP && b->kind == VALUE_MAP;
        for (size_t k = 0; k < (map ? 2 : 1); k++) {
            char inner[256];
            if (a->kind == b->kind &&
                compare_tensors(map ? &a->items[k].tensor : &a->tensor,
                                map ? &b->items[k].tensor : &b->tensor, t, inner, sizeof inner))
                continue;
            snprintf(reason, size, "item %zu: %s", i, a->kind == b->kind ? inner : "other kind");
            return false;
        }
    }
    return true;
}

bool compare_kinds(const struct value *got, const struct value *want, char *reason, size_t size) {
    if (got->kind == VALUE_TENSOR && want->kind == VALUE_TENSOR)
        return compare_shapes(&got->tensor, &want->tensor, reason, size);
    snprintf(reason, size, "kind of value is %d, not %d", got->kind, want->kind);
    return got->kind == want->kind;
}
