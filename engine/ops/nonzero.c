/* NonZero: the coordinates of the elements that are not zero, one row a dimension. A scalar has no
 * coordinates: its result has no rows, and a column if it is not zero. Strings are zero when empty.
 */
#include "engine/ops/op.h"
#include "engine/ops/types.h"

static enum status nonzero_infer(struct op_ctx *c) {
    enum status s = op_need(c, 0);
    return s == STATUS_OK ? op_infer_in_run(c) : s;
}

static bool is_set(const struct tensor *x, int64_t i) {
#define CASE(name, T)                                                                              \
    case DTYPE_##name:                                                                             \
        return ((const T *)x->data)[i] != 0;
    switch (x->dtype) {
        TYPES_NUMBER(CASE)
        CASE(BOOL, uint8_t)
    case DTYPE_STRING:
        return ((const struct str *)x->data)[i].size != 0;
    case DTYPE_FLOAT16: /* zero has two signs */
    case DTYPE_BFLOAT16:
        return (((const uint16_t *)x->data)[i] & 0x7fff) != 0;
    case DTYPE_COMPLEX64:
        return ((const float *)x->data)[2 * i] != 0 || ((const float *)x->data)[2 * i + 1] != 0;
    case DTYPE_COMPLEX128:
        return ((const double *)x->data)[2 * i] != 0 || ((const double *)x->data)[2 * i + 1] != 0;
    default:
        return ((const uint8_t *)x->data)[i] != 0;
    }
#undef CASE
}

static enum status nonzero_run(struct op_ctx *c) {
    const struct tensor *x = op_in(c, 0);
    int64_t n = 0;
    for (int64_t i = 0; i < x->count; i++)
        n += is_set(x, i);
    struct tensor *y = NULL;
    enum status s = op_out_new(c, 0, DTYPE_INT64, 2, (int64_t[]){x->rank, n}, &y);
    if (s != STATUS_OK || !y || y->count == 0)
        return s;
    int64_t *to = y->data;
    for (int64_t i = 0, k = 0; i < x->count; i++) {
        if (!is_set(x, i))
            continue;
        int64_t rest = i;
        for (int d = x->rank - 1; d >= 0; d--) {
            to[d * n + k] = rest % x->dims[d];
            rest /= x->dims[d];
        }
        k++;
    }
    return STATUS_OK;
}

const struct op_row op_family_nonzero[] = {
    {.name = "NonZero", .since = 9, .infer = nonzero_infer, .run = nonzero_run},
    OP_END,
};
