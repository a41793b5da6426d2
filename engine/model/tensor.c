#include "engine/model/tensor.h"

#include "base/checked.h"

#include <inttypes.h>
#include <stdio.h>

static const struct {
    size_t size;
    const char *name;
} dtypes[DTYPE_COUNT] = {
#define ROW(name, number, bytes, text) [DTYPE_##name] = {bytes, text},
    DTYPE_TABLE(ROW)
#undef ROW
};

_Static_assert(sizeof(struct str) == 16, "the table gives 16 bytes for a string element");

size_t dtype_size(enum dtype dtype) {
    return (unsigned)dtype < DTYPE_COUNT ? dtypes[dtype].size : 0;
}

unsigned dtype_packed_bits(enum dtype dtype) {
    switch (dtype) {
    case DTYPE_UINT4:
    case DTYPE_INT4:
    case DTYPE_FLOAT4E2M1:
        return 4;
    case DTYPE_UINT2:
    case DTYPE_INT2:
        return 2;
    case DTYPE_FLOAT6E2M3:
    case DTYPE_FLOAT6E3M2:
        return 6;
    default:
        return 0;
    }
}

bool dtype_is_tiny_float(enum dtype dtype) {
    return (dtype >= DTYPE_FLOAT8E4M3FN && dtype <= DTYPE_FLOAT8E5M2FNUZ) ||
           dtype == DTYPE_FLOAT4E2M1 || dtype == DTYPE_FLOAT8E8M0 || dtype == DTYPE_FLOAT6E2M3 ||
           dtype == DTYPE_FLOAT6E3M2;
}

const char *dtype_name(enum dtype dtype) {
    return (unsigned)dtype < DTYPE_COUNT && dtypes[dtype].name ? dtypes[dtype].name : "unknown";
}

bool dtype_is_float(enum dtype dtype) {
    return dtype == DTYPE_FLOAT || dtype == DTYPE_DOUBLE || dtype == DTYPE_FLOAT16 ||
           dtype == DTYPE_BFLOAT16;
}

static bool is_unsigned(enum dtype dtype) {
    return dtype == DTYPE_UINT8 || dtype == DTYPE_UINT16 || dtype == DTYPE_UINT32 ||
           dtype == DTYPE_UINT64;
}

bool dtype_is_integer(enum dtype dtype) {
    return is_unsigned(dtype) || dtype == DTYPE_INT8 || dtype == DTYPE_INT16 ||
           dtype == DTYPE_INT32 || dtype == DTYPE_INT64;
}

enum status tensor_shape(struct tensor *t, enum dtype dtype, int rank, const int64_t *dims,
                         struct error *error) {
    char text[160];
    size_t size = dtype_size(dtype), bytes = 0;
    int64_t count = 0;
    if (size == 0)
        return status_fail(error, STATUS_INVALID, "element type %d is not known", (int)dtype);
    if (rank < 0 || rank > TENSOR_MAX_RANK)
        return status_fail(error, STATUS_INVALID,
                           "a tensor has %d dimensions, at most %d are served", rank,
                           TENSOR_MAX_RANK);
    for (int i = 0; i < rank; i++)
        if (dims[i] < 0)
            return status_fail(error, STATUS_INVALID, "shape %s has a negative dimension",
                               tensor_dims_text(dims, rank, text, sizeof text));
    if (!checked_product(dims, (size_t)rank, &count) || !checked_mul((size_t)count, size, &bytes) ||
        bytes > SIZE_MAX / 4)
        return status_fail(error, STATUS_INVALID, "a tensor of shape %s is too large",
                           tensor_dims_text(dims, rank, text, sizeof text));
    memset(t, 0, sizeof *t);
    t->dtype = dtype;
    t->rank = rank;
    if (rank > 0)
        memcpy(t->dims, dims, (size_t)rank * sizeof *dims);
    t->count = count;
    t->bytes = bytes;
    return STATUS_OK;
}

bool tensor_same_shape(const struct tensor *a, const struct tensor *b) {
    return a->rank == b->rank && memcmp(a->dims, b->dims, (size_t)a->rank * sizeof a->dims[0]) == 0;
}

const char *tensor_dims_text(const int64_t *dims, int rank, char *text, size_t size) {
    size_t used = 0;
    if (size == 0)
        return text;
    text[0] = '\0';
    for (int i = -1; i <= rank; i++) {
        int n = i < 0 ? snprintf(text, size, "[")
                : i == rank
                    ? snprintf(text + used, size - used, "]")
                    : snprintf(text + used, size - used, "%s%" PRId64, i > 0 ? "," : "", dims[i]);
        if (n < 0 || (size_t)n >= size - used)
            break;
        used += (size_t)n;
    }
    return text;
}

int64_t tensor_span(const struct tensor *t, int from, int to) {
    int64_t r = 1;
    for (int i = from; i < to; i++)
        if (__builtin_mul_overflow(r, t->dims[i], &r))
            return INT64_MAX;
    return r;
}
