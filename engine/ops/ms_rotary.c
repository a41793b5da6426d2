/* com.microsoft RotaryEmbedding: the standard operator of that name with its inputs in another
 * order, and with one number for the positions where all entries start at the same one. */
#include "engine/ops/delegate.h"

enum { X, POSITIONS, COS, SIN };

static enum status open_delegate(struct op_ctx *c, struct delegate *d, struct tensor *ids) {
    const struct tensor *x = op_in(c, X), *at = op_in(c, POSITIONS), *cosine = op_in(c, COS);
    const int64_t shape[2] = {x->dims[0], x->rank == 4 ? x->dims[2] : x->dims[1]};
    int64_t heads = op_attr_int(c, "num_heads", 0);
    if (at->count != 1 || (at->rank == 2 && shape[0] * shape[1] == 1)) {
        *ids = *at;
    } else {
        enum status s = tensor_shape(ids, DTYPE_INT64, 2, shape, c->error);
        if (s != STATUS_OK)
            return s;
        if (at->data) {
            int64_t *to = op_scratch(c, ids->bytes);
            if (!to)
                return op_no_memory(c);
            const int64_t first = *(const int64_t *)at->data;
            if (first < 0 || first >= cosine->dims[0])
                return op_fail(c, "position %lld is outside a cache of %lld", (long long)first,
                               (long long)cosine->dims[0]);
            for (int64_t i = 0; i < ids->count; i++)
                to[i] = first + i % shape[1];
            ids->data = to;
        }
    }
    enum status s = delegate_open(c, d, "RotaryEmbedding", 23, 4, 1);
    if (s != STATUS_OK)
        return s;
    /* Without num_heads, heads are as wide as the caches say. */
    if (heads == 0 && x->rank == 3 && cosine->dims[1] > 0 &&
        x->dims[2] % (2 * cosine->dims[1]) == 0)
        heads = x->dims[2] / (2 * cosine->dims[1]);
    delegate_int(d, "num_heads", heads);
    delegate_in(d, 0, x);
    delegate_in(d, 1, cosine);
    delegate_in(d, 2, op_in(c, SIN));
    delegate_in(d, 3, ids);
    return STATUS_OK;
}

static enum status infer(struct op_ctx *c) {
    enum status s = op_need_all(c, 4);
    if (s == STATUS_OK)
        s = op_need_rank(c, X, 3, 4);
    if (s == STATUS_OK)
        s = op_need_rank(c, POSITIONS, 1, 2);
    if (s == STATUS_OK)
        s = op_need_dtype(c, POSITIONS, DT(INT64));
    if (s == STATUS_OK)
        s = op_need_rank(c, COS, 2, 2);
    if (s == STATUS_OK &&
        (op_attr_int(c, "is_packed_batching", 0) != 0 || op_attr_float(c, "scale", 1.0f) != 1.0f))
        return op_fail(c, "is_packed_batching must be 0 and scale 1");
    struct delegate d;
    struct tensor ids;
    if (s == STATUS_OK)
        s = open_delegate(c, &d, &ids);
    if (s == STATUS_OK)
        s = delegate_infer(&d);
    return s == STATUS_OK ? op_infer_like(c, 0, op_in(c, X)) : s;
}

static enum status run(struct op_ctx *c) {
    struct delegate d;
    struct tensor ids;
    enum status s = open_delegate(c, &d, &ids);
    if (s == STATUS_OK)
        s = delegate_run(&d);
    return s == STATUS_OK ? op_view(c, 0, &d.out[0].tensor) : s;
}

const struct op_row op_family_ms_rotary[] = {
    {.domain = "com.microsoft", .name = "RotaryEmbedding", .since = 1, .infer = infer, .run = run},
    OP_END,
};
