#include "engine/ops/strided.h"

#define GRAIN 16384 /* elements */

struct job {
    const char *from;
    char *out;
    int rank; /* outer dimensions */
    int64_t dims[2 * TENSOR_MAX_RANK], strides[2 * TENSOR_MAX_RANK];
    int64_t inner, inner_stride;
    size_t size;
};

struct sixteen {
    uint64_t low, high;
};

#define GATHER(type)                                                                               \
    {                                                                                              \
        const type *s = (const type *)from;                                                        \
        type *t = (type *)to;                                                                      \
        for (int64_t i = 0; i < n; i++)                                                            \
            t[i] = s[i * step];                                                                    \
        break;                                                                                     \
    }

static void copy_row(const char *from, int64_t step, char *to, int64_t n, size_t size) {
    if (step == 1) {
        memcpy(to, from, (size_t)n * size);
        return;
    }
    switch (size) {
    case 1:
        GATHER(uint8_t)
    case 2:
        GATHER(uint16_t)
    case 4:
        GATHER(uint32_t)
    case 8:
        GATHER(uint64_t)
    default:
        GATHER(struct sixteen)
    }
}

static void rows(void *arg, size_t begin, size_t end) {
    const struct job *j = arg;
    int64_t at[2 * TENSOR_MAX_RANK], offset = 0;
    size_t rest = begin;
    for (int d = j->rank - 1; d >= 0; d--) {
        at[d] = (int64_t)(rest % (size_t)j->dims[d]);
        rest /= (size_t)j->dims[d];
        offset += at[d] * j->strides[d];
    }
    char *to = j->out + begin * (size_t)j->inner * j->size;
    for (size_t row = begin; row < end; row++) {
        copy_row(j->from + offset * (int64_t)j->size, j->inner_stride, to, j->inner, j->size);
        to += (size_t)j->inner * j->size;
        for (int d = j->rank - 1; d >= 0; d--) {
            offset += j->strides[d];
            if (++at[d] < j->dims[d])
                break;
            offset -= j->dims[d] * j->strides[d];
            at[d] = 0;
        }
    }
}

void strided_steps(const struct tensor *t, int64_t *strides) {
    int64_t step = 1;
    for (int d = t->rank - 1; d >= 0; d--) {
        strides[d] = step;
        step *= t->dims[d];
    }
}

void strided_copy(struct op_ctx *c, const void *from, void *out, int rank, const int64_t *dims,
                  const int64_t *strides, size_t size) {
    struct job j = {.from = from, .out = out, .inner = 1, .inner_stride = 1, .size = size};
    int64_t merged[2 * TENSOR_MAX_RANK], steps[2 * TENSOR_MAX_RANK], count = 1;
    int n = 0; /* innermost first */
    for (int d = rank - 1; d >= 0; d--) {
        if (dims[d] == 0)
            return;
        if (dims[d] == 1)
            continue;
        if (n > 0 && strides[d] == steps[n - 1] * merged[n - 1]) {
            merged[n - 1] *= dims[d];
            continue;
        }
        merged[n] = dims[d];
        steps[n++] = strides[d];
    }
    if (n > 0) {
        j.inner = merged[0];
        j.inner_stride = steps[0];
        j.rank = n - 1;
    }
    for (int d = 1; d < n; d++) {
        j.dims[n - 1 - d] = merged[d];
        j.strides[n - 1 - d] = steps[d];
        count *= merged[d];
    }
    op_parallel(c, (size_t)count, (size_t)(GRAIN / j.inner) + 1, rows, &j);
}
